/** Shapes of published models, by name. */
import { ConfigError } from "../errors.ts";
import { type ModelConfig, parseConfig } from "./config.ts";

/**
 * Shapes of published models: the fields of their config.json that decide sizes, FLOPs and positions, as of 2025-11.
 * Source of each: https://huggingface.co/<repository>/blob/main/config.json.
 */
const yarn40 = (mscale: number) => ({
  type: "yarn",
  factor: 40,
  beta_fast: 32,
  beta_slow: 1,
  mscale,
  mscale_all_dim: mscale,
  original_max_position_embeddings: 4096,
});
const llama31 = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

const v3 = {
  model_type: "deepseek_v3",
  vocab_size: 129280,
  hidden_size: 7168,
  intermediate_size: 18432,
  moe_intermediate_size: 2048,
  num_hidden_layers: 61,
  num_attention_heads: 128,
  num_key_value_heads: 128,
  q_lora_rank: 1536,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  n_routed_experts: 256,
  n_shared_experts: 1,
  num_experts_per_tok: 8,
  n_group: 8,
  topk_group: 4,
  first_k_dense_replace: 3,
  routed_scaling_factor: 2.5,
  norm_topk_prob: true,
  scoring_func: "sigmoid",
  topk_method: "noaux_tc",
  num_nextn_predict_layers: 1,
  max_position_embeddings: 163840,
  rope_theta: 10000,
  rope_scaling: yarn40(1),
  rms_norm_eps: 1e-6,
  bos_token_id: 0,
  eos_token_id: 1,
};
const v2 = {
  model_type: "deepseek_v2",
  vocab_size: 102400,
  hidden_size: 5120,
  intermediate_size: 12288,
  moe_intermediate_size: 1536,
  num_hidden_layers: 60,
  num_attention_heads: 128,
  num_key_value_heads: 128,
  q_lora_rank: 1536,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  n_routed_experts: 160,
  n_shared_experts: 2,
  num_experts_per_tok: 6,
  n_group: 8,
  topk_group: 3,
  first_k_dense_replace: 1,
  routed_scaling_factor: 16,
  norm_topk_prob: false,
  scoring_func: "softmax",
  topk_method: "group_limited_greedy",
  max_position_embeddings: 163840,
  rope_theta: 10000,
  rope_scaling: yarn40(0.707),
  rms_norm_eps: 1e-6,
  bos_token_id: 100000,
  eos_token_id: 100001,
};
const llama31Base = {
  model_type: "llama",
  vocab_size: 128256,
  num_key_value_heads: 8,
  max_position_embeddings: 131072,
  rope_theta: 500000,
  rope_scaling: llama31,
  rms_norm_eps: 1e-5,
  bos_token_id: 128000,
  eos_token_id: 128001,
};
const llama8 = {
  ...llama31Base,
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
};
const llama70 = {
  ...llama31Base,
  hidden_size: 8192,
  intermediate_size: 28672,
  num_hidden_layers: 80,
  num_attention_heads: 64,
};
const qwen2 = { model_type: "qwen2", rms_norm_eps: 1e-6, rope_theta: 1000000, max_position_embeddings: 131072 };
const qwen1_5 = {
  ...qwen2,
  vocab_size: 151936,
  hidden_size: 1536,
  intermediate_size: 8960,
  num_hidden_layers: 28,
  num_attention_heads: 12,
  num_key_value_heads: 2,
  tie_word_embeddings: true,
};
const qwen7 = {
  ...qwen2,
  vocab_size: 152064,
  hidden_size: 3584,
  intermediate_size: 18944,
  num_hidden_layers: 28,
  num_attention_heads: 28,
  num_key_value_heads: 4,
};
const qwen14 = {
  ...qwen2,
  vocab_size: 152064,
  hidden_size: 5120,
  intermediate_size: 13824,
  num_hidden_layers: 48,
  num_attention_heads: 40,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
};
const qwen32 = { ...qwen14, intermediate_size: 27648, num_hidden_layers: 64 };
const qwen3 = {
  model_type: "qwen3",
  vocab_size: 151936,
  hidden_size: 4096,
  intermediate_size: 12288,
  num_hidden_layers: 36,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000,
  max_position_embeddings: 40960,
};
const qwen3Moe = {
  ...qwen3,
  model_type: "qwen3_moe",
  hidden_size: 2048,
  intermediate_size: 6144,
  moe_intermediate_size: 768,
  num_hidden_layers: 48,
  num_key_value_heads: 4,
  num_experts: 128,
  num_experts_per_tok: 8,
  norm_topk_prob: true,
  decoder_sparse_step: 1,
  mlp_only_layers: [],
};
/** The R1 distills of Qwen2.5-Math start from a model with theta 10,000; theirs unties the head. */
const distillMath = { rope_theta: 10000, tie_word_embeddings: false, bos_token_id: 151646, eos_token_id: 151643 };
const distillQwen = { bos_token_id: 151646, eos_token_id: 151643, rms_norm_eps: 1e-5 };

