/** Where each of Hugging Face's tensors lies in a GGUF file: which rows of which tensor, in which order. */
import { CheckpointError } from "../../errors.ts";
import { quoted } from "../header.ts";
import type { Architecture } from "./fields.ts";
import type { GgufTensor } from "./header.ts";
import { expertKey, keyOf, parseLayerName } from "./names.ts";

/** Rows of a stored tensor, or its single numbers when it is a vector. */
export interface Rows {
  tensor: GgufTensor;
  first: number;
  shape: readonly number[];
  /** Length of a head whose rotated pairs are stored as neighbours (llama.cpp's llama) and are halves in Hugging Face's order. */
  turned?: number;
}

/** MLA's kv_b_proj in two: keys transposed for absorbed attention [H, C, N], values [H, P, C]. */
export interface Joined {
  keys: GgufTensor;
  values: GgufTensor;
  shape: readonly [number, number];
}

export type Source = Rows | Joined;

export const isJoined = (source: Source): source is Joined => "keys" in source;

/** What the stored tensors cannot say by themselves. */
export interface Heads {
  architecture: Architecture;
  heads: number;
  keyHeads: number;
  headDim: number;
}

const whole = (tensor: GgufTensor): Rows => ({ tensor, first: 0, shape: tensor.shape });

/**
 * The tensors of a file under Hugging Face's keys; one without such a key keeps its name, so that whoever reads the model refuses it.
 * Throws CheckpointError for parts that do not fit together.
 */
export function sourcesOf(tensors: ReadonlyMap<string, GgufTensor>, heads: Heads, path: string): Map<string, Source> {
  const sources = new Map<string, Source>();
  const put = (key: string, source: Source) => {
    if (sources.has(key)) throw new CheckpointError(`${path}: tensor ${quoted(key)} is stored twice, in two forms`);
    sources.set(key, source);
  };
  const pairs = heads.architecture === "llama" ? heads.headDim : undefined;
  if (pairs !== undefined && (pairs < 2 || pairs % 2 !== 0))
    throw new CheckpointError(`${path}: expected heads of an even length, got ${pairs}`);
  for (const tensor of tensors.values()) {
    if (tensor.name === "rope_freqs.weight") continue;
    const parsed = parseLayerName(tensor.name);
    const putParts = (parts: readonly (readonly [key: string, rows: number, turned?: number])[]) =>
      cut(tensor, parts, path).forEach(([key, rows]) => put(key, rows));
    if (parsed === undefined || parsed.expert !== undefined) {
      put(keyOf(tensor.name) ?? tensor.name, whole(tensor));
      continue;
    }
    const { layer, part, suffix } = parsed;
    const at = `model.layers.${layer}.self_attn`;
    const [outer = 0] = tensor.shape;
    switch (part) {
      case "attn_q":
      case "attn_k":
        putParts([[`${at}.${part.slice(5)}_proj.${suffix}`, outer, pairs]]);
        break;
      case "attn_qkv": {
        const [q, k] = [heads.heads * heads.headDim, heads.keyHeads * heads.headDim];
        putParts([
          [`${at}.q_proj.${suffix}`, q, pairs],
          [`${at}.k_proj.${suffix}`, k, pairs],
          [`${at}.v_proj.${suffix}`, k],
        ]);
        break;
      }
      case "attn_k_b":
        put(`${at}.kv_b_proj.weight`, joined(tensor, tensors.get(`blk.${layer}.attn_v_b.weight`), path));
        break;
      case "attn_v_b":
        if (!tensors.has(`blk.${layer}.attn_k_b.weight`)) put(tensor.name, whole(tensor));
        break;
      case "ffn_gate_exps":
      case "ffn_up_exps":
      case "ffn_down_exps":
        putParts(
          Array.from({ length: outer }, (_, e) => [
            expertKey(layer, e, part.slice(4, -5), suffix),
            tensor.shape[1] ?? 0,
          ]),
        );
        break;
      case "ffn_gate_up_exps": {
        const half = (tensor.shape[1] ?? 0) / 2;
        putParts(
          Array.from({ length: 2 * outer }, (_, i) => [
            expertKey(layer, i >> 1, i % 2 === 0 ? "gate" : "up", suffix),
            half,
          ]),
        );
        break;
      }
      default:
        put(keyOf(tensor.name) ?? tensor.name, whole(tensor));
    }
  }
  return sources;
}

/** Cuts a tensor along its rows, of all dimensions but the last, into parts that fill it. */
function cut(
  tensor: GgufTensor,
  parts: readonly (readonly [key: string, rows: number, turned?: number])[],
  path: string,
): [string, Rows][] {
  const vector = tensor.shape.length === 1;
  const columns = vector ? 1 : (tensor.shape.at(-1) ?? 1);
  const rows = tensor.shape.reduce((a, b) => a * b, 1) / columns;
  const sum = parts.reduce((total, [, count]) => total + count, 0);
  if (sum !== rows || !parts.every(([, count]) => Number.isInteger(count)))
    throw new CheckpointError(`${path}: tensor ${quoted(tensor.name)}: expected ${sum} rows, got [${tensor.shape}]`);
  let first = 0;
  return parts.map(([key, count, turned]) => {
    const shape = vector ? [count] : [count, columns];
    if (turned !== undefined && count % turned !== 0)
      throw new CheckpointError(
        `${path}: tensor ${quoted(tensor.name)}: expected rows of whole heads of ${turned}, got [${tensor.shape}]`,
      );
    const source: Rows = { tensor, first, shape, ...(turned === undefined ? {} : { turned }) };
    first += count;
    return [key, source];
  });
}

function joined(keys: GgufTensor, values: GgufTensor | undefined, path: string): Joined {
  const [H, C, N] = keys.shape;
  const [H2, P, C2] = values?.shape ?? [];
  if (values === undefined || keys.shape.length !== 3 || values.shape.length !== 3 || H !== H2 || C !== C2)
    throw new CheckpointError(
      `${path}: tensor ${quoted(keys.name)}: expected [heads, rank, keys] and attn_v_b [heads, values, rank] beside it, got [${keys.shape}] and ${values ? `[${values.shape}]` : "none"}`,
    );
  return { keys, values, shape: [H! * (N! + P!), C!] };
}
