/** The optimizer: AdamW and Muon as graphs over blocks of the store's flat arrays. */
import { type Binding, compile } from "../runtime/index.ts";
import * as t from "../tensor/index.ts";
import type { Recipe } from "./recipe.ts";
import type { ParameterStore } from "./store.ts";

/** Floats that one operation works on: its operands stay in a core's own cache from one operation to the next. */
const BLOCK = 1 << 16;
/** The same where all threads share an operation: enough to be worth waking them. */
const SHARED_BLOCK = 1 << 19;
/** Blocks in one run of a graph: starting one costs as much as ten operations. */
const BLOCKS = 64;
/** Floats of matrices that Muon takes at once: its temporaries stay in the cache. */
const MUON_CHUNK = 1 << 19;

const sumOf = (names: readonly string[], shape: number[]): t.Tensor =>
  names.map((name) => t.input(name, "f32", shape)).reduce((a, b) => t.add(a, b));
const lanesOf = (store: ParameterStore): string[] => store.lanes.map((_, i) => `g${i}`);

/** A block of a parameter group that one operation works on. */
interface Block {
  from: number;
  size: number;
  decays: boolean;
  muon: boolean;
}

/** The sum of squares of the lanes' gradients added up; and that sum itself where Muon wants it. */
function normGraph(blocks: readonly Block[], lanes: readonly string[]): t.OnnxGraph {
  const outputs: Record<string, t.Tensor> = {};
  const squares = blocks.map(({ size, muon }, i) => {
    const sum = sumOf(
      lanes.map((lane) => `${lane} ${i}`),
      [1, size],
    );
    if (muon && lanes.length > 1) outputs[`sum ${i}`] = sum;
    return t.matmul(sum, sum, { transB: true });
  });
  return t.toOnnx({ ...outputs, square: squares.reduce((a, b) => t.add(a, b)) }, { name: "norm" });
}

/**
 * One AdamW update of several blocks of parameters, in place (arXiv:1711.05101): m, v and p in f32, g the sum over the lanes. `rate`
 * has the bias corrections folded in: rate = lr·√(1−β₂ᵗ)/(1−β₁ᵗ), epsilon = ε·√(1−β₂ᵗ); `gScale` is the clipping factor.
 */
function adamwGraph(blocks: readonly Block[], lanes: readonly string[], beta1: number, beta2: number): t.OnnxGraph {
  const [rate, epsilon, keep, gScale] = SCALARS.map((name) => t.input(name, "f32", [])) as [
    t.Tensor,
    t.Tensor,
    t.Tensor,
    t.Tensor,
  ];
  const [toFirst, toSecond] = [t.mul(gScale, 1 - beta1), t.mul(gScale, Math.sqrt(1 - beta2))];
  const outputs: Record<string, t.Tensor> = {};
  blocks.forEach(({ size, decays }, i) => {
    const [p, m, v] = ["p", "m", "v"].map((name) => t.input(`${name} ${i}`, "f32", [size])) as [
      t.Tensor,
      t.Tensor,
      t.Tensor,
    ];
    const g = sumOf(
      lanes.map((lane) => `${lane} ${i}`),
      [size],
    );
    const m1 = t.add(t.mul(m, beta1), t.mul(g, toFirst));
    const scaled = t.mul(g, toSecond);
    const v1 = t.add(t.mul(v, beta2), t.mul(scaled, scaled));
    outputs[`pNext ${i}`] = t.sub(decays ? t.mul(p, keep) : p, t.mul(t.div(m1, t.add(t.sqrt(v1), epsilon)), rate));
    outputs[`mNext ${i}`] = m1;
    outputs[`vNext ${i}`] = v1;
  });
  return t.toOnnx(outputs, { name: "adamw" });
}

const SCALARS = ["rate", "epsilon", "keep", "gScale"] as const;

/**
 * One Muon update of matrices [count, rows, columns], in place: Nesterov momentum, then five Newton–Schulz steps
 * towards the nearest orthogonal matrix (Jordan et al. 2024), scaled by 0.2·√max(out, in) to AdamW's size (arXiv:2502.16982 §2.2).
 */
function muonGraph(shape: [number, number, number], momentum: number, iterations: number): t.OnnxGraph {
  const [p, m, g] = ["p", "m", "g"].map((name) => t.input(name, "f32", shape)) as [t.Tensor, t.Tensor, t.Tensor];
  const [rate, keep, gScale] = ["rate", "keep", "gScale"].map((name) => t.input(name, "f32", [])) as [
    t.Tensor,
    t.Tensor,
    t.Tensor,
  ];
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
}

/** What the optimizer needs of a recipe. */
export type OptimizerSettings = Pick<Recipe, "optimizer" | "adamw" | "muon" | "clip">;

/**
 * The optimizer of a run: AdamW over the store's parameter groups, Muon over its matrices when the recipe says so.
 * Its state lives in the store, so that saving the store saves everything.
 */
export class Optimizer {
  #updates: Update[] = [];
  /** Each gives the sum of squares of some blocks; for Muon it also adds the lanes' gradients up in the first lane's. */
  #norms: { binding: Binding; out: Float32Array }[] = [];

  private constructor(
    readonly store: ParameterStore,
    readonly settings: OptimizerSettings,
  ) {}

