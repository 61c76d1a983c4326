import { describe, expect, it } from "vitest";
import { modelBuilder, parseConfig } from "../../src/model/index.ts";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";
import { byteRange, int8Arithmetic, type ParameterStore, phasesOf, traceTraining, WeightQuantizer } from "../../src/train/index.ts";
import { MODEL, newRun, newStore, recipeOf, source } from "./fixture.ts";

const config = parseConfig(MODEL);
const wave = (size: number, seed: number, scale = 1) => Float32Array.from({ length: size }, (_, i) => scale * Math.sin(i * 1.7 + seed) * Math.cos(i * 0.31 - seed));

/** Values as the bytes of `range` give them back, with a scale for each group of elements. */
function rounded(x: Float32Array, groupOf: (i: number) => number, range: number): Float32Array {
  const largest = new Map<number, number>();
  x.forEach((v, i) => largest.set(groupOf(i), Math.max(largest.get(groupOf(i)) ?? 0, Math.abs(v))));
  return x.map((v, i) => {
    const step = largest.get(groupOf(i))! / range;
    return Math.round(v / step) * step;
  });
}
const multiply = (a: (i: number, l: number) => number, b: (l: number, j: number) => number, m: number, k: number, n: number): Float32Array =>
  Float32Array.from({ length: m * n }, (_, at) => {
    let sum = 0;
    for (let l = 0; l < k; l++) sum += a(Math.floor(at / n), l) * b(l, at % n);
    return sum;
  });
function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  const scale = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) expect(Math.abs(actual[i]! - expected[i]!), `element ${i}: ${actual[i]} against ${expected[i]}`).toBeLessThan(tolerance * scale);
}

/** Loss and gradients of the test model on a batch, in one lane. */
async function gradients(store: ParameterStore, precision: "f32" | "fp8" | "int8", range = 127): Promise<Record<string, t.HostTensor>> {
  const recipe = recipeOf({ precision });
  const phase = phasesOf(recipe, MODEL)[0]!;
  const graph = traceTraining(phase, recipe, false, { range });
  const quantizer = await WeightQuantizer.create(graph.onnx, store, range);
  await quantizer.run();
  const executable = await compile(graph.onnx.bytes);
  const feeds: Record<string, t.HostTensor> = { ...quantizer.tensors, lambda: t.f32([], [0.3]), share: t.f32([], [1]) };
  const { shape } = graph.onnx.inputs["ids"]!;
  feeds["ids"] = { dtype: "i64", shape: shape as number[], data: BigInt64Array.from(source.train(3, phase.microBatch, phase.sequence, 2), BigInt) };
  for (const name of Object.keys(graph.onnx.inputs)) feeds[name] ??= store.parameter(name);
  try {
    return await executable.run(feeds);
  } finally {
    executable.dispose();
    quantizer.dispose();
  }
}

/** ‖a − b‖ / ‖b‖ over all gradients of weights. */
function apart(a: Record<string, t.HostTensor>, b: Record<string, t.HostTensor>): number {
  let [difference, size] = [0, 0];
  for (const name of Object.keys(b).filter((key) => key.startsWith("d ")))
    b[name]!.data.forEach((value: number | bigint, i: number) => {
      difference += (Number(a[name]!.data[i]) - Number(value)) ** 2;
      size += Number(value) ** 2;
    });
  return Math.sqrt(difference / size);
}

