/** Grouped-query attention, for training and with cached rows. */
import {
  attention,
  causalAttention,
  type Dim,
  expand,
  reshape,
  rmsNorm,
  rope,
  type Tensor,
  transpose,
} from "../tensor/index.ts";
import type { ModelBuilder, Rope, Tokens } from "./builder.ts";
import { type GroupedConfig, headDims } from "./config.ts";
import { causalMask } from "./mask.ts";
import { type Past, placeRows, stepAttention } from "./past.ts";
import { softmaxScale } from "./rope.ts";

/** Keys and values by key head, as a cache keeps them: [B, J, T, R] each, keys rotated. */
export interface HeadRows {
  k: Tensor;
  v: Tensor;
}

/**
 * Grouped-query attention within the given tokens: x_XD -> out_XD. Llama, Qwen2 (biases), Qwen3 (q and k normed).
 * The I query heads of a key head are stacked along the tokens, so that keys are never repeated. arXiv:2305.13245.
 */
export function groupedAttention(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  angles: Rope,
  tokens: Tokens,
): { out_XD: Tensor; rows: HeadRows } {
  const { B, T } = tokens;
  const { q_BHTR, k_BJTR, v_BTJR, H, J, R } = project(model, x_XD, at, angles, tokens);
  const q_BJYR = reshape(q_BHTR, [B, J, times(H / J, T), R]);
  const v_BJTR = transpose(v_BTJR, [0, 2, 1, 3]);
  const scale = softmaxScale(model.config);
  const o =
    typeof T === "number" && H === J
      ? causalAttention(q_BJYR, k_BJTR, v_BJTR, scale)
      : attention(q_BJYR, k_BJTR, v_BJTR, scale, causalMask(T, H / J));
  return { out_XD: output(model, reshape(o, [B, H, T, R]), at, tokens), rows: { k: k_BJTR, v: v_BJTR } };
}

/** The same for tokens that follow those of `past`, keys and values [B, J, S, R]. */
export function cachedGroupedAttention(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  angles: Rope,
  tokens: Tokens,
  past: Past,
): { out_XD: Tensor; rows: HeadRows } {
  const { B, T } = tokens;
  const { q_BHTR, k_BJTR, v_BTJR, H, J, R } = project(model, x_XD, at, angles, tokens);
  const kept = (row: Tensor) => past.kept?.(row, [R]) ?? row;
  const rows = { k: kept(k_BJTR), v: kept(transpose(v_BTJR, [0, 2, 1, 3])) };
  const S = past.rows[0]!.dim(-2);
  const [k, v] = past.rows.map((rows) => reshape(rows, [B, J, S, R])) as [Tensor, Tensor];
  const q_BJYR = reshape(q_BHTR, [B, J, times(H / J, T), R]);
  const scale = softmaxScale(model.config);
  const all = (kept: Tensor, added: Tensor) => placeRows(kept, added, past.places_BT);
  const attend = () => {
    if (past.mode === "read")
      return attention(q_BJYR, all(k, rows.k), all(v, rows.v), scale, repeated(past.mask, H / J));
    if (past.mode !== "check")
      return stepAttention(q_BJYR, { past: k, own: rows.k }, { past: v, own: rows.v }, scale, past);
    const each = (x_BHTR: Tensor, heads: number[]) => reshape(transpose(x_BHTR, [0, 2, 1, 3]), [B, T, ...heads, R]);
    const placed = (kept: Tensor, added: Tensor) => ({
      past: reshape(all(kept, added), [B, 1, J, S, R]),
      own: each(added, [J, 1]),
    });
    const o_BTJYR = stepAttention(each(q_BHTR, [J, H / J]), placed(k, rows.k), placed(v, rows.v), scale, past);
    return transpose(reshape(o_BTJYR, [B, T, H, R]), [0, 2, 1, 3]);
  };
  return { out_XD: output(model, reshape(attend(), [B, H, T, R]), at, tokens), rows };
}

/** A mask [B, 1, T, S] for as many query heads stacked along the tokens. */
function repeated(mask_B1TS: Tensor, heads: number): Tensor {
  const [B, , T, S] = mask_B1TS.shape as [Dim, Dim, Dim, Dim];
  return heads === 1 ? mask_B1TS : reshape(expand(mask_B1TS, [B, heads, T, S]), [B, 1, times(heads, T), S]);
}

const times = (n: number, T: Dim): Dim => (typeof T === "number" ? n * T : n === 1 ? T : `${n}*${T}`);

function project(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  { positions_BT, cos, sin, interleaved }: Rope,
  { B, T }: Tokens,
) {
  const config = model.config as GroupedConfig;
  const { num_attention_heads: H, num_key_value_heads: J } = config;
  const R = headDims(config).rope;
  const head = (name: "q" | "k" | "v", count: number): Tensor =>
    reshape(model.linear(x_XD, `${at}.${name}_proj`), [B, T, count, R]);
  const turned = (name: "q" | "k", count: number) => {
    const x_BTHR = head(name, count);
    const norm = `${at}.${name}_norm.weight`;
    const normed = model.has(norm) ? rmsNorm(x_BTHR, model.weight(norm), config.rms_norm_eps) : x_BTHR;
    return rope(transpose(normed, [0, 2, 1, 3]), positions_BT, cos, sin, interleaved);
  };
  return { q_BHTR: turned("q", H), k_BJTR: turned("k", J), v_BTJR: head("v", J), H, J, R };
}

function output(model: ModelBuilder, o_BHTR: Tensor, at: string, { X }: Tokens): Tensor {
  const flat = reshape(transpose(o_BHTR, [0, 2, 1, 3]), [
    X,
    model.config.num_attention_heads * headDims(model.config).value,
  ]);
  return model.linear(flat, `${at}.o_proj`);
}
