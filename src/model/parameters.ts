import {
  attentionBias,
  headDims,
  isDeepseek,
  isMoeLayer,
  mlpBias,
  mtpDepth,
  type DeepseekConfig,
  type DenseConfig,
  type ModelConfig,
} from "./config.ts";

/** What a parameter belongs to, for counting. */
export type Part = "embedding" | "attention" | "dense FFN" | "router" | "routed experts" | "shared experts" | "norms" | "head" | "MTP";

export interface Parameter {
  key: string;
  shape: number[];
  part: Part;
  /** The layer it sits in; MTP modules count on from num_hidden_layers. */
  layer?: number;
  /** Not trained by gradient: the correction bias of the router, moved by the balance rule. */
  buffer?: true;
  /** The same tensor as this key, written again for tools that expect it (MTP's embedding and head). */
  sameAs?: string;
}

/** Every tensor of a Hugging Face checkpoint of this model, in order: key, shape and part. Experts are one by one. */
export function* listParameters(config: ModelConfig): Generator<Parameter> {
  const { hidden_size: D, vocab_size: V, num_hidden_layers: layers } = config;
  yield { key: "model.embed_tokens.weight", shape: [V, D], part: "embedding" };
  for (let i = 0; i < layers; i++) yield* layer(config, i);
  yield { key: "model.norm.weight", shape: [D], part: "norms" };
  if (!config.tie_word_embeddings) yield { key: "lm_head.weight", shape: [V, D], part: "head" };
  for (let i = layers; i < layers + mtpDepth(config); i++) {
    const at = `model.layers.${i}`;
    const mtp = { part: "MTP" as const, layer: i };
    yield { key: `${at}.embed_tokens.weight`, shape: [V, D], sameAs: "model.embed_tokens.weight", ...mtp };
    yield { key: `${at}.enorm.weight`, shape: [D], ...mtp };
    yield { key: `${at}.hnorm.weight`, shape: [D], ...mtp };
    yield { key: `${at}.eh_proj.weight`, shape: [D, 2 * D], ...mtp };
    for (const parameter of layer(config, i)) yield { ...parameter, ...mtp };
    yield { key: `${at}.shared_head.norm.weight`, shape: [D], ...mtp };
    yield { key: `${at}.shared_head.head.weight`, shape: [V, D], sameAs: headKey(config), ...mtp };
  }
}

/** Key of the output head: the embedding when they are tied. */
export const headKey = (config: ModelConfig): string =>
  config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";

/** Every key of a checkpoint with its shape. */
export const parameterShapes = (config: ModelConfig): Map<string, number[]> =>
  new Map(Array.from(listParameters(config), ({ key, shape }) => [key, shape]));

/** The keys that gradients move: no buffers, nothing twice. */
export const trainableShapes = (config: ModelConfig): Map<string, number[]> =>
  new Map(
    Array.from(listParameters(config))
      .filter(({ buffer, sameAs }) => !buffer && !sameAs)
      .map(({ key, shape }) => [key, shape]),
  );

function* layer(config: ModelConfig, i: number): Generator<Parameter> {
  const at = `model.layers.${i}`;
  const D = config.hidden_size;
  const norm = { shape: [D], part: "norms" as const, layer: i };
  yield { key: `${at}.input_layernorm.weight`, ...norm };
  const attention = isDeepseek(config) ? latentAttention(config) : groupedAttention(config);
  for (const [name, shape] of attention)
    yield { key: `${at}.self_attn.${name}`, shape, part: name.includes("norm") ? "norms" : "attention", layer: i };
  yield { key: `${at}.post_attention_layernorm.weight`, ...norm };
  if (!isMoeLayer(config, i)) {
    for (const [name, shape] of feedForward(D, config.intermediate_size, mlpBias(config)))
      yield { key: `${at}.mlp.${name}`, shape, part: "dense FFN", layer: i };
    return;
  }
  const { n_routed_experts: E, n_shared_experts: shared, moe_intermediate_size } = config;
  const M = moe_intermediate_size!;
  yield { key: `${at}.mlp.gate.weight`, shape: [E, D], part: "router", layer: i };
  if (config.topk_method === "noaux_tc")
    yield { key: `${at}.mlp.gate.e_score_correction_bias`, shape: [E], part: "router", layer: i, buffer: true };
  for (let e = 0; e < E; e++)
    for (const [name, shape] of feedForward(D, M, false))
      yield { key: `${at}.mlp.experts.${e}.${name}`, shape, part: "routed experts", layer: i };
  if (shared > 0)
    for (const [name, shape] of feedForward(D, shared * M, false))
      yield { key: `${at}.mlp.shared_experts.${name}`, shape, part: "shared experts", layer: i };
}

function* latentAttention(config: DeepseekConfig): Generator<[string, number[]]> {
  const { hidden_size: D, num_attention_heads: H, q_lora_rank: Q, kv_lora_rank: C } = config;
  const { nope, rope, query, value } = headDims(config);
  const bias = config.attention_bias;
  if (Q === null) yield ["q_proj.weight", [H * query, D]];
  else {
    yield ["q_a_proj.weight", [Q, D]];
    if (bias) yield ["q_a_proj.bias", [Q]];
    yield ["q_a_layernorm.weight", [Q]];
    yield ["q_b_proj.weight", [H * query, Q]];
  }
  yield ["kv_a_proj_with_mqa.weight", [C + rope, D]];
  if (bias) yield ["kv_a_proj_with_mqa.bias", [C + rope]];
  yield ["kv_a_layernorm.weight", [C]];
  yield ["kv_b_proj.weight", [H * (nope + value), C]];
  yield ["o_proj.weight", [D, H * value]];
  if (bias) yield ["o_proj.bias", [D]];
}

function* groupedAttention(config: DenseConfig): Generator<[string, number[]]> {
  const { hidden_size: D, num_attention_heads: H, num_key_value_heads: J } = config;
  const { query: dim } = headDims(config);
  const bias = attentionBias(config);
  for (const [name, heads] of [["q", H], ["k", J], ["v", J]] as const) {
    yield [`${name}_proj.weight`, [heads * dim, D]];
    if (bias.qkv) yield [`${name}_proj.bias`, [heads * dim]];
  }
  if (config.model_type === "qwen3") {
    yield ["q_norm.weight", [dim]];
    yield ["k_norm.weight", [dim]];
  }
  yield ["o_proj.weight", [D, H * dim]];
  if (bias.out) yield ["o_proj.bias", [D]];
}

function* feedForward(D: number, width: number, bias: boolean): Generator<[string, number[]]> {
  for (const [name, out, into] of [["gate", width, D], ["up", width, D], ["down", D, width]] as const) {
    yield [`${name}_proj.weight`, [out, into]];
    if (bias) yield [`${name}_proj.bias`, [out]];
  }
}
