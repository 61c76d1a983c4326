/** The training graph compiled and bound: micro-batches run, losses and gradients added up. */
import { ConfigError } from "../errors.ts";
import { type Binding, compile, type Executable, threads } from "../runtime/index.ts";
import * as t from "../tensor/index.ts";
import { byteRange, WHOLE } from "./byteRange.ts";
import type { Batch, Objective, TokenValues } from "./objective.ts";
import type { ParameterStore } from "./store.ts";
import {
  type BatchShape,
  EMBEDDING,
  feedsBytes,
  type Precision,
  parametersOf,
  type TrainingGraph,
  traceTraining,
} from "./trace.ts";
import { WeightQuantizer } from "./weightBytes.ts";

/** What a step's micro-batches gave, added up. */
export interface StepSums {
  loss: number;
  metrics: Record<string, number>;
  /** Assignments that each expert got, by mixture layer. */
  loads: Float64Array[];
  /** The objective's values of each token, [all sequences of the step, T, …], in the order they were given. */
  perToken: Record<string, Float32Array>;
}

/** What one lane feeds to the graph and gets from it. */
class Lane {
  readonly ids: BigInt64Array;
  /** The objective's inputs that are in the graph, its scalars (`loss` too) and values of each token, by name. */
  readonly inputs = new Map<string, Float32Array>();
  readonly scalars = new Map<string, Float32Array>();
  readonly perToken = new Map<string, Float32Array>();
  readonly loads: Float32Array[];
  /** Gradients of the embedding's rows, where it is trained. */
  readonly rows: Float32Array | undefined;
  readonly binding: Binding;

  constructor(
    number: number,
    store: ParameterStore,
    graph: TrainingGraph,
    executable: Executable,
    accumulate: boolean,
    fixed: Record<string, t.HostTensor>,
  ) {
    const { onnx } = graph;
    const ids = onnx.inputs["ids"]!;
    const buffer = (into: Map<string, Float32Array>, name: string, shape: number[]) => {
      const data = new Float32Array(t.sizeOf(shape));
      into.set(name, data);
      return t.f32(shape, data);
    };
    const shapeOf = (output: string) => onnx.outputs[output]!.shape as number[];
    this.ids = new BigInt64Array(t.sizeOf(ids.shape as number[]));
    this.rows = onnx.outputs["rows"] && new Float32Array(t.sizeOf(shapeOf("rows")));
    this.loads = Array.from({ length: graph.layers }, () => new Float32Array(graph.experts));
    const inputs: Record<string, t.HostTensor> = {
      ...parametersOf(onnx, store),
      ...fixed,
      ids: { dtype: "i64", shape: ids.shape as number[], data: this.ids },
    };
    // A graph without MTP has no use for its weight, say.
    for (const [name, shape] of Object.entries(graph.inputs))
      if (onnx.inputs[name]) inputs[name] = buffer(this.inputs, name, shape);
    const outputs: Record<string, t.HostTensor> = { loss: buffer(this.scalars, "loss", []) };
    if (this.rows) outputs["rows"] = t.f32(shapeOf("rows"), this.rows);
    for (const name of graph.metrics) outputs[`metric ${name}`] = buffer(this.scalars, `metric ${name}`, []);
    for (const name of graph.perToken) outputs[`token ${name}`] = buffer(this.perToken, name, shapeOf(`token ${name}`));
    this.loads.forEach((load, i) => (outputs[`load ${i}`] = t.f32([graph.experts], load)));
    for (const key of graph.gradients) {
      outputs[`d ${key}`] = store.gradient(key, number);
      if (accumulate) inputs[`sum ${key}`] = store.gradient(key, number);
    }
    this.binding = executable.bind(inputs, outputs);
  }
}

export interface ProgramOptions {
  precision: Precision;
  /** A step may have several micro-batches. */
  accumulate: boolean;
}

/**
 * The compiled graph of an objective, tied to the store: parameters are read from it, gradients written into it. A micro-batch is computed in
 * shards, side by side: on small matrices a core of its own for each beats sharing every operation among the cores.
 */
export class TrainingProgram {
  readonly #lanes: Lane[];
  #sums: StepSums = { loss: 0, metrics: {}, loads: [], perToken: {} };
  #perToken: [string, Float32Array[]][] = [];

