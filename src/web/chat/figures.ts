/** The numbers under an answer. */
import { duration } from "../ui/format.ts";
import type { Answer } from "./types.ts";

/**
 * The numbers under an answer. Tokens per second counts the tokens after the first over the time after the first, so
 * it says how fast the model writes; the wait before it is told apart. Null where nothing came.
 */
export function answerFigures(answer: Answer): { short: string; long: string; tokensPerSecond: number | null } | null {
  const tokens = answer.usage?.completion_tokens ?? answer.pieces;
  if (tokens === 0 || answer.firstMs === undefined || answer.lastMs === undefined) return null;
  const seconds = (answer.lastMs - answer.firstMs) / 1_000;
  const rate = tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : null;
  const count = `${tokens} token${tokens === 1 ? "" : "s"}${answer.usage ? "" : " or so"}`;
  const short = rate === null ? count : `${count} · ${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`;
  const long = [
    answer.usage && `${answer.usage.prompt_tokens} tokens read, ${answer.usage.completion_tokens} written`,
    `first after ${duration(answer.firstMs / 1_000)}`,
    `all in ${duration(answer.lastMs / 1_000)}`,
    answer.model,
  ]
    .filter(Boolean)
    .join(" · ");
  return { short, long, tokensPerSecond: rate };
}
