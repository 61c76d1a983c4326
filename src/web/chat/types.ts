/** The chat's types: answers, turns, conversations, settings. */
import type { FaultKind, Timings, Usage } from "../net/api.ts";

/** One answer of the model. `raw` is the content as it came; the thought in it is split off when shown. */
export interface Answer {
  id: string;
  raw: string;
  /** What came as `reasoning_content`. */
  reasoning: string;
  model: string;
  /** When the request left (ms since the epoch); the times below count from it. Where the answer was gone on with, the pause between is left out of them. */
  startedAt: number;
  firstMs?: number;
  thoughtMs?: number;
  lastMs?: number;
  /** Pieces received: the token count where the server reports none. */
  pieces: number;
  usage?: Usage;
  timings?: Timings;
  status: "waiting" | "streaming" | "done" | "stopped" | "failed";
  finish?: string;
  /** Messages, the oldest, that were left out of what the model read. */
  dropped?: number;
  /** Cut off because the context was full. */
  contextFull?: boolean;
  /** Its words were changed by the reader. */
  edited?: boolean;
  fault?: { kind: FaultKind; message: string };
}

/** A text file that a question comes with. */
export interface Attachment {
  name: string;
  text: string;
}

/** A question and every answer given to it (asking again adds one); `shown` is the index of the one on the page. */
export interface Turn {
  id: string;
  /** The answer that it follows, by id; null where it begins the conversation. */
  after: string | null;
  question: string;
  files?: Attachment[];
  answers: Answer[];
  shown: number;
}

/** A conversation is a tree: several turns may follow one answer, a question and what it was changed to. */
export interface Conversation {
  /** Which form this is kept in; chats of before it had one branch and no number. */
  form: 2;
  id: string;
  title: string;
  createdAt: number;
  updatedAt: number;
  /** The turns of every branch, in the order they were asked. */
  turns: Turn[];
  /** Which turn is on show after an answer ("" for the beginning), where it is not the newest. */
  picked: Record<string, string>;
  /** Its own; those of new chats where it has none. */
  settings?: Settings;
}

/** null leaves a knob to the server. */
export interface Settings {
  temperature: number | null;
  topP: number | null;
  maxTokens: number | null;
  seed: number | null;
  system: string;
  /** Whether to think before answering; null lets the model choose. */
  thinking: boolean | null;
  /** Tokens after which a thought is brought to its end; null does not bound it. */
  thinkingBudget: number | null;
  /** Which of the server's models answers; null takes the first. */
  model: string | null;
}
