/** Families whose attention is of their own making: DeepSeek-V4, Qwen3-Next and 3.5, Kimi Linear, GLM-5. */
import type { Attention, Ffn, ListedAttention } from "../architecture.ts";
import { type Family, gated, heads, layersOf, rotary } from "./build.ts";
import { qwenExperts, qwenMoe } from "./mixtures.ts";
import type { Sizes } from "./sizes.ts";

const TURNS = ["full_attention", "linear_attention"] as const;
type Turn = (typeof TURNS)[number];

/** Products of a token with a head's state of keys × values: what the key finds, what is written, what the query reads (arXiv:2412.06464 §2). */
const STATE_PRODUCTS = 3;

/** Gated DeltaNet: a state a head instead of keys, fed through short convolutions. */
function deltaNet(f: Sizes): ListedAttention {
  const hidden = f.size("hidden_size");
  const [keyHeads, valueHeads] = [f.size("linear_num_key_heads"), f.size("linear_num_value_heads")];
  const [key, value] = [f.size("linear_key_head_dim"), f.size("linear_value_head_dim")];
  const kernel = f.size("linear_conv_kernel_dim");
  const convolved = 2 * keyHeads * key + valueHeads * value;
  return {
    kind: "listed",
    heads: valueHeads,
    value,
    products: [
      { name: "queries, keys, values and gate", inner: hidden, outer: convolved + valueHeads * value },
      { name: "decay and rate", inner: hidden, outer: 2 * valueHeads },
      { name: "o", inner: valueHeads * value, outer: hidden },
    ],
    vectors: convolved * kernel + 2 * valueHeads + value,
    pairs: [],
    stateFlops: STATE_PRODUCTS * 2 * key * value * valueHeads,
    cached: [],
    state: valueHeads * key * value + convolved * (kernel - 1),
  };
}

const deltaDefaults = {
  head_dim: 256,
  linear_conv_kernel_dim: 4,
  linear_key_head_dim: 128,
  linear_value_head_dim: 128,
  linear_num_key_heads: 16,
  linear_num_value_heads: 32,
  full_attention_interval: 4,
};

/** Qwen since 3-Next: three layers of four are delta nets, the fourth gated attention. */
const qwenNext = (defaults: Record<string, unknown>, ffn: (f: Sizes) => (layer: number) => Ffn): Family => ({
  defaults: { ...deltaDefaults, ...defaults },
  build: (f) => {
    const layers = f.layers();
    const bias = f.flag("attention_bias");
    const full = { ...heads(f), qkvBias: bias, outBias: bias, qkNorm: true, gate: true };
    const delta = deltaNet(f);
    const every = f.size("full_attention_interval");
    const turns =
      f.perLayer<Turn>("layer_types", layers, TURNS) ??
      Array.from({ length: layers }, (_, i): Turn => ((i + 1) % every === 0 ? "full_attention" : "linear_attention"));
    return {
      ...rotary(f),
      ...layersOf(layers, (i): Attention => (turns[i] === "full_attention" ? full : delta), ffn(f)),
    };
  },
});

/** Kimi Linear: Kimi Delta Attention (a decay for every key dimension), every fourth layer MLA without positions. */
const kimiLinear: Family = {
  defaults: {
    vocab_size: 163840,
    hidden_size: 2304,
    intermediate_size: 9216,
    moe_intermediate_size: 1024,
    num_hidden_layers: 27,
    num_attention_heads: 32,
    num_experts: 256,
    num_experts_per_token: 8,
    num_shared_experts: 1,
    kv_lora_rank: 512,
    qk_rope_head_dim: 64,
    qk_nope_head_dim: 128,
    v_head_dim: 128,
    first_k_dense_replace: 1,
  },
  build: (f) => {
    const layers = f.layers();
    const linear = f.nested("linear_attn_config", { head_dim: 128, num_heads: 32, short_conv_kernel_size: 4 });
    const full = linear.list("full_attn_layers");
    const first = f.natural("first_k_dense_replace");
    const dense = gated(f.size("intermediate_size"));
    const moe: Ffn = {
      kind: "moe",
      experts: f.experts("num_experts"),
      perToken: f.size("num_experts_per_token"),
      width: f.size("moe_intermediate_size"),
      shared: f.natural("num_shared_experts"),
    };
    const mla: Attention = {
      kind: "mla",
      heads: f.size("num_attention_heads"),
      qRank: f.optional("q_lora_rank") ?? null,
      kvRank: f.size("kv_lora_rank"),
      nope: f.size("qk_nope_head_dim"),
      rope: f.size("qk_rope_head_dim"),
      value: f.size("v_head_dim"),
      bias: false,
    };
    const delta = kimiDelta(f.size("hidden_size"), linear);
    // Listed from 1 on; without a list transformers takes every fourth but the first.
    const isFull = (i: number) => (full ? full.includes(i + 1) : i > 0 && i % 4 === 0);
    return {
      ...rotary(f),
      ...layersOf(
        layers,
        (i) => (isFull(i) ? mla : delta),
        (i) => (i < first ? dense : moe),
      ),
    };
  },
};

