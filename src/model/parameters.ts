/** The parameters of a model by its config: checkpoint keys, shapes, what each belongs to. */
import {
  attentionBias,
  type GroupedConfig,
  headDims,
  isIndexed,
  isLatent,
  isMoeLayer,
  type LatentConfig,
  layersWithMtp,
  type ModelConfig,
  mixtureOf,
  mlpBias,
  qkNorm,
} from "./config.ts";

/** What a parameter belongs to, for counting. */
export type Part =
  | "embedding"
  | "attention"
  | "indexer"
  | "dense FFN"
  | "router"
  | "routed experts"
  | "shared experts"
  | "norms"
  | "head"
  | "MTP";

export interface Parameter {
  key: string;
  shape: number[];
  part: Part;
  /** The layer it sits in; MTP modules count on from num_hidden_layers. */
  layer?: number;
  /** Not trained by the loss's gradient: the correction bias of the router, moved by the balance rule, and the indexer. */
  buffer?: true;
  /** The same tensor as this key, written again for tools that expect it (MTP's embedding and head). */
  sameAs?: string;
}

/** Where a name has it, the number of an expert stands. */
const EACH = "{expert}";

/** A tensor of one layer; one of `each` experts' where its name holds EACH. */
interface LayerTensor extends Pick<Parameter, "shape" | "part" | "buffer"> {
  name: string;
  /** Times that a layer has it: the experts, else 1. */
  each: number;
}

/** Tensors of one shape and one purpose, counted instead of listed. */
export interface ParameterKind extends Pick<Parameter, "shape" | "part" | "buffer" | "sameAs"> {
  /** The key of the first of them. */
  key: string;
  count: number;
  /** Routed experts' own: a token goes through K of E. */
  routed: boolean;
}

/** Layers of a model that are alike: dense ones and mixtures, those of the MTP modules apart, with `mtp`. */
function layerKinds(config: ModelConfig): { first: number; count: number; moe: boolean; mtp: boolean }[] {
  const kinds = new Map<string, { first: number; count: number; moe: boolean; mtp: boolean }>();
  for (let i = 0; i < layersWithMtp(config); i++) {
    const moe = isMoeLayer(config, i),
      mtp = i >= config.num_hidden_layers;
    const kind = kinds.get(`${moe} ${mtp}`);
    if (kind) kind.count++;
    else kinds.set(`${moe} ${mtp}`, { first: i, count: 1, moe, mtp });
  }
  return [...kinds.values()];
}

/** Every tensor of `listParameters`, by kind: a few dozen entries whatever the number of layers and experts. */
export function parameterKinds(config: ModelConfig): ParameterKind[] {
  const ends = endTensors(config).map((parameter): ParameterKind => ({ ...parameter, count: 1, routed: false }));
  const ofLayers: ParameterKind[] = [],
    ofModules: ParameterKind[] = [];
  for (const { first, count, moe, mtp } of layerKinds(config)) {
    const at = `model.layers.${first}`;
    const into = mtp ? ofModules : ofLayers;
    for (const { name, each, ...tensor } of layerTensors(config, moe))
      into.push({
        ...tensor,
        ...(mtp && { part: "MTP" }),
        key: `${at}.${name.replace(EACH, "0")}`,
        count: count * each,
        routed: name.includes(EACH),
      });
    if (mtp)
      for (const { name, ...tensor } of mtpTensors(config))
        into.push({ ...tensor, part: "MTP", key: `${at}.${name}`, count, routed: false });
  }
  return [...ends.slice(0, 1), ...ofLayers, ...ends.slice(1), ...ofModules];
}

/** How many tensors a checkpoint of this model has, copies of MTP modules included; `mtp: false` leaves the modules out. */
export const tensorCount = (config: ModelConfig, { mtp = true } = {}): number =>
  parameterKinds(config).reduce((sum, { part, count }) => (part === "MTP" && !mtp ? sum : sum + count), 0);

/** Every tensor of a Hugging Face checkpoint of this model, in order: key, shape and part. Experts are one by one. */
export function* listParameters(config: ModelConfig): Generator<Parameter> {
  const [embedding, ...ends] = endTensors(config);
  if (embedding) yield embedding;
  const { num_hidden_layers: layers } = config;
  for (let i = 0; i < layers; i++) yield* layer(config, i);
  yield* ends;
  for (let i = layers; i < layersWithMtp(config); i++) {
    const own = mtpTensors(config).map(
      ({ name, ...tensor }): Parameter => ({ key: `model.layers.${i}.${name}`, ...tensor, part: "MTP", layer: i }),
    );
    yield* own.slice(0, MTP_BEFORE);
    for (const parameter of layer(config, i)) yield { ...parameter, part: "MTP" };
    yield* own.slice(MTP_BEFORE);
  }
}

