/** The transformer: embedding, layers, head; over a whole sequence or behind a cache. */
import { add, type Dim, dimMul, gather, reshape, rmsNorm, scope, type Tensor } from "../tensor/index.ts";
import type { ModelBuilder, Rope, Tokens } from "./builder.ts";
import { headDims, isIndexed, isLatent, type ModelConfig } from "./config.ts";
import { feedForward } from "./ffn.ts";
import { cachedGroupedAttention, groupedAttention } from "./gqa.ts";
import { isMoeLayer } from "./mixture.ts";
import { cachedLatentAttention, latentAttention } from "./mla.ts";
import { mixture, type Routing } from "./moe.ts";
import { headKey } from "./parameters.ts";
import type { Past } from "./past.ts";

/** A tensor in which a sequence's past is kept: for each token `heads` rows of `width` numbers. */
export interface CacheRows {
  name: string;
  heads: number;
  width: number;
  /** Widths of what a row consists of: of very different size, perhaps. */
  parts: readonly number[];
}

/** The tensors in which a sequence's past is kept, in the order of the layers. */
export function cacheSpec(config: ModelConfig): CacheRows[] {
  return Array.from({ length: config.num_hidden_layers }, (_, i) => layerCacheSpec(config, i)).flat();
}

/** MLA: one row of latent and rope key, and one of the indexer's key where there is one. Grouped-query attention: each key head's key and value. */
export function layerCacheSpec(config: ModelConfig, i: number): CacheRows[] {
  if (isLatent(config)) {
    const { kv_lora_rank: C, qk_rope_head_dim: R } = config;
    const row = { name: `cache.${i}`, heads: 1, width: C + R, parts: [C, R] };
    if (!isIndexed(config)) return [row];
    const Z = config.index_head_dim;
    return [row, { name: `cache.${i}.index`, heads: 1, width: Z, parts: [Z] }];
  }
  const [heads, width] = [config.num_key_value_heads, headDims(config).value];
  return [
    { name: `cache.${i}.k`, heads, width, parts: [width] },
    { name: `cache.${i}.v`, heads, width, parts: [width] },
  ];
}

export interface LayerOptions {
  /** What a cache holds, of this layer alone or of all where the whole model is meant. */
  past?: Past;
}

/** One transformer layer: x_XD -> out_XD, the rows its cache gains, and what its experts decided if it has any. */
export function layer(
  model: ModelBuilder,
  x_XD: Tensor,
  i: number,
  rope: Rope,
  tokens: Tokens,
  { past }: LayerOptions = {},
) {
  const { config } = model;
  const at = `model.layers.${i}`;
  return scope(`layers.${i}`, () => {
    const normed = rmsNorm(x_XD, model.weight(`${at}.input_layernorm.weight`), config.rms_norm_eps);
    const { out_XD, rows } = scope("self_attn", () => attend(model, normed, `${at}.self_attn`, rope, tokens, past));
    const middle_XD = add(x_XD, out_XD);
    const normed2 = rmsNorm(middle_XD, model.weight(`${at}.post_attention_layernorm.weight`), config.rms_norm_eps);
    const mlp: { out_XD: Tensor; routing?: Routing } = scope("mlp", () =>
      isMoeLayer(config, i)
        ? mixture(model, normed2, `${at}.mlp`, tokens)
        : { out_XD: feedForward(model, normed2, `${at}.mlp`) },
    );
    return { out_XD: add(middle_XD, mlp.out_XD), rows, routing: mlp.routing };
  });
}

function attend(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  rope: Rope,
  tokens: Tokens,
  past: Past | undefined,
): { out_XD: Tensor; rows: Tensor[] } {
  if (isLatent(model.config))
    return past
      ? cachedLatentAttention(model, x_XD, at, rope, tokens, past)
      : latentAttention(model, x_XD, at, rope, tokens);
  const { out_XD, rows } = past
    ? cachedGroupedAttention(model, x_XD, at, rope, tokens, past)
    : groupedAttention(model, x_XD, at, rope, tokens);
  return { out_XD, rows: [rows.k, rows.v] };
}

/** The lengths of ids_BT. */
export const tokensOf = (ids_BT: Tensor): Tokens => {
  const [B, T] = ids_BT.shape as [Dim, Dim];
  return { B, T, X: dimMul(B, T) };
};

/**
 * Embedding rows of ids (any shape) -> [ids…, D]. No gradient reaches the table here: ask `grad` for these rows and add
 * them up by id outside the graph, which is many times faster.
 */
export const embed = (model: ModelBuilder, ids: Tensor): Tensor => model.rows("model.embed_tokens.weight", ids);

/** Everything up to the head: hidden_XD after the final norm, cache rows of all layers, and the mixtures' decisions. */
export function transformer(
  model: ModelBuilder,
  embedded_XD: Tensor,
  rope: Rope,
  tokens: Tokens,
  { past }: LayerOptions = {},
): { hidden_XD: Tensor; rows: Tensor[]; routings: Routing[] } {
  const { config } = model;
  const rows: Tensor[] = [];
  const routings: Routing[] = [];
  const perLayer = past ? past.rows.length / config.num_hidden_layers : 0;
  let x_XD = embedded_XD;
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const own = past && { ...past, rows: past.rows.slice(i * perLayer, (i + 1) * perLayer) };
    const out = layer(model, x_XD, i, rope, tokens, { past: own });
    x_XD = out.out_XD;
    rows.push(...out.rows);
    if (out.routing) routings.push(out.routing);
  }
  return { hidden_XD: rmsNorm(x_XD, model.weight("model.norm.weight"), config.rms_norm_eps), rows, routings };
}

/** hidden_XD -> logits_XV by the output head (the embedding, when tied). */
export function logits(model: ModelBuilder, hidden_XD: Tensor): Tensor {
  return scope("head", () => model.linear(hidden_XD, headKey(model.config).replace(/\.weight$/, "")));
}

/**
 * ids_BT (i64) -> logits of every token, or of the rows of X that `rows_L` (i64) names, with what the head got of every token (hidden_XD) and the
 * rows the caches gain. With a `past` the tokens follow those it holds, and `rope.positions_BT` must say so.
 */
export function languageModel(
  model: ModelBuilder,
  ids_BT: Tensor,
  rope: Rope,
  options: LayerOptions & { rows_L?: Tensor } = {},
): { logits: Tensor; hidden_XD: Tensor; rows: Tensor[]; routings: Routing[] } {
  const tokens = tokensOf(ids_BT);
  const embedded_XD = embed(model, reshape(ids_BT, [tokens.X]));
  const { hidden_XD, rows, routings } = transformer(model, embedded_XD, rope, tokens, options);
  const chosen = options.rows_L ? gather(hidden_XD, options.rows_L) : hidden_XD;
  return { logits: logits(model, chosen), hidden_XD, rows, routings };
}
