/** From an objective to a graph of its loss and gradients, not yet compiled. */
import { ConfigError, ShapeError } from "../errors.ts";
import { type BuilderOptions, type Lora, type ModelConfig, modelBuilder, trainableShapes } from "../model/index.ts";
import * as t from "../tensor/index.ts";
import { WHOLE } from "./byteRange.ts";
import { fp8Product } from "./fp8.ts";
import { int8Arithmetic } from "./int8.ts";
import type { Objective, Shard } from "./objective.ts";
import type { Recipe } from "./recipe.ts";
import type { Parameters } from "./store.ts";

/** What a training graph is written for: a model, and micro-batches of one size. */
export interface BatchShape {
  name: string;
  config: ModelConfig;
  /** Tokens of a sequence that are read and followed by a prediction. */
  sequence: number;
  /** Sequences in a micro-batch. */
  microBatch: number;
  /** Lanes that share a micro-batch. */
  lanes: number;
}

/** The part of a micro-batch that each lane computes. */
export const shardOf = ({ microBatch, lanes, sequence }: BatchShape): Shard => ({
  sequences: microBatch / lanes,
  tokens: sequence,
});

/** How linear layers multiply; `int8-gradients`: forward in f32, gradients in int8. */
export type Precision = Recipe["precision"] | "int8-gradients";

/** Whether weights are fed as bytes too. */
export const feedsBytes = (precision: Precision): boolean => precision.startsWith("int8");

export interface TraceOptions {
  precision: Precision;
  /** Adds the gradients to those fed in: a step has several micro-batches. */
  accumulate?: boolean;
  /** The provider that the graph is written for. */
  provider?: t.Provider;
  /** The largest byte of right operands in int8. */
  range?: number;
  /** Linear layers have adapters; f32 only. */
  lora?: Lora;
  /** Which weights' gradients are wanted; by default all that the loss may move. */
  trains?: (key: string) => boolean;
}

/** What the training graph is made of, before it is compiled. */
export interface TrainingGraph {
  onnx: t.OnnxGraph;
  /** The objective's inputs and their shapes for a shard. */
  inputs: Record<string, number[]>;
  /** Keys whose gradient the graph writes, as output `d key`. */
  gradients: string[];
  /** Names of the scalars it gives besides `loss`, as output `metric name`, and of the values of each token, as `token name`. */
  metrics: string[];
  perToken: string[];
  experts: number;
  layers: number;
}

/** Its gradient comes as rows and is added up outside the graph. */
export const EMBEDDING = "model.embed_tokens.weight";

/** int8's right operands stay within `range`. */
function arithmeticOf(precision: Precision, range: number): BuilderOptions {
  if (precision === "fp8") return { product: fp8Product };
  return feedsBytes(precision) ? int8Arithmetic(range, precision === "int8-gradients") : {};
}

/**
 * Traces an objective's loss and gradients for one shard: ids [B, T + extraIds] and the objective's inputs go in; the loss, metrics, values of
 * each token, loads, the gradient of every parameter and of the embedding's rows come out. Throws ConfigError.
 */
export function traceTraining(
  shape: BatchShape,
  objective: Objective,
  { precision, accumulate = false, provider = "cpu", range = WHOLE, lora, trains }: TraceOptions,
): TrainingGraph {
  const { config } = shape;
  const shard = shardOf(shape);
  if (lora && precision !== "f32")
    throw new ConfigError(`precision: expected "f32" where adapters are trained, got "${precision}"`);
  const model = modelBuilder(config, { ...arithmeticOf(precision, range), lora });
  const ids = t.input("ids", "i64", [shard.sequences, shard.tokens + objective.extraIds(config)]);
  const inputs = objective.inputs(config, shard);
  const made = objective.build(model, ids, inputTensors(objective, inputs));
  const trainable = trainableShapes(config);
  const isTrained = trains ?? ((key: string) => trainable.has(key));
  const weights = [...model.used].filter(
    ([key]) => isTrained(key) && (key !== EMBEDDING || config.tie_word_embeddings),
  );
  const embeds = isTrained(EMBEDDING);
  const wanted = [...(embeds ? [made.embedded] : []), ...weights.map(([, tensor]) => tensor)];
  const all = t.grad(made.loss, wanted);
  const [dRows, ...gradients] = embeds ? all : [undefined, ...all];
  const { metrics, perToken = {}, routings } = made;
  const read = Number(made.embedded.dim(0)) / shard.sequences;
  if (!Number.isInteger(read) || read > (ids.dim(1) as number))
    throw new ShapeError(
      `${objective.name}: expected embedded rows of the first ids of each of ${shard.sequences} sequences, got ${made.embedded}`,
    );
  const outputs: Record<string, t.Tensor> = { loss: made.loss };
  for (const [name, value] of Object.entries(metrics)) outputs[`metric ${name}`] = value;
  for (const [name, values] of Object.entries(perToken)) outputs[`token ${name}`] = values;
  routings.forEach((routing, i) => (outputs[`load ${i}`] = routing.load_E));
  if (dRows) outputs["rows"] = dRows;
  const written: string[] = [];
  gradients.forEach((gradient, i) => {
    const [key, weight] = weights[i]!;
    if (gradient === undefined) throw new ConfigError(`${objective.name}: the loss does not depend on ${key}`);
    outputs[`d ${key}`] = accumulate ? t.add(t.input(`sum ${key}`, "f32", weight.shape), gradient) : gradient;
    written.push(key);
  });
  return {
    onnx: t.toOnnx(outputs, { name: "train", provider }),
    inputs,
    gradients: written,
    metrics: Object.keys(metrics),
    perToken: Object.keys(perToken),
    layers: routings.length,
    experts: (routings[0]?.load_E.dim(0) as number) ?? 0,
  };
}

/** Everything that an objective is built of besides ids: what is fed of these shapes, and what is fixed. */
export const inputTensors = (
  { fixed = {} }: Pick<Objective, "fixed">,
  fed: Readonly<Record<string, number[]>>,
): Record<string, t.Tensor> =>
  Object.fromEntries(
    [...Object.entries(fed), ...Object.entries(fixed).map(([name, { shape }]) => [name, shape] as const)].map(
      ([name, dims]) => [name, t.input(name, "f32", dims)],
    ),
  );

/** The weights that a graph asks for, by key: the store's own, and those that its adapters stand beside. Throws ConfigError for blocks. */
export function parametersOf(graph: t.OnnxGraph, store: Parameters): Record<string, t.HostTensor> {
  const found: Record<string, t.HostTensor> = {};
  for (const name of Object.keys(graph.inputs)) {
    const weight = store.get(name);
    if (weight?.dtype === "blocks")
      throw new ConfigError(`${name}: expected weights in f32 to train beside, got blocks of ${weight.bits} bits`);
    if (weight) found[name] = weight;
  }
  return found;
}
