import { beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../src/model/index.ts";
import { type Batch, type PolicyOptions, policy, supervised } from "../../src/train/index.ts";
import { MODEL } from "./fixture.ts";
import { apart, modelStore, type Step, stepOf } from "./objectiveSteps.ts";

const config = parseConfig({ ...MODEL, num_nextn_predict_layers: 0 });
const store = modelStore(config);
/** Equal but for the order in which f32 sums are taken. */
const SAME = 1e-6;

/** A sequence: prompt and padding are not trained. */
interface Row {
  ids: number[];
  weights: number[];
  advantages: number[];
  old: number[];
  reference: number[];
}
const T = 16;
/** Values in ±1. */
const noise = (seed: number) => Math.sin(seed * 12.9898) * Math.cos(seed * 78.233);
const each = (row: number, value: (i: number) => number) => Array.from({ length: T }, (_, i) => value(100 * row + i));
/** Eight sequences of unlike lengths: row r has 3 tokens of prompt and 4 + r of answer. */
const ROWS: Row[] = Array.from({ length: 8 }, (_, r) => ({
  ids: Array.from({ length: T + 1 }, (_, i) => {
    const id = (7 * r + 5 * i + i * i) % 64;
    return i < 3 || i >= 7 + r ? ~id : id;
  }),
  weights: each(0, (i) => (i >= 2 && i < 6 + r ? 1 / 60 : 0)),
  advantages: each(r, noise),
  old: each(r, (i) => -4 + 0.3 * noise(i + 0.5)),
  reference: each(r, (i) => -4 + 0.3 * noise(i + 0.7)),
}));

const floats = (rows: readonly Row[], key: "weights" | "advantages" | "old" | "reference") =>
  Float32Array.from(rows.flatMap((row) => row[key]));
const supervisedBatch = (rows: readonly Row[]): Batch => ({
  ids: Int32Array.from(rows.flatMap(({ ids }) => ids)),
  inputs: { tokenWeights: floats(rows, "weights") },
});
const policyBatch = (rows: readonly Row[]): Batch => {
  const { ids, inputs } = supervisedBatch(rows);
  const [advantages, oldLogProbabilities, referenceLogProbabilities] = (
    ["advantages", "old", "reference"] as const
  ).map((key) => floats(rows, key)) as [Float32Array, Float32Array, Float32Array];
  return { ids, inputs: { ...inputs, advantages, oldLogProbabilities, referenceLogProbabilities } };
};
const cut = (rows: readonly Row[], size: number) =>
  Array.from({ length: rows.length / size }, (_, i) => rows.slice(i * size, (i + 1) * size));
/** The same with other tokens behind each sequence, which nobody trains. */
const padded = (rows: readonly Row[], by: number): Row[] =>
  rows.map(({ ids, ...values }) => ({
    ids: [...ids, ...Array.from({ length: by }, (_, i) => ~((11 * i) % 64))],
    weights: [...values.weights, ...Array.from({ length: by }, () => 0)],
    advantages: [...values.advantages, ...Array.from({ length: by }, () => 3)],
    old: [...values.old, ...Array.from({ length: by }, () => -300)],
    reference: [...values.reference, ...Array.from({ length: by }, () => 0)],
  }));

describe.each([
  { name: "supervised", objective: supervised(), batchOf: supervisedBatch },
  {
    name: "policy",
    objective: policy({ clip: { low: 0.2, high: 0.28, dual: 3 }, kl: { beta: 0.5, estimator: "unbiased" } }),
    batchOf: policyBatch,
  },
])("$name: a step does not depend on how its batch is cut", ({ objective, batchOf }) => {
  const run = (rows: readonly Row[], size: number, sequence = T) =>
    stepOf(store, config, objective, cut(rows, size).map(batchOf), { microBatch: size, sequence });
  let whole: Step;
  beforeAll(async () => {
    whole = await run(ROWS, 8);
  });
  const expectSame = (step: Step) => {
    expect(apart(step.gradients, whole.gradients)).toBeLessThan(SAME);
    expect(step.loss).toBeCloseTo(whole.loss, 5);
    for (const [name, value] of Object.entries(whole.metrics)) expect(step.metrics[name], name).toBeCloseTo(value, 5);
  };

  it("has a gradient at all", () =>
    expect(Math.hypot(...[...whole.gradients.values()].map((gradient) => Math.hypot(...gradient)))).toBeGreaterThan(
      1e-2,
    ));
  it.each([4, 1])("into micro-batches of %i", async (size) => {
    const step = await run(ROWS, size);
    expectSame(step);
    for (const [name, values] of Object.entries(whole.perToken))
      step.perToken[name]!.forEach((value, i) => expect(value, `${name} ${i}`).toBeCloseTo(values[i]!, 4));
  });
  it("into lanes", async () => {
    const two = modelStore(config, 2);
    expectSame(await stepOf(two, config, objective, [batchOf(ROWS)], { microBatch: 8, sequence: T, lanes: 2 }));
  });
  it("nor on the order of the sequences", async () =>
    expectSame(
      await run(
        [3, 0, 7, 5, 1, 6, 2, 4].map((r) => ROWS[r]!),
        4,
      ),
    ));
  it("nor on padding", async () => expectSame(await run(padded(ROWS, 50), 4, T + 50)));
});

/** Two sequences: trained tokens 1 and 3 behind a prompt of 2. */
const LENGTHS = [1, 3];
const PAIR: Row[] = LENGTHS.map((length, r) => ({
  ...ROWS[r]!,
  ids: ROWS[r]!.ids.map((id, i) => (i >= 2 && i < 2 + length ? Math.abs(id) : id < 0 ? id : ~id)),
}));
const trained = (r: number, i: number) => i >= 1 && i < 1 + LENGTHS[r]!;
/** One policy step on the pair, with what each trained token gets as numbers or by sequence. */
async function pairStep(
  options: PolicyOptions,
  of: { weight: (r: number) => number; advantage: (r: number) => number; old?: number[]; reference?: number[] },
): Promise<Step> {
  const values = (value: (r: number, i: number) => number) =>
    Float32Array.from([0, 1].flatMap((r) => Array.from({ length: T }, (_, i) => (trained(r, i) ? value(r, i) : 0))));
  const inputs: Batch["inputs"] = {
    tokenWeights: values(of.weight),
    advantages: values(of.advantage),
    ...(of.old ? { oldLogProbabilities: values((r, i) => of.old![r * T + i]!) } : {}),
    ...(of.reference ? { referenceLogProbabilities: values((r, i) => of.reference![r * T + i]!) } : {}),
  };
  const { ids } = supervisedBatch(PAIR);
  return stepOf(store, config, policy(options), [{ ids, inputs }], { microBatch: 2, sequence: T });
}
/** Σ c · ∇ log π over the trained tokens, as supervised training gives it. */
async function alongLogProbabilities(coefficient: (r: number) => number): Promise<Step["gradients"]> {
  const tokenWeights = Float32Array.from(
    [0, 1].flatMap((r) => Array.from({ length: T }, (_, i) => (trained(r, i) ? -coefficient(r) : 0))),
  );
  const { ids } = supervisedBatch(PAIR);
  return (
    await stepOf(store, config, supervised(), [{ ids, inputs: { tokenWeights } }], { microBatch: 2, sequence: T })
  ).gradients;
}
const norm = (gradients: Step["gradients"]) =>
  Math.hypot(...[...gradients.values()].map((gradient) => Math.hypot(...gradient)));

describe("policy", () => {
  let logProbabilities: number[];
  beforeAll(async () => {
    const step = await pairStep({ onPolicy: true }, { weight: () => 1, advantage: () => 1 });
    logProbabilities = [...step.perToken["logProbabilities"]!];
  });
  const shifted = (by: number) => logProbabilities.map((value) => value + by);

  it.each([
    { name: "mean over sequences of means", weight: (r: number) => 1 / (2 * LENGTHS[r]!), loss: 0 },
    { name: "mean over tokens", weight: () => 1 / 4, loss: 0.5 },
    { name: "sum ÷ (sequences · longest), longest 4", weight: () => 1 / 8, loss: 0.25 },
  ])("lengths 1 and 3, A = ±1, ρ = 1: $name gives $loss", async ({ weight, loss }) => {
    const advantage = (r: number) => (r === 0 ? 1 : -1);
    const step = await pairStep({ onPolicy: true }, { weight, advantage });
    expect(step.loss).toBeCloseTo(loss, 6);
    const expected = await alongLogProbabilities((r) => -weight(r) * advantage(r));
    expect(apart(step.gradients, expected)).toBeLessThan(SAME);
  });

  it("without advantages has no gradient", async () => {
    const step = await pairStep({ onPolicy: true }, { weight: () => 1 / 4, advantage: () => 0 });
    expect(step.loss).toBeCloseTo(0, 10);
    expect(norm(step.gradients)).toBe(0);
  });

  const clip = { low: 0.2, high: 0.28 };
  it.each([
    { A: 1, ratio: 1.25, counts: true },
    { A: 1, ratio: 1.3, counts: false },
    { A: 1, ratio: 0.3, counts: true },
    { A: -1, ratio: 0.7, counts: false },
    { A: -1, ratio: 0.85, counts: true },
    { A: -1, ratio: 4, counts: true },
    { A: -1, ratio: 4, dual: 3, counts: false },
    { A: -1, ratio: 2, dual: 3, counts: true },
  ])("clips: A = $A, ρ = $ratio, dual clip $dual: gradient $counts", async ({ A, ratio, dual, counts }) => {
    const old = shifted(-Math.log(ratio));
    const step = await pairStep({ clip: { ...clip, dual } }, { weight: () => 1 / 4, advantage: () => A, old });
    expect(step.metrics["ratio"]).toBeCloseTo(ratio, 4);
    expect(step.metrics["clipped"]).toBeCloseTo(counts ? 0 : 1, 6);
    if (!counts) expect(norm(step.gradients)).toBe(0);
    // ρ itself carries the rounding of a logarithm.
    else expect(apart(step.gradients, await alongLogProbabilities(() => (-1 / 4) * ratio * A))).toBeLessThan(10 * SAME);
  });

  it.each([
    { d: 0, kl: 0, k3: 0, unbiased: 0 },
    { d: Math.LN2, kl: 1 - Math.LN2, k3: -1, unbiased: -Math.LN2 },
    { d: -Math.LN2, kl: Math.LN2 - 0.5, k3: 0.5, unbiased: Math.LN2 },
  ])("KL at log π_ref − log π = $d: $kl; on ∇ log π $k3 plain, $unbiased unbiased", async ({ d, kl, ...expected }) => {
    const size = norm(await alongLogProbabilities(() => 1 / 2));
    for (const estimator of ["k3", "unbiased"] as const) {
      const step = await pairStep(
        { onPolicy: true, kl: { beta: 2, estimator } },
        { weight: () => 1 / 4, advantage: () => 0, reference: shifted(d) },
      );
      expect(step.metrics["kl"]).toBeCloseTo(kl, 5);
      expect(step.loss).toBeCloseTo(2 * kl, 5);
      const along = await alongLogProbabilities(() => (2 / 4) * expected[estimator]);
      const off = new Map(
        [...step.gradients].map(([key, gradient]) => [key, gradient.map((value, i) => value - along.get(key)![i]!)]),
      );
      expect(norm(off) / size).toBeLessThan(10 * SAME);
    }
  });

  it("every ratio of fresh weights is 1 at temperature 0.6, in micro-batches of another size", async () => {
    const options = { clip, temperature: 0.6 };
    const batch = policyBatch(ROWS);
    const first = await stepOf(store, config, policy(options), [batch], { microBatch: 8, sequence: T });
    const old = first.perToken["logProbabilities"]!;
    const rows = ROWS.map((row, r) => ({ ...row, old: [...old.subarray(r * T, (r + 1) * T)] }));
    const again = await stepOf(store, config, policy(options), cut(rows, 1).map(policyBatch), {
      microBatch: 1,
      sequence: T,
    });
    again.perToken["logProbabilities"]!.forEach((value, i) => expect(Math.exp(value - old[i]!)).toBeCloseTo(1, 4));
    const total = ROWS.flatMap(({ weights, ids }) => weights.map((w, i) => (ids[i + 1]! < 0 ? 0 : w))).reduce(
      (a, b) => a + b,
    );
    expect(again.metrics["ratio"]! / total).toBeCloseTo(1, 5);
    // Not the temperature 1's.
    const plain = await stepOf(store, config, policy({ clip }), [batch], { microBatch: 8, sequence: T });
    expect(plain.perToken["logProbabilities"]![3]).not.toBeCloseTo(old[3]!, 1);
  });

  it("stays finite where the old policy all but excluded a token", async () => {
    const old = shifted(-200);
    for (const A of [1, -1]) {
      const step = await pairStep({ clip }, { weight: () => 1 / 4, advantage: () => A, old });
      expect(Number.isFinite(step.loss)).toBe(true);
      expect(Number.isFinite(norm(step.gradients))).toBe(true);
    }
  });
});

describe("MTP modules beside an objective", () => {
  const withMtp = parseConfig(MODEL);
  const rows = padded(ROWS, 1);

  it("learn by themselves: the model's gradient is the one without them", async () => {
    const whole = modelStore(withMtp);
    const frozen = modelStore(withMtp, 1, (key) => key.startsWith("model.layers.2."));
    const options = { clip: { low: 0.2, high: 0.28 } };
    const shape = { microBatch: 8, sequence: T };
    const { ids, inputs } = policyBatch(ROWS);
    const longer: Batch = {
      ids: supervisedBatch(rows).ids,
      inputs: { ...inputs, tokenWeights: floats(rows, "weights") },
    };
    const without = await stepOf(frozen, withMtp, policy(options), [{ ids, inputs }], shape);
    const beside = await stepOf(whole, withMtp, policy({ ...options, mtp: 0.1 }), [longer], shape);
    expect(apart(beside.gradients, without.gradients)).toBeLessThan(SAME);
    const own = [...beside.gradients].filter(([key]) => !without.gradients.has(key));
    expect(own.length).toBeGreaterThan(10);
    for (const [key, gradient] of own)
      if (/proj|norm/.test(key) && !/experts\./.test(key)) expect(Math.hypot(...gradient), key).toBeGreaterThan(0);
    expect(beside.loss - 0.1 * beside.metrics["mtpLoss"]!).toBeCloseTo(without.loss, 5);
  });
});
