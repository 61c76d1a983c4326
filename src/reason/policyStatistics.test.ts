import { expect, it } from "vitest";
import type { Answer } from "./microBatches.ts";
import { flipsBetween, PolicyStatistics } from "./policyStatistics.ts";
import { dealt } from "./updates.ts";

const LN2 = Math.LN2;

/** Answers of two tokens whose log-probabilities moved by `moved` and lie `d` under the reference's. */
const answer = (advantage: number, moved: number[], d: number): Answer => ({
  prompt: [1],
  ids: Int32Array.from([2, 3]),
  advantage,
  drawnLogProbabilities: Float32Array.from([-1, -1]),
  oldLogProbabilities: Float32Array.from(moved, (by) => -1 - by),
  referenceLogProbabilities: Float32Array.from([-1 + d, -1 + d]),
});

const OPTIONS = {
  ratioClip: { low: 0.2, high: 0.28, dual: 3 },
  ratio: "token",
  surrogate: "clip",
  offPolicyDelta: 0.5,
  kl: { beta: 1, estimator: "k3" },
} as const;

const made = (answers: Answer[], experts?: number[]) => ({
  answers,
  place: answers.map((_, i) => 2 * i),
  sums: {
    loss: 0.5,
    perToken: {
      logProbabilities: new Float32Array(2 * answers.length).fill(-1),
      entropies: new Float32Array(2 * answers.length).fill(0.25),
      ...(experts ? { experts: Float32Array.from(experts) } : {}),
    },
  },
  fresh: true,
  gradNorm: 2,
  learningRate: 1e-3,
});

it("tells clipping by its end, ratios, KL and dropped answers", () => {
  const statistics = new PolicyStatistics(OPTIONS, 2);
  statistics.add(
    made([
      answer(1, [Math.log(1.3), Math.log(0.5)], LN2),
      answer(-1, [Math.log(0.7), Math.log(1.3)], LN2),
      answer(-1, [Math.log(4), 0], LN2),
      answer(-1, [-1, -1], LN2),
    ]),
  );
  const report = statistics.report();
  // A > 0: 1.3 is over; A < 0: 0.7 and both e⁻¹ are under, 4 is over the dual bound
  expect(report.clipHigh).toBeCloseTo(2 / 8, 12);
  expect(report.clipLow).toBeCloseTo(3 / 8, 12);
  expect(report.clipShare).toBeCloseTo(5 / 8, 12);
  expect(report.ratioMax).toBeCloseTo(4, 5);
  expect(report.ratioMin).toBeCloseTo(Math.exp(-1), 6);
  expect(report.kl).toBeCloseTo(1 - LN2, 6);
  expect(report.klK1).toBeCloseTo(-LN2, 6);
  expect(report.offPolicyShare).toBe(1 / 4);
  expect(report).toMatchObject({ loss: 0.5, gradNorm: 2, entropy: 0.25, driftMax: 0 });
  expect(report.flips).toBeUndefined();
});

it("takes whole answers' ratios where the formula does", () => {
  const statistics = new PolicyStatistics({ ...OPTIONS, ratio: "sequence", offPolicyDelta: undefined }, 2);
  statistics.add(made([answer(1, [Math.log(4), Math.log(0.25)], 0), answer(1, [Math.log(4), 0], 0)]));
  const { ratioMin, ratioMax, clipHigh, offPolicyShare } = statistics.report();
  expect(ratioMin).toBeCloseTo(1, 6);
  expect(ratioMax).toBeCloseTo(2, 6);
  expect(clipHigh).toBe(0.5);
  expect(offPolicyShare).toBeUndefined();
});

it("counts experts that training did not choose, in whatever order, of the first update alone", () => {
  expect(flipsBetween([3, 1, 4, 2], [1, 3, 2, 4], 2)).toBe(0);
  expect(flipsBetween([3, 1, 4, 2], [1, 5, 2, 4], 2)).toBe(1);
  const one = { ...answer(1, [0, 0], 0), experts: Uint16Array.from([3, 1, 4, 2]) };
  const statistics = new PolicyStatistics(OPTIONS, 2);
  statistics.add(made([one], [1, 3, 2, 5]));
  statistics.add({ ...made([one], [7, 7, 7, 7]), fresh: false });
  expect(statistics.report().flips).toBe(1);
});

it("drift that is no number is told", () => {
  const statistics = new PolicyStatistics(OPTIONS, 2);
  const update = made([answer(1, [0, 0], 0)]);
  update.sums.perToken.logProbabilities[0] = NaN;
  statistics.add(update);
  expect(statistics.report().driftMax).toBeNaN();
});

it("deals answers to updates of like size, each once, in an order that hangs on the seeds", () => {
  const answers = Array.from({ length: 10 }, (_, i) => ({ ...answer(1, [0, 0], 0), advantage: i }));
  const parts = dealt(answers, 4, [1, 2]);
  expect(parts.map((part) => part.length).sort()).toEqual([2, 2, 3, 3]);
  const order = parts.flat().map(({ advantage }) => advantage);
  expect([...order].sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
  expect(order).not.toEqual([...Array(10).keys()]);
  expect(dealt(answers, 4, [1, 2])).toEqual(parts);
  expect(dealt(answers, 4, [1, 3])).not.toEqual(parts);
  expect(dealt(answers.slice(0, 2), 4, [1])).toHaveLength(2);
});
