/** The hooks through which layers get their parameters and products, and the builder that most graphs use. */
import { ConfigError } from "../errors.ts";
import {
  add,
  constant,
  type Dim,
  f32,
  gather,
  type HeadProducts,
  i64,
  matmul,
  parameter,
  stopGradient,
  type Tensor,
} from "../tensor/index.ts";
import { headDims, type ModelConfig } from "./config.ts";
import { type Lora, type LowRank, loraKeys, loraScale, loraShapes } from "./lora.ts";
import { listParameters, type Parameter, tensorCount } from "./parameters.ts";
import { ropeInterleaved, ropeTable } from "./rope.ts";

/** How a linear layer multiplies: x_XI by a weight [O, I] -> [X, O]. Low-precision training puts its own here. */
export type Product = (x: Tensor, weight: Tensor, key: string) => Tensor;

/** Products of MLA's absorbed form with the halves of kv_b_proj: queries into the latent space, weighted latents out of it. */
export interface LatentProducts {
  /** q_HXN -> [H, X, C]. */
  toLatent(q_HXN: Tensor): Tensor;
  /** o_HXC -> [H, X, P]. */
  fromLatent(o_HXC: Tensor): Tensor;
}

/** Weights of a SwiGLU block: [F, D], [F, D] and [D, F]. */
export interface SwigluWeights {
  gate: Tensor;
  up: Tensor;
  down: Tensor;
}

/** Which rows fell to which expert. The A = X·K assignments stand in the order of the experts. */
export interface Routed {
  /** What the experts' results are added to. */
  onto_XD: Tensor;
  /** Routing weight, token and number x·K + k of every assignment. */
  weight_A1: Tensor;
  token_A1: Tensor;
  assignment_A: Tensor;
  /** Each expert's tokens, i64[n, 1], and their number. */
  tokens: Tensor[];
  counts_E: Tensor;
}

/**
 * How SwiGLU blocks compute, where low-precision training has its own way: one block of all rows -> down(silu(gate(x)) · up(x)), or a
 * layer's experts -> onto_XD + Σ weight · expert(x).
 */
export type Swiglu = (x_XD: Tensor, blocks: SwigluWeights[], routed?: Routed) => Tensor;

/** What the blocks build with: a config, its weights by checkpoint key, and how linear layers multiply. */
export interface ModelBuilder {
  readonly config: ModelConfig;
  /** The weight under a checkpoint key; copies of a tensor (MTP's embedding and head) give the original. */
  weight(key: string): Tensor;
  has(key: string): boolean;
  /** x_XI -> x · weightᵀ + bias, with its adapter's part where there is one, by the layer's key without `.weight`. */
  linear(x: Tensor, layer: string): Tensor;
  /** A linear layer's adapter. */
  lowRank(layer: string): LowRank | undefined;
  /** Rows of a table [n, D] by ids. */
  rows(key: string, ids: Tensor): Tensor;
  /** Products with the halves of a kv_b_proj weight that is no plain matrix; undefined for one that is. */
  latent(key: string): LatentProducts | undefined;
  readonly swiglu?: Swiglu;
  readonly head?: HeadProducts;
  /** The weights asked for so far, by key, in that order. */
  readonly used: ReadonlyMap<string, Tensor>;
}

export interface BuilderOptions {
  /** Where a weight comes from; by default a graph input named by its key. */
  source?: (key: string, shape: number[]) => Tensor;
  product?: Product;
  /** How a table's rows are taken; by default gathered, without a gradient. */
  rows?: (key: string, ids: Tensor, shape: readonly number[]) => Tensor | undefined;
  latent?: (key: string) => LatentProducts | undefined;
  swiglu?: Swiglu;
  /** The products of the loss's gradient. */
  head?: HeadProducts;
  /** Linear layers have adapters: their tensors are weights too, under `loraKeys`. */
  lora?: Lora;
}

