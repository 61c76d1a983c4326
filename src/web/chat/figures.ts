/** The numbers under an answer. */
import { duration } from "../ui/format.ts";
import { words } from "../words/index.ts";
import type { Answer } from "./types.ts";

/** Below this the page sees pieces that came together, and their pace says nothing of the model's. */
const LEAST_SPAN_MS = 100;

export interface Pace {
  tokens: number;
  /** The server counted them. */
  exact: boolean;
  /** null where nothing honest can be said. */
  tokensPerSecond: number | null;
}

/**
 * How many tokens an answer has and how fast they were written: by the server's clock where it says so, else the tokens after the first over
 * the time after the first, if that was long enough to be seen. Null where nothing came.
 */
export function paceOf({ usage, timings, pieces, firstMs, lastMs }: Answer): Pace | null {
  const tokens = usage?.completion_tokens ?? timings?.predicted_n ?? pieces;
  if (tokens === 0 || firstMs === undefined || lastMs === undefined) return null;
  const exact = usage !== undefined || timings !== undefined;
  if (timings) return { tokens, exact, tokensPerSecond: timings.predicted_per_second ?? null };
  const span = lastMs - firstMs;
  const seen = tokens > 1 && pieces > 1 && span >= LEAST_SPAN_MS;
  return { tokens, exact, tokensPerSecond: seen ? (tokens - 1) / (span / 1_000) : null };
}

/** The numbers in words: a line, and all there is to say. */
export function answerFigures(answer: Answer): { short: string; long: string } | null {
  const pace = paceOf(answer);
  if (!pace) return null;
  const { firstMs = 0, lastMs = 0, usage, timings, model } = answer;
  const { tokensPerSecond: rate } = pace;
  const speed =
    rate === null
      ? lastMs < 50
        ? words.figures.atOnce
        : words.figures.inTime(duration(lastMs / 1_000))
      : words.figures.rate(rate.toFixed(rate < 10 ? 1 : 0));
  const long = [
    usage && words.figures.readAndWritten(usage.prompt_tokens, usage.completion_tokens),
    words.figures.firstAfter(duration(firstMs / 1_000)),
    words.figures.allIn(duration(lastMs / 1_000)),
    rate !== null && (timings ? words.figures.byServer : words.figures.byPage),
    model,
  ];
  return {
    short: `${words.figures.tokens(pace.tokens, pace.exact)}${rate === null ? " " : " · "}${speed}`,
    long: long.filter(Boolean).join(" · "),
  };
}
