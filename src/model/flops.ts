/** Counts from a config alone: parameters, FLOPs of a token in training and decoding, bytes of cache and weights. */
import {
  cacheWidth,
  type DeepseekV32Config,
  headDims,
  isIndexed,
  isLatent,
  type ModelConfig,
  mixtureOf,
  mtpDepth,
} from "./config.ts";
import { type Part, parameterKinds } from "./parameters.ts";

export interface ParameterCount {
  total: number;
  /** What one token's computation goes through: K of E experts, one row of the embedding (all of it where it is the head too). Never over `total`. */
  active: number;
  parts: { part: Part; total: number; active: number }[];
}

/**
 * Counts parameters by part; `mtp` adds the multi-token-prediction modules (their copies of embedding and head are not counted twice).
 * DeepSeek-V3 without MTP: 671.0B total, 36.6B active (arXiv:2412.19437 says 671B and 37B).
 */
export function countParameters(config: ModelConfig, { mtp = false } = {}): ParameterCount {
  const parts = new Map<Part, { total: number; active: number }>();
  const { perToken, experts } = mixtureOf(config);
  for (const { shape, part, count, routed, sameAs } of parameterKinds(config)) {
    if (sameAs || (part === "MTP" && !mtp)) continue;
    const size = count * shape.reduce((a, b) => a * b, 1);
    const entry = parts.get(part) ?? { total: 0, active: 0 };
    entry.total += size;
    entry.active += part === "embedding" ? config.hidden_size : routed ? (size * perToken) / experts : size;
    parts.set(part, entry);
  }
  if (config.tie_word_embeddings) {
    // one matrix, counted once: stored as the embedding, all of it used as the head, the token's own row among the rest
    const size = config.vocab_size * config.hidden_size;
    parts.set("embedding", { total: size, active: 0 }).set("head", { total: 0, active: size });
  }
  const list = Array.from(parts, ([part, count]) => ({ part, total: count.total, active: Math.round(count.active) }));
  const sum = (pick: "total" | "active") => list.reduce((a, entry) => a + entry[pick], 0);
  return { total: sum("total"), active: sum("active"), parts: list };
}

/** The three numbers by which a model's size is told, everywhere in the same words (`parametersInWords`). */
export interface ParameterSummary {
  /** Of the model that answers, stored and used per token. */
  total: number;
  active: number;
  /** Of the MTP modules, on top of `total`: only training uses them. Their copies of embedding and head are not counted. */
  mtp: number;
}

export function summarizeParameters(config: ModelConfig): ParameterSummary {
  const { total, active } = countParameters(config);
  return { total, active, mtp: mtpDepth(config) > 0 ? countParameters(config, { mtp: true }).total - total : 0 };
}

export interface FlopOptions {
  /** Tokens a sequence holds. */
  sequence: number;
  /** Whether a token attends only to what came before (half the pairs) or to the whole sequence. Default true. */
  causal?: boolean;
  /** Whether the MTP modules run too. Default false. */
  mtp?: boolean;
}

export interface Flops {
  forward: number;
  /** Forward and backward: three times the forward. Recomputation, if any, comes on top. */
  training: number;
  /** Forward, by part; `scores` are the two products between tokens, `index scores` the indexer's, the rest weights times activations. */
  parts: { part: string; forward: number }[];
}

/**
 * FLOPs per token of a forward pass and of a training step, averaged over a sequence; a multiply and an add are two.
 * Counts matrix products only (norms, softmax, activations and the embedding lookup are left out), MLA in its expanded form.
 * DeepSeek-V3, 4096, causal, without MTP: 249.7 GFLOP trained (arXiv:2505.09343 §2: 385 TFLOP/s at 1,542 tokens/s and GPU).
 */
