/** The chat's types: answers, turns, conversations, settings. */
import type { FaultKind, Usage } from "../net/api.ts";

/** One answer of the model. `raw` is the content as it came; the thought in it is split off when shown. */
export interface Answer {
  raw: string;
  /** What came as `reasoning_content`. */
  reasoning: string;
  model: string;
  /** When the request left (ms since the epoch); the times below count from it. */
  startedAt: number;
  firstMs?: number;
  thoughtMs?: number;
  lastMs?: number;
  /** Pieces received: the token count where the server reports none. */
  pieces: number;
  usage?: Usage;
  status: "waiting" | "streaming" | "done" | "stopped" | "failed";
  finish?: string;
  /** Messages, the oldest, that were left out of what the model read. */
  dropped?: number;
  /** Cut off because the context was full. */
  contextFull?: boolean;
  fault?: { kind: FaultKind; message: string };
}

/** A question and every answer given to it (regenerating adds one); `shown` is the index of the one on the page. */
export interface Turn {
  id: string;
  question: string;
  answers: Answer[];
  shown: number;
}

export interface Conversation {
  id: string;
  title: string;
  createdAt: number;
  updatedAt: number;
  turns: Turn[];
}

/** null leaves a knob to the server. */
export interface Settings {
  temperature: number | null;
  topP: number | null;
  maxTokens: number | null;
  seed: number | null;
  system: string;
}
