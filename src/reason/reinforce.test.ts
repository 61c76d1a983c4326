import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { untrainedModel } from "../../test/support/untrained.ts";
import { loadTokenizer } from "../data/index.ts";
import { parseConfig } from "../model/index.ts";
import { checkpointConfig, exportRun, fillStore, RunReader } from "../runs/index.ts";
import { storeOf } from "../train/index.ts";
import { FIRST_PROGRESS, Grpo, type ReinforceReport } from "./grpo.ts";
import { keptFor, microBatches } from "./microBatches.ts";
import { parseReinforce, settingsOf } from "./options.ts";
import { GateError, type ReinforceRequest, reinforce } from "./reinforce.ts";
import { Rewards } from "./rewards.ts";
import { openTask } from "./tasks/named.ts";

const temporary = temporaryFolder();
/** An untrained model of the smallest recipe, with nano's tokenizer. */
const MODEL = join(temporary.dir, "model");
afterAll(() => temporary[Symbol.dispose]());

const SET = {
  steps: 3,
  problems: 2,
  group: 4,
  maxTokens: 12,
  gateSamples: 16,
  microBatch: 4,
  evaluate: { everySteps: 2, problems: 4 },
  save: { everySteps: 1, keep: 2 },
  weights: { answer: 1, repetition: 0, format: 0.5, length: 0 },
  cost: { usdPerHour: 2 },
};

async function run(name: string, more: Partial<ReinforceRequest> = {}) {
  const reports: ReinforceReport[] = [];
  const result = await reinforce({
    ...(more.resume === undefined ? { model: MODEL, task: OWN, set: SET } : {}),
    runs: join(temporary.dir, "runs"),
    out: join(temporary.dir, name),
    force: true,
    ...more,
    onStep(report, eta) {
      reports.push(report);
      more.onStep?.(report, eta);
    },
  });
  return { result, reports };
}

/** A task whose score differs between answers, whatever a model says. */
const OWN = join(temporary.dir, "letters.mjs");
beforeAll(async () => {
  await untrainedModel(MODEL);
  writeFileSync(
    OWN,
    `export const problem = (random) => ({ prompt: "Say " + random.int(10, 99), answer: "e" });
export const score = (problem, reply) => ({ answer: [...reply.text].filter((c) => "aeiou1357".includes(c)).length / (1 + reply.text.length) });`,
  );
});

const weightsOf = (dir: string): Buffer => readFileSync(join(dir, "model.safetensors"));
const told = ({ reward, loss, gradNorm, length, driftMax }: ReinforceReport): (number | undefined)[] => [
  reward,
  loss,
  gradNorm,
  length,
  driftMax,
];

it("ends with the same weights when it was stopped in the middle of a rollout and taken up again", async () => {
  const whole = await run("whole");
  expect(whole.result).toMatchObject({ reason: "done", step: 3 });
  for (const { driftMax, trained, gradNorm } of whole.reports) {
    expect(driftMax).toBeLessThan(1e-4);
    expect(trained).toBeGreaterThan(0);
    expect(gradNorm).toBeGreaterThan(0);
  }
  const stop = new AbortController();
  const first = await run("pieces", {
    signal: stop.signal,
    onStep: ({ step }) => void (step === 1 && setTimeout(() => stop.abort(), 30)),
  });
  expect(first.result.reason).toBe("stopped");
  // what it has so far can be had, and is no reason not to go on
  const exported = await exportRun(first.result.id, {
    runs: join(temporary.dir, "runs"),
    out: join(temporary.dir, "so-far"),
  });
  expect(exported).toMatchObject({ step: 1, model: join(temporary.dir, "so-far"), skipped: [] });
  expect(weightsOf(exported.model).length).toBe(weightsOf(join(temporary.dir, "whole")).length);
  expect(weightsOf(exported.model).equals(weightsOf(join(temporary.dir, "whole")))).toBe(false);
  expect(JSON.parse(readFileSync(join(exported.model, "recipe.json"), "utf8"))).toMatchObject({
    stage: "zero",
    group: 4,
  });
  const second = await run("pieces", { resume: first.result.id });
  expect(second.result).toMatchObject({ reason: "done", step: 3 });
  expect([...first.reports, ...second.reports].map(told)).toEqual(whole.reports.map(told));
  expect(weightsOf(join(temporary.dir, "pieces")).equals(weightsOf(join(temporary.dir, "whole")))).toBe(true);
  // time and money of both sessions, and answers of the first step and of every evaluated one
  const reader = new RunReader(join(temporary.dir, "runs"));
  const { log } = await reader.read(first.result.id);
  const spent = log.flatMap((one) => (one.type === "step" ? [one] : []));
  expect(spent.map(({ step }) => step)).toEqual([1, 2, 3]);
  for (const [i, { seconds = 0, usd, joules }] of spent.entries()) {
    expect(seconds).toBeGreaterThan(spent[i - 1]?.seconds ?? 0);
    expect(joules).toBeCloseTo(65 * seconds, 6);
    expect(usd).toBeCloseTo((seconds / 3600) * 2 + ((65 * seconds) / 3.6e6) * 0.15, 9);
  }
  const kept = await reader.rollouts(first.result.id);
  expect(kept.map(({ step, problems }) => [step, problems.length])).toEqual([
    [1, expect.any(Number)],
    [2, expect.any(Number)],
    [3, expect.any(Number)],
  ]);
  expect(kept[0]?.problems[0]?.answers[0]).toMatchObject({ reward: expect.any(Number), tokens: expect.any(Number) });
  await expect(run("pieces", { resume: first.result.id, set: { group: 8 } })).rejects.toThrow(
    /--set group: cannot change while a run is under way/,
  );
});