function kimiDelta(hidden: number, f: Sizes): ListedAttention {
  const [heads, width, kernel] = [f.size("num_heads"), f.size("head_dim"), f.size("short_conv_kernel_size")];
  const all = heads * width;
  return {
    kind: "listed",
    heads,
    value: width,
    products: [
      { name: "queries, keys and values", inner: hidden, outer: 3 * all },
      { name: "decay and gate down", inner: hidden, outer: 2 * width, copied: true },
      { name: "decay up", inner: width, outer: all },
      { name: "gate up", inner: width, outer: all },
      { name: "rate", inner: hidden, outer: heads },
      { name: "o", inner: all, outer: hidden },
    ],
    vectors: 3 * all * kernel + all + heads + width,
    pairs: [],
    stateFlops: STATE_PRODUCTS * 2 * width * all,
    cached: [],
    state: width * all + 3 * all * (kernel - 1),
  };
}

const COMPRESSED = ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"] as const;
type Compressed = (typeof COMPRESSED)[number];
/** How the published files say it: tokens that one compressed key stands for. */
const BY_RATIO: Record<number, Compressed> = { 0: COMPRESSED[0], 4: COMPRESSED[1], 128: COMPRESSED[2] };
const RATE: Record<Compressed, number> = {
  sliding_attention: 0,
  compressed_sparse_attention: 4,
  heavily_compressed_attention: 128,
};

/**
 * DeepSeek-V4: one head of keys that are values too, a window of single tokens beside keys compressed 128 to 1 (all of them) or 4 to 1 (those an
 * indexer picks), a grouped low-rank output; four residual streams.
 */
const deepseekV4: Family = {
  defaults: {
    vocab_size: 129280,
    hidden_size: 4096,
    moe_intermediate_size: 2048,
    num_hidden_layers: 43,
    num_attention_heads: 64,
    head_dim: 512,
    q_lora_rank: 1024,
    o_groups: 8,
    o_lora_rank: 1024,
    n_routed_experts: 256,
    n_shared_experts: 1,
    num_experts_per_tok: 6,
    sliding_window: 128,
    index_n_heads: 64,
    index_head_dim: 128,
    index_topk: 512,
    hc_mult: 4,
    num_nextn_predict_layers: 1,
  },
  build: (f) => {
    const layers = f.layers();
    const moe: Ffn = {
      kind: "moe",
      experts: f.experts("n_routed_experts"),
      perToken: f.size("num_experts_per_tok"),
      width: f.size("moe_intermediate_size"),
      shared: f.natural("n_shared_experts"),
    };
    const kinds = compression(f, layers);
    return {
      ...rotary(f),
      ...layersOf(layers, (i) => compressed(f, kinds[i]!), moe),
      streams: f.size("hc_mult", 64),
      mtpDepth: f.natural("num_nextn_predict_layers"),
    };
  },
};

/** Each layer's kind of compression: by layer_types, by compress_ratios, else transformers' own pattern. */
function compression(f: Sizes, layers: number): Compressed[] {
  const listed = f.perLayer<Compressed>("layer_types", layers, COMPRESSED);
  if (listed) return listed;
  const ratios = f.perLayer("compress_ratios", layers, Object.keys(BY_RATIO).map(Number));
  if (ratios) return ratios.map((ratio) => BY_RATIO[ratio]!);
  return Array.from({ length: layers }, (_, i) => (i >= 2 && i % 2 === 1 ? COMPRESSED[1] : COMPRESSED[2]));
}