  static async create(store: ParameterStore, settings: OptimizerSettings): Promise<Optimizer> {
    const self = new Optimizer(store, settings);
    const { beta1, beta2 } = settings.adamw;
    // In lanes no graph wakes the shared pool: its idle threads would spin beside the lanes of the next step.
    const own = store.lanes.length > 1 ? { threads: 1 } : {};
    const lanes = lanesOf(store);
    const graphs = new Map<string, Awaited<ReturnType<typeof compile>>>();
    const once = async (key: string, build: () => t.OnnxGraph) => {
      if (!graphs.has(key)) graphs.set(key, await compile(build().bytes, { name: key, ...own }));
      return graphs.get(key)!;
    };
    const view = (data: Float32Array, from: number, shape: number[]) =>
      t.f32(shape, data.subarray(from, from + t.sizeOf(shape)));
    const blocks: Block[] = [];
    const length = lanes.length > 1 ? BLOCK : SHARED_BLOCK;
    for (const { offset, size: whole, decays, matrices } of store.groups) {
      const muon = settings.optimizer === "muon" && matrices !== undefined;
      for (let from = offset; from < offset + whole; from += length)
        blocks.push({ from, size: Math.min(length, offset + whole - from), decays, muon });
      if (!muon) continue;
      const [n, rows, columns] = matrices;
      const step = Math.max(1, Math.floor(MUON_CHUNK / (rows * columns)));
      for (let i = 0; i < n; i += step) {
        const shape: [number, number, number] = [Math.min(step, n - i), rows, columns];
        const graph = await once(`muon ${shape}`, () =>
          muonGraph(shape, settings.muon.momentum, settings.muon.iterations),
        );
        const scalars = scalarsOf(["rate", "keep", "gScale"]);
        const [p, m, g] = [store.parameters, store.moment1, store.gradients].map((data) =>
          view(data, offset + i * rows * columns, shape),
        ) as [Host, Host, Host];
        self.#updates.push({
          binding: graph.bind({ p, m, g, ...wrap(scalars) }, { pNext: p, mNext: m }),
          scalars,
          kind: "muon",
        });
      }
    }
    const gradientsOf = (share: readonly Block[], shape: (size: number) => number[]) =>
      Object.fromEntries(
        share.flatMap(({ from, size }, i) =>
          lanes.map((lane, l) => [`${lane} ${i}`, view(store.lanes[l]!, from, shape(size))] as const),
        ),
      );
    for (const share of dealt(blocks, lanes.length)) {
      const graph = await once(`norm ${share.map(({ size, muon }) => `${size}${muon ? "m" : ""}`)}`, () =>
        normGraph(share, lanes),
      );
      const out = new Float32Array(1);
      const inputs = gradientsOf(share, (size) => [1, size]);
      const sums = share.flatMap(({ muon }, i) =>
        muon && lanes.length > 1 ? [[`sum ${i}`, inputs[`g0 ${i}`]!] as const] : [],
      );
      self.#norms.push({
        binding: graph.bind(inputs, { square: t.f32([1, 1], out), ...Object.fromEntries(sums) }),
        out,
      });
    }
    for (const share of dealt(
      blocks.filter(({ muon }) => !muon),
      lanes.length,
    )) {
      const graph = await once(`adamw ${share.map(({ size, decays }) => `${size}${decays ? "d" : ""}`)}`, () =>
        adamwGraph(share, lanes, beta1, beta2),
      );
      const scalars = scalarsOf(SCALARS);
      const { keep, ...always } = wrap(scalars);
      const inputs: Record<string, t.HostTensor> = { ...always, ...gradientsOf(share, (size) => [size]) };
      // A graph in which nothing decays does not know it.
      if (share.some(({ decays }) => decays)) inputs["keep"] = keep!;
      const outputs: Record<string, t.HostTensor> = {};
      share.forEach(({ from, size }, i) => {
        for (const [name, data] of [
          ["p", store.parameters],
          ["m", store.moment1],
          ["v", store.moment2],
        ] as const)
          inputs[`${name} ${i}`] = outputs[`${name}Next ${i}`] = view(data, from, [size]);
      });
      self.#updates.push({ binding: graph.bind(inputs, outputs), scalars, kind: "adamw" });
    }
    return self;
  }

  /** Global norm of the lanes' gradients added up. */
  async gradientNorm(): Promise<number> {
    await this.#runAll(this.#norms.map(({ binding }) => binding));
    return Math.sqrt(this.#norms.reduce((square, { out }) => square + out[0]!, 0));
  }

  /** Applies the gradients in the store. `step` counts from 0; `norm` is what `gradientNorm` said. */
  async update(step: number, learningRate: number, norm: number): Promise<void> {
    const { adamw, muon, clip } = this.settings;
    const correction1 = 1 - adamw.beta1 ** (step + 1);
    const correction2 = Math.sqrt(1 - adamw.beta2 ** (step + 1));
    const gScale = Math.min(1, clip / (norm + 1e-6));
    for (const { scalars, kind } of this.#updates) {
      scalars["gScale"]![0] = gScale;
      if (kind === "adamw") {
        scalars["rate"]![0] = (learningRate * correction2) / correction1;
        scalars["epsilon"]![0] = adamw.epsilon * correction2;
        scalars["keep"]![0] = 1 - learningRate * adamw.weightDecay;
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

/** Blocks in graphs of at most BLOCKS, and as many graphs at least as there are lanes, so that all are busy to the end. */
function dealt(blocks: readonly Block[], lanes: number): Block[][] {
  if (blocks.length === 0) return [];
  const perGraph = Math.min(BLOCKS, Math.ceil(blocks.length / lanes));
  return Array.from({ length: Math.ceil(blocks.length / perGraph) }, (_, i) =>
    blocks.slice(i * perGraph, (i + 1) * perGraph),
  );
}

type Host = t.HostTensor<Float32Array>;
const scalarsOf = (names: readonly string[]): Record<string, Float32Array> =>
  Object.fromEntries(names.map((name) => [name, new Float32Array(1)]));
const wrap = (scalars: Record<string, Float32Array>): Record<string, t.HostTensor> =>
  Object.fromEntries(Object.entries(scalars).map(([name, data]) => [name, t.f32([], data)]));
