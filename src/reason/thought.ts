/** A reply's thought and answer, and whether they stand where they should. */
import type { Reply } from "./task.ts";

const OPEN = "<think>";
const CLOSE = "</think>";

export interface Parted {
  /** Undefined when there is none; the whole of an unfinished one. */
  thought: string | undefined;
  /** What is said after the thought; empty while it is unfinished. */
  answer: string;
  /** One thought that is not blank, opened by the reply or by its prompt, closed once, and an answer after it. */
  wellFormed: boolean;
}

/** Parts a reply; a reply that begins with a bare `</think>` has no thought. */
export function partReply({ text, opened = false }: Reply): Parted {
  const begun = /^\s*<think>/.exec(text)?.[0].length ?? 0;
  if (!opened && begun === 0) {
    const bare = /^\s*<\/think>/.exec(text)?.[0].length ?? 0;
    return { thought: undefined, answer: text.slice(bare), wellFormed: false };
  }
  const inside = opened ? text : text.slice(begun);
  const end = inside.indexOf(CLOSE);
  if (end < 0) return { thought: inside, answer: "", wellFormed: false };
  const thought = inside.slice(0, end);
  const answer = inside.slice(end + CLOSE.length);
  const once = !inside.includes(OPEN) && !answer.includes(CLOSE);
  return { thought, answer, wellFormed: once && thought.trim() !== "" && answer.trim() !== "" };
}

/** Whether it thinks before it answers. */
export const isLong = (reply: Reply): boolean => (partReply(reply).thought ?? "").trim() !== "";

/** In what a reply's form is wrong, as what replies like it do; undefined where `partReply` finds it well-formed and it is not cut off. */
export function malformed(reply: Reply): string | undefined {
  const { text, opened = false, truncated = false } = reply;
  const { thought, answer, wellFormed } = partReply(reply);
  if (opened && /^\s*<think>/.test(text)) return "open the thought again";
  if (thought === undefined) return text.includes(CLOSE) ? "close a thought that they did not open" : "do not think";
  if (truncated) return "are cut off";
  if (wellFormed) return undefined;
  if (!text.includes(CLOSE)) return "never close their thought";
  if (thought.trim() === "") return "think nothing";
  return answer.trim() === "" ? "give no answer" : "have a tag too many";
}
