/** The steps of a growing batch, counted by division: the same as walking them, and at once. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batchAt, divisorUpTo, pretrainingSteps } from "./ramp.ts";

type Ramp = Parameters<typeof pretrainingSteps>[0];

/** Step by step, as training itself goes. */
function walked(ramp: Ramp): number {
  let tokens = 0;
  let steps = 0;
  while (tokens < ramp.batch.rampTokens && tokens < ramp.tokens) {
    tokens += batchAt(ramp, tokens) * ramp.sequence;
    steps++;
  }
  return steps + Math.max(0, Math.ceil((ramp.tokens - tokens) / (ramp.batch.end * ramp.sequence) - 1e-9));
}

const ramps = fc
  .record({
    micro: fc.integer({ min: 1, max: 12 }),
    start: fc.integer({ min: 1, max: 9 }),
    more: fc.integer({ min: 0, max: 40 }),
    sequence: fc.integer({ min: 1, max: 64 }),
    ramp: fc.double({ min: 0, max: 2e5, noNaN: true }),
    whole: fc.boolean(),
    tokens: fc.double({ min: 1, max: 4e5, noNaN: true }),
  })
  .map(
    ({ micro, start, more, sequence, ramp, whole, tokens }): Ramp => ({
      batch: { start: micro * start, end: micro * (start + more), rampTokens: whole ? Math.round(ramp) : ramp },
      microBatch: micro,
      sequence,
      tokens: whole ? Math.round(tokens) : tokens,
    }),
  );

describe("pretrainingSteps", () => {
  it("counts the steps that one walks, whatever the ramp", () => {
    fc.assert(
      fc.property(ramps, (ramp) => {
        expect(pretrainingSteps(ramp)).toBe(walked(ramp));
      }),
      { numRuns: 1000 },
    );
  });

  it("is right where a ramp ends on a step, before one, and where the batch does not grow", () => {
    const of = (start: number, end: number, rampTokens: number, tokens: number): Ramp => ({
      batch: { start, end, rampTokens },
      microBatch: 1,
      sequence: 10,
      tokens,
    });
    for (const ramp of [
      of(1, 4, 100, 1000),
      of(1, 4, 99.5, 1000),
      of(1, 4, 100, 50),
      of(2, 2, 100, 1000),
      of(1, 4, 0, 1000),
      of(1, 1000, 30, 1e5),
      of(3, 9, 1e-3, 100),
    ])
      expect(pretrainingSteps(ramp)).toBe(walked(ramp));
    // By hand: at 1, 2, 3, 4 sequences of 10 tokens, a quarter of 100 tokens each: 3 + 1 + 1 + 1 steps to 120, then 22 of 40.
    expect(pretrainingSteps(of(1, 4, 100, 1000))).toBe(28);
  });

  it("takes V3's own ramp over short sequences, and the largest numbers that a recipe may have", () => {
    const v3: Ramp = {
      batch: { start: 3072, end: 15_360, rampTokens: 469e9 },
      microBatch: 1,
      sequence: 4096,
      tokens: 14.8e12,
    };
    expect(pretrainingSteps(v3)).toBe(walked(v3));
    const long = pretrainingSteps({ ...v3, batch: { start: 8, end: 40, rampTokens: 469e9 }, sequence: 256 });
    // 33 sizes, a 33rd of the ramp each, then the rest at 40.
    const ramp = Array.from({ length: 33 }, (_, i) => 469e9 / 33 / ((8 + i) * 256)).reduce((a, b) => a + b, 0);
    expect(Math.abs(long - ramp - (14.8e12 - 469e9) / (40 * 256))).toBeLessThan(40);
    const most = pretrainingSteps({
      batch: { start: 1, end: 2 ** 24, rampTokens: 1e15 },
      microBatch: 1,
      sequence: 1,
      tokens: 1e15,
    });
    expect(most).toBeGreaterThan(1e15 / 2 ** 24);
    expect(Number.isSafeInteger(most)).toBe(true);
  });
});

describe("divisorUpTo", () => {
  it("is the largest divisor within the limit", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: -3, max: 4000 }), (n, limit) => {
        let walk = Math.max(1, Math.min(n, limit));
        while (n % walk !== 0) walk--;
        expect(divisorUpTo(n, limit)).toBe(walk);
      }),
    );
    expect(divisorUpTo(999_999_999_989, 999_999_999_988)).toBe(1);
  });
});
