/** A model as the planner sees it: runs of equal layers, their attention and feed-forward blocks. */
import {
  attentionBias,
  headDims,
  isIndexed,
  isLatent,
  layerRuns,
  type ModelConfig,
  mixtureOf,
  mlpBias,
  mtpDepth,
  qkNorm,
} from "../model/config.ts";
import { meanAttended } from "../model/flops.ts";

/** How a layer's tokens meet. Head dims as in model/dims: gqa's queries, keys and values are `headDim` wide. */
export type Attention =
  | {
      kind: "gqa";
      heads: number;
      kvHeads: number;
      headDim: number;
      qkvBias: boolean;
      outBias: boolean;
      qkNorm: boolean;
      /** The norm's gains are as wide as all heads together (OLMo 2), not as one. */
      wideNorm?: boolean;
      /** Queries come with a gate for the heads' outputs, as wide as they (Qwen3-Next). */
      gate?: boolean;
      /** A learned score a head, to which weight can go instead of to a key (gpt-oss). */
      sinks?: boolean;
      /** Keys a token attends to at most: itself and those just before it. */
      window?: number;
      /** Or: those since the last multiple of `chunk` (Llama 4). */
      chunk?: number;
    }
  | {
      kind: "mla";
      heads: number;
      qRank: number | null;
      kvRank: number;
      nope: number;
      rope: number;
      value: number;
      bias: boolean;
      /** Chooses the `keys` that a token attends to (V3.2): heads of `width` against one key a token. Copied by tensor parallelism. */
      indexer?: { heads: number; width: number; keys: number };
    }
  | ListedAttention;

/** An attention of its own making (Gated DeltaNet, DeepSeek-V4's): its products one by one, and what meets what. */
export interface ListedAttention {
  kind: "listed";
  heads: number;
  /** Width of a head's output. */
  value: number;
  /** `count` products x[T, inner] · w[inner, outer], in order, the last one out of the attention. Tensor parallelism splits them by heads, or copies them. */
  products: { name: string; inner: number; outer: number; count?: number; copied?: boolean }[];
  /** Parameters that are in no product: norms, biases, short convolutions. */
  vectors: number;
  /** FLOPs of a query and a key over all heads, for keys that stand for `every` tokens each, `most` of them attended to. */
  pairs: { flops: number; every: number; most?: number }[];
  /** FLOPs of a token over all heads however long the sequence: a state read and written. */
  stateFlops: number;
  /** Numbers kept of a sequence: `numbers` for each `every` tokens, for `most` of them at most; and a state of `state`. */
  cached: { numbers: number; every: number; most?: number }[];
  state: number;
}

/** A layer's feed-forward part. `gated` has three matrices (SwiGLU), else two. */
export type Ffn =
  | { kind: "dense"; width: number; gated: boolean; bias: boolean }
  | {
      kind: "moe";
      experts: number;
      perToken: number;
      /** Of one expert, routed or shared; experts are gated. */
      width: number;
      /** Shared experts, run as one of shared · width. */
      shared: number;
      /** A gate for the shared expert's output: a product of one column (Qwen2-MoE). */
      sharedGate?: boolean;
      /** Biases of the router and of every expert's products (gpt-oss). */
      bias?: boolean;
      /** A token's experts lie in at most `limit` of `groups` groups, a group being what a node holds. */
      nodeLimit?: { groups: number; limit: number };
    };

export interface LayerRun {
  count: number;
  attention: Attention;
  ffn: Ffn;
}

/** What the planner knows of a model: sizes alone. */
export interface Architecture {
  name: string;
  hidden: number;
  vocab: number;
  /** Output head and embedding are one matrix. */
  tied: boolean;
  /** Runs of equal layers, in order; with `order`, kinds of layers and how many of each there are. */
  layers: LayerRun[];
  /** Which of `layers` each layer is, where kinds take turns. */
  order?: readonly number[];
  /** Multi-token-prediction modules: two norms, a [D, 2D] projection, a layer as the last one, a norm; embedding and head are shared. */
  mtpDepth: number;
  /** Learned positions, where the model has them. */
  positions?: number;
  /** "layer": a LayerNorm with a bias beside its gain; "rms": gains alone, whatever is subtracted. */
  norm: "rms" | "layer";
  /** Norms of a layer: 1 where attention and feed-forward stand side by side under one, 4 where their outputs pass one too (Gemma 2). Default 2. */
  layerNorms?: 1 | 2 | 4;
  /** Residual streams that hyper-connections mix before and after each half of a layer (DeepSeek-V4). Default 1, unmixed. */
  streams?: number;
  /** The embedding passes a norm of its own (BLOOM). */
  embeddingNorm?: boolean;
  /** What is left out of the count, for people: a vision tower, say. */
  without?: string;
  /** Trained with dropout: its masks are kept. */
  dropout: boolean;
}

