import { ConfigError } from "../errors.ts";
import {
  type BuilderOptions,
  type ModelConfig,
  modelBuilder,
  mtpDepth,
  trainableShapes,
  trainingLoss,
} from "../model/index.ts";
import { type Binding, compile, type Executable, threads } from "../runtime/index.ts";
import * as t from "../tensor/index.ts";
import { byteRange, WHOLE } from "./byteRange.ts";
import { fp8Product } from "./fp8.ts";
import { int8Arithmetic } from "./int8.ts";
import type { Phase, Recipe } from "./recipe.ts";
import type { ParameterStore } from "./store.ts";
import { WeightQuantizer } from "./weightBytes.ts";

/** Mean losses of a step, in nats, and the assignments each expert got. */
export interface Losses {
  loss: number;
  mainLoss: number;
  mtpLoss: number;
  balanceLoss: number;
  loads: Float64Array[];
}

/** How linear layers multiply; int8's right operands stay within `range`. */
function arithmeticOf(precision: Recipe["precision"], range: number): BuilderOptions {
  if (precision === "fp8") return { product: fp8Product };
  return precision === "int8" ? int8Arithmetic(range) : {};
}

const EMBEDDING = "model.embed_tokens.weight";

/** What the training graph is made of, before it is compiled. */
export interface TrainingGraph {
  onnx: t.OnnxGraph;
  /** Keys whose gradient the graph writes, as output `d key`. */
  gradients: string[];
  experts: number;
  layers: number;
}

/**
 * Traces loss and gradients of one lane of a micro-batch: ids [B, T+1+depth], λ and the lane's share of the step go in; losses, loads,
 * the gradient of every parameter and of the embedding's rows come out. `accumulate` adds the gradients to those fed in; `target`
 * is the provider that the graph is written for, `range` the largest byte of right operands in int8.
 */
export function traceTraining(
  phase: Phase,
  recipe: Pick<Recipe, "precision" | "balance">,
  accumulate: boolean,
  { target = "cpu", range = WHOLE }: { target?: t.Target; range?: number } = {},
): TrainingGraph {
  const { config, microBatch, lanes, sequence } = phase;
  const model = modelBuilder(config, arithmeticOf(recipe.precision, range));
  const depth = mtpDepth(config);
  const ids = t.input("ids", "i64", [microBatch / lanes, sequence + 1 + depth]);
  const lambda = t.input("lambda", "f32", []);
  const share = t.input("share", "f32", []);
  const traced = trainingLoss(model, ids, { lambda, alpha: recipe.balance.alpha });
  const trainable = trainableShapes(config);
  const weights = [...model.used].filter(
    ([key]) => trainable.has(key) && (key !== EMBEDDING || config.tie_word_embeddings),
  );
  const [dRows, ...gradients] = t.grad(t.mul(traced.loss, share), [
    traced.embedded,
    ...weights.map(([, tensor]) => tensor),
  ]);
  const outputs: Record<string, t.Tensor> = { loss: traced.loss, mainLoss: traced.mainLoss };
  if (depth > 0) outputs["mtpLoss"] = t.div(traced.mtpLosses.reduce(t.add), depth);
  if (traced.balanceLoss) outputs["balanceLoss"] = traced.balanceLoss;
  traced.routings.forEach((routing, i) => (outputs[`load ${i}`] = routing.load_E));
  outputs["rows"] = dRows!;
  const written: string[] = [];
  gradients.forEach((gradient, i) => {
    const [key, weight] = weights[i]!;
    if (gradient === undefined) throw new ConfigError(`train: the loss does not depend on ${key}`);
    outputs[`d ${key}`] = accumulate ? t.add(t.input(`sum ${key}`, "f32", weight.shape), gradient) : gradient;
    written.push(key);
  });
  return {
    onnx: t.toOnnx(outputs, { name: "train", target }),
    gradients: written,
    layers: traced.routings.length,
    experts: (traced.routings[0]?.load_E.dim(0) as number) ?? 0,
  };
}

/** The parameters that a graph asks for, by key. */
export const parametersOf = (graph: t.OnnxGraph, store: ParameterStore): Record<string, t.HostTensor> =>
  Object.fromEntries(
    Object.keys(graph.inputs)
      .filter((name) => store.views.has(name))
      .map((name) => [name, store.parameter(name)]),
  );

