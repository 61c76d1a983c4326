/** config.json's fields from a GGUF's metadata. What is not understood is refused by name: ignoring it would compute another model. */
import { CheckpointError } from "../../errors.ts";
import { quoted } from "../header.ts";
import { ARCHITECTURES, type Architecture, Fields, GATING, shortest } from "./fields.ts";
import type { GgufHeader } from "./header.ts";
import { ropeOf } from "./rope.ts";

export interface GgufConfig {
  json: Record<string, unknown>;
  /** What a person should know: what the file does not say and was taken from elsewhere. */
  notes: string[];
}

/** Which of the architectures that are read a file has. Throws CheckpointError naming another. */
export function architectureOf(header: GgufHeader): Architecture {
  const { metadata, path } = header;
  const type = metadata.get("general.type") ?? "model";
  if (type !== "model")
    throw new CheckpointError(
      `${path}: expected a model, got ${quoted(String(type))} (general.type), which is not read here`,
    );
  const name = metadata.get("general.architecture");
  if (typeof name !== "string" || !Object.hasOwn(ARCHITECTURES, name))
    throw new CheckpointError(
      `${path}: general.architecture: expected ${Object.keys(ARCHITECTURES).join(", ")}; got ${quoted(String(name ?? "nothing"))}, which is not read here`,
    );
  return name as Architecture;
}

/** `factors` are the values of rope_freqs.weight, if the file has that. Throws CheckpointError naming the field. */
export function configOf(header: GgufHeader, factors: Float32Array | undefined): GgufConfig {
  const architecture = architectureOf(header);
  const { tensors, path } = header;
  const fields = new Fields(header, architecture);
  const notes: string[] = [];
  const embedding = tensors.get("token_embd.weight");
  if (embedding?.shape.length !== 2)
    throw new CheckpointError(
      `${path}: expected a matrix token_embd.weight, got ${embedding ? `[${embedding.shape}]` : "none"}`,
    );
  fields.count("vocab_size");
  const width = fields.needed("embedding_length");
  const heads = fields.needed("attention.head_count");
  const keyHeads = fields.count("attention.head_count_kv");
  const modules = fields.count("nextn_predict_layers") ?? 0;
  const layers = fields.needed("block_count") - modules;
  const json: Record<string, unknown> = {
    architectures: [ARCHITECTURES[architecture].class],
    model_type: ARCHITECTURES[architecture].model_type,
    vocab_size: embedding.shape[0],
    hidden_size: width,
    intermediate_size: fields.needed("feed_forward_length"),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    max_position_embeddings: fields.needed("context_length"),
    rms_norm_eps: shortest(fields.number("attention.layer_norm_rms_epsilon") ?? 1e-6),
    hidden_act: "silu",
    tie_word_embeddings: !tensors.has("output.weight"),
  };
  const keyLength = fields.count("attention.key_length");
  const valueLength = fields.count("attention.value_length");
  const turned = fields.count("rope.dimension_count");
  fields.only("attention.causal", [true], "attention to later tokens is not built");
  fields.only("attention.sliding_window", [0], "sliding windows are not built");
  fields.only("use_parallel_residual", [false], "parallel residuals are not built");
  fields.only("tensor_data_layout", ["Meta AI original pth", "reference"], "other layouts are not read");
  fields.only("pooling_type", [0], "embedding models are not built");
  if (architecture === "deepseek2")
    latentFields(fields, json, notes, { keyLength, valueLength, turned, heads, modules, layers });
  else {
    const dim = keyLength ?? width / heads;
    if (valueLength !== undefined && valueLength !== dim)
      throw fields.fail("attention.value_length", `${dim}, as long as a key`, valueLength);
    if (turned !== undefined && turned !== dim)
      throw fields.fail("rope.dimension_count", `${dim}: heads that are turned in part are not built`, turned);
    json.num_key_value_heads = keyHeads ?? heads;
    json.head_dim = dim;
    if (architecture !== "qwen2")
      json.attention_bias = tensors.has("blk.0.attn_q.bias") || tensors.has("blk.0.attn_qkv.bias");
    if (architecture === "llama") json.mlp_bias = tensors.has("blk.0.ffn_gate.bias");
    if (architecture === "qwen3moe") expertFields(fields, json);
    else
      for (const name of ["expert_count", "expert_used_count"])
        fields.only(name, [0], `${architecture} with experts is not built`);
  }
  const rope = ropeOf(fields, factors, json.max_position_embeddings as number);
  json.rope_theta = rope.theta;
  if (rope.scaling !== undefined) json.rope_scaling = rope.scaling;
  for (const [name, field] of TOKEN_IDS) {
    const id = header.metadata.get(`tokenizer.ggml.${name}`);
    if (typeof id === "number") json[field] = id;
    else if (field !== "pad_token_id") json[field] = null;
  }
  fields.refuseLeft();
  return { json, notes };
}