/** The planner's view of a config.json. */
export function architectureOf(config: ModelConfig, name: string = config.model_type): Architecture {
  const layers = layerRuns(config).map(({ count, moe }) => ({
    count,
    attention: attentionOf(config),
    ffn: ffnOf(config, moe),
  }));
  return {
    name,
    hidden: config.hidden_size,
    vocab: config.vocab_size,
    tied: config.tie_word_embeddings,
    layers,
    mtpDepth: mtpDepth(config),
    norm: "rms",
    dropout: false,
  };
}

function attentionOf(config: ModelConfig): Attention {
  const heads = config.num_attention_heads;
  const { nope, rope, query, value } = headDims(config);
  if (isLatent(config))
    return {
      kind: "mla",
      heads,
      qRank: config.q_lora_rank,
      kvRank: config.kv_lora_rank,
      nope,
      rope,
      value,
      bias: config.attention_bias,
      ...(isIndexed(config) && {
        indexer: { heads: config.index_n_heads, width: config.index_head_dim, keys: config.index_topk },
      }),
    };
  const bias = attentionBias(config);
  return {
    kind: "gqa",
    heads,
    kvHeads: config.num_key_value_heads,
    headDim: query,
    qkvBias: bias.qkv,
    outBias: bias.out,
    qkNorm: qkNorm(config),
  };
}

function ffnOf(config: ModelConfig, moe: boolean): Ffn {
  if (!moe) return { kind: "dense", width: config.intermediate_size, gated: true, bias: mlpBias(config) };
  const { experts, perToken, width, shared, groups } = mixtureOf(config);
  return {
    kind: "moe",
    experts,
    perToken,
    width,
    shared,
    ...(groups && { nodeLimit: { groups: groups.count, limit: groups.kept } }),
  };
}

export interface GptShape {
  name?: string;
  hidden: number;
  heads: number;
  layers: number;
  vocab: number;
  /** Default 4 · hidden. */
  width?: number;
  gated?: boolean;
  tied?: boolean;
  /** Learned positions; absent where they are rotary. */
  positions?: number;
  /** Default true: GPT-2 and Megatron trained with it. */
  dropout?: boolean;
}

/** A GPT-2-like model (Megatron, Pythia, GLM): all heads have keys, biases everywhere, LayerNorm, GELU over 4 · hidden. */
export function gptArchitecture(shape: GptShape): Architecture {
  const { hidden, heads, layers, vocab, positions } = shape;
  return {
    name: shape.name ?? "gpt",
    hidden,
    vocab,
    tied: shape.tied ?? true,
    layers: [
      {
        count: layers,
        attention: {
          kind: "gqa",
          heads,
          kvHeads: heads,
          headDim: hidden / heads,
          qkvBias: true,
          outBias: true,
          qkNorm: false,
        },
        ffn: { kind: "dense", width: shape.width ?? 4 * hidden, gated: shape.gated ?? false, bias: true },
      },
    ],
    mtpDepth: 0,
    ...(positions !== undefined && { positions }),
    norm: "layer",
    dropout: shape.dropout ?? true,
  };
}

/** The layer an MTP module holds: as the last one. */
export const mtpLayer = ({ layers, order }: Architecture): LayerRun => ({
  ...layers.at(order?.at(-1) ?? -1)!,
  count: 1,
});

/** Which of `layers` each layer is, from the first on. */
export const layerOrder = ({ layers, order }: Pick<Architecture, "layers" | "order">): readonly number[] =>
  order ?? layers.flatMap(({ count }, run) => Array<number>(count).fill(run));

export const layerCount = (architecture: Architecture): number =>
  architecture.layers.reduce((a, { count }) => a + count, 0);

/** Widths of a query-key head and a value head. */
export function headWidths(a: Attention): { query: number; value: number } {
  if (a.kind === "listed") return { query: a.value, value: a.value };
  return a.kind === "mla" ? { query: a.nope + a.rope, value: a.value } : { query: a.headDim, value: a.headDim };
}