  private constructor(
    readonly shape: BatchShape,
    readonly objective: Objective,
    readonly store: ParameterStore,
    readonly graph: TrainingGraph,
    readonly executables: readonly Executable[],
    readonly accumulate: boolean,
    readonly quantizer: WeightQuantizer,
  ) {
    // What an earlier program left in lanes that this one does not use must not count.
    for (const lane of store.lanes) lane.fill(0);
    this.#lanes = executables.map(
      (executable, i) =>
        new Lane(i, store, graph, executable, accumulate, { ...quantizer.tensors, ...objective.fixed }),
    );
  }

  static async create(
    shape: BatchShape,
    objective: Objective,
    store: ParameterStore,
    { precision, accumulate }: ProgramOptions,
  ): Promise<TrainingProgram> {
    const { name, lanes } = shape;
    const range = feedsBytes(precision) ? await byteRange() : WHOLE;
    const { lora } = store;
    const trains = (key: string) => store.trains(key);
    const graph = traceTraining(shape, objective, { precision, accumulate, range, lora, trains });
    // A lane has a graph of its own, so that it gets back the memory that is still in its core's cache; cores without a lane help the others.
    const own = lanes > 1 ? { threads: Math.max(1, threads() - lanes + 1), arena: "own" as const } : {};
    const options = { name: `train ${name}`, optimization: "basic" as const, ...own };
    const executables = await Promise.all(Array.from({ length: lanes }, () => compile(graph.onnx.bytes, options)));
    const quantizer = await WeightQuantizer.create(graph.onnx, store, range);
    return new TrainingProgram(shape, objective, store, graph, executables, accumulate, quantizer);
  }

  /** Starts a step with the weights that the store now has. */
  async begin(): Promise<void> {
    const { metrics, perToken } = this.graph;
    this.#sums = {
      loss: 0,
      metrics: Object.fromEntries(metrics.map((name) => [name, 0])),
      loads: this.#lanes[0]!.loads.map((load) => new Float64Array(load.length)),
      perToken: {},
    };
    this.#perToken = perToken.map((name) => [name, []]);
    if (this.accumulate) for (const lane of this.store.lanes) lane.fill(0);
    else for (const [l, { rows }] of this.#lanes.entries()) if (rows) this.store.gradient(EMBEDDING, l).data.fill(0);
    await this.quantizer.run();
  }

  /** Runs one micro-batch and adds up what it gives. */
  async run(batch: Batch): Promise<void> {
    checkBatch(batch, this.objective, this.shape, this.graph.inputs);
    await Promise.all(
      this.#lanes.map(async (lane, l) => {
        const own = feedLane(batch, l, lane);
        await lane.binding.run();
        if (lane.rows) this.#addRows(own, lane.rows, l);
      }),
    );
    const { metrics, loads } = this.#sums;
    for (const lane of this.#lanes) {
      this.#sums.loss += lane.scalars.get("loss")![0]!;
      for (const name of this.graph.metrics) metrics[name]! += lane.scalars.get(`metric ${name}`)![0]!;
      lane.loads.forEach((load, i) => load.forEach((n, e) => (loads[i]![e]! += n)));
      for (const [name, parts] of this.#perToken) parts.push(lane.perToken.get(name)!.slice());
    }
  }

  finish(): StepSums {
    const perToken = Object.fromEntries(this.#perToken.map(([name, parts]) => [name, joined(parts)]));
    return { ...this.#sums, perToken };
  }

  /** Adds the embedding rows' gradients up by token id: 30 times as fast as a one-hot product in the graph. */
  #addRows(ids: Int32Array, rows: Float32Array, lane: number): void {
    const { data, shape } = this.store.gradient(EMBEDDING, lane);
    const D = shape[1]!;
    const sequences = this.shape.microBatch / this.shape.lanes;
    const width = ids.length / sequences;
    const used = rows.length / D / sequences;
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

/** Throws ConfigError where a batch is not what the objective asked for; `wanted` are its inputs' shapes for a shard. */
export function checkBatch(
  { ids, inputs }: Batch,
  objective: TokenValues,
  { config, microBatch, sequence, lanes }: BatchShape,
  wanted: Readonly<Record<string, number[]>>,
): void {
  const { name } = objective;
  const width = sequence + objective.extraIds(config);
  if (ids.length !== microBatch * width)
    throw new ConfigError(`${name}: expected ids [${microBatch}, ${width}], got ${ids.length} ids`);
  for (const [input, shape] of Object.entries(wanted)) {
    const given = inputs[input];
    const want = shape.length === 0 ? "a number" : `[${[shape[0]! * lanes, ...shape.slice(1)]}]`;
    const got = typeof given === "number" ? "a number" : given === undefined ? "nothing" : `${given.length} values`;
    const right =
      shape.length === 0 ? typeof given === "number" : (given as Float32Array)?.length === lanes * t.sizeOf(shape);
    if (!right) throw new ConfigError(`${name}: input ${input}: expected ${want}, got ${got}`);
  }
}

/** Writes lane number `l`'s part of a batch into what its graph reads; gives the part's ids. */
export function feedLane(
  batch: Batch,
  l: number,
  { ids, inputs }: { ids: BigInt64Array; inputs: ReadonlyMap<string, Float32Array> },
): Int32Array {
  const own = batch.ids.subarray(l * ids.length, (l + 1) * ids.length);
  for (let i = 0; i < ids.length; i++) ids[i] = BigInt(own[i]!);
  for (const [name, data] of inputs) {
    const given = batch.inputs[name]!;
    if (typeof given === "number") data[0] = given;
    else data.set(given.subarray(l * data.length, (l + 1) * data.length));
  }
  return own;
}

export function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