/** What one lane feeds to the graph and gets from it. */
class Lane {
  readonly ids: BigInt64Array;
  readonly scalars: Record<string, Float32Array> = {};
  readonly loads: Float32Array[];
  readonly rows: Float32Array;
  readonly binding: Binding;

  constructor(
    number: number,
    store: ParameterStore,
    graph: TrainingGraph,
    executable: Executable,
    accumulate: boolean,
    bytes: Record<string, t.HostTensor>,
  ) {
    const { onnx } = graph;
    const ids = onnx.inputs["ids"]!;
    const rows = onnx.outputs["rows"]!.shape as number[];
    this.ids = new BigInt64Array(t.sizeOf(ids.shape as number[]));
    this.rows = new Float32Array(t.sizeOf(rows));
    this.loads = Array.from({ length: graph.layers }, () => new Float32Array(graph.experts));
    const scalar = (name: string) => t.f32([], (this.scalars[name] = new Float32Array(1)));
    const inputs: Record<string, t.HostTensor> = {
      ...parametersOf(onnx, store),
      ...bytes,
      ids: { dtype: "i64", shape: ids.shape as number[], data: this.ids },
    };
    for (const name of ["lambda", "share"]) if (onnx.inputs[name]) inputs[name] = scalar(name);
    const outputs: Record<string, t.HostTensor> = { rows: t.f32(rows, this.rows) };
    for (const name of LOSSES) if (onnx.outputs[name]) outputs[name] = scalar(name);
    this.loads.forEach((load, i) => (outputs[`load ${i}`] = t.f32([graph.experts], load)));
    for (const key of graph.gradients) {
      outputs[`d ${key}`] = store.gradient(key, number);
      if (accumulate) inputs[`sum ${key}`] = store.gradient(key, number);
    }
    this.binding = executable.bind(inputs, outputs);
  }
}

const LOSSES = ["loss", "mainLoss", "mtpLoss", "balanceLoss"] as const;

/**
 * The compiled training graph of a phase, tied to the store: parameters are read from it, gradients written into it. A micro-batch
 * is computed in lanes, side by side: on small matrices a core of its own for each beats sharing every operation among the cores.
 */
export class TrainingProgram {
  readonly #lanes: Lane[];
  #parts = 1;
  #total: Losses = { loss: 0, mainLoss: 0, mtpLoss: 0, balanceLoss: 0, loads: [] };