/** Parameters of the attention's matrices; those of MLA's down-projections and of the indexer apart, since tensor parallelism copies them. */
export function attentionMatrices(a: Attention, hidden: number): { split: number; copied: number } {
  if (a.kind === "gqa") return { split: hidden * a.headDim * ((a.gate ? 3 : 2) * a.heads + 2 * a.kvHeads), copied: 0 };
  if (a.kind === "listed") {
    const sum = { split: 0, copied: 0 };
    for (const { inner, outer, count = 1, copied } of a.products)
      sum[copied ? "copied" : "split"] += inner * outer * count;
    return sum;
  }
  const { query } = headWidths(a);
  const up =
    (a.qRank ?? hidden) * a.heads * query + a.kvRank * a.heads * (a.nope + a.value) + a.heads * a.value * hidden;
  const { heads = 0, width = 0 } = a.indexer ?? {};
  const index = (a.qRank ?? hidden) * heads * width + hidden * (heads + width);
  return { split: up, copied: hidden * ((a.qRank ?? 0) + a.kvRank + a.rope) + index };
}

/** Norms' gains and biases of the attention. */
export function attentionVectors(a: Attention, hidden: number): number {
  if (a.kind === "listed") return a.vectors;
  if (a.kind === "gqa")
    return (
      (a.qkvBias ? a.headDim * ((a.gate ? 2 : 1) * a.heads + 2 * a.kvHeads) : 0) +
      (a.outBias ? hidden : 0) +
      (a.qkNorm ? a.headDim * (a.wideNorm ? a.heads + a.kvHeads : 2) : 0) +
      (a.sinks ? a.heads : 0)
    );
  return (
    (a.qRank ?? 0) + a.kvRank + 2 * (a.indexer?.width ?? 0) + (a.bias ? (a.qRank ?? 0) + a.kvRank + a.rope + hidden : 0)
  );
}

export const normSize = (architecture: Pick<Architecture, "hidden" | "norm">): number =>
  architecture.hidden * (architecture.norm === "layer" ? 2 : 1);

/** Parameters of one hyper-connection: n streams in, n out and n² between them told from all streams, a bias and a scale of each kind. */
function mixing({ hidden, streams = 1 }: Architecture): number {
  const kinds = 2 * streams + streams ** 2;
  return streams > 1 ? kinds * streams * hidden + kinds + 3 : 0;
}
/** Parameters before the head: the last norm, and what makes its input of the streams. */
export const finalParameters = (architecture: Architecture): number => {
  const { hidden, streams = 1 } = architecture;
  return normSize(architecture) + (streams > 1 ? streams * streams * hidden + streams + 1 : 0);
};

/** Parameters of one layer by what they do. `routed` counts all experts. */
export function layerParameters(architecture: Architecture, { attention, ffn }: LayerRun) {
  const D = architecture.hidden;
  const matrices = attentionMatrices(attention, D);
  const parts = {
    attention: matrices.split + matrices.copied + attentionVectors(attention, D),
    dense: 0,
    router: 0,
    routed: 0,
    shared: 0,
    norms: (architecture.layerNorms ?? 2) * normSize(architecture) + 2 * mixing(architecture),
  };
  if (ffn.kind === "dense")
    parts.dense = (ffn.gated ? 3 : 2) * D * ffn.width + (ffn.bias ? (ffn.gated ? 2 : 1) * ffn.width + D : 0);
  else {
    const bias = ffn.bias ? 1 : 0;
    parts.router = (D + bias) * ffn.experts;
    parts.routed = (3 * D * ffn.width + bias * (2 * ffn.width + D)) * ffn.experts;
    parts.shared = 3 * D * ffn.width * ffn.shared + (ffn.sharedGate ? D : 0);
  }
  return parts;
}

const sum = (parts: Record<string, number>): number => Object.values(parts).reduce((a, b) => a + b, 0);

