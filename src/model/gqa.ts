/** Grouped-query attention, for training and with cached rows. */
import {
  attention,
  causalAttention,
  type Dim,
  reshape,
  rmsNorm,
  rope,
  type Tensor,
  transpose,
} from "../tensor/index.ts";
import type { ModelBuilder, Rope, Tokens } from "./builder.ts";
import { type GroupedConfig, headDims } from "./config.ts";
import { causalMask } from "./mask.ts";
import { joinedAttention } from "./mla.ts";
import { softmaxScale } from "./rope.ts";

/** Keys and values of all key heads side by side, as a cache keeps them: [B, T, J·R] each, keys rotated. */
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
  return { out_XD: output(model, reshape(o, [B, H, T, R]), at, tokens), rows: rowsOf(k_BJTR, v_BTJR, tokens) };
}

/**
 * The same for tokens that follow those whose rows `past` holds, [B, S, J·R] each. A single sequence's rows are read as they lie; of
 * several, heads are brought together first.
 */
export function cachedGroupedAttention(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  angles: Rope,
  tokens: Tokens,
  past: HeadRows,
): { out_XD: Tensor; rows: HeadRows } {
  const { B, T } = tokens;
  const { q_BHTR, k_BJTR, v_BTJR, H, J, R } = project(model, x_XD, at, angles, tokens);
  const rows = rowsOf(k_BJTR, v_BTJR, tokens);
  const S = past.k.dim(1);
  const alone = B === 1;
  const Y = times(H / J, T);
  const heads = (row: Tensor, length: Dim) =>
    alone ? reshape(row, [length, J, R]) : transpose(reshape(row, [B, length, J, R]), [0, 2, 1, 3]);
  const o = joinedAttention(
    reshape(q_BHTR, alone ? [J, Y, R] : [B, J, Y, R]),
    [heads(past.k, S), heads(rows.k, T)],
    [heads(past.v, S), heads(rows.v, T)],
    softmaxScale(model.config),
    causalMask(T, H / J),
    [S, T],
    alone,
  );
  return { out_XD: output(model, reshape(o, [B, H, T, R]), at, tokens), rows };
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

function rowsOf(k_BJTR: Tensor, v_BTJR: Tensor, { B, T }: Tokens): HeadRows {
  const width = (v_BTJR.dim(2) as number) * (v_BTJR.dim(3) as number);
  const row = (x_BTJR: Tensor) => reshape(x_BTJR, [B, T, width]);
  return { k: row(transpose(k_BJTR, [0, 2, 1, 3])), v: row(v_BTJR) };
}

function output(model: ModelBuilder, o_BHTR: Tensor, at: string, { X }: Tokens): Tensor {
  const flat = reshape(transpose(o_BHTR, [0, 2, 1, 3]), [
    X,
    model.config.num_attention_heads * headDims(model.config).value,
  ]);
  return model.linear(flat, `${at}.o_proj`);
}
