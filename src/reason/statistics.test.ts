import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { comparePaired, estimate, evaluateSamples, majority, passAtK } from "./statistics.ts";

describe("pass@k", () => {
  it("has no bias: n 8, c 2", () => {
    expect(passAtK(8, 2, 4)).toBeCloseTo(1 - 15 / 70, 12);
    expect(passAtK(8, 2, 4)).toBeCloseTo(0.7857, 4);
    expect(passAtK(8, 2, 1)).toBeCloseTo(0.25, 12);
    expect(passAtK(8, 0, 4)).toBe(0);
    expect(passAtK(8, 6, 4)).toBe(1);
    expect(() => passAtK(4, 1, 8)).toThrow(/1 <= k <= n/);
  });

  it("is the share of k-subsets with a right one", () => {
    const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.nat(30), fc.integer({ min: 1, max: 30 }), (n, c, k) => {
        if (c > n || k > n) return;
        const without = n - c < k ? 0 : choose(n - c, k);
        expect(passAtK(n, c, k)).toBeCloseTo(1 - without / choose(n, k), 9);
      }),
    );
  });
});

describe("majority", () => {
  const same = (a: string, b: string) => Number(a) === Number(b);
  it("puts equal answers together", () => {
    expect(majority(["3", "0.5", undefined, ".50", "4"], same)).toBe(1);
    expect(majority(["3", "4"], same)).toBe(0);
    expect(majority([undefined], same)).toBe(-1);
  });
});

describe("intervals", () => {
  it("are over questions and hold what a normal one would", () => {
    const values = Array.from({ length: 400 }, (_, i) => (i % 4 === 0 ? 1 : 0));
    const { mean, low, high } = estimate(values);
    const half = 1.96 * Math.sqrt((0.25 * 0.75) / 400);
    expect(mean).toBe(0.25);
    expect(Math.abs(mean - low - half)).toBeLessThan(0.006);
    expect(Math.abs(high - mean - half)).toBeLessThan(0.006);
    expect(estimate(values)).toEqual({ mean, low, high });
  });

  it("are not empty where all questions agree", () => {
    expect(estimate(new Array(100).fill(0)).high).toBeCloseTo(0.037, 3);
    expect(estimate([]).high).toBe(1);
  });

  it("compare question by question", () => {
    const first = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 0.9 : 0.1));
    const second = first.map((value, i) => value + (i % 10 === 0 ? -0.02 : 0.05));
    const { mean, low, p, better, worse } = comparePaired(first, second);
    expect(mean).toBeCloseTo(0.043, 6);
    expect(low).toBeGreaterThan(0.03);
    expect(p).toBe(0);
    expect([better, worse]).toEqual([90, 10]);
    expect(comparePaired(first, first)).toMatchObject({ mean: 0, p: 1 });
  });
});

it("evaluates samples: pass@1 over all, the majority of k", () => {
  const same = (a: string, b: string) => a === b;
  const question = (right: boolean[], answers: string[]) => ({ right, answers, lengths: right.map(() => 10) });
  const result = evaluateSamples(
    [
      question([true, true, false, false], ["1", "1", "2", "3"]),
      question([false, false, false, true], ["5", "5", "6", "7"]),
    ],
    4,
    same,
  );
  expect(result.passAt1.mean).toBeCloseTo(0.375, 12);
  expect(result.passAtK.mean).toBe(1);
  expect(result.consAtK.mean).toBe(0.5);
  expect(result).toMatchObject({ questions: 2, samples: 8, k: 4, length: { mean: 10 } });
});
