/** Families of mixtures of experts with grouped heads. */
import type { Ffn } from "../architecture.ts";
import { type Family, gated, heads, layersOf, pattern, rotary, windowed } from "./build.ts";
import type { Sizes } from "./sizes.ts";

type Moe = Extract<Ffn, { kind: "moe" }>;

const experts = (f: Sizes, count: string, width: string, shared = 0): Moe => ({
  kind: "moe",
  experts: f.experts(count),
  perToken: f.size("num_experts_per_tok"),
  width: f.size(width),
  shared,
});

/** Mixtral: experts in every layer. */
const mixtral: Family = {
  defaults: {
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    num_local_experts: 8,
    num_experts_per_tok: 2,
  },
  build: (f) => {
    const moe = experts(f, "num_local_experts", "intermediate_size");
    const attention = windowed(f, heads(f), "sliding_attention");
    return {
      ...rotary(f),
      ...layersOf(f.layers(), attention, moe),
    };
  },
};

/** MiniMax-M2: as Mixtral, with queries and keys normed over all heads together. */
const minimaxM2: Family = {
  defaults: {
    vocab_size: 200064,
    hidden_size: 3072,
    intermediate_size: 1536,
    num_hidden_layers: 62,
    num_attention_heads: 48,
    num_key_value_heads: 8,
    head_dim: 128,
    num_local_experts: 256,
    num_experts_per_tok: 8,
  },
  build: (f) => {
    const moe = experts(f, "num_local_experts", "intermediate_size");
    const attention = { ...heads(f), qkNorm: true, wideNorm: true };
    return {
      ...rotary(f),
      ...layersOf(f.layers(), attention, moe),
    };
  },
};

const olmoe: Family = {
  defaults: {
    vocab_size: 50304,
    hidden_size: 2048,
    intermediate_size: 2048,
    num_hidden_layers: 16,
    num_attention_heads: 16,
    num_experts: 64,
    num_experts_per_tok: 8,
  },
  build: (f) => {
    const moe = experts(f, "num_experts", "intermediate_size");
    const bias = f.flag("attention_bias");
    const attention = { ...heads(f), qkvBias: bias, outBias: bias, qkNorm: true, wideNorm: true };
    return {
      ...rotary(f),
      ...layersOf(f.layers(), attention, moe),
    };
  },
};

/** gpt-oss: every second layer sees a window, heads have sinks, everything has biases. */
const gptOss: Family = {
  defaults: {
    vocab_size: 201088,
    hidden_size: 2880,
    intermediate_size: 2880,
    num_hidden_layers: 36,
    num_attention_heads: 64,
    num_key_value_heads: 8,
    head_dim: 64,
    num_local_experts: 128,
    num_experts_per_tok: 4,
    sliding_window: 128,
    attention_bias: true,
  },
  build: (f) => {
    const layers = f.layers();
    const bias = f.flag("attention_bias");
    const base = { ...heads(f), qkvBias: bias, outBias: bias, sinks: true };
    const types = pattern(f, layers, (i) => (i % 2 === 0 ? "sliding_attention" : "full_attention"));
    const moe = { ...experts(f, "num_local_experts", "intermediate_size"), bias: true };
    return {
      ...rotary(f),
      ...layersOf(layers, (i) => windowed(f, base, types[i]!), moe),
    };
  },
};

/** Groups of experts that a token's may lie in, where routing limits them. */
function nodeLimit(f: Sizes): Pick<Moe, "nodeLimit"> {
  const [groups, limit] = [f.natural("n_group", 1), f.natural("topk_group", 1)];
  return groups > 1 ? { nodeLimit: { groups, limit } } : {};
}

