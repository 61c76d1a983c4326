/** An answer's state and parts, as they are shown. */
import { splitThought } from "../text/think.ts";
import type { Answer } from "./types.ts";

export const isGrowing = ({ status }: Answer): boolean => status === "waiting" || status === "streaming";

/** What to show of an answer: its thought, from either of the two ways servers send it, and its text. */
export function partsOf(answer: Answer): { thought: string; text: string; thinking: boolean } {
  const growing = isGrowing(answer);
  if (answer.reasoning) {
    return {
      thought: answer.reasoning.trim(),
      text: answer.raw.trimStart(),
      thinking: growing && answer.raw.trim() === "",
    };
  }
  return splitThought(answer.raw, growing);
}
