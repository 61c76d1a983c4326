/** Chats found by the words in them. */
import { partsOf } from "./parts.ts";
import type { Conversation } from "./types.ts";

export interface Found {
  chat: Conversation;
  /** The first place in questions or answers that has one of the words; "" where all are in the title. */
  around: string;
}

const BESIDE = 30;

/** Whether a chat has all of some words, in its title, questions, answers or thoughts, of any branch; null where it has not. */
export function findIn(chat: Conversation, query: string): Found | null {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  const texts = chat.turns.flatMap((turn) => [
    turn.question,
    ...turn.answers.flatMap((answer) => {
      const { thought, text } = partsOf(answer);
      return [text, thought];
    }),
  ]);
  const lower = texts.map((text) => text.toLowerCase());
  const title = chat.title.toLowerCase();
  const missing = wanted.filter((word) => !title.includes(word));
  if (!missing.every((word) => lower.some((text) => text.includes(word)))) return null;
  const at = missing[0] === undefined ? -1 : lower.findIndex((text) => text.includes(missing[0]!));
  return { chat, around: at < 0 ? "" : snippet(texts[at]!, lower[at]!.indexOf(missing[0]!)) };
}

function snippet(text: string, at: number): string {
  const from = Math.max(0, at - BESIDE / 2);
  const to = at + 2 * BESIDE;
  const cut = text.slice(from, to).replace(/\s+/g, " ").trim();
  return `${from > 0 ? "…" : ""}${cut}${to < text.length ? "…" : ""}`;
}
