import { compile, type Binding } from "../runtime/index.ts";
import * as t from "../tensor/index.ts";
import type { ParameterStore } from "./store.ts";
import type { Recipe } from "./recipe.ts";

/** Floats an optimizer graph works on at once: large enough to be worth all threads, small enough for the last-level cache. */
const CHUNK = 1 << 19;
/** The same where each core takes stretches of its own. */
const CHUNK_OF_A_LANE = 1 << 18;

/** The sum of the lanes' gradients, where there are several, and the sum of its squares. */
function normGraph(size: number, lanes: number): t.OnnxGraph {
  const sum = Array.from({ length: lanes }, (_, i) => t.input(`g${i}`, "f32", [1, size])).reduce((a, b) => t.add(a, b));
  const square = t.matmul(sum, sum, { transB: true });
  return t.toOnnx(lanes > 1 ? { square, sum } : { square }, { name: "norm" });
}

/**
 * One AdamW update of a stretch of parameters, in place (arXiv:1711.05101): m, v and p in f32. `rate` has the bias
 * corrections folded in: rate = lr·√(1−β₂ᵗ)/(1−β₁ᵗ), epsilon = ε·√(1−β₂ᵗ); `gScale` is the clipping factor.
 */
function adamwGraph(size: number, beta1: number, beta2: number): t.OnnxGraph {
  const [p, m, v, g] = ["p", "m", "v", "g"].map((name) => t.input(name, "f32", [size])) as [t.Tensor, t.Tensor, t.Tensor, t.Tensor];
  const [rate, epsilon, keep, gScale] = ["rate", "epsilon", "keep", "gScale"].map((name) => t.input(name, "f32", [])) as [t.Tensor, t.Tensor, t.Tensor, t.Tensor];
  const m1 = t.add(t.mul(m, beta1), t.mul(g, t.mul(gScale, 1 - beta1)));
  const scaled = t.mul(g, t.mul(gScale, Math.sqrt(1 - beta2)));
  const v1 = t.add(t.mul(v, beta2), t.mul(scaled, scaled));
  const p1 = t.sub(t.mul(p, keep), t.mul(t.div(m1, t.add(t.sqrt(v1), epsilon)), rate));
  return t.toOnnx({ pNext: p1, mNext: m1, vNext: v1 }, { name: "adamw" });
}

/**
 * One Muon update of `count` matrices of the same shape, in place: Nesterov momentum, then five Newton–Schulz steps
 * towards the nearest orthogonal matrix (Jordan et al. 2024), scaled by 0.2·√max(out, in) to AdamW's size (arXiv:2502.16982 §2.2).
 */
function muonGraph(shape: [number, number, number], momentum: number, iterations: number): t.OnnxGraph {
  const [p, m, g] = ["p", "m", "g"].map((name) => t.input(name, "f32", shape)) as [t.Tensor, t.Tensor, t.Tensor];
  const [rate, keep, gScale] = ["rate", "keep", "gScale"].map((name) => t.input(name, "f32", [])) as [t.Tensor, t.Tensor, t.Tensor];
  const scaled = t.mul(g, gScale);
  const m1 = t.add(t.mul(m, momentum), scaled);
  let x = t.add(scaled, t.mul(m1, momentum));
  const [a, b, c] = [3.4445, -4.775, 2.0315];
  const wide = shape[1] <= shape[2];
  x = t.div(x, t.add(t.sqrt(t.sum(t.mul(x, x), [1, 2], true)), 1e-7));
  for (let i = 0; i < iterations; i++) {
    // The smaller Gram matrix: x·xᵀ for a wide x, xᵀ·x for a tall one.
    const gram = wide ? t.matmul(x, x, { transB: true }) : t.matmul(x, x, { transA: true });
    const poly = t.add(t.mul(gram, b), t.matmul(gram, gram, { alpha: c }));
    x = t.add(t.mul(x, a), wide ? t.matmul(poly, x) : t.matmul(x, poly));
  }
  const size = 0.2 * Math.sqrt(Math.max(shape[1], shape[2]));
  const p1 = t.sub(t.mul(p, keep), t.mul(x, t.mul(rate, size)));
  return t.toOnnx({ pNext: p1, mNext: m1 }, { name: "muon" });
}

interface Update {
  binding: Binding;
  /** Scalars of this update, refreshed every step. */
  scalars: Record<string, Float32Array>;
  kind: "adamw" | "muon";
  decays: boolean;
}

/**
 * The optimizer of a run: AdamW over flat stretches of the store, Muon over its matrices when the recipe says so.
 * Its state lives in the store, so that saving the store saves everything.
 */
export class Optimizer {
  #updates: Update[] = [];
  /** Each adds the lanes' gradients of a stretch into the first lane's and gives the sum of their squares. */
  #norms: { binding: Binding; out: Float32Array }[] = [];

  private constructor(
    readonly store: ParameterStore,
    readonly recipe: Recipe,
  ) {}