describe("training in int8", () => {
  it.each([127, 63])("multiplies bytes with their scales, forward and towards input and weight (range %i)", async (range) => {
    const [X, I, O] = [40, 12, 20];
    const key = "model.layers.0.self_attn.o_proj.weight";
    const [x, w] = [t.input("x", "f32", [X, I]), t.parameter(key, [O, I])];
    const y = int8Arithmetic(range).product(x, w, key);
    const given = { x: wave(X * I, 1), w: wave(O * I, 2, 0.05), g: wave(X * O, 3).map((v, i) => v * 10 ** -(Math.floor(i / O) % 4)) };
    const [dx, dw] = t.grad(t.sum(t.mul(y, t.input("g", "f32", [X, O]))), [x, w]);
    const onnx = t.toOnnx({ y, dx: dx!, dw: dw! });
    const store = { views: new Map([[key, { shape: [O, I], offset: 0, size: O * I }]]), parameter: () => t.f32([O, I], given.w) } as unknown as ParameterStore;
    const quantizer = await WeightQuantizer.create(onnx, store, range);
    await quantizer.run();
    const graph = await compile(onnx.bytes);
    const out = await graph.run({ x: t.f32([X, I], given.x), g: t.f32([X, O], given.g), [key]: t.f32([O, I], given.w), ...quantizer.tensors });
    graph.dispose();
    quantizer.dispose();
    const whole = () => 0;
    const w8 = rounded(given.w, whole, range);
    const xRows = rounded(given.x, (i) => Math.floor(i / I), 127);
    const gRows = rounded(given.g, (i) => Math.floor(i / O), 127);
    const gColumns = rounded(given.g, (i) => i % O, 127);
    const x8 = rounded(given.x, whole, range);
    expectClose(out["y"]!.data as Float32Array, multiply((i, l) => xRows[i * I + l]!, (l, j) => w8[j * I + l]!, X, I, O), 1e-5);
    expectClose(out["dx"]!.data as Float32Array, multiply((i, l) => gRows[i * O + l]!, (l, j) => w8[l * I + j]!, X, O, I), 1e-5);
    expectClose(out["dw"]!.data as Float32Array, multiply((i, l) => gColumns[l * O + i]!, (l, j) => x8[l * I + j]!, O, X, I), 1e-5);
  });

  it("gives the whole model's gradients, nearer to f32 than FP8's numerics do", async () => {
    const store = newStore(recipeOf());
    const exact = await gradients(store, "f32");
    const [int8, reduced, fp8] = [await gradients(store, "int8"), await gradients(store, "int8", 63), await gradients(store, "fp8")];
    const loss = (of: Record<string, t.HostTensor>) => of["loss"]!.data[0] as number;
    expect(Math.abs(loss(int8) / loss(exact) - 1)).toBeLessThan(2e-3);
    expect(apart(int8, exact)).toBeLessThan(0.05);
    expect(apart(int8, exact)).toBeLessThan(apart(fp8, exact));
    expect(apart(reduced, exact)).toBeLessThan(0.1);
    // It is not f32 in disguise.
    expect(apart(int8, exact)).toBeGreaterThan(1e-3);
  });

  it("gives an expert without tokens a gradient of zeros", async () => {
    const store = newStore(recipeOf());
    // No token chooses expert 5 in any layer.
    for (const key of store.keys()) if (key.endsWith("e_score_correction_bias")) store.parameter(key).data[5] = -10;
    const int8 = await gradients(store, "int8");
    const of = (e: number, part: string) => int8[`d model.layers.1.mlp.experts.${e}.${part}_proj.weight`]!.data as Float32Array;
    for (const part of ["gate", "up", "down"]) {
      expect(of(5, part).every((v) => v === 0)).toBe(true);
      expect(of(4, part).some((v) => v !== 0)).toBe(true);
    }
    expect(apart(int8, await gradients(store, "f32"))).toBeLessThan(0.05);
  });

  it("leaves router, head and embedding in f32", () => {
    const key = "model.layers.1.mlp.gate.weight";
    const model = modelBuilder(config, int8Arithmetic(127));
    for (const layer of [key.replace(".weight", ""), "lm_head"]) {
      const onnx = t.toOnnx({ y: model.linear(t.input("x", "f32", [4, 32]), layer) });
      expect(Object.keys(onnx.inputs).sort()).toEqual([`${layer}.weight`, "x"].sort());
    }
  });

  it("learns as in f32, from a fresh start and after micro-batches added up", async () => {
    for (const size of [{}, { microBatch: 4, lanes: 2 }]) {
      const [f32, int8] = [await newRun(recipeOf(size)), await newRun(recipeOf({ ...size, precision: "int8" }))];
      for (const run of [f32, int8]) await run.trainer.run();
      expect(int8.heldout.at(-1)! / f32.heldout.at(-1)!).toBeGreaterThan(0.9);
      expect(int8.heldout.at(-1)! / f32.heldout.at(-1)!).toBeLessThan(1.1);
    }
  });

  it("trains the other architectures: grouped-query attention with biases, tied embeddings, latent queries", async () => {
    const dense = {
      vocab_size: 64, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, hidden_act: "silu",
      max_position_embeddings: 128, rms_norm_eps: 1e-6, rope_theta: 10000, initializer_range: 0.05, tie_word_embeddings: true,
    };
    const models = [{ ...dense, model_type: "qwen2" }, { ...dense, model_type: "qwen3", head_dim: 8 }, { ...MODEL, q_lora_rank: 12, n_group: 2, topk_group: 1 }];
    for (const model of models) {
      const [f32, int8] = [await newRun(recipeOf({ model })), await newRun(recipeOf({ model, precision: "int8" }))];
      for (const run of [f32, int8]) await run.trainer.run();
      expect(int8.heldout.at(-1)!, model.model_type).toBeLessThan(0.5 * int8.steps[0]!.mainLoss);
      expect(int8.heldout.at(-1)! / f32.heldout.at(-1)!, model.model_type).toBeLessThan(1.15);
    }
  });

  it("goes on bit for bit from a saved state", async () => {
    const whole = await newRun(recipeOf({ precision: "int8" }));
    await whole.trainer.run();
    const first = await newRun(recipeOf({ precision: "int8" }), { onStep: (report, trainer) => report.step === 23 && trainer.stop() });
    await first.trainer.run();
    const second = await newRun(recipeOf({ precision: "int8" }), { storage: first.storage });
    expect(await second.trainer.resume()).toBe(true);
    await second.trainer.run();
    expect([...first.steps, ...second.steps].map((step) => step.loss)).toEqual(whole.steps.map((step) => step.loss));
    expect(second.store.parameters).toEqual(whole.store.parameters);
  });

  it("knows how large a byte this machine multiplies exactly", async () => {
    expect([127, 63]).toContain(await byteRange());
  });
});
