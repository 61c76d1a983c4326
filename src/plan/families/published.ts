/** Published models of families that only the planner knows: the fields of their config.json that decide sizes. */

const olmo2 = { model_type: "olmo2", vocab_size: 100352, hidden_size: 4096, intermediate_size: 11008 };
const gemma2 = { model_type: "gemma2", vocab_size: 256000, sliding_window: 4096 };
const gemma3 = { model_type: "gemma3_text", vocab_size: 262208, sliding_window: 1024, num_key_value_heads: 8 };
const mistral = { model_type: "mistral", vocab_size: 32000, hidden_size: 4096, intermediate_size: 14336 };
const gpt2 = { model_type: "gpt2", n_positions: 1024, vocab_size: 50257 };
const falcon = { model_type: "falcon", vocab_size: 65024, multi_query: true, parallel_attn: true, bias: false };
const opt = { model_type: "opt", vocab_size: 50272, max_position_embeddings: 2048, do_layer_norm_before: true };
const glm45 = {
  model_type: "glm4_moe",
  vocab_size: 151552,
  num_attention_heads: 96,
  num_key_value_heads: 8,
  head_dim: 128,
  n_shared_experts: 1,
  num_experts_per_tok: 8,
  attention_bias: true,
  num_nextn_predict_layers: 1,
};
const llama4 = {
  model_type: "llama4_text",
  vocab_size: 202048,
  hidden_size: 5120,
  intermediate_size: 8192,
  intermediate_size_mlp: 16384,
  num_hidden_layers: 48,
  num_attention_heads: 40,
  num_key_value_heads: 8,
  head_dim: 128,
  num_experts_per_tok: 1,
  attention_chunk_size: 8192,
};
const gptOss = {
  model_type: "gpt_oss",
  vocab_size: 201088,
  hidden_size: 2880,
  intermediate_size: 2880,
  num_attention_heads: 64,
  num_key_value_heads: 8,
  head_dim: 64,
  num_experts_per_tok: 4,
  sliding_window: 128,
  attention_bias: true,
};
const mixtral = { model_type: "mixtral", num_key_value_heads: 8, num_local_experts: 8, num_experts_per_tok: 2 };

