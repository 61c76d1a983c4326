/** llama.cpp's names of tensors and Hugging Face's. */

/** Of a layer: llama.cpp's, then Hugging Face's, both without `.weight` or `.bias`. */
const LAYER_NAMES: readonly (readonly [gguf: string, key: string])[] = [
  ["attn_norm", "input_layernorm"],
  ["attn_q", "self_attn.q_proj"],
  ["attn_k", "self_attn.k_proj"],
  ["attn_v", "self_attn.v_proj"],
  ["attn_output", "self_attn.o_proj"],
  ["attn_q_norm", "self_attn.q_norm"],
  ["attn_k_norm", "self_attn.k_norm"],
  ["attn_q_a", "self_attn.q_a_proj"],
  ["attn_q_a_norm", "self_attn.q_a_layernorm"],
  ["attn_q_b", "self_attn.q_b_proj"],
  ["attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"],
  ["attn_kv_a_norm", "self_attn.kv_a_layernorm"],
  ["attn_kv_b", "self_attn.kv_b_proj"],
  ["ffn_norm", "post_attention_layernorm"],
  ["ffn_gate", "mlp.gate_proj"],
  ["ffn_up", "mlp.up_proj"],
  ["ffn_down", "mlp.down_proj"],
  ["ffn_gate_inp", "mlp.gate"],
  ["ffn_gate_shexp", "mlp.shared_experts.gate_proj"],
  ["ffn_up_shexp", "mlp.shared_experts.up_proj"],
  ["ffn_down_shexp", "mlp.shared_experts.down_proj"],
  ["nextn.eh_proj", "eh_proj"],
  ["nextn.enorm", "enorm"],
  ["nextn.hnorm", "hnorm"],
  ["nextn.embed_tokens", "embed_tokens"],
  ["nextn.shared_head_head", "shared_head.head"],
  ["nextn.shared_head_norm", "shared_head.norm"],
];

/** Whole names. */
const WHOLE_NAMES: readonly (readonly [gguf: string, key: string])[] = [
  ["token_embd.weight", "model.embed_tokens.weight"],
  ["output_norm.weight", "model.norm.weight"],
  ["output.weight", "lm_head.weight"],
];

const BIAS_NAME = ["exp_probs_b.bias", "mlp.gate.e_score_correction_bias"] as const;

const keyOfName = new Map(LAYER_NAMES);
const nameOfKey = new Map(LAYER_NAMES.map(([name, key]) => [key, name]));
const wholeKeys = new Map(WHOLE_NAMES);
const wholeNames = new Map(WHOLE_NAMES.map(([name, key]) => [key, name]));

/** A tensor of a layer, as its name says: `part` without suffix, and of one expert alone which. */
export interface LayerName {
  layer: number;
  part: string;
  suffix: "weight" | "bias";
  expert?: number;
}

/** `blk.3.ffn_gate.7.weight`, of files before the experts were joined, is expert 7's. */
export function parseLayerName(name: string): LayerName | undefined {
  const match = /^blk\.(0|[1-9]\d{0,3})\.([a-z_]+(?:\.[a-z_]+)?)(?:\.(0|[1-9]\d{0,4}))?\.(weight|bias)$/.exec(name);
  if (match === null) return undefined;
  const [, layer, part, expert, suffix] = match as unknown as [
    string,
    string,
    string,
    string | undefined,
    LayerName["suffix"],
  ];
  return { layer: Number(layer), part, suffix, ...(expert === undefined ? {} : { expert: Number(expert) }) };
}

/** The key of a tensor that is stored as it is; undefined for other names. */
export function keyOf(name: string): string | undefined {
  const whole = wholeKeys.get(name);
  if (whole !== undefined) return whole;
  const parsed = parseLayerName(name);
  if (parsed === undefined) return undefined;
  const { layer, part, suffix, expert } = parsed;
  if (`${part}.${suffix}` === BIAS_NAME[0]) return `model.layers.${layer}.${BIAS_NAME[1]}`;
  const key = keyOfName.get(part);
  if (key === undefined) return undefined;
  if (expert === undefined) return `model.layers.${layer}.${key}.${suffix}`;
  return /^ffn_(?:gate|up|down)$/.test(part) ? expertKey(layer, expert, part.slice(4), suffix) : undefined;
}

/** The key of an expert's gate, up or down. */
export const expertKey = (layer: number, expert: number, part: string, suffix = "weight"): string =>
  `model.layers.${layer}.mlp.experts.${expert}.${part}_proj.${suffix}`;

/** llama.cpp's name of a key that is stored as it is; undefined for one that it has no name for. */
export function nameOf(key: string): string | undefined {
  const whole = wholeNames.get(key);
  if (whole !== undefined) return whole;
  const match = /^model\.layers\.(\d+)\.(.+)\.([a-z_]+)$/.exec(key);
  if (match === null) return undefined;
  const [, layer, part, suffix] = match as unknown as [string, string, string, string];
  if (`${part}.${suffix}` === BIAS_NAME[1]) return `blk.${layer}.${BIAS_NAME[0]}`;
  const name = suffix === "weight" || suffix === "bias" ? nameOfKey.get(part) : undefined;
  return name === undefined ? undefined : `blk.${layer}.${name}.${suffix}`;
}
