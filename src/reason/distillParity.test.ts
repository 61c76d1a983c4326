import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadFixture, numbers } from "../../test/model/harness.ts";
import { apart, modelStore, stepOf } from "../../test/train/objectiveSteps.ts";
import { readAdapter, SafetensorsFile } from "../checkpoint/index.ts";
import { headKey, type Weights } from "../model/index.ts";
import type { HostTensor } from "../tensor/index.ts";
import { distillation, ForwardProgram, hiddenStates, loraStore, type ParameterStore } from "../train/index.ts";
import { type Answer, microBatches, tokensFor } from "./microBatches.ts";

const ROOT = fileURLToPath(new URL("../../test/fixtures/", import.meta.url));
const read = (path: string): unknown => JSON.parse(readFileSync(ROOT + path, "utf8"));
const TEACHERS = { qwen2: "deepseek_v3", deepseek_v3: "qwen2" };
const cases = (["qwen2", "deepseek_v3"] as const).flatMap((name) =>
  (["full", "lora"] as const).map((of) => [name, of] as const),
);

it.each(cases)("%s, %s: the gradient of PyTorch, from the answers' ids on", async (name, of) => {
  const { longest, groups } = read("grpo/deepseek_v3/answers.json") as {
    longest: number;
    groups: { prompt: number[]; answers: { ids: number[] }[] }[];
  };
  const answers = groups.flatMap(({ prompt, answers }) =>
    answers.map(({ ids }): Answer => {
      const taken = Int32Array.from(ids);
      return { prompt, ids: taken, advantage: 0, drawnLogProbabilities: new Float32Array(ids.length) };
    }),
  );
  const student = await loadFixture(`grpo/${name}`);
  const teacher = await loadFixture(`grpo/${TEACHERS[name]}`);
  const file = await SafetensorsFile.open(`${ROOT}distill/${name}/reference.safetensors`);
  const store = of === "full" ? fullStore(student) : await adapterStore(name, student);
  const expected = new Map<string, Float64Array>();
  for (const key of store.trainedKeys()) expected.set(key, Float64Array.from(numbers(await file.read(`${of}.${key}`))));
  expect(expected.size).toBe([...file.tensors.keys()].filter((key) => key.startsWith(`${of}.`)).length);
  await file.close();

  // rows that fill up, and answers padded to one length
  const row = { rows: 5, tokens: tokensFor(answers), extra: 1, pad: 0 };
  const { batches } = microBatches(answers, row, { longest });
  const shape = { microBatch: row.rows, sequence: row.tokens };
  const reading = await ForwardProgram.create(
    { name: "teacher", config: teacher.config, lanes: 1, ...shape },
    hiddenStates,
    { get: (key) => teacher.weights.get(key), lora: undefined },
    "hidden",
  );
  for (const batch of batches) batch.inputs["teacherHidden"] = await reading.run([batch]);
  reading.dispose();
  const head = teacher.weights.get(headKey(teacher.config)) as HostTensor<Float32Array>;
  const step = await stepOf(store, student.config, distillation({ head }), batches, shape);
  expect(apart(step.gradients, expected)).toBeLessThan(1e-5);
  expect(Math.abs(step.loss - (read(`distill/${name}/losses.json`) as Record<string, number>)[of]!)).toBeLessThan(1e-5);
  expect(step.metrics["kl"]).toBeCloseTo(step.loss, 6);
});

function fullStore({ config, weights }: Awaited<ReturnType<typeof loadFixture>>): ParameterStore {
  const store = modelStore(config);
  for (const key of store.keys()) store.parameter(key).data.set(weights.get(key)!.data as Float32Array);
  return store;
}

async function adapterStore(
  name: string,
  { config, weights }: Awaited<ReturnType<typeof loadFixture>>,
): Promise<ParameterStore> {
  const adapter = await readAdapter(`${ROOT}distill/${name}`, config);
  const store = loraStore(config, adapter.lora, weights as Weights, 1, 1);
  for (const [key, { data }] of adapter.tensors) store.parameter(key).data.set(data);
  return store;
}