/** The tensors that belong to no layer: embedding, last norm, head. */
function endTensors(config: ModelConfig): Parameter[] {
  const { hidden_size: D, vocab_size: V } = config;
  return [
    { key: "model.embed_tokens.weight", shape: [V, D], part: "embedding" },
    { key: "model.norm.weight", shape: [D], part: "norms" },
    ...(config.tie_word_embeddings ? [] : [{ key: "lm_head.weight", shape: [V, D], part: "head" as const }]),
  ];
}

/** What an MTP module has beside its layer; the first MTP_BEFORE stand before it. */
function mtpTensors(config: ModelConfig): { name: string; shape: number[]; sameAs?: string }[] {
  const { hidden_size: D, vocab_size: V } = config;
  return [
    { name: "embed_tokens.weight", shape: [V, D], sameAs: "model.embed_tokens.weight" },
    { name: "enorm.weight", shape: [D] },
    { name: "hnorm.weight", shape: [D] },
    { name: "eh_proj.weight", shape: [D, 2 * D] },
    { name: "shared_head.norm.weight", shape: [D] },
    { name: "shared_head.head.weight", shape: [V, D], sameAs: headKey(config) },
  ];
}
const MTP_BEFORE = 4;

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

/** The tensors of layer `i`, experts one by one, all of an expert's together. */
function* layer(config: ModelConfig, i: number): Generator<Parameter> {
  const at = `model.layers.${i}`;
  const tensors = layerTensors(config, isMoeLayer(config, i));
  for (let t = 0; t < tensors.length; t++) {
    const { each, name, ...tensor } = tensors[t]!;
    if (!name.includes(EACH)) {
      yield { key: `${at}.${name}`, ...tensor, layer: i };
      continue;
    }
    const block = tensors.slice(t).filter((other) => other.name.includes(EACH));
    for (let e = 0; e < each; e++)
      for (const { name: part, each: _, ...own } of block)
        yield { key: `${at}.${part.replace(EACH, String(e))}`, ...own, layer: i };
    t += block.length - 1;
  }
}

/** What one layer holds, in the order of a checkpoint. */
function layerTensors(config: ModelConfig, moe: boolean): LayerTensor[] {
  const D = config.hidden_size;
  const tensors: LayerTensor[] = [];
  const put = (name: string, shape: number[], part: Part, more: Partial<LayerTensor> = {}) =>
    tensors.push({ name, shape, part, each: 1, ...more });
  put("input_layernorm.weight", [D], "norms");
  for (const [name, shape] of isLatent(config) ? latentAttention(config) : groupedAttention(config))
    put(`self_attn.${name}`, shape, name.includes("norm") ? "norms" : "attention");
  if (isIndexed(config)) {
    const { index_n_heads: U, index_head_dim: Z, q_lora_rank: Q } = config;
    for (const [name, shape] of [
      ["wq_b.weight", [U * Z, Q]],
      ["wk.weight", [Z, D]],
      ["k_norm.weight", [Z]],
      ["k_norm.bias", [Z]],
      ["weights_proj.weight", [U, D]],
    ] as const)
      put(`self_attn.indexer.${name}`, [...shape], "indexer", { buffer: true });
  }
  put("post_attention_layernorm.weight", [D], "norms");
  if (!moe) {
    for (const [name, shape] of feedForward(D, config.intermediate_size, mlpBias(config)))
      put(`mlp.${name}`, shape, "dense FFN");
    return tensors;
  }
  const { experts: E, shared, width: M, corrected } = mixtureOf(config);
  put("mlp.gate.weight", [E, D], "router");
  if (corrected) put("mlp.gate.e_score_correction_bias", [E], "router", { buffer: true });
  for (const [name, shape] of feedForward(D, M, false))
    put(`mlp.experts.${EACH}.${name}`, shape, "routed experts", { each: E });
  if (shared > 0)
    for (const [name, shape] of feedForward(D, shared * M, false))
      put(`mlp.shared_experts.${name}`, shape, "shared experts");
  return tensors;
}

function* latentAttention(config: LatentConfig): Generator<[string, number[]]> {
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

function* groupedAttention(config: GroupedConfig): Generator<[string, number[]]> {
  const { hidden_size: D, num_attention_heads: H, num_key_value_heads: J } = config;
  const { query: dim } = headDims(config);
  const bias = attentionBias(config);
  for (const [name, heads] of [
    ["q", H],
    ["k", J],
    ["v", J],
  ] as const) {
    yield [`${name}_proj.weight`, [heads * dim, D]];
    if (bias.qkv) yield [`${name}_proj.bias`, [heads * dim]];
  }
  if (qkNorm(config)) {
    yield ["q_norm.weight", [dim]];
    yield ["k_norm.weight", [dim]];
  }
  yield ["o_proj.weight", [D, H * dim]];
  if (bias.out) yield ["o_proj.bias", [D]];
}

function* feedForward(D: number, width: number, bias: boolean): Generator<[string, number[]]> {
  for (const [name, out, into] of [
    ["gate", width, D],
    ["up", width, D],
    ["down", D, width],
  ] as const) {
    yield [`${name}_proj.weight`, [out, into]];
    if (bias) yield [`${name}_proj.bias`, [out]];
  }
}