/** GLM-4.5 and its kin: first layers dense, shared experts, an MTP module. */
const glm4Moe: Family = {
  defaults: {
    vocab_size: 151552,
    hidden_size: 4096,
    intermediate_size: 10944,
    num_hidden_layers: 46,
    num_attention_heads: 96,
    num_key_value_heads: 8,
    moe_intermediate_size: 1408,
    n_routed_experts: 128,
    n_shared_experts: 1,
    num_experts_per_tok: 8,
    first_k_dense_replace: 1,
  },
  build: (f) => {
    const first = f.natural("first_k_dense_replace");
    const attention = { ...heads(f), qkvBias: f.flag("attention_bias"), qkNorm: f.flag("use_qk_norm") };
    const dense = gated(f.size("intermediate_size"));
    const moe = {
      ...experts(f, "n_routed_experts", "moe_intermediate_size", f.natural("n_shared_experts")),
      ...nodeLimit(f),
    };
    return {
      ...rotary(f),
      ...layersOf(f.layers(), attention, (i) => (i < first ? dense : moe)),
      mtpDepth: f.natural("num_nextn_predict_layers"),
    };
  },
};

/** Qwen's rule: experts in every n-th layer but those listed. */
export function qwenExperts(f: Sizes, ffns: { dense: Ffn; moe: Ffn }): (layer: number) => Ffn {
  const step = f.natural("decoder_sparse_step", 1);
  const listed = f.list("mlp_only_layers") ?? [];
  return (i) => (!listed.includes(i) && step > 0 && (i + 1) % step === 0 ? ffns.moe : ffns.dense);
}

/** Qwen's experts with one shared, which a gate weighs; its width is stated apart. */
export const qwenMoe = (f: Sizes): Moe => {
  const moe = experts(f, "num_experts", "moe_intermediate_size");
  return { ...moe, shared: f.size("shared_expert_intermediate_size") / moe.width, sharedGate: true };
};

const qwen2Moe: Family = {
  defaults: {
    vocab_size: 151936,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    num_experts: 60,
    num_experts_per_tok: 4,
    moe_intermediate_size: 1408,
    shared_expert_intermediate_size: 5632,
    qkv_bias: true,
  },
  build: (f) => {
    const attention = { ...heads(f), qkvBias: f.flag("qkv_bias") };
    return {
      ...rotary(f),
      ...layersOf(
        f.layers(),
        attention,
        qwenExperts(f, { dense: gated(f.size("intermediate_size")), moe: qwenMoe(f) }),
      ),
    };
  },
};

/** Llama 4: three layers of four see chunks, experts in every n-th, one shared beside one chosen. */
const llama4: Family = {
  defaults: {
    vocab_size: 202048,
    hidden_size: 5120,
    intermediate_size: 8192,
    intermediate_size_mlp: 16384,
    num_hidden_layers: 48,
    num_attention_heads: 40,
    num_key_value_heads: 8,
    head_dim: 128,
    num_local_experts: 16,
    num_experts_per_tok: 1,
    interleave_moe_layer_step: 1,
    attention_chunk_size: 8192,
  },
  build: (f) => {
    const layers = f.layers();
    const bias = f.flag("attention_bias");
    const base = { ...heads(f), qkvBias: bias, outBias: bias };
    const chunk = f.optional("attention_chunk_size");
    const types = pattern(f, layers, (i) => ((i + 1) % 4 === 0 ? "full_attention" : "chunked_attention"));
    const step = f.size("interleave_moe_layer_step");
    const listed = f.list("moe_layers");
    const moe = experts(f, "num_local_experts", "intermediate_size", 1);
    const dense = gated(f.size("intermediate_size_mlp"));
    return {
      ...rotary(f),
      ...layersOf(
        layers,
        (i) => (types[i] === "chunked_attention" && chunk !== undefined ? { ...base, chunk } : base),
        (i) => ((listed ? listed.includes(i) : (i + 1) % step === 0) ? moe : dense),
      ),
    };
  },
};

export const MIXTURES: Record<string, Family> = {
  mixtral,
  minimax_m2: minimaxM2,
  olmoe,
  gpt_oss: gptOss,
  glm4_moe: glm4Moe,
  qwen2_moe: qwen2Moe,
  llama4_text: llama4,
};
