import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadWeights, readAdapter, SafetensorsFile } from "../../src/checkpoint/index.ts";
import { Decoder, ModelEngine } from "../../src/infer/index.ts";
import {
  type Lora,
  languageModel,
  loraKeys,
  type ModelConfig,
  modelBuilder,
  ropeFromStart,
  type Weights,
} from "../../src/model/index.ts";
import { compile } from "../../src/runtime/index.ts";
import { type HostTensor, input, toOnnx } from "../../src/tensor/index.ts";
import { type Batch, loraStore, type ParameterStore, policy, supervised } from "../../src/train/index.ts";
import { distance, loadFixture, numbers } from "../model/harness.ts";
import { stepOf } from "./objectiveSteps.ts";

const ROOT = fileURLToPath(new URL("../fixtures/lora/", import.meta.url));
const NAMES = ["llama", "qwen2", "deepseek_v3"];

async function fixture(name: string) {
  const { config, weights, reference: parity } = await loadFixture(`parity/${name}`);
  const adapter = await readAdapter(ROOT + name, config);
  const file = await SafetensorsFile.open(`${ROOT}${name}/reference.safetensors`);
  const reference = new Map<string, number[]>();
  for (const key of file.tensors.keys()) reference.set(key, numbers(await file.read(key)));
  await file.close();
  const store = loraStore(config, adapter.lora, weights as Weights, 1, 1);
  for (const [key, { data }] of adapter.tensors) store.parameter(key).data.set(data);
  const [B, L] = parity.get("input_ids")!.shape as [number, number];
  return { config, weights, adapter, reference, store, ids: numbers(parity.get("input_ids")!), B, L };
}

/** Mean cross-entropy of the next token, as a step. */
function meanLoss(
  ids: readonly number[],
  B: number,
  L: number,
): { batches: Batch[]; microBatch: number; sequence: number } {
  const tokenWeights = new Float32Array(B * (L - 1)).fill(1 / (B * (L - 1)));
  return { batches: [{ ids: Int32Array.from(ids), inputs: { tokenWeights } }], microBatch: B, sequence: L - 1 };
}

async function logitsOf(
  config: ModelConfig,
  weights: Weights,
  ids: readonly number[],
  [B, L]: [number, number],
  lora?: Lora,
) {
  const given = input("ids", "i64", [B, L]);
  const { logits } = languageModel(modelBuilder(config, { lora }), given, ropeFromStart(config, B, L));
  const graph = toOnnx({ logits });
  const executable = await compile(graph.bytes, { name: "test" });
  const feeds: Record<string, HostTensor> = {};
  for (const name of Object.keys(graph.inputs))
    feeds[name] =
      name === "ids"
        ? { dtype: "i64", shape: [B, L], data: BigInt64Array.from(ids, BigInt) }
        : (weights.get(name) as HostTensor);
  try {
    return (await executable.run(feeds))["logits"]!.data as Float32Array;
  } finally {
    executable.dispose();
  }
}

