/** The memory that a training run will take, estimated by walking its graphs. */
import { mixtureOf, parameterKinds } from "../model/index.ts";
import { type Dim, DTYPES, type OnnxGraph, reachable, sizeOf, type Tensor } from "../tensor/index.ts";
import type { Objective } from "./objective.ts";
import { pretraining } from "./objectives/pretrain.ts";
import type { Phase, Recipe } from "./recipe.ts";
import { type BatchShape, type TraceOptions, traceTraining } from "./trace.ts";

/** Primitives whose result is their input under another name. */
const VIEWS = new Set(["reshape", "assume", "custom", "stopGradient", "input", "constant"]);

/**
 * Peak bytes of the values between a graph's inputs and outputs, walked in order: a value lives from the node that makes it
 * to its last reader. `lengths` resolves symbols known only at run time. An estimate: the runtime may reuse buffers in
 * place (less) or round blocks up (more).
 */
export function peakBytes(graph: OnnxGraph, lengths: (dim: Dim) => number): number {
  const results = new Set(Object.values(graph.outputs));
  const nodes = reachable(results);
  const owner = new Map<Tensor, Tensor>();
  const own = (tensor: Tensor): Tensor => owner.get(tensor) ?? tensor;
  const lastReader = new Map<Tensor, number>();
  for (const node of nodes) {
    if (VIEWS.has(node.primitive.name) && node.inputs.length > 0) {
      const sources = node.inputs.slice(-node.outputs.length);
      node.outputs.forEach((out, i) => owner.set(out, own(sources[i]!)));
    }
    for (const input of node.inputs) lastReader.set(own(input), node.id);
  }
  const bytes = (tensor: Tensor): number =>
    tensor.shape.reduce<number>((n, d) => n * lengths(d), DTYPES[tensor.dtype].bytes);
  const outside = new Set([...results].map(own));
  const freeAt = new Map<number, number>();
  let live = 0;
  let peak = 0;
  for (const node of nodes) {
    if (!VIEWS.has(node.primitive.name))
      for (const out of node.outputs) {
        const last = lastReader.get(out);
        if (outside.has(out)) continue;
        const size = bytes(out);
        live += size;
        freeAt.set(last ?? node.id, (freeAt.get(last ?? node.id) ?? 0) + size);
      }
    peak = Math.max(peak, live);
    live -= freeAt.get(node.id) ?? 0;
  }
  return peak;
}

/** Bytes a run needs, by what for. */
export interface MemoryEstimate {
  /** Values, gradients (of each lane), both moments and, in int8, the bytes of every parameter. */
  parameters: number;
  /** Values of the largest micro-batch's graph. */
  activations: number;
  /** Node, the runtime and the tokens. */
  base: number;
  total: number;
}

/** Node, the runtime and the tokens. */
export const BASE_BYTES = 400e6;

/** Bytes that the parameters of a run need with their gradients and moments; counted, so that it takes no time at any size. */
export function parameterBytes(phases: readonly Phase[], recipe: Recipe): number {
  const lanes = Math.max(...phases.map((phase) => phase.lanes));
  const each = 12 + 4 * lanes + (recipe.precision === "int8" ? 2 : 0);
  const [first] = phases;
  return first === undefined
    ? 0
    : parameterKinds(first.config).reduce(
        (sum, { shape, count, sameAs }) => sum + (sameAs ? 0 : each * count * sizeOf(shape)),
        0,
      );
}

/** Bytes below which no step stays: every layer's input, kept for its gradient. Nothing is traced for it. */
export const leastActivationBytes = (phases: readonly Phase[]): number =>
  Math.max(
    ...phases.map(
      ({ config, microBatch, sequence }) => 4 * microBatch * sequence * config.hidden_size * config.num_hidden_layers,
    ),
  );

/** Bytes of the values of one micro-batch's graph, in all lanes. Traces it, some tenths of a second. */
export function activationBytes(shape: BatchShape, objective: Objective, options: TraceOptions): number {
  const { config, microBatch, sequence, lanes } = shape;
  const { experts, perToken } = mixtureOf(config);
  const perExpert = experts > 0 ? ((microBatch / lanes) * sequence * perToken) / experts : 0;
  const lengthOf = (dim: Dim): number => (typeof dim === "number" ? dim : perExpert);
  return lanes * peakBytes(traceTraining(shape, objective, options).onnx, lengthOf);
}

/** What the phases of a run need at most. Traces every phase's graph. */
export function estimateMemory(phases: readonly Phase[], recipe: Recipe): MemoryEstimate {
  const parameters = parameterBytes(phases, recipe);
  const { balance, precision } = recipe;
  const activations = Math.max(...phases.map((phase) => activationBytes(phase, pretraining(balance), { precision })));
  return { parameters, activations, base: BASE_BYTES, total: parameters + activations + BASE_BYTES };
}
