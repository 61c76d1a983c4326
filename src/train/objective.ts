/** What a step minimises, as the training graph sees it; and how a micro-batch is cut up for the cores. */
import type { ModelBuilder, ModelConfig, Routing } from "../model/index.ts";
import type { HostTensor, Tensor } from "../tensor/index.ts";

/**
 * A micro-batch is cut into shards of whole sequences, as many as there are lanes. A lane is a core with a graph session and gradients of
 * its own (`ParameterStore.lanes`); a shard is what one lane computes of one micro-batch.
 */
export interface Shard {
  /** Sequences, B. */
  sequences: number;
  /** Tokens of each that are read and followed by a prediction, T. */
  tokens: number;
}

/** What an objective made of a shard. */
export interface Minimised {
  /** Scalar: what this shard adds to the step's loss. */
  loss: Tensor;
  /** Scalars to be reported, each too what this shard adds to the step's. Not called "loss". */
  metrics: Record<string, Tensor>;
  /** Rows of the embedding that were read, [B·n, D]: those of each sequence's first n ids. Their gradient becomes the table's. */
  embedded: Tensor;
  /** What the mixture layers decided, in order: for their loads. */
  routings: readonly Routing[];
  /** [B·T, …] each, handed back whole: log-probabilities, entropies. */
  perToken?: Record<string, Tensor>;
}

/** Values of each token, made of ids and of other inputs: what a forward pass is asked for. */
export interface TokenValues {
  readonly name: string;
  /** Ids that a sequence has beyond the T tokens: at least the one that the last token is followed by. */
  extraIds(config: ModelConfig): number;
  /** f32 inputs besides the ids, by name, with their shapes for one shard: [] is fed alike to all, [B, …] is cut by sequences. */
  inputs(config: ModelConfig, shard: Shard): Record<string, number[]>;
  /** Inputs that stay as they are, of any shape: read in place, and not differentiated. */
  readonly fixed?: Readonly<Record<string, HostTensor<Float32Array>>>;
  /** Builds them from ids [B, T + extraIds] (i64; ~id is read and not trained) and all those inputs. */
  build(model: ModelBuilder, ids: Tensor, inputs: Record<string, Tensor>): Pick<Minimised, "perToken">;
}

/**
 * What is minimised: it knows nothing of steps, files or schedules. A step's loss is a sum over its shards, so that it cannot depend on how
 * the batch was cut: what normalizes it is fed, as a number of the whole step, among the objective's inputs.
 */
export interface Objective extends TokenValues {
  build(model: ModelBuilder, ids: Tensor, inputs: Record<string, Tensor>): Minimised;
}

/** One micro-batch, as an objective wants it. */
export interface Batch {
  /** [sequences, T + extraIds]; ~id is read and not trained. */
  ids: Int32Array;
  /** By the objective's names: a number for shape [], for [B, …] the values of all sequences. */
  inputs: Record<string, number | Float32Array>;
}
