import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { MODEL } from "../../test/train/fixture.ts";
import { loadTokenizer } from "../data/index.ts";
import { parseConfig } from "../model/index.ts";
import { storeOf } from "../train/index.ts";
import { FIRST_PROGRESS, Grpo } from "./grpo.ts";
import { parseReinforce } from "./options.ts";
import { Rewards } from "./rewards.ts";
import type { Task } from "./task.ts";
import { openTask } from "./tasks/named.ts";

const temporary = temporaryFolder();
const tokenizer = loadTokenizer("models/nano");
/** A model with experts and an MTP module, untrained. */
const config = parseConfig({ ...MODEL, vocab_size: tokenizer.vocabSize });
const BIAS = "model.layers.1.mlp.gate.e_score_correction_bias";
let task: Task;
beforeAll(async () => {
  const file = join(temporary.dir, "letters.mjs");
  writeFileSync(
    file,
    `export const problem = (random) => ({ prompt: "Say " + random.int(10, 99), answer: "e" });
export const score = (problem, reply) => ({ answer: [...reply.text].filter((c) => "aeiou1357".includes(c)).length / (1 + reply.text.length) });`,
  );
  task = await openTask(file);
});
afterAll(async () => {
  await task.close?.();
  temporary[Symbol.dispose]();
});

const SIZES = { problems: 2, group: 4, maxTokens: 8, microBatch: 4, warmupSteps: 0, learningRate: 1e-2 };

async function policyOf(set: object) {
  const store = storeOf([{ config, lanes: 2 }]);
  store.initialize(1, 0.2);
  const options = parseReinforce({ ...SIZES, ...set });
  const grpo = await Grpo.create({ config, store, tokenizer, rewards: new Rewards(task), options });
  const reference = grpo.learning.reference?.values;
  const arrays = [store.parameters, store.moment1, store.moment2, ...(reference ? [reference] : [])];
  return { store, grpo, arrays };
}
type Made = Awaited<ReturnType<typeof policyOf>>;
const copied = ({ arrays }: Made) => arrays.map((array) => array.slice());

const R1 = { formula: "r1", minibatches: 2, reference: { everySteps: 2 }, kl: { beta: 0.1 }, gamma: 0.01 };

it("R1's formula: several updates a batch, a reference, and routers whose bias moves after them", async () => {
  const made = await policyOf(R1);
  const { store, grpo } = made;
  const { learner, reference } = grpo.learning;
  const first = reference!.values.slice();
  const biases: number[][] = [];
  const apply = learner.apply.bind(learner);
  vi.spyOn(learner, "apply").mockImplementation(async (knobs) => {
    biases.push([...store.parameter(BIAS).data]);
    await apply(knobs);
  });
  const one = await grpo.step(FIRST_PROGRESS);
  expect(one.report).toMatchObject({ updates: 2, trained: 8, flips: 0 });
  expect(one.progress.updates).toBe(2);
  expect(one.report.driftMax).toBeLessThan(1e-4);
  // the first update sees ρ = 1, the second what the first has moved
  expect(one.report.ratioMax).toBeGreaterThan(1.001);
  expect(one.report.kl).toBeGreaterThan(0);
  expect(one.report.clipShare).toBe(0);
  expect(biases).toEqual([Array(8).fill(0), Array(8).fill(0)]);
  const bias = [...store.parameter(BIAS).data].map(Math.abs);
  expect(bias.every((value) => value === 0 || Math.abs(value - 0.01) < 1e-6)).toBe(true);
  expect(Math.max(...bias)).toBeGreaterThan(0);
  expect(reference!.values).toEqual(first);
  await grpo.step(one.progress);
  expect(reference!.values).toEqual(store.parameters);
  await grpo.close();
});

it("killed between two updates and taken up from what was saved, it ends with the same bits", async () => {
  const whole = await policyOf(R1);
  const one = await whole.grpo.step(FIRST_PROGRESS);
  const saved = copied(whole);
  const expected = await whole.grpo.step(one.progress);
  const killed = await policyOf(R1);
  killed.arrays.forEach((array, i) => array.set(saved[i]!));
  killed.store.changed();
  const { learner } = killed.grpo.learning;
  const apply = learner.apply.bind(learner);
  let updates = 0;
  vi.spyOn(learner, "apply").mockImplementation(async (knobs) => {
    if (++updates === 2) throw new Error("killed");
    await apply(knobs);
  });
  await expect(killed.grpo.step(one.progress)).rejects.toThrow("killed");
  expect(killed.store.parameters).not.toEqual(saved[0]);
  await killed.grpo.close();
  const again = await policyOf(R1);
  again.arrays.forEach((array, i) => array.set(saved[i]!));
  again.store.changed();
  const repeated = await again.grpo.step(one.progress);
  expect(repeated.report.gradNorm).toBe(expected.report.gradNorm);
  expect(copied(again)).toEqual(copied(whole));
  await again.grpo.close();
  await whole.grpo.close();
});

it("tokens cut in drawing are cut in training: ratios are 1 as without cuts", async () => {
  const { grpo } = await policyOf({ topK: 6, topP: 0.8, temperature: 0.7, epochs: 2, ratioClip: { high: 0.2 } });
  const { report, groups } = await grpo.step(FIRST_PROGRESS);
  expect(report.driftMax).toBeLessThan(1e-4);
  expect(report.flips).toBe(0);
  expect(report.entropy).toBeLessThan(Math.log(6));
  for (const { kept, ids } of groups.flatMap(({ rollouts }) => rollouts)) {
    expect(kept).toHaveLength(ids.length);
    kept!.forEach((some, t) => expect([some.includes(ids[t]!), some.length <= 6]).toEqual([true, true]));
  }
  await grpo.close();
});

it("tokens cut in drawing alone weigh what training says of them, up to a bound", async () => {
  const { grpo } = await policyOf({ topP: 0.8, samplingMask: false, importance: { most: 2 }, minibatches: 2 });
  const { report, groups } = await grpo.step(FIRST_PROGRESS);
  // they differ by intent: that is no drift
  expect(report.driftMax).toBeUndefined();
  expect(groups[0]!.rollouts[0]!.kept).toBeUndefined();
  expect(report.ratioMin).toBeGreaterThan(0);
  expect(report.gradNorm).toBeGreaterThan(0);
  await grpo.close();
});

it("gradients in int8 leave probabilities and experts as they were drawn, and point where f32's do", async () => {
  const norms: number[] = [];
  for (const gradients of ["f32", "int8"]) {
    const { grpo } = await policyOf({ gradients });
    const { report } = await grpo.step(FIRST_PROGRESS);
    expect(report).toMatchObject({ trained: 8, flips: 0 });
    expect(report.driftMax).toBeLessThan(1e-4);
    norms.push(report.gradNorm);
    await grpo.close();
  }
  const [exact = 0, rounded = 0] = norms;
  expect(rounded).not.toBe(exact);
  expect(Math.abs(rounded / exact - 1)).toBeLessThan(0.1);
  expect(() => parseReinforce({ gradients: "int8", lora: { rank: 4 } })).toThrow(/gradients=int8: adapters/);
});

it("refuses a speed of routers that the model does not have", async () => {
  const dense = parseConfig({ ...MODEL, first_k_dense_replace: 2, num_nextn_predict_layers: 0 });
  const parts = { config: dense, store: storeOf([{ config: dense, lanes: 1 }]), tokenizer, rewards: new Rewards(task) };
  await expect(Grpo.create({ ...parts, options: parseReinforce({ gamma: 0.1 }) })).rejects.toThrow(
    /gamma: the model has no routers/,
  );
});