/** Trained parameters (a router's correction bias is none); `active` counts K of E experts, one row of the embedding. */
export function parameterCount(architecture: Architecture, { mtp = false } = {}): { total: number; active: number } {
  const { hidden: D, vocab, tied, positions = 0, mtpDepth: depth, embeddingNorm } = architecture;
  const norms = (embeddingNorm ? normSize(architecture) : 0) + finalParameters(architecture);
  let total = vocab * D * (tied ? 1 : 2) + positions * D + norms;
  let active = D + vocab * D + (positions > 0 ? D : 0) + norms;
  const add = (run: LayerRun, count: number) => {
    const parts = layerParameters(architecture, run);
    total += count * sum(parts);
    active +=
      count *
      (sum(parts) - parts.routed + (run.ffn.kind === "moe" ? (parts.routed * run.ffn.perToken) / run.ffn.experts : 0));
  };
  for (const run of architecture.layers) add(run, run.count);
  if (mtp && depth > 0) {
    add(mtpLayer(architecture), depth);
    const own = depth * (2 * D * D + 3 * normSize(architecture));
    total += own;
    active += own;
  }
  return { total, active };
}

/** Multiply-adds of the indexer for a query and a key: a product a head, and the heads' weighted sum. */
const indexPairs = (a: Attention): number =>
  a.kind === "mla" && a.indexer ? a.indexer.heads * (a.indexer.width + 1) : 0;

/** Keys a token attends to at most, however long the sequence; Infinity where all. */
export const mostKeys = (a: Exclude<Attention, ListedAttention>): number =>
  (a.kind === "mla" ? a.indexer?.keys : (a.window ?? a.chunk)) ?? Number.POSITIVE_INFINITY;

/** Keys a token attends to in the mean of a sequence. */
export function attendedKeys(
  a: Exclude<Attention, ListedAttention>,
  { sequence, causal = true }: Pick<FlopOptions, "sequence" | "causal">,
): number {
  if (a.kind === "mla" || a.chunk === undefined || !causal)
    return meanAttended(sequence, { causal, limit: mostKeys(a) });
  const rest = sequence % a.chunk;
  const whole = sequence - rest;
  return (whole * (a.chunk + 1) + rest * (rest + 1)) / 2 / sequence;
}

/** FLOPs of a token's scores and values over the keys it attends to, and of the indexer over all it sees, in the mean of a sequence; `heads` of them. */
export function coreFlops(
  a: Attention,
  { sequence, causal = true }: Pick<FlopOptions, "sequence" | "causal">,
  heads = a.heads,
): { attention: number; scores: number; index: number } {
  if (a.kind === "listed") {
    const pairs = a.pairs.reduce(
      (sum, { flops, every, most }) =>
        sum + (flops * meanAttended(sequence, { causal, limit: (most ?? Number.POSITIVE_INFINITY) * every })) / every,
      0,
    );
    const share = heads / a.heads;
    return { attention: (pairs + a.stateFlops) * share, scores: (pairs / 2) * share, index: 0 };
  }
  const { query, value } = headWidths(a);
  const attended = attendedKeys(a, { sequence, causal });
  const index = 2 * indexPairs(a) * meanAttended(sequence, { causal });
  return { attention: 2 * heads * (query + value) * attended, scores: 2 * heads * query * attended, index };
}

/** Forward FLOPs per token of one layer's products, in the mean of a sequence. */
export function layerFlops(
  { attention, ffn }: LayerRun,
  hidden: number,
  at: Pick<FlopOptions, "sequence" | "causal">,
): number {
  const matrices = attentionMatrices(attention, hidden);
  const core = coreFlops(attention, at);
  const feed =
    ffn.kind === "dense"
      ? (ffn.gated ? 3 : 2) * hidden * ffn.width
      : hidden * (ffn.experts + (ffn.sharedGate ? 1 : 0)) + 3 * hidden * ffn.width * (ffn.perToken + ffn.shared);
  return 2 * (matrices.split + matrices.copied + feed) + core.attention + core.index;
}

export interface FlopOptions {
  sequence: number;
  /** Default true: a token meets itself and those before it. */
  causal?: boolean;
  mtp?: boolean;
}

/** FLOPs per token, of a forward pass and of training (three times that), by the layers' sum; agrees with model/flops. */
export function flopsPerToken(
  architecture: Architecture,
  { sequence, causal = true, mtp = false }: FlopOptions,
): { forward: number; training: number } {
  const { hidden: D, vocab } = architecture;
  const at = { sequence, causal };
  let forward = 2 * D * vocab;
  for (const run of architecture.layers) forward += run.count * layerFlops(run, D, at);
  if (mtp) forward += architecture.mtpDepth * (layerFlops(mtpLayer(architecture), D, at) + 2 * D * vocab + 4 * D * D);
  return { forward, training: 3 * forward };
}
