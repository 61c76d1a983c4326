/** How full the model's context is with what would be sent now. */
import { useEffect, useState } from "preact/hooks";
import { type ChatMessage, countTokens, Fault } from "../net/api.ts";
import { history, question } from "./messages.ts";
import { settingsOf } from "./settings.ts";
import { branchOf } from "./tree.ts";
import type { Attachment, Conversation } from "./types.ts";

export interface Fullness {
  tokens: number;
  limit: number;
  /** Counted by the server; else estimated from the texts' lengths. */
  exact: boolean;
}

/** Most characters that are sent to be counted while one writes; more are estimated. */
const MAX_COUNTED = 200_000;
const PAUSE_MS = 300;

/** Servers of the OpenAI API that cannot count: asked once. */
let counts = true;

const encoder = new TextEncoder();

/** Some four bytes a token, and a few tokens around each message. */
export const estimate = (messages: readonly ChatMessage[]): number =>
  messages.reduce((sum, { content }) => sum + Math.ceil(encoder.encode(content).length / 4) + 4, 0);

/** What is sent of a chat with a draft at its end; nothing where there is neither. */
export function draftMessages(
  chat: Conversation | undefined,
  draft: { question: string; files: readonly Attachment[] },
): ChatMessage[] {
  const steps = (chat ? branchOf(chat) : []).map((turn) => ({ turn, answer: turn.answers[turn.shown] }));
  const { system } = settingsOf(chat);
  if (steps.length === 0 && draft.question.trim() === "" && draft.files.length === 0) return [];
  const files = [...draft.files];
  return [
    ...history(steps, system),
    ...(draft.question.trim() || files.length > 0 ? [question({ ...draft, files })] : []),
  ];
}

/** Counts what would be sent, some time after the last change; null where there is nothing to send, or no context is known. */
export function useFullness(
  messages: readonly ChatMessage[],
  limit: number | undefined,
  model: string | undefined,
): Fullness | null {
  const [counted, setCounted] = useState<{ of: string; tokens: number; limit: number } | null>(null);
  const key = JSON.stringify(messages);
  useEffect(() => {
    if (!counts || messages.length === 0 || key.length > MAX_COUNTED || limit === undefined) return;
    const left = new AbortController();
    const timer = setTimeout(() => {
      countTokens(messages, model, left.signal).then(
        (found) => {
          if (found) setCounted({ of: key, tokens: found.count, limit: found.limit });
        },
        (error) => {
          // no such route, or the server is away: the estimate stands
          if (error instanceof Fault && (error.status === 404 || error.status === 405)) counts = false;
        },
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      left.abort();
    };
  }, [key, limit, model]);
  if (messages.length === 0 || limit === undefined) return null;
  if (counted?.of === key) return { tokens: counted.tokens, limit: counted.limit, exact: true };
  return { tokens: estimate(messages), limit, exact: false };
}