/** By name. Source of each: https://huggingface.co/<repository>/blob/main/config.json, as of 2026-11; remembered where it could not be read again, and held by the published count. */
export const PUBLISHED: Readonly<Record<string, { repository: string; config: Record<string, unknown> }>> = {
  "gpt-oss-20b": {
    repository: "openai/gpt-oss-20b",
    config: { ...gptOss, num_hidden_layers: 24, num_local_experts: 32 },
  },
  "gpt-oss-120b": {
    repository: "openai/gpt-oss-120b",
    config: { ...gptOss, num_hidden_layers: 36, num_local_experts: 128 },
  },
  "mixtral-8x7b": {
    repository: "mistralai/Mixtral-8x7B-v0.1",
    config: {
      ...mixtral,
      vocab_size: 32000,
      hidden_size: 4096,
      intermediate_size: 14336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
    },
  },
  "mixtral-8x22b": {
    repository: "mistralai/Mixtral-8x22B-v0.1",
    config: {
      ...mixtral,
      vocab_size: 32000,
      hidden_size: 6144,
      intermediate_size: 16384,
      num_hidden_layers: 56,
      num_attention_heads: 48,
    },
  },
  "glm-4.5": {
    repository: "zai-org/GLM-4.5",
    config: {
      ...glm45,
      hidden_size: 5120,
      intermediate_size: 12288,
      moe_intermediate_size: 1536,
      num_hidden_layers: 92,
      n_routed_experts: 160,
      first_k_dense_replace: 3,
      use_qk_norm: true,
    },
  },
  "glm-4.5-air": {
    repository: "zai-org/GLM-4.5-Air",
    config: {
      ...glm45,
      hidden_size: 4096,
      intermediate_size: 10944,
      moe_intermediate_size: 1408,
      num_hidden_layers: 46,
      n_routed_experts: 128,
      first_k_dense_replace: 1,
      use_qk_norm: false,
    },
  },
  "llama-4-scout": {
    repository: "meta-llama/Llama-4-Scout-17B-16E",
    config: { ...llama4, num_local_experts: 16, interleave_moe_layer_step: 1 },
  },
  "llama-4-maverick": {
    repository: "meta-llama/Llama-4-Maverick-17B-128E",
    config: { ...llama4, num_local_experts: 128, interleave_moe_layer_step: 2 },
  },
  "minimax-m2": {
    repository: "MiniMaxAI/MiniMax-M2",
    config: {
      model_type: "minimax_m2",
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
  },
  "olmo-2-7b": {
    repository: "allenai/OLMo-2-1124-7B",
    config: { ...olmo2, num_hidden_layers: 32, num_attention_heads: 32 },
  },
  "olmo-2-13b": {
    repository: "allenai/OLMo-2-1124-13B",
    config: { ...olmo2, hidden_size: 5120, intermediate_size: 13824, num_hidden_layers: 40, num_attention_heads: 40 },
  },
  "olmo-2-32b": {
    repository: "allenai/OLMo-2-0325-32B",
    config: {
      ...olmo2,
      hidden_size: 5120,
      intermediate_size: 27648,
      num_hidden_layers: 64,
      num_attention_heads: 40,
      num_key_value_heads: 8,
    },
  },
  "olmo-3-7b": {
    repository: "allenai/Olmo-3-1025-7B",
    config: {
      ...olmo2,
      model_type: "olmo3",
      vocab_size: 100278,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      sliding_window: 4096,
    },
  },
  "olmo-3-32b": {
    repository: "allenai/Olmo-3-1125-32B",
    config: {
      ...olmo2,
      model_type: "olmo3",
      vocab_size: 100278,
      hidden_size: 5120,
      intermediate_size: 27648,
      num_hidden_layers: 64,
      num_attention_heads: 40,
      num_key_value_heads: 8,
      sliding_window: 4096,
    },
  },
  "smollm3-3b": {
    repository: "HuggingFaceTB/SmolLM3-3B",
    config: {
      model_type: "smollm3",
      vocab_size: 128256,
      hidden_size: 2048,
      intermediate_size: 11008,
      num_hidden_layers: 36,
      num_attention_heads: 16,
      num_key_value_heads: 4,
      tie_word_embeddings: true,
    },
  },
  "gemma-2-2b": {
    repository: "google/gemma-2-2b",
    config: {
      ...gemma2,
      hidden_size: 2304,
      intermediate_size: 9216,
      num_hidden_layers: 26,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      head_dim: 256,
    },
  },
  "gemma-2-9b": {
    repository: "google/gemma-2-9b",
    config: {
      ...gemma2,
      hidden_size: 3584,
      intermediate_size: 14336,
      num_hidden_layers: 42,
      num_attention_heads: 16,
      num_key_value_heads: 8,
      head_dim: 256,
    },
  },
  "gemma-2-27b": {
    repository: "google/gemma-2-27b",
    config: {
      ...gemma2,
      hidden_size: 4608,
      intermediate_size: 36864,
      num_hidden_layers: 46,
      num_attention_heads: 32,
      num_key_value_heads: 16,
      head_dim: 128,
    },
  },
  "gemma-3-1b": {
    repository: "google/gemma-3-1b-pt",
    config: {
      ...gemma3,
      vocab_size: 262144,
      hidden_size: 1152,
      intermediate_size: 6912,
      num_hidden_layers: 26,
      num_attention_heads: 4,
      num_key_value_heads: 1,
      head_dim: 256,
      sliding_window: 512,
    },
  },
  "gemma-3-4b": {
    repository: "google/gemma-3-4b-pt",
    config: {
      ...gemma3,
      hidden_size: 2560,
      intermediate_size: 10240,
      num_hidden_layers: 34,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      head_dim: 256,
    },
  },
  "gemma-3-12b": {
    repository: "google/gemma-3-12b-pt",
    config: {
      ...gemma3,
      hidden_size: 3840,
      intermediate_size: 15360,
      num_hidden_layers: 48,
      num_attention_heads: 16,
      head_dim: 256,
    },
  },
  "gemma-3-27b": {
    repository: "google/gemma-3-27b-pt",
    config: {
      ...gemma3,
      hidden_size: 5376,
      intermediate_size: 21504,
      num_hidden_layers: 62,
      num_attention_heads: 32,
      num_key_value_heads: 16,
      head_dim: 128,
    },
  },
  "mistral-7b": {
    repository: "mistralai/Mistral-7B-v0.1",
    config: {
      ...mistral,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      sliding_window: 4096,
    },
  },
  "mistral-nemo-12b": {
    repository: "mistralai/Mistral-Nemo-Base-2407",
    config: {
      ...mistral,
      vocab_size: 131072,
      hidden_size: 5120,
      num_hidden_layers: 40,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 128,
    },
  },
  "mistral-small-24b": {
    repository: "mistralai/Mistral-Small-24B-Base-2501",
    config: {
      ...mistral,
      vocab_size: 131072,
      hidden_size: 5120,
      intermediate_size: 32768,
      num_hidden_layers: 40,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 128,
    },
  },
  gpt2: { repository: "openai-community/gpt2", config: { ...gpt2, n_embd: 768, n_layer: 12, n_head: 12 } },
  "gpt2-xl": { repository: "openai-community/gpt2-xl", config: { ...gpt2, n_embd: 1600, n_layer: 48, n_head: 25 } },
  "gpt-neox-20b": {
    repository: "EleutherAI/gpt-neox-20b",
    config: {
      model_type: "gpt_neox",
      vocab_size: 50432,
      hidden_size: 6144,
      intermediate_size: 24576,
      num_hidden_layers: 44,
      num_attention_heads: 64,
    },
  },
  "falcon-7b": {
    repository: "tiiuae/falcon-7b",
    config: { ...falcon, hidden_size: 4544, num_hidden_layers: 32, num_attention_heads: 71 },
  },
  "falcon-40b": {
    repository: "tiiuae/falcon-40b",
    config: {
      ...falcon,
      hidden_size: 8192,
      num_hidden_layers: 60,
      num_attention_heads: 128,
      num_kv_heads: 8,
      new_decoder_architecture: true,
    },
  },
  "falcon-180b": {
    repository: "tiiuae/falcon-180B",
    config: {
      ...falcon,
      hidden_size: 14848,
      num_hidden_layers: 80,
      num_attention_heads: 232,
      num_kv_heads: 8,
      new_decoder_architecture: true,
    },
  },
  "bloom-7b1": {
    repository: "bigscience/bloom-7b1",
    config: { model_type: "bloom", vocab_size: 250880, hidden_size: 4096, n_layer: 30, n_head: 32 },
  },
  "bloom-176b": {
    repository: "bigscience/bloom",
    config: { model_type: "bloom", vocab_size: 250880, hidden_size: 14336, n_layer: 70, n_head: 112 },
  },
  "opt-30b": {
    repository: "facebook/opt-30b",
    config: { ...opt, hidden_size: 7168, ffn_dim: 28672, num_hidden_layers: 48, num_attention_heads: 56 },
  },
  "opt-66b": {
    repository: "facebook/opt-66b",
    config: { ...opt, hidden_size: 9216, ffn_dim: 36864, num_hidden_layers: 64, num_attention_heads: 72 },
  },
  "opt-175b": {
    repository: "facebook/metaseq, projects/OPT",
    config: { ...opt, hidden_size: 12288, ffn_dim: 49152, num_hidden_layers: 96, num_attention_heads: 96 },
  },
};