function compressed(f: Sizes, kind: Compressed): ListedAttention {
  const hidden = f.size("hidden_size");
  const [heads, width] = [f.size("num_attention_heads"), f.size("head_dim")];
  const [queries, groups, low] = [f.size("q_lora_rank"), f.size("o_groups"), f.size("o_lora_rank")];
  const [indexHeads, indexWidth] = [f.size("index_n_heads"), f.size("index_head_dim")];
  const every = RATE[kind];
  const sparse = kind === "compressed_sparse_attention";
  // overlapping windows: a key of 4 tokens is told from 8
  const wide = sparse ? 2 : 1;
  const flops = 2 * heads * 2 * width;
  const copied = true;
  return {
    kind: "listed",
    heads,
    value: width,
    products: [
      { name: "query latent and keys", inner: hidden, outer: queries + width, copied },
      ...(every > 0 ? [{ name: "compressed keys", inner: hidden, outer: 2 * wide * width, copied }] : []),
      ...(sparse
        ? [
            { name: "index keys and weights", inner: hidden, outer: 2 * wide * indexWidth + indexHeads, copied },
            { name: "index queries", inner: queries, outer: indexHeads * indexWidth, copied },
          ]
        : []),
      { name: "query up", inner: queries, outer: heads * width },
      { name: "output down", inner: (heads * width) / groups, outer: low, count: groups },
      { name: "output up", inner: groups * low, outer: hidden },
    ],
    vectors:
      heads +
      queries +
      width +
      (every > 0 ? every * wide * width + width : 0) +
      (sparse ? every * wide * indexWidth + indexWidth : 0),
    pairs: [
      { flops, every: 1, most: f.size("sliding_window") },
      ...(every > 0 ? [{ flops, every, ...(sparse && { most: f.size("index_topk") }) }] : []),
      ...(sparse ? [{ flops: 2 * indexHeads * (indexWidth + 1), every }] : []),
    ],
    stateFlops: 0,
    cached: [
      { numbers: width, every: 1, most: f.size("sliding_window") },
      ...(every > 0 ? [{ numbers: width + (sparse ? indexWidth : 0), every }] : []),
    ],
    state: 0,
  };
}

/** GLM-5: DeepSeek-V3.2's attention. */
const glmDsa: Family = {
  defaults: {
    vocab_size: 154880,
    hidden_size: 6144,
    intermediate_size: 12288,
    moe_intermediate_size: 2048,
    num_hidden_layers: 78,
    num_attention_heads: 64,
    n_shared_experts: 1,
    n_routed_experts: 256,
    num_experts_per_tok: 8,
    kv_lora_rank: 512,
    q_lora_rank: 2048,
    qk_rope_head_dim: 64,
    qk_nope_head_dim: 192,
    v_head_dim: 256,
    index_topk: 2048,
    index_head_dim: 128,
    index_n_heads: 32,
    first_k_dense_replace: 3,
  },
  build: (f) => {
    const first = f.natural("first_k_dense_replace");
    const dense = gated(f.size("intermediate_size"));
    const attention: Attention = {
      kind: "mla",
      heads: f.size("num_attention_heads"),
      qRank: f.size("q_lora_rank"),
      kvRank: f.size("kv_lora_rank"),
      nope: f.size("qk_nope_head_dim"),
      rope: f.size("qk_rope_head_dim"),
      value: f.size("v_head_dim"),
      bias: false,
      indexer: { heads: f.size("index_n_heads"), width: f.size("index_head_dim"), keys: f.size("index_topk") },
    };
    const moe: Ffn = {
      kind: "moe",
      experts: f.experts("n_routed_experts"),
      perToken: f.size("num_experts_per_tok"),
      width: f.size("moe_intermediate_size"),
      shared: f.natural("n_shared_experts"),
    };
    return {
      ...rotary(f),
      ...layersOf(f.layers(), attention, (i) => (i < first ? dense : moe)),
      mtpDepth: f.natural("num_nextn_predict_layers"),
    };
  },
};

const qwen35 = { vocab_size: 248320, num_attention_heads: 16 };
export const OWN: Record<string, Family> = {
  deepseek_v4: deepseekV4,
  kimi_linear: kimiLinear,
  glm_moe_dsa: glmDsa,
  qwen3_next: qwenNext(
    {
      vocab_size: 151936,
      intermediate_size: 5632,
      num_attention_heads: 16,
      num_key_value_heads: 2,
      num_experts: 512,
      num_experts_per_tok: 10,
      moe_intermediate_size: 512,
      shared_expert_intermediate_size: 512,
    },
    (f) => qwenExperts(f, { dense: gated(f.size("intermediate_size")), moe: qwenMoe(f) }),
  ),
  qwen3_5_text: qwenNext({ ...qwen35, num_key_value_heads: 4, intermediate_size: 12288 }, (f) => {
    const dense = gated(f.size("intermediate_size"));
    return () => dense;
  }),
  qwen3_5_moe_text: qwenNext(
    {
      ...qwen35,
      num_key_value_heads: 2,
      num_experts: 256,
      num_experts_per_tok: 8,
      moe_intermediate_size: 512,
      shared_expert_intermediate_size: 512,
    },
    (f) => {
      const moe = qwenMoe(f);
      return () => moe;
    },
  ),
};