  private constructor(
    readonly phase: Phase,
    readonly store: ParameterStore,
    readonly graph: TrainingGraph,
    readonly executables: readonly Executable[],
    readonly accumulate: boolean,
    readonly quantizer: WeightQuantizer,
  ) {
    // What an earlier phase left in lanes that this one does not use must not count.
    for (const lane of store.lanes) lane.fill(0);
    this.#lanes = executables.map(
      (executable, i) => new Lane(i, store, graph, executable, accumulate, quantizer.tensors),
    );
  }

  static async create(phase: Phase, recipe: Recipe, store: ParameterStore): Promise<TrainingProgram> {
    const largest = (phase.extension ?? { batch: recipe.batch.end }).batch;
    const accumulate = largest > phase.microBatch;
    const range = recipe.precision === "int8" ? await byteRange() : WHOLE;
    const graph = traceTraining(phase, recipe, accumulate, { range });
    // A lane has a graph of its own, so that it gets back the memory that is still in its core's cache; cores without a lane help the others.
    const own = phase.lanes > 1 ? { threads: Math.max(1, threads() - phase.lanes + 1), arena: "own" as const } : {};
    const options = { name: `train ${phase.name}`, optimization: "basic" as const, ...own };
    const executables = await Promise.all(
      Array.from({ length: phase.lanes }, () => compile(graph.onnx.bytes, options)),
    );
    return new TrainingProgram(
      phase,
      store,
      graph,
      executables,
      accumulate,
      await WeightQuantizer.create(graph.onnx, store, range),
    );
  }

  /** Starts a step of `parts` micro-batches with the weights that the store now has. */
  async begin(parts: number): Promise<void> {
    if (parts > 1 && !this.accumulate) throw new ConfigError(`train: expected one micro-batch a step, got ${parts}`);
    this.#parts = parts;
    this.#total = {
      loss: 0,
      mainLoss: 0,
      mtpLoss: 0,
      balanceLoss: 0,
      loads: this.#lanes[0]!.loads.map((load) => new Float64Array(load.length)),
    };
    if (this.accumulate) for (const lane of this.store.lanes) lane.fill(0);
    else this.#lanes.forEach((_, l) => this.store.gradient(EMBEDDING, l).data.fill(0));
    await this.quantizer.run();
  }

  /** Runs one micro-batch: ids [B, T+1+depth]; ~id is read and not trained. */
  async run(ids: Int32Array, lambda: number): Promise<void> {
    const size = ids.length / this.#lanes.length;
    const share = 1 / (this.#parts * this.#lanes.length);
    await Promise.all(
      this.#lanes.map(async (lane, l) => {
        const own = ids.subarray(l * size, (l + 1) * size);
        for (let i = 0; i < size; i++) lane.ids[i] = BigInt(own[i]!);
        if (lane.scalars["lambda"]) lane.scalars["lambda"][0] = lambda;
        if (lane.scalars["share"]) lane.scalars["share"][0] = share;
        await lane.binding.run();
        this.#addRows(own, lane.rows, l);
      }),
    );
    this.#lanes.forEach((lane) => {
      for (const name of LOSSES) this.#total[name] += (lane.scalars[name]?.[0] ?? 0) * share;
      lane.loads.forEach((load, i) => load.forEach((n, e) => (this.#total.loads[i]![e]! += n)));
    });
  }

  finish(): Losses {
    return this.#total;
  }

  /** Adds the embedding rows' gradients up by token id: 30 times as fast as a one-hot product in the graph. */
  #addRows(ids: Int32Array, rows: Float32Array, lane: number): void {
    const { data, shape } = this.store.gradient(EMBEDDING, lane);
    const D = shape[1]!;
    const width = this.phase.sequence + 1 + mtpDepth(this.phase.config);
    const used = width - 1;
    for (let first = 0, from = 0; first < ids.length; first += width)
      for (let i = 0; i < used; i++, from += D) {
        const id = ids[first + i]!;
        const to = (id < 0 ? ~id : id) * D;
        for (let d = 0; d < D; d++) data[to + d]! += rows[from + d]!;
      }
  }

  dispose(): void {
    for (const lane of this.#lanes) lane.binding.dispose();
    for (const executable of this.executables) executable.dispose();
    this.quantizer.dispose();
  }
}

/** Forward only: the next-token loss of a micro-batch of ids [B, T+1]. */
export class EvaluationProgram {
  private constructor(
    readonly executable: Executable,
    readonly binding: Binding,
    readonly ids: BigInt64Array,
    readonly nll_BT: Float32Array,
    readonly sequence: number,
  ) {}

  static async create(
    phase: { config: ModelConfig; microBatch: number; sequence: number; name: string },
    store: ParameterStore,
  ): Promise<EvaluationProgram> {
    const { microBatch, sequence } = phase;
    const ids = t.input("ids", "i64", [microBatch, sequence + 1]);
    const onnx = t.toOnnx(
      { nll: trainingLoss(modelBuilder(phase.config), ids, { depth: 0, lambda: 0 }).nll_X },
      { name: "evaluate" },
    );
    const executable = await compile(onnx.bytes, { name: `evaluate ${phase.name}` });
    const data = new BigInt64Array(t.sizeOf(ids.shape as number[]));
    const nll = new Float32Array(microBatch * sequence);
    const binding = executable.bind(
      { ...parametersOf(onnx, store), ids: { dtype: "i64", shape: ids.shape as number[], data } },
      { nll: t.f32([nll.length], nll) },
    );
    return new EvaluationProgram(executable, binding, data, nll, sequence);
  }

  /** Sum of −log p over the windows' tokens after the first. At most a micro-batch of windows; shorter ones are filled up and not counted. */
  async run(windows: readonly Int32Array[]): Promise<number> {
    const width = this.sequence + 1;
    this.ids.fill(0n);
    windows.forEach((ids, row) => ids.forEach((id, i) => (this.ids[row * width + i] = BigInt(id))));
    await this.binding.run();
    let sum = 0;
    windows.forEach((ids, row) => {
      for (const nll of this.nll_BT.subarray(row * this.sequence, row * this.sequence + ids.length - 1)) sum += nll;
    });
    return sum;
  }

  dispose(): void {
    this.binding.dispose();
    this.executable.dispose();
  }
}
