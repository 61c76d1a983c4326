import { describe, expect, it } from "vitest";
import { modelBuilder, parseConfig } from "../../src/model/index.ts";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";
import {
  byteRange,
  int8Arithmetic,
  type ParameterStore,
  phasesOf,
  pretraining,
  supervised,
  traceTraining,
  WeightQuantizer,
} from "../../src/train/index.ts";
import { MODEL, newRun, newStore, recipeOf, source } from "./fixture.ts";
import { stepOf, apart as stepsApart } from "./objectiveSteps.ts";

const config = parseConfig(MODEL);
/** The largest byte that this processor's products take, and which of the ranges it can therefore be held to: 127 and 63 are trained in, 31 halves once more. */
const largest = await byteRange();
const RANGES = [127, 63, 31].filter((range) => range <= largest);
const wave = (size: number, seed: number, scale = 1) =>
  Float32Array.from({ length: size }, (_, i) => scale * Math.sin(i * 1.7 + seed) * Math.cos(i * 0.31 - seed));

/** Values as the bytes of `range` give them back, with a scale for each group of elements. */
function rounded(x: Float32Array, groupOf: (i: number) => number, range: number): Float32Array {
  const largest = new Map<number, number>();
  x.forEach((v, i) => largest.set(groupOf(i), Math.max(largest.get(groupOf(i)) ?? 0, Math.abs(v))));
  return x.map((v, i) => {
    const step = largest.get(groupOf(i))! / range;
    return Math.round(v / step) * step;
  });
}
const multiply = (
  a: (i: number, l: number) => number,
  b: (l: number, j: number) => number,
  m: number,
  k: number,
  n: number,
): Float32Array =>
  Float32Array.from({ length: m * n }, (_, at) => {
    let sum = 0;
    for (let l = 0; l < k; l++) sum += a(Math.floor(at / n), l) * b(l, at % n);
    return sum;
  });
function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  const scale = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs(actual[i]! - expected[i]!), `element ${i}: ${actual[i]} against ${expected[i]}`).toBeLessThan(
      tolerance * scale,
    );
}

