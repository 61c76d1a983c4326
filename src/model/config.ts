import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { parseRope, type RopeParameters } from "./rope-parameters.ts";

export type { RopeParameters } from "./rope-parameters.ts";

/** Expected-texts double as zod messages, so that every fault reads `field: expected …, came …`. */
const size = z.int({ error: "a positive whole number" }).positive({ error: "a positive whole number" });
const natural = z.int({ error: "a whole number, 0 or more" }).nonnegative({ error: "a whole number, 0 or more" });
const layers = size.max(4096, { error: "at most 4096 layers" });
const experts = natural.max(65536, { error: "at most 65536 experts" });
const positive = z.number({ error: "a positive number" }).positive({ error: "a positive number" });
const flag = z.boolean({ error: "true or false" });
const orNull = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? null);
const orElse = <T extends z.ZodType>(schema: T, value: z.output<T>) => schema.nullish().transform((v) => v ?? value);

const common = {
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: layers,
  num_attention_heads: size,
  num_key_value_heads: orNull(size),
  max_position_embeddings: orElse(size, 2048),
  rms_norm_eps: orElse(positive, 1e-6),
  tie_word_embeddings: orElse(flag, false),
  attention_bias: orElse(flag, false),
  initializer_range: orElse(positive, 0.02),
  hidden_act: orElse(z.literal("silu", { error: '"silu"' }), "silu"),
  bos_token_id: orNull(natural),
  eos_token_id: orNull(z.union([natural, z.array(natural)], { error: "a token id or a list of them" })),
  pad_token_id: orNull(z.int({ error: "a token id" })),
};

const dense = {
  head_dim: orNull(size),
  use_sliding_window: orElse(z.literal(false, { error: "false: sliding windows are not built" }), false),
};

const latent = {
  q_lora_rank: orNull(size),
  kv_lora_rank: size,
  qk_nope_head_dim: size,
  qk_rope_head_dim: size,
  v_head_dim: size,
  moe_intermediate_size: orNull(size),
  n_routed_experts: orElse(experts, 0),
  n_shared_experts: orElse(natural, 0),
  num_experts_per_tok: orElse(natural, 0),
  first_k_dense_replace: orElse(natural, 0),
  moe_layer_freq: orElse(z.literal(1, { error: "1" }), 1),
  n_group: orElse(size, 1),
  topk_group: orElse(size, 1),
  routed_scaling_factor: orElse(positive, 1),
};

const no = (what: string) => orElse(z.literal(false, { error: `false: ${what}` }), false);

const deepseekV3 = z.object({
  ...common,
  ...latent,
  model_type: z.literal("deepseek_v3"),
  scoring_func: orElse(z.literal("sigmoid", { error: '"sigmoid"' }), "sigmoid"),
  topk_method: orElse(z.literal("noaux_tc", { error: '"noaux_tc"' }), "noaux_tc"),
  norm_topk_prob: orElse(flag, true),
  rope_interleave: orElse(flag, true),
  num_nextn_predict_layers: orElse(natural.max(64, { error: "at most 64 modules" }), 0),
});

const deepseekV2 = z.object({
  ...common,
  ...latent,
  model_type: z.literal("deepseek_v2"),
  mlp_bias: no("the experts of deepseek_v2 have no biases"),
  scoring_func: orElse(z.literal("softmax", { error: '"softmax"' }), "softmax"),
  topk_method: orElse(
    z.enum(["greedy", "group_limited_greedy"], { error: '"greedy" or "group_limited_greedy"' }),
    "greedy",
  ),
  norm_topk_prob: no("released deepseek_v2 models do not normalize"),
});

const llama = z.object({ ...common, ...dense, model_type: z.literal("llama"), mlp_bias: orElse(flag, false) });
const qwen2 = z.object({ ...common, ...dense, model_type: z.literal("qwen2") });
const qwen3 = z.object({ ...common, ...dense, model_type: z.literal("qwen3") });

const SCHEMAS = { deepseek_v3: deepseekV3, deepseek_v2: deepseekV2, llama, qwen2, qwen3 };

