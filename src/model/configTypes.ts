/** What a parsed config.json holds, by architecture, and the two families that layers are built for. */
import type { Fields } from "./fields.ts";
import type { RopeParameters } from "./rope-parameters.ts";

type Resolved<T> = Omit<T, "num_key_value_heads" | "n_group" | "topk_group"> & {
  num_key_value_heads: number;
  rope_parameters: RopeParameters;
};
type Grouped = { n_group: number; topk_group: number };

export type DeepseekV3Config = Resolved<Fields<"deepseek_v3">> & Grouped;
export type DeepseekV32Config = Resolved<Fields<"deepseek_v32">> & Grouped;
export type DeepseekV2Config = Resolved<Fields<"deepseek_v2">> & Grouped;
export type DeepseekMoeConfig = Resolved<Fields<"deepseek">>;
export type LlamaConfig = Resolved<Fields<"llama">>;
export type Qwen2Config = Resolved<Fields<"qwen2">>;
export type Qwen3Config = Resolved<Fields<"qwen3">>;
export type Qwen3MoeConfig = Resolved<Fields<"qwen3_moe">>;

/** Models with multi-head latent attention and DeepSeekMoE. */
export type LatentConfig = DeepseekV3Config | DeepseekV32Config | DeepseekV2Config;
/** Models with grouped-query attention: what DeepSeek-LLM, DeepSeekMoE 16B and the R1 distills are. */
export type GroupedConfig = DeepseekMoeConfig | LlamaConfig | Qwen2Config | Qwen3Config | Qwen3MoeConfig;
export type ModelConfig = LatentConfig | GroupedConfig;

export const isLatent = (config: ModelConfig): config is LatentConfig => "kv_lora_rank" in config;

/** Whether an indexer chooses what a token attends to. */
export const isIndexed = (config: ModelConfig): config is DeepseekV32Config => config.model_type === "deepseek_v32";