export function flopsPerToken(config: ModelConfig, { sequence, causal = true, mtp = false }: FlopOptions): Flops {
  const { hidden_size: D, vocab_size: V, num_hidden_layers: layers, num_attention_heads: H } = config;
  const depth = mtp ? mtpDepth(config) : 0;
  const { query, value } = headDims(config);
  const seen = causal ? (sequence + 1) / 2 : sequence;
  const attended = meanAttended(sequence, { causal, limit: isIndexed(config) ? config.index_topk : Infinity });
  const parts = new Map<string, number>();
  const add = (part: string, flops: number) => parts.set(part, (parts.get(part) ?? 0) + flops);
  for (const { part, active } of countMatrices(config, mtp)) add(part, 2 * active);
  add("scores", 2 * H * (query + value) * attended * (layers + depth));
  if (isIndexed(config)) add("index scores", indexFlopsPerPair(config) * seen * (layers + depth));
  if (depth > 0) add("MTP", 2 * V * D * depth);
  const list = Array.from(parts, ([part, forward]) => ({ part, forward }));
  const forward = list.reduce((a, entry) => a + entry.forward, 0);
  return { forward, training: 3 * forward, parts: list };
}

/** Keys that a token of a sequence attends to in the mean, where it attends to `limit` at most. */
export function meanAttended(sequence: number, { causal = true, limit = Infinity } = {}): number {
  if (!causal) return Math.min(sequence, limit);
  const full = Math.min(sequence, limit);
  return (full * (full + 1)) / 2 / sequence + (full * (sequence - full)) / sequence;
}

/** FLOPs of the indexer for a query and a key: a product a head, and the heads' weighted sum. */
const indexFlopsPerPair = ({ index_n_heads: U, index_head_dim: Z }: DeepseekV32Config): number => 2 * U * (Z + 1);

/** Active parameters of the matrices alone, by part. */
function countMatrices(config: ModelConfig, mtp: boolean): { part: Part; active: number }[] {
  const vectors = vectorSizes(config, mtp);
  return countParameters(config, { mtp })
    .parts.filter(({ part }) => part !== "embedding" && part !== "norms")
    .map(({ part, active }) => ({ part, active: active - (vectors.get(part) ?? 0) }));
}

/** Biases and norms by part: added or multiplied once, not part of a matrix product. */
function vectorSizes(config: ModelConfig, mtp: boolean): Map<Part, number> {
  const sizes = new Map<Part, number>();
  for (const {
    shape: [size = 0, ...rest],
    part,
    count,
  } of parameterKinds(config))
    if (rest.length === 0 && (part !== "MTP" || mtp)) sizes.set(part, (sizes.get(part) ?? 0) + count * size);
  return sizes;
}

/**
 * FLOPs of decoding one token when `context` tokens are cached. MLA in its absorbed form: queries meet the latent
 * itself, so a cached token costs (2C + R) products a head instead of N + R + P (arXiv:2405.04434 §2.1). With an indexer only the
 * chosen tokens do; the indexer itself looks at all.
 */
export function flopsPerDecodedToken(config: ModelConfig, { context }: { context: number }): number {
  const { num_hidden_layers: layers, num_attention_heads: H } = config;
  const matrices = countMatrices(config, false).reduce((a, { active }) => a + 2 * active, 0);
  const { query, value } = headDims(config);
  const perPair = isLatent(config) ? 2 * config.kv_lora_rank + config.qk_rope_head_dim : query + value;
  const [attended, index] = isIndexed(config)
    ? [Math.min(context + 1, config.index_topk), indexFlopsPerPair(config) * (context + 1)]
    : [context + 1, 0];
  return matrices + (2 * H * perPair * attended + index) * layers;
}

/** Bytes that every cached token takes over all layers; `bytesPerNumber` 2 is bf16. V3: 70,272. */
export const cacheBytesPerToken = (config: ModelConfig, bytesPerNumber = 2): number =>
  config.num_hidden_layers * cacheWidth(config) * bytesPerNumber;

/** Bytes of all weights at a width; `mtp` adds the MTP modules without their copies of embedding and head. */
export const weightBytes = (config: ModelConfig, bytesPerNumber = 2, { mtp = false } = {}): number =>
  countParameters(config, { mtp }).total * bytesPerNumber;