/** Other names under which checkpoints of the same architecture are published. */
const ALIASES: Record<string, keyof typeof SCHEMAS> = { kimi_k2: "deepseek_v3" };

export type ModelType = keyof typeof SCHEMAS;
export const MODEL_TYPES = Object.keys(SCHEMAS) as ModelType[];

type Resolved<T> = Omit<T, "num_key_value_heads"> & { num_key_value_heads: number; rope_parameters: RopeParameters };

export type DeepseekV3Config = Resolved<z.output<typeof deepseekV3>>;
export type DeepseekV2Config = Resolved<z.output<typeof deepseekV2>>;
export type LlamaConfig = Resolved<z.output<typeof llama>>;
export type Qwen2Config = Resolved<z.output<typeof qwen2>>;
export type Qwen3Config = Resolved<z.output<typeof qwen3>>;

/** Models with multi-head latent attention and DeepSeekMoE. */
export type DeepseekConfig = DeepseekV3Config | DeepseekV2Config;
/** Dense models with grouped-query attention: what DeepSeek-LLM and the R1 distills are. */
export type DenseConfig = LlamaConfig | Qwen2Config | Qwen3Config;
export type ModelConfig = DeepseekConfig | DenseConfig;

export const isDeepseek = (config: ModelConfig): config is DeepseekConfig =>
  config.model_type === "deepseek_v3" || config.model_type === "deepseek_v2";

/**
 * config.json, parsed. Fields keep the file's names; absent ones get transformers' defaults, except that no
 * MTP module is assumed. `rope_parameters` holds transformers 5's form, also when the file says rope_theta and rope_scaling.
 * Throws ConfigError listing every fault with what was expected and what came.
 */
export function parseConfig(json: unknown, where = "config.json"): ModelConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new ConfigError(`${where}: expected an object, came ${show(json)}`);
  const raw = json as Record<string, unknown>;
  const named = typeof raw.model_type === "string" ? (ALIASES[raw.model_type] ?? raw.model_type) : raw.model_type;
  if (typeof named !== "string" || !Object.hasOwn(SCHEMAS, named))
    throw new ConfigError(`${where}: model_type: expected one of ${MODEL_TYPES.join(", ")}, came ${show(raw.model_type)}`);

  const faults: string[] = [];
  const fault = (field: string, expected: string, came: unknown) =>
    faults.push(`${field}: expected ${expected}, came ${show(came)}`);

  const input = { ...raw, model_type: named, num_nextn_predict_layers: raw.num_nextn_predict_layers ?? raw.num_mtp_layers };
  const parsed = SCHEMAS[named as ModelType].safeParse(input);
  if (!parsed.success)
    for (const issue of parsed.error.issues) {
      const field = String(issue.path[0] ?? "config");
      fault(field, issue.message, raw[field]);
    }
  const rope_parameters = parseRope(raw, fault);
  if (parsed.success) {
    const config = {
      ...parsed.data,
      num_key_value_heads: parsed.data.num_key_value_heads ?? parsed.data.num_attention_heads,
      rope_parameters,
    } as ModelConfig;
    crossCheck(config, fault);
    if (faults.length === 0) return config;
  }
  throw new ConfigError(
    faults.length === 1 ? `${where}: ${faults[0]}` : `${where}: ${faults.length} faults\n  ${faults.join("\n  ")}`,
  );
}

