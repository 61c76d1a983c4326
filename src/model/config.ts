/** config.json as Sumbi understands it, and the few questions that everybody asks of it. */
import { ConfigError, FaultsError } from "../errors.ts";
import { briefJson } from "../json.ts";
import { type GroupedConfig, isIndexed, isLatent, type LatentConfig, type ModelConfig } from "./configTypes.ts";
import { FIELD_ALIASES, type ModelType, SCHEMAS, SIZES, TYPE_ALIASES } from "./fields.ts";
import { hasMoe, mixtureOf } from "./mixture.ts";
import { refuseUnbuilt } from "./refused.ts";
import { type Fault, parseRope } from "./rope-parameters.ts";

export {
  type DeepseekMoeConfig,
  type DeepseekV2Config,
  type DeepseekV3Config,
  type DeepseekV32Config,
  type GroupedConfig,
  isIndexed,
  isLatent,
  type LatentConfig,
  type LlamaConfig,
  type ModelConfig,
  type Qwen2Config,
  type Qwen3Config,
  type Qwen3MoeConfig,
} from "./configTypes.ts";
export type { ModelType } from "./fields.ts";
export {
  hasMoe,
  isMoeLayer,
  type LayerRun,
  layerRuns,
  layersWithMtp,
  type Mixture,
  mixtureOf,
  moeLayers,
  mtpDepth,
  routedLayers,
} from "./mixture.ts";
export type { RopeParameters } from "./rope-parameters.ts";

export const MODEL_TYPES = Object.keys(SCHEMAS) as ModelType[];
/** Further values of model_type that are read as one of them. */
export const MODEL_TYPE_ALIASES: readonly string[] = Object.keys(TYPE_ALIASES);

export interface ParseOptions {
  /** "stated": the fields that size a model must be there, as in what people write by hand. Default: absent ones are transformers'. */
  sizes?: "stated";
}

/**
 * config.json, parsed. Fields keep the file's names; absent ones get transformers' defaults, except that no
 * MTP module is assumed. `rope_parameters` holds transformers 5's form, also when the file says rope_theta and rope_scaling.
 * Throws ConfigError listing every fault with what was expected and what came; what is not built is one.
 */
export function parseConfig(json: unknown, where = "config.json", { sizes }: ParseOptions = {}): ModelConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new ConfigError(`${where}: expected an object, got ${show(json)}`);
  const raw = json as Record<string, unknown>;
  const named = typeof raw.model_type === "string" ? (TYPE_ALIASES[raw.model_type] ?? raw.model_type) : raw.model_type;
  if (typeof named !== "string" || !Object.hasOwn(SCHEMAS, named))
    throw new FaultsError(where, [
      `model_type: expected one of ${MODEL_TYPES.join(", ")}, got ${show(raw.model_type)}`,
    ]);
  const type = named as ModelType;

  const faults: string[] = [];
  const fault: Fault = (field, expected, came) => void faults.push(`${field}: expected ${expected}, got ${show(came)}`);

  if (sizes === "stated")
    for (const field of SIZES[type]) if (raw[field] === undefined) fault(field, "a positive whole number", undefined);
  const parsed = SCHEMAS[type].safeParse({ ...withoutAliases(raw, type, fault), model_type: type });
  if (!parsed.success)
    for (const issue of parsed.error.issues) {
      const field = String(issue.path[0] ?? "config");
      fault(field, issue.message, raw[field]);
    }
  refuseUnbuilt(raw, type, parsed.data?.num_hidden_layers, fault);
  const rope_parameters = parseRope(raw, parsed.data?.max_position_embeddings ?? 1, fault);
  if (parsed.success) {
    const { data } = parsed;
    const config = {
      ...data,
      ...("n_group" in data && { n_group: data.n_group ?? 1, topk_group: data.topk_group ?? 1 }),
      num_key_value_heads: data.num_key_value_heads ?? data.num_attention_heads,
      rope_parameters,
    } as ModelConfig;
    if (data.model_type === "deepseek_v2" && data.topk_method === "group_limited_greedy")
      for (const field of ["n_group", "topk_group"] as const)
        if (data[field] === null) fault(field, "a positive whole number, for group_limited_greedy", raw[field]);
    crossCheck(config, raw, fault);
    if (faults.length === 0) return config;
  }
  throw new FaultsError(where, faults);
}

/** The fields under the names that the schemas know; a field that is there under both names must say the same. */
function withoutAliases(raw: Record<string, unknown>, type: ModelType, fault: Fault): Record<string, unknown> {
  const fields = { ...raw };
  for (const [alias, field] of Object.entries(FIELD_ALIASES[type])) {
    if (raw[alias] == null) continue;
    if (raw[field] != null && raw[field] !== raw[alias])
      fault(alias, `${field} ${show(raw[field])}, which it is another name of`, raw[alias]);
    fields[field] ??= raw[alias];
  }
  return fields;
}

/** Widest head that is rotated; published models have up to 256. */
const ROPE_MAX = 4096;