describe.each(NAMES)("an adapter that PEFT made for %s", (name) => {
  it("gives PEFT's logits beside the weights, and merged into them", async () => {
    const { config, adapter, reference, store, ids, B, L } = await fixture(name);
    const beside = await logitsOf(config, store, ids, [B, L], adapter.lora);
    expect(distance(beside, reference.get("logits")!)).toBeLessThan(1e-4);
    const { weights: merged } = await loadWeights(
      fileURLToPath(new URL(`../fixtures/parity/${name}`, import.meta.url)),
      config,
      {
        adapter,
      },
    );
    expect(distance(await logitsOf(config, merged, ids, [B, L]), beside)).toBeLessThan(1e-5);
  });

  it("has PyTorch's loss and gradients of A and B", async () => {
    const { config, reference, store, ids, B, L } = await fixture(name);
    const { batches, ...shape } = meanLoss(ids, B, L);
    const step = await stepOf(store, config, supervised(), batches, shape);
    expect(step.loss).toBeCloseTo(reference.get("loss")![0]!, 5);
    const wrong = [...step.gradients]
      .map(([key, gradient]) => [key, distance(gradient, reference.get(`grad.base_model.model.${key}`)!)] as const)
      .filter(([, off]) => !(off < 1e-3));
    expect(wrong).toEqual([]);
    expect(step.gradients.size).toBe([...reference.keys()].filter((key) => key.startsWith("grad.")).length);
  });

  it("is sampled with the log-probabilities that training gives, behind a cache too", async () => {
    const { config, store, ids, B, L } = await fixture(name);
    const engine = new ModelEngine(await Decoder.create(config, store));
    const prompt = ids.slice(0, 4);
    const drawn = await engine.sample({
      prompts: [prompt, ids.slice(2, 6)],
      n: 2,
      maxTokens: L - 5,
      seed: 5,
      sampling: { temperature: 1 },
    });
    await engine.close();
    const rows = drawn.map((one, i) => [...(i < 2 ? prompt : ids.slice(2, 6)), ...one.ids]);
    const T = rows[0]!.length - 1;
    expect(rows.length % B).toBe(0);
    const zeros = new Float32Array(rows.length * T);
    const inputs = { tokenWeights: zeros, advantages: zeros };
    const batch = { ids: Int32Array.from(rows.flat()), inputs };
    const shape = { microBatch: rows.length, sequence: T };
    const { perToken } = await stepOf(store, config, policy({ onPolicy: true }), [batch], shape);
    for (const [i, one] of drawn.entries())
      expect(distance(perToken["logProbabilities"]!.subarray(i * T + 3, (i + 1) * T), one.drawnLogprobs)).toBeLessThan(
        1e-4,
      );
  });
});

/** The same adapters with every B zero. */
function emptied(store: ParameterStore): ParameterStore {
  for (const key of store.keys())
    if (key === loraKeys(key.replace(/\.lora_B\.weight$/, "")).b) store.parameter(key).data.fill(0);
  return store;
}

it("changes nothing while B is zero: the same logits, and KL exactly 0", async () => {
  const { config, weights, adapter, store, ids, B, L } = await fixture("deepseek_v3");
  const plain = await logitsOf(config, weights as Weights, ids, [B, L]);
  expect(await logitsOf(config, emptied(store), ids, [B, L], adapter.lora)).toEqual(plain);
  const base = await stepOf(store, config, supervised(), meanLoss(ids, B, L).batches, meanLoss(ids, B, L));
  const T = L - 1;
  const inputs = {
    tokenWeights: new Float32Array(B * T).fill(1 / (B * T)),
    advantages: new Float32Array(B * T),
    referenceLogProbabilities: base.perToken["logProbabilities"]!,
  };
  const options = { onPolicy: true, kl: { beta: 1, estimator: "k3" as const } };
  const step = await stepOf(store, config, policy(options), [{ ids: Int32Array.from(ids), inputs }], {
    microBatch: B,
    sequence: T,
  });
  expect(step.metrics["kl"]).toBe(0);
});

it("has the gradients of central differences, also where experts choose", async () => {
  const { config, store, ids, B, L } = await fixture("deepseek_v3");
  const { batches, ...shape } = meanLoss(ids, B, L);
  const { gradients } = await stepOf(store, config, supervised(), batches, shape);
  const keys = store.keys();
  for (const key of [keys[0]!, keys[1]!, keys.at(-1)!]) {
    const { data } = store.parameter(key);
    const at = gradients.get(key)!.reduce((best, g, i, all) => (Math.abs(g) > Math.abs(all[best]!) ? i : best), 0);
    const was = data[at]!;
    const lossAt = async (value: number) => {
      data[at] = value;
      return (await stepOf(store, config, supervised(), batches, shape)).loss;
    };
    const slope = ((await lossAt(was + 5e-3)) - (await lossAt(was - 5e-3))) / 1e-2;
    data[at] = was;
    expect(Math.abs(slope / gradients.get(key)![at]! - 1), key).toBeLessThan(0.02);
  }
});
