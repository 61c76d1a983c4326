import { expect, it } from "vitest";
import { answerFigures, paceOf } from "./figures.ts";
import type { Answer } from "./types.ts";

const answer = (fields: Partial<Answer>): Answer => ({
  id: "a",
  raw: "x",
  reasoning: "",
  model: "nano",
  startedAt: 0,
  pieces: 24,
  status: "done",
  firstMs: 100,
  lastMs: 100.1,
  usage: { prompt_tokens: 9, completion_tokens: 24 },
  ...fields,
});

it("says no speed where all came at once, and the time instead", () => {
  expect(paceOf(answer({}))).toEqual({ tokens: 24, exact: true, tokensPerSecond: null });
  expect(answerFigures(answer({}))?.short).toBe("24 tokens in 0.1 s");
});

it("measures from the first piece to the last where they were seen to come", () => {
  const seen = answer({ firstMs: 1_000, lastMs: 2_150 });
  expect(paceOf(seen)?.tokensPerSecond).toBeCloseTo(20);
  expect(answerFigures(seen)).toEqual({
    short: "24 tokens · 20 tokens/s",
    long: "9 tokens read, 24 written · first after 1.0 s · all in 2.1 s · as this page saw it · nano",
  });
  expect(answerFigures({ ...seen, usage: undefined })?.short).toBe("24 tokens or so · 20 tokens/s");
});

it("takes the server's clock where it tells", () => {
  const told = answer({ timings: { predicted_n: 24, predicted_ms: 115, predicted_per_second: 200 } });
  expect(paceOf(told)?.tokensPerSecond).toBe(200);
  expect(answerFigures(told)?.long).toContain("by the server's clock");
});

it("says nothing of an answer that never came", () => {
  expect(paceOf(answer({ pieces: 0, usage: undefined, firstMs: undefined, lastMs: undefined }))).toBeNull();
});
