/** The fields of config.json by architecture, with their defaults. */

/**
 * The fields of config.json by architecture. An absent field has the default of transformers 5 (test/fixtures/transformers-defaults.json
 * is their list, and a test compares); null is taken where transformers gives it a meaning, and refused elsewhere.
 */
import { z } from "zod";

/** Expected-texts double as zod messages, so that every fault reads `field: expected …, got …`. */
const size = z.int({ error: "a positive whole number" }).positive({ error: "a positive whole number" });
const natural = z.int({ error: "a whole number, 0 or more" }).nonnegative({ error: "a whole number, 0 or more" });
const MAX_LAYERS = 4096;
const layers = size.max(MAX_LAYERS, { error: `at most ${MAX_LAYERS} layers` });
const experts = natural.max(65536, { error: "at most 65536 experts" });
const positive = z.number({ error: "a positive number" }).positive({ error: "a positive number" });
const flag = z.boolean({ error: "true or false" });
const tokenId = natural.nullable();

const orNull = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? null);
/** Absent: the default. null: what transformers makes of it. */
const nullIs = <T extends z.ZodType>(schema: T, absent: z.output<T>, ofNull: z.output<T>) =>
  schema.nullish().transform((value) => (value === undefined ? absent : (value ?? ofNull)));
/** A field that transformers does not know: one value is built. */
const only = <T extends string | number | boolean>(value: T) =>
  z
    .literal(value, { error: JSON.stringify(value) })
    .nullish()
    .transform(() => value);
const no = (what: string) =>
  z
    .literal(false, { error: `false: ${what}` })
    .nullish()
    .transform(() => false as const);

interface CommonDefaults {
  vocab: number;
  hidden: number;
  intermediate: number;
  layers: number;
  heads: number;
  /** null: as many as heads. */
  keyHeads: number | null;
  positions: number;
  bos: number | null;
  eos: number | null;
}

const common = (d: CommonDefaults) => ({
  vocab_size: size.default(d.vocab),
  hidden_size: size.default(d.hidden),
  intermediate_size: size.default(d.intermediate),
  num_hidden_layers: layers.default(d.layers),
  num_attention_heads: size.default(d.heads),
  num_key_value_heads: size.nullable().default(d.keyHeads),
  max_position_embeddings: size.default(d.positions),
  rms_norm_eps: positive.default(1e-6),
  tie_word_embeddings: flag.default(false),
  initializer_range: positive.default(0.02),
  hidden_act: z.literal("silu", { error: '"silu"' }).default("silu"),
  bos_token_id: tokenId.default(d.bos),
  eos_token_id: z
    .union([natural, z.array(natural)], { error: "a token id or a list of them" })
    .nullable()
    .default(d.eos),
  pad_token_id: z.int({ error: "a token id" }).nullable().default(null),
});

interface LatentDefaults {
  expertWidth: number;
  shared: number;
  experts: number;
  perToken: number;
  scaling: number;
  firstDense: number;
}

const latent = (d: LatentDefaults) => ({
  attention_bias: flag.default(false),
  q_lora_rank: size.nullable().default(1536),
  kv_lora_rank: size.default(512),
  qk_nope_head_dim: size.default(128),
  qk_rope_head_dim: size.default(64),
  v_head_dim: size.default(128),
  moe_intermediate_size: size.nullable().default(d.expertWidth),
  n_routed_experts: nullIs(experts, d.experts, 0),
  n_shared_experts: nullIs(natural, d.shared, 0),
  num_experts_per_tok: nullIs(natural, d.perToken, 0),
  first_k_dense_replace: natural.default(d.firstDense),
  moe_layer_freq: only(1),
  routed_scaling_factor: positive.default(d.scaling),
});

const deepseekV3 = z.object({
  ...common({
    vocab: 129280,
    hidden: 7168,
    intermediate: 18432,
    layers: 61,
    heads: 128,
    keyHeads: 128,
    positions: 4096,
    bos: 0,
    eos: 1,
  }),
  ...latent({ expertWidth: 2048, shared: 1, experts: 256, perToken: 8, scaling: 2.5, firstDense: 3 }),
  model_type: z.literal("deepseek_v3"),
  n_group: size.default(8),
  topk_group: size.default(4),
  scoring_func: only("sigmoid"),
  topk_method: only("noaux_tc"),
  norm_topk_prob: nullIs(flag, true, false),
  rope_interleave: nullIs(flag, true, false),
  num_nextn_predict_layers: nullIs(natural.max(64, { error: "at most 64 modules" }), 0, 0),
});

const mlpTypes = z.array(z.enum(["dense", "sparse"], { error: 'a list of "dense" and "sparse"' }), {
  error: 'a list of "dense" and "sparse"',
});

/** MLA always through a query latent, which the indexer reads too. `mlp_layer_types`, where given, says which layers are mixtures. */
const deepseekV32 = z.object({
  ...deepseekV3.shape,
  model_type: z.literal("deepseek_v32"),
  max_position_embeddings: size.default(163840),
  q_lora_rank: size.default(1536),
  norm_topk_prob: flag.default(true),
  rope_interleave: only(true),
  mlp_bias: no("the blocks of deepseek_v32 have no biases"),
  mlp_layer_types: orNull(mlpTypes.max(MAX_LAYERS, { error: `at most ${MAX_LAYERS} layers` })),
  index_topk: size.default(2048),
  index_n_heads: size.default(64),
  index_head_dim: size.default(128),
});