it("is refused by the gate where nothing thinks, and says what to do", async () => {
  const refused = run("gate", { force: false });
  await expect(refused).rejects.toThrow(GateError);
  await expect(refused).rejects.toThrow(/think before they answer; RL needs .*Put more texts with their working/);
});

it("gives the same gradient however a step is cut, at any temperature", async () => {
  const config = parseConfig(await checkpointConfig(MODEL), MODEL);
  const task = await openTask(OWN);
  const step = async (set: object) => {
    const store = storeOf([{ config, lanes: 2 }]);
    await fillStore(MODEL, store);
    const options = parseReinforce({ ...SET, temperature: 0.6, ...set });
    const rewards = new Rewards(task, { weights: options.weights });
    const grpo = await Grpo.create({ config, store, tokenizer: loadTokenizer(MODEL), rewards, options });
    const { report } = await grpo.step(FIRST_PROGRESS);
    await grpo.close();
    return report;
  };
  try {
    const [whole, cut] = [await step({ microBatch: 8 }), await step({ microBatch: 2 })];
    // ρ = 1: both draw from the same distribution
    expect(whole.driftMax).toBeLessThan(1e-4);
    expect(Math.abs(cut.gradNorm / whole.gradNorm - 1)).toBeLessThan(1e-5);
    expect(cut.loss).toBeCloseTo(whole.loss, 6);
  } finally {
    await task.close?.();
  }
});

it("lays answers out so that the sampled ids are trained, and nothing else", () => {
  const one = (ids: number[], advantage: number, kept: number[][]) => ({
    prompt: [5, 6],
    ids: Int32Array.from(ids),
    advantage,
    drawnLogProbabilities: Float32Array.from(ids, (id) => -id),
    kept: kept.map((some) => Int32Array.from(some)),
  });
  const answers = [one([7, 1], 0.5, [[7], [1, 2]]), one([8, 9, 1], -0.5, [[8], [4, 9], [1]])];
  const shape = { rows: 3, tokens: 5, extra: 1, pad: 1, kept: keptFor(answers) };
  const { batches, place } = microBatches(answers, shape, { longest: 4 });
  expect(batches).toHaveLength(1);
  const { ids, inputs } = batches[0]!;
  expect([...ids]).toEqual([~5, ~6, 7, 1, ~1, ~1, ~5, ~6, 8, 9, 1, ~1, ~1, ~1, ~1, ~1, ~1, ~1]);
  expect([...(inputs["advantages"] as Float32Array)]).toEqual([
    0, 0.5, 0.5, 0, 0, 0, -0.5, -0.5, -0.5, 0, 0, 0, 0, 0, 0,
  ]);
  // ÷ (2 answers · 4)
  const w = 1 / 8;
  expect([...(inputs["tokenWeights"] as Float32Array)]).toEqual([0, w, w, 0, 0, 0, w, w, w, 0, 0, 0, 0, 0, 0]);
  expect([...(inputs["drawnLogProbabilities"] as Float32Array)].slice(5)).toEqual([0, -8, -9, -1, 0, 0, 0, 0, 0, 0]);
  expect([...(inputs["keptIds"] as Float32Array)].slice(10, 20)).toEqual([0, 0, 8, 8, 4, 9, 1, 1, 0, 0]);
  expect(place).toEqual([1, 6]);
  // one that was cut off and is masked is laid out, and counts nothing
  const masked = microBatches([answers[0]!, { ...answers[1]!, masked: true }], shape, "token").batches[0]!;
  expect([...(masked.inputs["tokenWeights"] as Float32Array)]).toEqual([0, 0.5, 0.5, ...Array(12).fill(0)]);
});

it("takes settings by key, and refuses what it does not know", () => {
  expect(settingsOf(["steps=5", "evaluate.problems=7", "scale=none"])).toEqual({
    steps: 5,
    evaluate: { problems: 7 },
    scale: "none",
  });
  expect(() => settingsOf(["steps"])).toThrow(/expected key=value/);
  expect(() => parseReinforce({ grouped: 3 })).toThrow(/grouped/);
  expect(() => parseReinforce({ group: 1 })).toThrow(/group: /);
});