  static async create(store: ParameterStore, recipe: Recipe): Promise<Optimizer> {
    const self = new Optimizer(store, recipe);
    const { beta1, beta2 } = recipe.adamw;
    // In lanes no graph wakes the shared pool: its idle threads would spin beside the lanes of the next step.
    const own = store.lanes.length > 1 ? { threads: 1 } : {};
    const chunk = store.lanes.length > 1 ? CHUNK_OF_A_LANE : CHUNK;
    const graphs = new Map<string, Awaited<ReturnType<typeof compile>>>();
    const once = async (key: string, build: () => t.OnnxGraph) => {
      if (!graphs.has(key)) graphs.set(key, await compile(build().bytes, { name: key, ...own }));
      return graphs.get(key)!;
    };
    for (const stretch of store.stretches) {
      for (let from = stretch.offset; from < stretch.offset + stretch.size; from += chunk) {
        const size = Math.min(chunk, stretch.offset + stretch.size - from);
        const graph = await once(`norm ${size}`, () => normGraph(size, store.lanes.length));
        const out = new Float32Array(1);
        const lanes = store.lanes.map((lane) => t.f32([1, size], lane.subarray(from, from + size)));
        const inputs = Object.fromEntries(lanes.map((lane, i) => [`g${i}`, lane]));
        const outputs = { square: t.f32([1, 1], out), ...(lanes.length > 1 ? { sum: lanes[0]! } : {}) };
        self.#norms.push({ binding: graph.bind(inputs, outputs), out });
      }
      if (recipe.optimizer === "muon" && stretch.matrices !== undefined) {
        const [n, rows, columns] = stretch.matrices;
        // Batches small enough to keep the temporaries of Newton–Schulz in the cache.
        const step = Math.max(1, Math.floor(CHUNK / (rows * columns)));
        for (let i = 0; i < n; i += step) {
          const shape: [number, number, number] = [Math.min(step, n - i), rows, columns];
          const graph = await once(`muon ${shape}`, () => muonGraph(shape, recipe.muon.momentum, recipe.muon.iterations));
          const from = stretch.offset + i * rows * columns;
          const view = (data: Float32Array) => t.f32(shape, data.subarray(from, from + t.sizeOf(shape)));
          const scalars = { rate: new Float32Array(1), keep: new Float32Array(1), gScale: new Float32Array(1) };
          const [p, m, g] = [view(store.parameters), view(store.moment1), view(store.gradients)];
          const binding = graph.bind({ p, m, g, ...wrap(scalars) }, { pNext: p, mNext: m });
          self.#updates.push({ binding, scalars, kind: "muon", decays: true });
        }
        continue;
      }
      for (let from = stretch.offset; from < stretch.offset + stretch.size; from += chunk) {
        const size = Math.min(chunk, stretch.offset + stretch.size - from);
        const graph = await once(`adamw ${size}`, () => adamwGraph(size, beta1, beta2));
        const view = (data: Float32Array) => t.f32([size], data.subarray(from, from + size));
        const scalars = { rate: new Float32Array(1), epsilon: new Float32Array(1), keep: new Float32Array(1), gScale: new Float32Array(1) };
        const [p, m, v, g] = [view(store.parameters), view(store.moment1), view(store.moment2), view(store.gradients)];
        const binding = graph.bind({ p, m, v, g, ...wrap(scalars) }, { pNext: p, mNext: m, vNext: v });
        self.#updates.push({ binding, scalars, kind: "adamw", decays: stretch.decays });
      }
    }
    return self;
  }

  /** Adds the lanes' gradients up in the store; their global norm. */
  async gradientNorm(): Promise<number> {
    await this.#runAll(this.#norms.map(({ binding }) => binding));
    return Math.sqrt(this.#norms.reduce((square, { out }) => square + out[0]!, 0));
  }

  /** Applies the gradients in the store. `step` counts from 0; `norm` is what `gradientNorm` said. */
  async update(step: number, learningRate: number, norm: number): Promise<void> {
    const { adamw, muon, clip } = this.recipe;
    const correction1 = 1 - adamw.beta1 ** (step + 1);
    const correction2 = Math.sqrt(1 - adamw.beta2 ** (step + 1));
    const gScale = Math.min(1, clip / (norm + 1e-6));
    for (const { scalars, kind, decays } of this.#updates) {
      scalars["gScale"]![0] = gScale;
      if (kind === "adamw") {
        scalars["rate"]![0] = (learningRate * correction2) / correction1;
        scalars["epsilon"]![0] = adamw.epsilon * correction2;
        scalars["keep"]![0] = decays ? 1 - learningRate * adamw.weightDecay : 1;
      } else {
        scalars["rate"]![0] = learningRate * muon.rate;
        scalars["keep"]![0] = 1 - learningRate * muon.rate * muon.weightDecay;
      }
    }
    await this.#runAll(this.#updates.map(({ binding }) => binding));
  }

  /** Runs what does not depend on one another: one after the other, or as many at a time as there are lanes. */
  async #runAll(bindings: Binding[]): Promise<void> {
    const lanes = this.store.lanes.length;
    if (lanes === 1) return bindings.forEach((binding) => binding.runSync());
    const left = bindings.values();
    const walk = async () => {
      for (const binding of left) await binding.run();
    };
    await Promise.all(Array.from({ length: lanes }, walk));
  }
}

const wrap = (scalars: Record<string, Float32Array>): Record<string, t.HostTensor> =>
  Object.fromEntries(Object.entries(scalars).map(([name, data]) => [name, t.f32([], data)]));
