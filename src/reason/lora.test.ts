import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { readAdapter, saveCheckpoint, tokenizerFiles } from "../checkpoint/index.ts";
import { listParameters, parseConfig } from "../model/index.ts";
import { type RunRecord, readRecipe } from "../runs/index.ts";
import { storeOf } from "../train/index.ts";
import type { ReinforceReport } from "./grpo.ts";
import { parseReinforce } from "./options.ts";
import { type ReinforceRequest, reinforce } from "./reinforce.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const at = (name: string): string => join(temporary.dir, name);
const [MODEL, VOWELS, EQUAL] = [at("model"), at("vowels.mjs"), at("equal.mjs")];
const JSON_OF_MODEL = { ...(readRecipe("tiny").json["model"] as object), vocab_size: 4600 };
const CONFIG = parseConfig(JSON_OF_MODEL, "tiny");

const SET = {
  steps: 2,
  problems: 2,
  group: 4,
  maxTokens: 10,
  gateSamples: 16,
  microBatch: 4,
  evaluate: { everySteps: 2, problems: 2 },
  save: { everySteps: 1, keep: 2 },
  weights: { answer: 1, repetition: 0, format: 0.5, length: 0 },
  lora: { rank: 2, targets: ["o_proj", "kv_b_proj", "down_proj"] },
};

async function run(name: string, more: Partial<ReinforceRequest> = {}) {
  const reports: ReinforceReport[] = [];
  const records: RunRecord[] = [];
  const result = await reinforce({
    ...(more.resume === undefined ? { model: MODEL, task: VOWELS, set: SET } : {}),
    runs: at("runs"),
    out: at(name),
    force: true,
    ...more,
    onStep(report, eta) {
      reports.push(report);
      more.onStep?.(report, eta);
    },
    onRecord: (record) => records.push(record),
  });
  return { result, reports, records };
}

/** An untrained model, and two tasks: one whose score differs between answers, one that finds all answers alike. */
beforeAll(async () => {
  const store = storeOf([{ config: CONFIG, lanes: 1 }]);
  store.initialize(1, 0.1);
  const tensors = Array.from(listParameters(CONFIG), ({ key, shape, sameAs }) => ({
    key,
    shape,
    data: store.parameter(sameAs ?? key).data,
  }));
  await saveCheckpoint(MODEL, {
    config: JSON_OF_MODEL,
    tensors,
    dtype: "f32",
    files: await tokenizerFiles("models/nano"),
  });
  const problem = `export const problem = (random) => ({ prompt: "Say " + random.int(10, 99), answer: "e" });\n`;
  writeFileSync(
    VOWELS,
    `${problem}export const score = (problem, reply) => ({ answer: [...reply.text].filter((c) => "aeiou1357".includes(c)).length / (1 + reply.text.length) });`,
  );
  writeFileSync(EQUAL, `${problem}export const score = () => 0;`);
});

const weightsOf = (dir: string): Buffer => readFileSync(join(dir, "adapter_model.safetensors"));

it.runIf(process.env["SUMBI_TEST"] === "full")(
  "trains adapters on a model with experts, exactly also when it was stopped, and goes on with an earlier one",
  async () => {
    const whole = await run("whole");
    expect(whole.result).toMatchObject({ reason: "done", step: 2 });
    for (const { driftMax, gradNorm } of whole.reports) {
      expect(driftMax).toBeLessThan(1e-4);
      expect(gradNorm).toBeGreaterThan(0);
    }
    const stop = new AbortController();
    const first = await run("pieces", {
      signal: stop.signal,
      onStep: ({ step }) => void (step === 1 && setTimeout(() => stop.abort(), 30)),
    });
    expect(first.result.reason).toBe("stopped");
    await run("pieces", { resume: first.result.id });
    expect(weightsOf(at("pieces")).equals(weightsOf(at("whole")))).toBe(true);

    const { lora, tensors } = await readAdapter(at("whole"), CONFIG);
    expect(lora).toMatchObject({ rank: 2, alpha: 32 });
    const b = [...tensors].filter(([key]) => key.endsWith("lora_B.weight"));
    expect(b.every(([, { data }]) => data.some((x) => x !== 0))).toBe(true);

    const set = { ...SET, steps: 1, lora: { from: at("whole") } };
    const later = await run("later", { set });
    expect(later.reports[0]!.driftMax).toBeLessThan(1e-4);
    const moved = await readAdapter(at("later"), CONFIG);
    expect(moved.lora).toEqual(lora);
    const [key, { data }] = b[0]!;
    const apart = Math.max(...moved.tensors.get(key)!.data.map((x, i) => Math.abs(x - data[i]!)));
    expect(apart).toBeGreaterThan(0);
    expect(apart).toBeLessThan(1e-2);
    await expect(run("other", { set: { ...set, lora: { from: at("whole"), rank: 4 } } })).rejects.toThrow(
      /lora\.rank: expected that of the adapter that is gone on with, 2, or nothing, got 4/,
    );
  },
);

it.runIf(process.env["SUMBI_TEST"] === "full")(
  "says that an adapter does not move where nothing is taught",
  async () => {
    const { records } = await run("still", { task: EQUAL, set: { ...SET, steps: 1, weights: { format: 0 } } });
    expect(records).toContainEqual(
      expect.objectContaining({
        type: "event",
        level: "warn",
        message: expect.stringMatching(/has not moved in 1 steps: B is still all zero/),
      }),
    );
  },
);

it("has ten times the learning rate unless another is said, and refuses layers that the model has not", async () => {
  expect(parseReinforce({ lora: {} }).learningRate).toBeCloseTo(10 * parseReinforce({}).learningRate);
  expect(parseReinforce({ lora: {}, learningRate: 1e-5 }).learningRate).toBe(1e-5);
  await expect(run("none", { set: { ...SET, lora: { targets: ["q_projection"] } } })).rejects.toThrow(
    /lora\.targets: "q_projection": no linear layer of this deepseek_v3 is called that; expected some of /,
  );
  await expect(run("router", { set: { ...SET, lora: { targets: ["mlp.gate"] } } })).rejects.toThrow(
    /the router gets no adapter/,
  );
});