interface Preset {
  repository: string;
  config: Record<string, unknown>;
}

export const PRESETS: Record<string, Preset> = {
  "deepseek-v3": { repository: "deepseek-ai/DeepSeek-V3", config: v3 },
  "deepseek-r1": { repository: "deepseek-ai/DeepSeek-R1", config: v3 },
  "deepseek-v3.2": {
    repository: "deepseek-ai/DeepSeek-V3.2",
    config: { ...v3, model_type: "deepseek_v32", index_n_heads: 64, index_head_dim: 128, index_topk: 2048 },
  },
  "deepseek-v2": { repository: "deepseek-ai/DeepSeek-V2", config: v2 },
  "deepseek-v2-lite": {
    repository: "deepseek-ai/DeepSeek-V2-Lite",
    config: {
      ...v2,
      hidden_size: 2048,
      intermediate_size: 10944,
      moe_intermediate_size: 1408,
      num_hidden_layers: 27,
      num_attention_heads: 16,
      num_key_value_heads: 16,
      q_lora_rank: null,
      n_routed_experts: 64,
      n_group: 1,
      topk_group: 1,
      routed_scaling_factor: 1,
      topk_method: "greedy",
    },
  },
  "deepseek-moe-16b": {
    repository: "deepseek-ai/deepseek-moe-16b-base",
    config: {
      model_type: "deepseek",
      vocab_size: 102400,
      hidden_size: 2048,
      intermediate_size: 10944,
      moe_intermediate_size: 1408,
      num_hidden_layers: 28,
      num_attention_heads: 16,
      num_key_value_heads: 16,
      n_routed_experts: 64,
      n_shared_experts: 2,
      num_experts_per_tok: 6,
      first_k_dense_replace: 1,
      moe_layer_freq: 1,
      norm_topk_prob: false,
      scoring_func: "softmax",
      max_position_embeddings: 4096,
      rope_theta: 10000,
      rms_norm_eps: 1e-6,
      bos_token_id: 100000,
      eos_token_id: 100001,
    },
  },
  "deepseek-llm-7b": {
    repository: "deepseek-ai/deepseek-llm-7b-base",
    config: {
      model_type: "llama",
      vocab_size: 102400,
      hidden_size: 4096,
      intermediate_size: 11008,
      num_hidden_layers: 30,
      num_attention_heads: 32,
      num_key_value_heads: 32,
      max_position_embeddings: 4096,
      rope_theta: 10000,
      rms_norm_eps: 1e-6,
      bos_token_id: 100000,
      eos_token_id: 100001,
    },
  },
  "deepseek-llm-67b": {
    repository: "deepseek-ai/deepseek-llm-67b-base",
    config: {
      model_type: "llama",
      vocab_size: 102400,
      hidden_size: 8192,
      intermediate_size: 22016,
      num_hidden_layers: 95,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      max_position_embeddings: 4096,
      rope_theta: 10000,
      rms_norm_eps: 1e-6,
      bos_token_id: 100000,
      eos_token_id: 100001,
    },
  },
  "moonlight-16b-a3b": {
    repository: "moonshotai/Moonlight-16B-A3B",
    config: {
      ...v3,
      vocab_size: 163840,
      hidden_size: 2048,
      intermediate_size: 11264,
      moe_intermediate_size: 1408,
      num_hidden_layers: 27,
      num_attention_heads: 16,
      num_key_value_heads: 16,
      q_lora_rank: null,
      n_routed_experts: 64,
      n_shared_experts: 2,
      num_experts_per_tok: 6,
      n_group: 1,
      topk_group: 1,
      first_k_dense_replace: 1,
      routed_scaling_factor: 2.446,
      num_nextn_predict_layers: 0,
      max_position_embeddings: 8192,
      rope_theta: 50000,
      rope_scaling: null,
      rms_norm_eps: 1e-5,
      bos_token_id: 163584,
      eos_token_id: 163585,
    },
  },
  "kimi-k2": {
    repository: "moonshotai/Kimi-K2-Instruct",
    config: {
      ...v3,
      model_type: "kimi_k2",
      vocab_size: 163840,
      num_attention_heads: 64,
      num_key_value_heads: 64,
      n_routed_experts: 384,
      n_group: 1,
      topk_group: 1,
      first_k_dense_replace: 1,
      routed_scaling_factor: 2.827,
      num_nextn_predict_layers: 0,
      max_position_embeddings: 131072,
      rope_theta: 50000,
      rope_scaling: { ...yarn40(1), factor: 32, beta_fast: 1 },
      bos_token_id: 163584,
      eos_token_id: 163585,
    },
  },
  "llama-3.1-8b": { repository: "meta-llama/Llama-3.1-8B", config: llama8 },
  "llama-3.1-70b": { repository: "meta-llama/Llama-3.1-70B", config: llama70 },
  "llama-3.1-405b": {
    repository: "meta-llama/Llama-3.1-405B",
    config: {
      ...llama31Base,
      hidden_size: 16384,
      intermediate_size: 53248,
      num_hidden_layers: 126,
      num_attention_heads: 128,
    },
  },
  "qwen2.5-1.5b": { repository: "Qwen/Qwen2.5-1.5B", config: qwen1_5 },
  "qwen2.5-7b": { repository: "Qwen/Qwen2.5-7B", config: qwen7 },
  "qwen2.5-14b": { repository: "Qwen/Qwen2.5-14B", config: qwen14 },
  "qwen2.5-32b": { repository: "Qwen/Qwen2.5-32B", config: qwen32 },
  "qwen3-8b": { repository: "Qwen/Qwen3-8B", config: qwen3 },
  "qwen3-30b-a3b": { repository: "Qwen/Qwen3-30B-A3B", config: qwen3Moe },
  "qwen3-235b-a22b": {
    repository: "Qwen/Qwen3-235B-A22B",
    config: {
      ...qwen3Moe,
      hidden_size: 4096,
      intermediate_size: 12288,
      moe_intermediate_size: 1536,
      num_hidden_layers: 94,
      num_attention_heads: 64,
    },
  },
  "r1-distill-qwen-1.5b": {
    repository: "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
    config: { ...qwen1_5, ...distillMath },
  },
  "r1-distill-qwen-7b": { repository: "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", config: { ...qwen7, ...distillMath } },
  "r1-distill-qwen-14b": {
    repository: "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B",
    config: { ...qwen14, ...distillQwen },
  },
  "r1-distill-qwen-32b": {
    repository: "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
    config: { ...qwen32, ...distillQwen },
  },
  "r1-distill-llama-8b": { repository: "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", config: llama8 },
  "r1-distill-llama-70b": { repository: "deepseek-ai/DeepSeek-R1-Distill-Llama-70B", config: llama70 },
  "r1-0528-qwen3-8b": {
    repository: "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B",
    config: {
      ...qwen3,
      max_position_embeddings: 131072,
      rope_scaling: {
        rope_type: "yarn",
        factor: 4,
        original_max_position_embeddings: 32768,
        attention_factor: 0.8782488562869419,
      },
    },
  },
};

/** The config of a published model by its short name. Throws ConfigError listing the names. */
export function presetConfig(name: string): ModelConfig {
  if (!Object.hasOwn(PRESETS, name))
    throw new ConfigError(`preset: expected one of ${Object.keys(PRESETS).join(", ")}, got ${JSON.stringify(name)}`);
  return parseConfig(PRESETS[name]!.config, name);
}