/** What no single field can say: sizes that must divide, and choices that must leave enough experts. */
function crossCheck(config: ModelConfig, fault: (field: string, expected: string, came: unknown) => void): void {
  if (!isDeepseek(config)) {
    const { head_dim, hidden_size, num_attention_heads: heads, num_key_value_heads: keyHeads } = config;
    if (heads % keyHeads !== 0) fault("num_key_value_heads", `a divisor of num_attention_heads ${heads}`, keyHeads);
    if (head_dim === null && hidden_size % heads !== 0)
      fault("hidden_size", `a multiple of num_attention_heads ${heads} (or a head_dim)`, hidden_size);
    else if ((head_dim ?? hidden_size / heads) % 2 !== 0) fault("head_dim", "an even number", head_dim ?? hidden_size / heads);
    return;
  }
  if (config.qk_rope_head_dim % 2 !== 0) fault("qk_rope_head_dim", "an even number", config.qk_rope_head_dim);
  if (!hasMoe(config)) return;
  const { n_routed_experts: experts, num_experts_per_tok: perToken, n_group: groups, topk_group: kept } = config;
  if (config.moe_intermediate_size === null) fault("moe_intermediate_size", "a positive whole number", null);
  if (perToken < 1 || perToken > experts) fault("num_experts_per_tok", `1 to n_routed_experts ${experts}`, perToken);
  if (!isGroupLimited(config)) return;
  if (experts % groups !== 0) fault("n_group", `a divisor of n_routed_experts ${experts}`, groups);
  else if (config.model_type === "deepseek_v3" && experts / groups < 2)
    fault("n_group", `at most ${Math.floor(experts / 2)}, so that a group has two experts`, groups);
  if (kept > groups) fault("topk_group", `at most n_group ${groups}`, kept);
  else if (perToken > (kept * experts) / groups)
    fault("num_experts_per_tok", `at most ${(kept * experts) / groups}, the experts of topk_group ${kept} groups`, perToken);
}

/** A value as a fault shows it: JSON, cut short. */
function show(value: unknown): string {
  const text = value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Whether any layer of the model has routed experts (MTP modules included). */
export const hasMoe = (config: ModelConfig): config is DeepseekConfig =>
  isDeepseek(config) &&
  config.n_routed_experts > 0 &&
  config.first_k_dense_replace < config.num_hidden_layers + mtpDepth(config);

/** Whether layer `i` (0-based, MTP modules count on from num_hidden_layers) has routed experts. */
export const isMoeLayer = (config: ModelConfig, i: number): config is DeepseekConfig =>
  hasMoe(config) && i >= config.first_k_dense_replace;

/** Whether the choice of experts is limited to the best groups. */
export const isGroupLimited = (config: DeepseekConfig): boolean =>
  config.n_group > 1 && config.topk_method !== "greedy";

/** Number of multi-token-prediction modules. */
export const mtpDepth = (config: ModelConfig): number =>
  config.model_type === "deepseek_v3" ? config.num_nextn_predict_layers : 0;

/** Head dims: `nope` without position, `rope` rotated, `query` = nope + rope, `value`. Grouped-query heads are all rope. */
export function headDims(config: ModelConfig): { nope: number; rope: number; query: number; value: number } {
  if (isDeepseek(config)) {
    const { qk_nope_head_dim: nope, qk_rope_head_dim: rope, v_head_dim: value } = config;
    return { nope, rope, query: nope + rope, value };
  }
  const dim = config.head_dim ?? config.hidden_size / config.num_attention_heads;
  return { nope: 0, rope: dim, query: dim, value: dim };
}

/** Numbers cached per token and layer: the latent and the shared rope key, or keys and values of every key head. */
export function cacheWidth(config: ModelConfig): number {
  return isDeepseek(config)
    ? config.kv_lora_rank + config.qk_rope_head_dim
    : 2 * config.num_key_value_heads * headDims(config).value;
}

/** Which attention projections carry a bias: qwen2 has q, k, v always; elsewhere attention_bias decides. */
export const attentionBias = (config: ModelConfig): { qkv: boolean; out: boolean } =>
  config.model_type === "qwen2"
    ? { qkv: true, out: false }
    : { qkv: config.attention_bias, out: config.attention_bias };

/** Whether dense FFN projections carry a bias. */
export const mlpBias = (config: ModelConfig): boolean => config.model_type === "llama" && config.mlp_bias;

/** End-of-sequence ids as a list. */
export const eosTokenIds = (config: ModelConfig): number[] =>
  config.eos_token_id === null ? [] : [config.eos_token_id].flat();