/** A graph is written tensor by tensor, which takes minutes and gigabytes beyond this; DeepSeek-V3 has 47,000. */
export const GRAPH_TENSORS_MAX = 50_000;

/** Refuses a model of too many tensors before any is listed. Throws ConfigError. */
export function checkGraphSize(config: ModelConfig): void {
  const pieces = tensorCount(config);
  if (pieces > GRAPH_TENSORS_MAX)
    throw new ConfigError(
      `model: expected at most ${GRAPH_TENSORS_MAX.toLocaleString("en-US")} tensors for a model to be run here, its config means ${pieces.toLocaleString("en-US")}. \`sumbi inspect\` and \`sumbi plan\` take it`,
    );
}

/** Starts building a model. Throws ConfigError where it has too many tensors. */
export function modelBuilder(config: ModelConfig, options: BuilderOptions = {}): ModelBuilder {
  const {
    source = parameter,
    product = (x, w) => matmul(x, w, { transB: true }),
    rows,
    latent,
    swiglu,
    head,
    lora,
  } = options;
  checkGraphSize(config);
  const known = new Map<string, Pick<Parameter, "shape" | "sameAs">>(
    Array.from(listParameters(config), (p) => [p.key, p]),
  );
  if (lora) for (const [key, shape] of loraShapes(config, lora)) known.set(key, { shape });
  const used = new Map<string, Tensor>();
  const weight = (key: string): Tensor => {
    const info = known.get(key);
    if (info === undefined) throw new Error(`model: no weight ${key} in this ${config.model_type}`);
    const own = info.sameAs ?? key;
    let tensor = used.get(own);
    if (tensor === undefined) used.set(own, (tensor = source(own, info.shape)));
    return tensor;
  };
  const has = (key: string) => known.has(key);
  const lowRank = (layer: string): LowRank | undefined => {
    const { a, b } = loraKeys(layer);
    return lora && has(a) ? { a: weight(a), b: weight(b), scale: loraScale(lora) } : undefined;
  };
  return {
    config,
    weight,
    has,
    rows: (key, ids) => rows?.(key, ids, known.get(key)!.shape) ?? gather(stopGradient(weight(key)), ids),
    latent: (key) => latent?.(key),
    swiglu,
    head,
    used,
    lowRank,
    linear(x, layer) {
      const whole = product(x, weight(`${layer}.weight`), `${layer}.weight`);
      const low = lowRank(layer);
      const out = low
        ? add(whole, matmul(matmul(x, low.a, { transB: true, alpha: low.scale }), low.b, { transB: true }))
        : whole;
      return has(`${layer}.bias`) ? add(out, weight(`${layer}.bias`)) : out;
    },
  };
}

/** Positions of the tokens and the angles that go with them. */
export interface Rope {
  /** i64. */
  positions_BT: Tensor;
  /** [positions the tables know, R/2]. */
  cos: Tensor;
  sin: Tensor;
  interleaved: boolean;
}

/** Rope for a batch whose every row is positions 0 … T−1, all lengths known: what training uses. */
export function ropeFromStart(config: ModelConfig, batch: number, length: number): Rope {
  const positions = Array.from({ length: batch * length }, (_, i) => i % length);
  return ropeAt(config, constant(i64([batch, length], positions)), length);
}

/** Rope for positions given at run time, below `limit`. */
export function ropeAt(config: ModelConfig, positions_BT: Tensor, limit: number): Rope {
  const { cos, sin } = ropeTable(
    config,
    Array.from({ length: limit }, (_, i) => i),
  );
  const shape = [limit, headDims(config).rope / 2];
  return {
    positions_BT,
    cos: constant(f32(shape, cos)),
    sin: constant(f32(shape, sin)),
    interleaved: ropeInterleaved(config),
  };
}

/** Lengths of a batch of tokens and the flattened axis X = B·T. */
export interface Tokens {
  B: Dim;
  T: Dim;
  X: Dim;
}