const TOKEN_IDS = [
  ["bos_token_id", "bos_token_id"],
  ["eos_token_id", "eos_token_id"],
  ["padding_token_id", "pad_token_id"],
] as const;

/** qwen3moe: softmax over all experts, the chosen ones' shares made to sum to 1, as llama.cpp does whatever the file says. */
function expertFields(fields: Fields, json: Record<string, unknown>): void {
  json.num_experts = fields.needed("expert_count");
  json.num_experts_per_tok = fields.needed("expert_used_count");
  json.moe_intermediate_size =
    fields.count("expert_feed_forward_length") ??
    (json.intermediate_size as number) / (json.num_experts_per_tok as number);
  json.norm_topk_prob = true;
  json.decoder_sparse_step = 1;
  json.mlp_only_layers = [];
  fields.only("expert_shared_count", [0], "shared experts of qwen3moe are not built");
  fields.only("expert_gating_func", [1], "scores other than softmax are not built");
}

/** Groups of experts that files from before llama.cpp knew them do not mention, by layers and experts: V3 and R1, V2 and V2.5. */
const PUBLISHED_GROUPS = [
  { layers: 61, experts: 256, groups: 8, kept: 4 },
  { layers: 60, experts: 160, groups: 8, kept: 3 },
];

interface Latent {
  keyLength: number | undefined;
  valueLength: number | undefined;
  turned: number | undefined;
  heads: number;
  modules: number;
  layers: number;
}

/** deepseek2: V2 (softmax scores) and V3 (sigmoid). Newer files state the lengths of expanded heads apart (`_mla`). */
function latentFields(fields: Fields, json: Record<string, unknown>, notes: string[], given: Latent): void {
  const { heads, layers, modules } = given;
  const rope = given.turned;
  if (rope === undefined) throw fields.fail("rope.dimension_count", "a positive whole number", rope);
  const key = fields.count("attention.key_length_mla") ?? given.keyLength;
  const value = fields.count("attention.value_length_mla") ?? given.valueLength;
  if (key === undefined || key <= rope)
    throw fields.fail("attention.key_length", `more than ${rope}, the part that is turned`, key);
  json.num_key_value_heads = heads;
  json.q_lora_rank = fields.count("attention.q_lora_rank") || null;
  json.kv_lora_rank = fields.needed("attention.kv_lora_rank");
  json.qk_nope_head_dim = key - rope;
  json.qk_rope_head_dim = rope;
  json.v_head_dim = value;
  const gating = fields.count("expert_gating_func") || GATING.softmax;
  if (gating !== GATING.softmax && gating !== GATING.sigmoid)
    throw fields.fail("expert_gating_func", "1 (softmax) or 2 (sigmoid)", gating);
  const experts = fields.count("expert_count") ?? 0;
  const perToken = fields.count("expert_used_count") ?? 0;
  const shared = fields.count("expert_shared_count") ?? 0;
  const expertWidth = fields.count("expert_feed_forward_length");
  const dense = fields.count("leading_dense_block_count") ?? 0;
  const scale = fields.number("expert_weights_scale") || 1;
  const normalized = fields.flag("expert_weights_norm") ?? false;
  let groups = fields.count("expert_group_count");
  let kept = fields.count("expert_group_used_count");
  const published = PUBLISHED_GROUPS.find((model) => model.layers === layers && model.experts === experts);
  if (groups === undefined && published !== undefined) {
    ({ groups, kept } = published);
    notes.push(
      `the file does not say in which groups the ${experts} experts are: ${kept} of ${groups}, as published, are taken`,
    );
  }
  groups ||= 1;
  kept ||= 1;
  const v3 = gating === GATING.sigmoid;
  Object.assign(json, {
    model_type: v3 ? "deepseek_v3" : "deepseek_v2",
    architectures: [v3 ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM"],
    n_routed_experts: experts,
    n_shared_experts: shared,
    num_experts_per_tok: perToken,
    moe_intermediate_size: expertWidth ?? null,
    first_k_dense_replace: experts === 0 ? layers : dense,
    routed_scaling_factor: shortest(scale),
    norm_topk_prob: normalized,
    scoring_func: v3 ? "sigmoid" : "softmax",
    topk_method: v3 ? "noaux_tc" : groups > 1 ? "group_limited_greedy" : "greedy",
    n_group: groups,
    topk_group: kept,
    ...(v3 ? { num_nextn_predict_layers: modules } : {}),
  });
}
