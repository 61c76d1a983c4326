/** Prints the configs whose parameters scripts/make-counts-fixture.py counts: published ones, and each family with and without what its file may say. */
import { PUBLISHED } from "../src/plan/families/published.ts";

/** Layers and width alone: all else is transformers' default. */
const bare = (model_type: string, hidden_size = 256, num_hidden_layers = 7, more: Record<string, unknown> = {}) => ({
  model_type,
  hidden_size,
  num_hidden_layers,
  ...more,
});

const VARIATIONS: Record<string, Record<string, unknown>> = {
  "gpt_oss, bare": bare("gpt_oss", 320),
  "gpt_oss, no attention bias": bare("gpt_oss", 320, 3, { attention_bias: false, num_local_experts: 4 }),
  "mixtral, bare": bare("mixtral", 512),
  "mixtral, tied": bare("mixtral", 512, 2, { tie_word_embeddings: true, head_dim: 24, intermediate_size: 100 }),
  "minimax_m2, bare": bare("minimax_m2", 384, 2),
  "olmoe, bare": bare("olmoe", 512, 2),
  "glm4_moe, bare": bare("glm4_moe", 768),
  "glm4_moe, no shared, all dense": bare("glm4_moe", 768, 3, { n_shared_experts: 2, first_k_dense_replace: 3 }),
  "qwen2_moe, bare": bare("qwen2_moe", 512, 4),
  "qwen2_moe, every second": bare("qwen2_moe", 512, 6, {
    decoder_sparse_step: 2,
    mlp_only_layers: [3],
    qkv_bias: false,
    shared_expert_intermediate_size: 700,
  }),
  "llama4_text, bare": bare("llama4_text", 640, 4),
  "llama4_text, listed": bare("llama4_text", 640, 6, { moe_layers: [1, 4], attention_bias: true }),
  "mistral, bare": bare("mistral", 512),
  "ministral3, bare": bare("ministral3", 512),
  "olmo2, bare": bare("olmo2", 512),
  "olmo3, grouped": bare("olmo3", 512, 8, { num_key_value_heads: 4, attention_bias: true }),
  "smollm3, bare": bare("smollm3", 512),
  "smollm3, biases": bare("smollm3", 512, 3, { attention_bias: true, mlp_bias: true, tie_word_embeddings: false }),
  "gemma, bare": bare("gemma", 512),
  "gemma2, bare": bare("gemma2", 512),
  "gemma3_text, bare": bare("gemma3_text", 512),
  "gemma3_text, untied": bare("gemma3_text", 512, 4, { tie_word_embeddings: false, attention_bias: true }),
  "glm, bare": bare("glm", 512),
  "glm4, bare": bare("glm4", 512),
  "cohere, bare": bare("cohere", 512),
  "cohere, normed": bare("cohere", 512, 3, { use_qk_norm: true, num_key_value_heads: 8 }),
  "cohere2, bare": bare("cohere2", 512),
  "seed_oss, bare": bare("seed_oss", 512),
  "seed_oss, all biases": bare("seed_oss", 512, 3, { attention_out_bias: true, mlp_bias: true }),
  "granite, biases": bare("granite", 512, 3, { attention_bias: true, mlp_bias: true }),
  "phi3, bare": bare("phi3", 512),
  "qwen3_next, bare": bare("qwen3_next", 512, 5),
  "qwen3_next, some dense": bare("qwen3_next", 512, 6, {
    mlp_only_layers: [1],
    attention_bias: true,
    linear_num_value_heads: 16,
    full_attention_interval: 3,
  }),
  "qwen3_5_text, bare": bare("qwen3_5_text", 512, 5),
  "qwen3_5_moe_text, bare": bare("qwen3_5_moe_text", 512, 4),
  "kimi_linear, bare": bare("kimi_linear", 512, 9),
  "deepseek_v4, bare": bare("deepseek_v4", 512, 6),
  "deepseek_v4, all three": bare("deepseek_v4", 512, 3, { compress_ratios: [0, 4, 128], hc_mult: 2, o_groups: 4 }),
  "glm_moe_dsa, bare": bare("glm_moe_dsa", 512, 5),
  "gpt2, narrow": { model_type: "gpt2", n_embd: 96, n_layer: 3, n_inner: 100, n_positions: 33, n_head: 12 },
  "gpt_neox, bare": bare("gpt_neox", 512),
  "gpt_neox, no attention bias": bare("gpt_neox", 512, 3, { attention_bias: false, tie_word_embeddings: true }),
  "falcon, bare": bare("falcon", 568),
  "falcon, biases, one after the other": bare("falcon", 512, 3, {
    num_attention_heads: 8,
    parallel_attn: false,
    multi_query: false,
    bias: true,
  }),
  "falcon, new, one norm": bare("falcon", 512, 3, {
    num_attention_heads: 8,
    num_kv_heads: 2,
    new_decoder_architecture: true,
    num_ln_in_parallel_attn: 1,
  }),
  "bloom, bare": { model_type: "bloom", hidden_size: 64, n_layer: 2 },
  "opt, no biases": bare("opt", 192, 3, { enable_bias: false, num_attention_heads: 4, max_position_embeddings: 100 }),
};

const published = Object.fromEntries(Object.entries(PUBLISHED).map(([name, { config }]) => [name, config]));
process.stdout.write(`${JSON.stringify({ ...published, ...VARIATIONS }, null, 1)}\n`);
