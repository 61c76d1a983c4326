/** What config.json may ask for and Sumbi does not build: refused by name, since ignoring it would compute something else. */
import { isRecord } from "../json.ts";
import type { Fault } from "./rope-parameters.ts";

/** Fields of other attention and of layers that differ. `layers` is num_hidden_layers, when that could be read. */
export function refuseUnbuilt(
  raw: Record<string, unknown>,
  type: string,
  layers: number | undefined,
  fault: Fault,
): void {
  const none = (field: string, expected: string) => {
    if (raw[field] != null) fault(field, expected, raw[field]);
  };
  if (raw.is_causal === false) fault("is_causal", "true: attention to later tokens is not built", false);
  if (isRecord(raw.per_layer_config) && Object.keys(raw.per_layer_config).length > 0)
    fault("per_layer_config", "nothing: layers that differ from each other are not built", raw.per_layer_config);
  none("attention_chunk_size", "nothing: chunked attention is not built");
  if (type.startsWith("deepseek") && type !== "deepseek_v32")
    for (const field of ["index_topk", "index_n_heads", "index_head_dim"])
      none(field, `nothing: ${type} has no indexer; DeepSeek-V3.2's model_type is deepseek_v32`);
  if (type === "qwen3_moe") {
    if (raw.use_sliding_window && raw.sliding_window !== null)
      fault("use_sliding_window", "false: sliding windows are not built", raw.use_sliding_window);
  } else if (type.startsWith("qwen")) qwenWindows(raw, layers, fault);
  else none("sliding_window", "nothing: sliding windows are not built");
  layerTypes(raw.layer_types, type === "deepseek_v32" ? ["indexed_attention"] : FULL, layers, fault);
}

/** Qwen's windows hold from layer max_window_layers (28 unless given) on, where layer_types does not say otherwise. */
function qwenWindows(raw: Record<string, unknown>, layers: number | undefined, fault: Fault): void {
  const { use_sliding_window: used, sliding_window: window, max_window_layers: from = 28, layer_types: types } = raw;
  if (used == null || used === false) return;
  const anywhere =
    window !== null && types == null && !(typeof from === "number" && layers !== undefined && from >= layers);
  if (used !== true || anywhere) fault("use_sliding_window", "false: sliding windows are not built", used);
}

const FULL = ["full_attention", "attention"];

function layerTypes(types: unknown, built: readonly string[], layers: number | undefined, fault: Fault): void {
  if (types == null) return;
  if (!Array.isArray(types)) return fault("layer_types", "a list of one type a layer", types);
  const other = types.findIndex((type) => !built.includes(type as string));
  if (other >= 0)
    fault(
      `layer_types[${other}]`,
      `${JSON.stringify(built[0])}: sliding, chunked and other attention is not built`,
      types[other],
    );
  else if (layers !== undefined && types.length !== layers)
    fault("layer_types", `one type for each of the ${layers} layers`, `${types.length} of them`);
}