/** Loss and gradients of the test model on a batch, in one lane. */
async function gradients(
  store: ParameterStore,
  precision: "f32" | "fp8" | "int8" | "int8-gradients",
  range = largest,
): Promise<Record<string, t.HostTensor>> {
  const recipe = recipeOf();
  const phase = phasesOf(recipe, MODEL)[0]!;
  const graph = traceTraining(phase, pretraining(recipe.balance), { precision, range });
  const quantizer = await WeightQuantizer.create(graph.onnx, store, range);
  await quantizer.run();
  const executable = await compile(graph.onnx.bytes);
  const feeds: Record<string, t.HostTensor> = { ...quantizer.tensors, lambda: t.f32([], [0.3]), share: t.f32([], [1]) };
  const { shape } = graph.onnx.inputs["ids"]!;
  feeds["ids"] = {
    dtype: "i64",
    shape: shape as number[],
    data: BigInt64Array.from(source.train(3, phase.microBatch, phase.sequence, 2), BigInt),
  };
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

/**
 * Relative error (root mean square) that rounding to bytes leaves in a product. A byte's step is m / range, m the largest magnitude of
 * the values that share it; rounding errors lie evenly within half a step, m / (range √12) root mean square. Of n normal numbers the
 * largest is √(2 ln n) times their root mean square, which makes √(2 ln n) / (range √12) of it relative. Left operands keep the range 127
 * and share a step by row or column, 136 values at most (8 × 17 tokens); right ones share it by matrix, up to 8,192. So a range of
 * 63 has twice the step of 127 on one side, and the same on the other.
 */
function productError(range: number): number {
  const rounding = (n: number, largestByte: number) => Math.sqrt(2 * Math.log(n)) / (largestByte * Math.sqrt(12));
  return Math.hypot(rounding(136, 127), rounding(8192, range));
}

/** Products in a row: latents, keys, output, gate and up, down in each of two layers and the MTP module, and the module's own. */
const FORWARD = 3 * 5 + 1;

/**
 * ‖Δg‖ / ‖g‖ of gradients through as many products back as forward, the head's and the weight's own: errors of different products are
 * independent, so their squares add up. Norms and the residual stream let none grow.
 */
const gradientBound = (range: number): number => Math.sqrt(2 * FORWARD + 2) * productError(range);

/**
 * Of the loss, in nats: −log p changes by (p − y) · Δz, where ‖p − y‖ ≤ √2 and z, a normed x times weights of deviation 0.05, has the
 * deviation 0.05 √32. Among 64 different tokens the errors are independent; three deviations, for main and MTP loss (λ = 0.3).
 */
const lossBound = (range: number): number =>
  (3 * 1.3 * Math.SQRT2 * Math.sqrt(FORWARD) * productError(range) * 0.05 * Math.sqrt(32)) / Math.sqrt(64);

describe("training in int8", () => {
  it.each(RANGES)(
    "multiplies bytes with their scales, forward and towards input and weight (range %i)",
    async (range) => {
      const [X, I, O] = [40, 12, 20];
      const key = "model.layers.0.self_attn.o_proj.weight";
      const [x, w] = [t.input("x", "f32", [X, I]), t.parameter(key, [O, I])];
      const y = int8Arithmetic(range).product(x, w, key);
      const given = {
        x: wave(X * I, 1),
        w: wave(O * I, 2, 0.05),
        g: wave(X * O, 3).map((v, i) => v * 10 ** -(Math.floor(i / O) % 4)),
      };
      const [dx, dw] = t.grad(t.sum(t.mul(y, t.input("g", "f32", [X, O]))), [x, w]);
      const onnx = t.toOnnx({ y, dx: dx!, dw: dw! });
      const store = {
        views: new Map([[key, { shape: [O, I], offset: 0, size: O * I }]]),
        parameter: () => t.f32([O, I], given.w),
      } as unknown as ParameterStore;
      const quantizer = await WeightQuantizer.create(onnx, store, range);
      await quantizer.run();
      const graph = await compile(onnx.bytes);
      const out = await graph.run({
        x: t.f32([X, I], given.x),
        g: t.f32([X, O], given.g),
        [key]: t.f32([O, I], given.w),
        ...quantizer.tensors,
      });
      graph.dispose();
      quantizer.dispose();
      const whole = () => 0;
      const w8 = rounded(given.w, whole, range);
      const xRows = rounded(given.x, (i) => Math.floor(i / I), 127);
      const gRows = rounded(given.g, (i) => Math.floor(i / O), 127);
      const gColumns = rounded(given.g, (i) => i % O, 127);
      const x8 = rounded(given.x, whole, range);
      expectClose(
        out["y"]!.data as Float32Array,
        multiply(
          (i, l) => xRows[i * I + l]!,
          (l, j) => w8[j * I + l]!,
          X,
          I,
          O,
        ),
        1e-5,
      );
      expectClose(
        out["dx"]!.data as Float32Array,
        multiply(
          (i, l) => gRows[i * O + l]!,
          (l, j) => w8[l * I + j]!,
          X,
          O,
          I,
        ),
        1e-5,
      );
      expectClose(
        out["dw"]!.data as Float32Array,
        multiply(
          (i, l) => gColumns[l * O + i]!,
          (l, j) => x8[l * I + j]!,
          O,
          X,
          I,
        ),
        1e-5,
      );
    },
  );

  it("gives the whole model's gradients, as near to f32 as the rounding of bytes lets them be, nearer than FP8's numerics", async () => {
    const store = newStore(recipeOf());
    // All tokens go to the same two experts: one that changed its expert for a rounding error would bring an error that has nothing to do with steps.
    for (const key of store.keys())
      if (key.endsWith("e_score_correction_bias")) for (const e of [2, 6]) store.parameter(key).data[e] = 10;
    const exact = await gradients(store, "f32");
    const fp8 = apart(await gradients(store, "fp8"), exact);
    const loss = (of: Record<string, t.HostTensor>) => of["loss"]!.data[0] as number;
    const errors: number[] = [];
    for (const range of RANGES) {
      const int8 = await gradients(store, "int8", range);
      errors.push(apart(int8, exact));
      expect(apart(int8, exact), `range ${range}`).toBeLessThan(gradientBound(range));
      expect(Math.abs(loss(int8) - loss(exact)), `range ${range}`).toBeLessThan(lossBound(range));
      if (range >= 63) expect(apart(int8, exact), `range ${range}`).toBeLessThan(fp8);
      // It is not f32 in disguise.
      expect(apart(int8, exact)).toBeGreaterThan(1e-3);
    }
    // Errors grow with the steps of right operands, and no faster: those of left operands stay.
    for (let i = 1; i < errors.length; i++) {
      expect(errors[i]!).toBeGreaterThan(errors[i - 1]!);
      expect(errors[i]! / errors[i - 1]!).toBeLessThan(RANGES[i - 1]! / RANGES[i]!);
    }
  });

  it("leaves the forward pass in f32 where gradients alone are in bytes", async () => {
    const store = newStore(recipeOf());
    const exact = await gradients(store, "f32");
    const mixed = await gradients(store, "int8-gradients");
    const loss = (of: Record<string, t.HostTensor>) => of["loss"]!.data[0] as number;
    expect(Math.abs(loss(mixed) - loss(exact))).toBeLessThan(1e-6 * loss(exact));
    expect(apart(mixed, exact)).toBeGreaterThan(1e-3);
    // tokens choose the same experts as in f32, so that rounding backward is all that is left
    expect(apart(mixed, exact)).toBeLessThan(apart(await gradients(store, "int8"), exact));
  });

  it("is nearer to f32 than FP8's numerics also where tokens choose their experts", async () => {
    const store = newStore(recipeOf());
    const exact = await gradients(store, "f32");
    expect(apart(await gradients(store, "int8"), exact)).toBeLessThan(apart(await gradients(store, "fp8"), exact));
  });

  it("trains other objectives too, the head detached from the MTP modules, as near to f32", async () => {
    const store = newStore(recipeOf());
    for (const key of store.keys())
      if (key.endsWith("e_score_correction_bias")) for (const e of [2, 6]) store.parameter(key).data[e] = 10;
    const batch = {
      ids: source.train(3, 8, 16, 2),
      inputs: { tokenWeights: new Float32Array(8 * 17).fill(1 / (8 * 16)) },
    };
    const shape = { microBatch: 8, sequence: 16 };
    const inPrecision = (precision: "f32" | "int8") =>
      stepOf(store, config, supervised({ mtp: 0.3 }), [batch], { ...shape, precision });
    const [int8, exact] = [await inPrecision("int8"), await inPrecision("f32")];
    expect(stepsApart(int8.gradients, exact.gradients)).toBeLessThan(gradientBound(largest));
    expect(stepsApart(int8.gradients, exact.gradients)).toBeGreaterThan(1e-3);
    expect(Math.abs(int8.loss - exact.loss)).toBeLessThan(lossBound(largest));
  });

  it("gives an expert without tokens a gradient of zeros", async () => {
    const store = newStore(recipeOf());
    // No token chooses expert 5 in any layer.
    for (const key of store.keys()) if (key.endsWith("e_score_correction_bias")) store.parameter(key).data[5] = -10;
    const int8 = await gradients(store, "int8");
    const of = (e: number, part: string) =>
      int8[`d model.layers.1.mlp.experts.${e}.${part}_proj.weight`]!.data as Float32Array;
    for (const part of ["gate", "up", "down"]) {
      expect(of(5, part).every((v) => v === 0)).toBe(true);
      expect(of(4, part).some((v) => v !== 0)).toBe(true);
    }
  });

  it("leaves router, head and embedding in f32", () => {
    const key = "model.layers.1.mlp.gate.weight";
    const model = modelBuilder(config, int8Arithmetic(127));
    for (const layer of [key.replace(".weight", ""), "lm_head"]) {
      const onnx = t.toOnnx({ y: model.linear(t.input("x", "f32", [4, 32]), layer) });
      expect(Object.keys(onnx.inputs).sort()).toEqual([`${layer}.weight`, "x"].sort());
    }
  });

  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "learns as in f32, from a fresh start and after micro-batches added up",
    async () => {
      for (const size of [{}, { microBatch: 4, lanes: 2 }]) {
        const [f32, int8] = [await newRun(recipeOf(size)), await newRun(recipeOf({ ...size, precision: "int8" }))];
        for (const run of [f32, int8]) await run.trainer.run();
        expect(int8.heldout.at(-1)! / f32.heldout.at(-1)!).toBeGreaterThan(0.9);
        expect(int8.heldout.at(-1)! / f32.heldout.at(-1)!).toBeLessThan(1.1);
      }
    },
  );

  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "trains the other architectures: grouped-query attention with biases, tied embeddings, latent queries",
    async () => {
      const dense = {
        vocab_size: 64,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        hidden_act: "silu",
        max_position_embeddings: 128,
        rms_norm_eps: 1e-6,
        rope_theta: 10000,
        initializer_range: 0.05,
        tie_word_embeddings: true,
      };
      const models = [
        { ...dense, model_type: "qwen2" },
        { ...dense, model_type: "qwen3", head_dim: 8 },
        { ...MODEL, q_lora_rank: 12, n_group: 2, topk_group: 1 },
      ];
      for (const model of models) {
        const [f32, int8] = [await newRun(recipeOf({ model })), await newRun(recipeOf({ model, precision: "int8" }))];
        for (const run of [f32, int8]) await run.trainer.run();
        expect(int8.heldout.at(-1)!, model.model_type).toBeLessThan(0.5 * int8.steps[0]!.mainLoss);
        expect(int8.heldout.at(-1)! / f32.heldout.at(-1)!, model.model_type).toBeLessThan(1.15);
      }
    },
  );

  it("goes on bit for bit from a saved state", async () => {
    const whole = await newRun(recipeOf({ precision: "int8" }));
    await whole.trainer.run();
    const first = await newRun(recipeOf({ precision: "int8" }), {
      onStep: (report, trainer) => report.step === 23 && trainer.stop(),
    });
    await first.trainer.run();
    const second = await newRun(recipeOf({ precision: "int8" }), { storage: first.storage });
    expect(await second.trainer.resume()).toBe(true);
    await second.trainer.run();
    expect([...first.steps, ...second.steps].map((step) => step.loss)).toEqual(whole.steps.map((step) => step.loss));
    expect(second.store.parameters).toEqual(whole.store.parameters);
  });

  it("knows how large a byte this machine multiplies exactly, and gives up no more than it must", async () => {
    expect([127, 63]).toContain(largest);
    const [m, k, n] = [24, 70, 40];
    /** How many of the sums over all pairs of extremes are wrong. */
    const wrong = async (range: number): Promise<number> => {
      const a = Uint8Array.from({ length: m * k }, (_, i) =>
        Math.floor(i / k) < 12 ? 255 : (i * 7919) % 5 < 3 ? 255 : 0,
      );
      const b = Int8Array.from({ length: k * n }, (_, i) =>
        i % n < 20 ? range : (i * 104729) % 7 < 4 ? range : -range,
      );
      const graph = await compile(
        t.toOnnx({ y: t.byteMatmul(t.input("a", "u8", [m, k]), t.input("b", "i8", [k, n]), t.scalar(1)) }).bytes,
      );
      const { y } = await graph.run({
        a: { dtype: "u8", shape: [m, k], data: a },
        b: { dtype: "i8", shape: [k, n], data: b },
      });
      graph.dispose();
      const expected = multiply(
        (i, l) => a[i * k + l]! - 128,
        (l, j) => b[l * n + j]!,
        m,
        k,
        n,
      );
      return expected.filter((sum, i) => sum !== y!.data[i]).length;
    };
    expect(await wrong(largest)).toBe(0);
    expect(await wrong(63)).toBe(0);
    if (largest < 127) expect(await wrong(127)).toBeGreaterThan(0);
  });
});