/** What no single field can say: sizes that must divide, and choices that must leave enough experts. */
function crossCheck(config: ModelConfig, raw: Record<string, unknown>, fault: Fault): void {
  const { rope } = headDims(config);
  if (rope > ROPE_MAX)
    fault(
      isLatent(config) ? "qk_rope_head_dim" : "head_dim",
      `at most ${ROPE_MAX}, since tables of its angles are kept`,
      rope,
    );
  if (isLatent(config)) checkLatentHeads(config, raw, fault);
  else checkHeads(config, fault);
  if (config.model_type === "deepseek" && !["default", "linear"].includes(config.rope_parameters.rope_type))
    fault("rope_scaling.type", '"linear", the one that deepseek knows', config.rope_parameters.rope_type);
  if (isIndexed(config) && config.mlp_layer_types !== null) {
    const { mlp_layer_types: types, num_hidden_layers: layers } = config;
    if (types.length !== layers)
      fault("mlp_layer_types", `one type for each of the ${layers} layers`, `${types.length} of them`);
  }
  if (hasMoe(config)) checkExperts(config, fault);
}

function checkHeads(config: GroupedConfig, fault: Fault): void {
  const { head_dim, hidden_size, num_attention_heads: heads, num_key_value_heads: keyHeads } = config;
  if (heads % keyHeads !== 0) fault("num_key_value_heads", `a divisor of num_attention_heads ${heads}`, keyHeads);
  if (head_dim === null && hidden_size % heads !== 0)
    fault("hidden_size", `a multiple of num_attention_heads ${heads} (or a head_dim)`, hidden_size);
  else if ((head_dim ?? hidden_size / heads) % 2 !== 0)
    fault("head_dim", "an even number", head_dim ?? hidden_size / heads);
}

function checkLatentHeads(config: LatentConfig, raw: Record<string, unknown>, fault: Fault): void {
  if (config.qk_rope_head_dim % 2 !== 0) fault("qk_rope_head_dim", "an even number", config.qk_rope_head_dim);
  if (isIndexed(config) && config.index_head_dim < config.qk_rope_head_dim)
    fault("index_head_dim", `at least qk_rope_head_dim ${config.qk_rope_head_dim}`, config.index_head_dim);
  const { num_attention_heads: heads, num_key_value_heads: keyHeads } = config;
  if (keyHeads === heads) return;
  const absent = raw.num_key_value_heads === undefined ? ` (absent means ${keyHeads})` : "";
  fault(
    "num_key_value_heads",
    `num_attention_heads ${heads}, since every head has keys of its own${absent}`,
    raw.num_key_value_heads,
  );
}

function checkExperts(config: ModelConfig, fault: Fault): void {
  const { experts, perToken, width, groups } = mixtureOf(config);
  if (width === 0) fault("moe_intermediate_size", "a positive whole number", null);
  const field = config.model_type === "qwen3_moe" ? "num_experts" : "n_routed_experts";
  if (perToken < 1 || perToken > experts) fault("num_experts_per_tok", `1 to ${field} ${experts}`, perToken);
  if (groups === undefined) return;
  const { count, kept, best } = groups;
  if (experts % count !== 0) fault("n_group", `a divisor of n_routed_experts ${experts}`, count);
  else if (experts / count < best)
    fault("n_group", `at most ${Math.floor(experts / 2)}, so that a group has two experts`, count);
  if (kept > count) fault("topk_group", `at most n_group ${count}`, kept);
  else if (count <= experts && perToken > (kept * experts) / count)
    fault(
      "num_experts_per_tok",
      `at most ${(kept * experts) / count}, the experts of topk_group ${kept} groups`,
      perToken,
    );
}

/** A value as a fault shows it: JSON, cut short. */
function show(value: unknown): string {
  const text = value === undefined ? "nothing" : briefJson(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Head dims: `nope` without position, `rope` rotated, `query` = nope + rope, `value`. Grouped-query heads are all rope. */
export function headDims(config: ModelConfig): { nope: number; rope: number; query: number; value: number } {
  if (isLatent(config)) {
    const { qk_nope_head_dim: nope, qk_rope_head_dim: rope, v_head_dim: value } = config;
    return { nope, rope, query: nope + rope, value };
  }
  const dim = config.head_dim ?? config.hidden_size / config.num_attention_heads;
  return { nope: 0, rope: dim, query: dim, value: dim };
}

/** Numbers cached per token and layer: the latent and the shared rope key (and the indexer's key), or keys and values of every key head. */
export function cacheWidth(config: ModelConfig): number {
  if (!isLatent(config)) return 2 * config.num_key_value_heads * headDims(config).value;
  return config.kv_lora_rank + config.qk_rope_head_dim + (isIndexed(config) ? config.index_head_dim : 0);
}

/** Which attention projections carry a bias: qwen2 has q, k, v always; elsewhere attention_bias decides. */
export const attentionBias = (config: ModelConfig): { qkv: boolean; out: boolean } =>
  config.model_type === "qwen2"
    ? { qkv: true, out: false }
    : { qkv: config.attention_bias, out: config.attention_bias };

/** Whether the heads' queries and keys are normed before they are rotated. */
export const qkNorm = (config: ModelConfig): boolean =>
  config.model_type === "qwen3" || config.model_type === "qwen3_moe";

/** Whether dense FFN projections carry a bias. */
export const mlpBias = (config: ModelConfig): boolean => config.model_type === "llama" && config.mlp_bias;

/** End-of-sequence ids as a list. */
export const eosTokenIds = (config: ModelConfig): number[] =>
  config.eos_token_id === null ? [] : [config.eos_token_id].flat();
