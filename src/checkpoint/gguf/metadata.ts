/** A config as a GGUF's metadata, in llama.cpp's names. What llama.cpp would compute otherwise is refused by name. */
import { ConfigError } from "../../errors.ts";
import { headDims, isLatent, type ModelConfig, mixtureOf } from "../../model/index.ts";
import { ARCHITECTURES, type Architecture, GATING } from "./fields.ts";
import type { VALUE_TYPES } from "./header.ts";
import { type Llama3Rule, llama3Factors } from "./rope.ts";

export interface Entry {
  key: string;
  type: Exclude<keyof typeof VALUE_TYPES, "array">;
  value: string | number | boolean | readonly (string | number)[];
}

/** llama.cpp's name of an architecture. Throws ConfigError for one that is not written. */
export function architectureOfConfig({ model_type }: ModelConfig): Architecture {
  if (model_type === "deepseek_v2" || model_type === "deepseek_v3") return "deepseek2";
  const found = Object.entries(ARCHITECTURES).find(([, known]) => known.model_type === model_type);
  if (found === undefined)
    throw new ConfigError(
      `model_type: expected one that is written as GGUF (deepseek_v2, deepseek_v3, ${Object.values(ARCHITECTURES)
        .map((known) => known.model_type)
        .filter((name) => !name.startsWith("deepseek"))
        .join(", ")}), got ${model_type}`,
    );
  return found[0] as Architecture;
}

const refuse = (field: string, expected: string): never => {
  throw new ConfigError(`${field}: expected ${expected}, since llama.cpp would compute another model`);
};

/** Metadata under the architecture's name. Throws ConfigError for what llama.cpp has no word for. `notes` gets what a person should know. */
export function entriesOf(config: ModelConfig, notes: string[]): Entry[] {
  const architecture = architectureOfConfig(config);
  const entries: Entry[] = [];
  const put = (type: Entry["type"], name: string, value: Entry["value"]) =>
    entries.push({ key: `${architecture}.${name}`, type, value });
  const u32 = (name: string, value: number) => put("u32", name, value);
  const mixture = mixtureOf(config);
  u32("block_count", config.num_hidden_layers);
  u32("context_length", config.max_position_embeddings);
  u32("embedding_length", config.hidden_size);
  u32("feed_forward_length", config.intermediate_size);
  u32("attention.head_count", config.num_attention_heads);
  put("f32", "attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  u32("vocab_size", config.vocab_size);
  const dims = headDims(config);
  u32("rope.dimension_count", dims.rope);
  if (isLatent(config)) latentEntries(config, put, notes);
  else {
    u32("attention.head_count_kv", config.num_key_value_heads);
    u32("attention.key_length", dims.query);
    u32("attention.value_length", dims.value);
  }
  if (mixture.experts > 0) {
    u32("expert_count", mixture.experts);
    u32("expert_used_count", mixture.perToken);
    u32("expert_feed_forward_length", mixture.width);
  }
  if ((config.model_type === "qwen3" || config.model_type === "qwen3_moe") && config.attention_bias)
    refuse("attention_bias", "false");
  if (config.model_type === "qwen3_moe") {
    if (!config.norm_topk_prob) refuse("norm_topk_prob", "true");
    if (config.decoder_sparse_step !== 1 || config.mlp_only_layers.length > 0)
      refuse("decoder_sparse_step and mlp_only_layers", "experts in every layer");
  }
  ropeEntries(config, put);
  return entries;
}

type Put = (type: Entry["type"], name: string, value: Entry["value"]) => void;
type LatentConfig = Extract<ModelConfig, { kv_lora_rank: number }>;

function latentEntries(config: LatentConfig, put: Put, notes: string[]): void {
  const { kv_lora_rank: C, qk_rope_head_dim: R, v_head_dim: P } = config;
  if (config.attention_bias) refuse("attention_bias", "false");
  if (config.rms_norm_eps !== 1e-6) refuse("rms_norm_eps", "1e-6, which norms of latents have");
  if (config.model_type === "deepseek_v3" && !config.rope_interleave) refuse("rope_interleave", "true");
  const mixture = mixtureOf(config);
  // one key head of latents, as llama.cpp keeps them; the lengths of expanded heads apart
  put("u32", "attention.head_count_kv", 1);
  // 0 is none: llama.cpp wants the field of every model but V2-Lite's shape
  put("u32", "attention.q_lora_rank", config.q_lora_rank ?? 0);
  put("u32", "attention.kv_lora_rank", C);
  put("u32", "attention.key_length", C + R);
  put("u32", "attention.value_length", C);
  put("u32", "attention.key_length_mla", headDims(config).query);
  put("u32", "attention.value_length_mla", P);
  put(
    "u32",
    "leading_dense_block_count",
    mixture.experts === 0 ? config.num_hidden_layers : config.first_k_dense_replace,
  );
  put("u32", "expert_shared_count", mixture.shared);
  if (mixture.experts === 0) put("u32", "expert_feed_forward_length", config.intermediate_size);
  put("f32", "expert_weights_scale", mixture.scaling);
  put("bool", "expert_weights_norm", mixture.normalized);
  put("u32", "expert_gating_func", GATING[mixture.scores]);
  if (mixture.groups === undefined) return;
  put("u32", "expert_group_count", mixture.groups.count);
  put("u32", "expert_group_used_count", mixture.groups.kept);
  if (mixture.groups.best === 1)
    notes.push(
      "llama.cpp chooses groups of experts by the sum of their two best, where DeepSeek-V2 takes the best one: its answers may differ",
    );
}

function ropeEntries(config: ModelConfig, put: Put): void {
  const rope = config.rope_parameters;
  put("f32", "rope.freq_base", rope.rope_theta);
  if (rope.rope_type === "linear") {
    put("string", "rope.scaling.type", "linear");
    put("f32", "rope.scaling.factor", rope.factor);
  }
  if (rope.rope_type === "llama3" && config.model_type !== "llama") refuse("rope_type", '"llama3" in llama only');
  if (rope.rope_type !== "yarn") return;
  const even = rope.mscale !== null && rope.mscale === rope.mscale_all_dim;
  if (isLatent(config) ? !even : rope.mscale !== null || rope.mscale_all_dim !== null)
    refuse("rope_scaling.mscale", isLatent(config) ? "mscale_all_dim, the same number" : "nothing");
  if (rope.attention_factor !== null) refuse("rope_scaling.attention_factor", "nothing");
  if (!rope.truncate) refuse("rope_scaling.truncate", "true");
  put("string", "rope.scaling.type", "yarn");
  put("f32", "rope.scaling.factor", rope.factor);
  put("u32", "rope.scaling.original_context_length", rope.original_max_position_embeddings);
  put("f32", "rope.scaling.yarn_beta_fast", rope.beta_fast);
  put("f32", "rope.scaling.yarn_beta_slow", rope.beta_slow);
  if (rope.mscale_all_dim !== null) put("f32", "rope.scaling.yarn_log_multiplier", 0.1 * rope.mscale_all_dim);
}

/** The values of rope_freqs.weight for Llama 3's angles; undefined for others. */
export function factorsOf(config: ModelConfig): Float32Array | undefined {
  const rope = config.rope_parameters;
  if (rope.rope_type !== "llama3") return undefined;
  const rule: Llama3Rule = rope;
  return llama3Factors(rope.rope_theta, headDims(config).rope, rule);
}