const deepseekV2 = z.object({
  ...common({
    vocab: 102400,
    hidden: 4096,
    intermediate: 11008,
    layers: 32,
    heads: 32,
    keyHeads: null,
    positions: 2048,
    bos: 1,
    eos: 2,
  }),
  ...latent({ expertWidth: 1407, shared: 2, experts: 64, perToken: 0, scaling: 1, firstDense: 0 }),
  model_type: z.literal("deepseek_v2"),
  n_group: orNull(size),
  topk_group: orNull(size),
  mlp_bias: no("the experts of deepseek_v2 have no biases"),
  scoring_func: only("softmax"),
  topk_method: z
    .enum(["greedy", "group_limited_greedy"], { error: '"greedy" or "group_limited_greedy"' })
    .default("greedy"),
  norm_topk_prob: no("released deepseek_v2 models do not normalize"),
});

/** DeepSeekMoE 16B. transformers has no class for it: defaults are those of the code in the model's repository (configuration_deepseek.py). */
const deepseek = z.object({
  ...common({
    vocab: 102400,
    hidden: 4096,
    intermediate: 11008,
    layers: 30,
    heads: 32,
    keyHeads: 32,
    positions: 2048,
    bos: 100000,
    eos: 100001,
  }),
  model_type: z.literal("deepseek"),
  head_dim: z
    .unknown()
    .optional()
    .transform(() => null),
  attention_bias: flag.default(false),
  moe_intermediate_size: size.default(1407),
  n_routed_experts: nullIs(experts, 0, 0),
  n_shared_experts: nullIs(natural, 0, 0),
  num_experts_per_tok: nullIs(natural, 0, 0),
  first_k_dense_replace: natural.default(0),
  moe_layer_freq: size.default(1),
  norm_topk_prob: nullIs(flag, false, false),
  scoring_func: only("softmax"),
});

const llama = z.object({
  ...common({
    vocab: 32000,
    hidden: 4096,
    intermediate: 11008,
    layers: 32,
    heads: 32,
    keyHeads: null,
    positions: 2048,
    bos: 1,
    eos: 2,
  }),
  model_type: z.literal("llama"),
  head_dim: orNull(size),
  attention_bias: flag.default(false),
  mlp_bias: flag.default(false),
});

const qwen = common({
  vocab: 151936,
  hidden: 4096,
  intermediate: 22016,
  layers: 32,
  heads: 32,
  keyHeads: 32,
  positions: 32768,
  bos: null,
  eos: null,
});
const qwen2 = z.object({ ...qwen, model_type: z.literal("qwen2"), head_dim: orNull(size) });
const qwen3 = z.object({
  ...qwen,
  model_type: z.literal("qwen3"),
  head_dim: size.default(128),
  attention_bias: flag.default(false),
});

const qwen3Moe = z.object({
  ...common({
    vocab: 151936,
    hidden: 2048,
    intermediate: 6144,
    layers: 24,
    heads: 32,
    keyHeads: 4,
    positions: 32768,
    bos: null,
    eos: null,
  }),
  model_type: z.literal("qwen3_moe"),
  head_dim: size.optional().transform((value) => value ?? null),
  attention_bias: flag.default(false),
  moe_intermediate_size: size.default(768),
  num_experts: experts.default(128),
  num_experts_per_tok: natural.default(8),
  norm_topk_prob: flag.default(false),
  decoder_sparse_step: size.default(1),
  mlp_only_layers: nullIs(
    z.array(natural, { error: "a list of layers" }).max(MAX_LAYERS, { error: `at most ${MAX_LAYERS} layers` }),
    [],
    [],
  ),
});

export const SCHEMAS = {
  deepseek_v3: deepseekV3,
  deepseek_v32: deepseekV32,
  deepseek_v2: deepseekV2,
  deepseek,
  llama,
  qwen2,
  qwen3,
  qwen3_moe: qwen3Moe,
};
export type ModelType = keyof typeof SCHEMAS;
export type Fields<T extends ModelType> = z.output<(typeof SCHEMAS)[T]>;

/** Other names under which checkpoints of the same architecture are published. */
export const TYPE_ALIASES: Record<string, ModelType> = { kimi_k2: "deepseek_v3" };

/** Other names of fields that transformers takes, by architecture. */
export const FIELD_ALIASES: Record<ModelType, Record<string, string>> = {
  deepseek_v3: { num_local_experts: "n_routed_experts", num_mtp_layers: "num_nextn_predict_layers" },
  deepseek_v32: { num_local_experts: "n_routed_experts", num_experts: "n_routed_experts" },
  deepseek_v2: { num_experts: "n_routed_experts" },
  deepseek: {},
  llama: {},
  qwen2: {},
  qwen3: {},
  qwen3_moe: { num_local_experts: "num_experts" },
};

const DENSE_SIZES = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"];
const LATENT_SIZES = [...DENSE_SIZES, "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"];

/** The fields without which nobody means a model: what is written by hand must state them. */
export const SIZES: Record<ModelType, readonly string[]> = {
  deepseek_v3: LATENT_SIZES,
  deepseek_v32: [...LATENT_SIZES, "index_topk", "index_n_heads", "index_head_dim"],
  deepseek_v2: LATENT_SIZES,
  deepseek: DENSE_SIZES,
  llama: DENSE_SIZES,
  qwen2: DENSE_SIZES,
  qwen3: DENSE_SIZES,
  qwen3_moe: [...DENSE_SIZES, "moe_intermediate_size", "num_experts", "num_experts_per_tok"],
};
