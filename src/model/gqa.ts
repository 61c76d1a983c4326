import {
  attention,
  causalAttention,
  concat,
  type Dim,
  reshape,
  rmsNorm,
  rope,
  slice,
  type Tensor,
  transpose,
} from "../tensor/index.ts";
import type { ModelBuilder, Rope, Tokens } from "./builder.ts";
import { type DenseConfig, headDims } from "./config.ts";
import { causalMask } from "./mask.ts";
import { joinedAttention } from "./mla.ts";
import { softmaxScale } from "./rope.ts";

/** Keys and values of one key head, as a cache keeps them: [B, T, head dim], keys rotated. */
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
): { out_XD: Tensor; rows: HeadRows[] } {
  const { B, T } = tokens;
  const { q_BHTR, k_BJTR, v_BJTR, H, J, R } = project(model, x_XD, at, angles, tokens);
  const q_BJYR = reshape(q_BHTR, [B, J, times(H / J, T), R]);
  const scale = softmaxScale(model.config);
  const o =
    typeof T === "number" && H === J
      ? causalAttention(q_BJYR, k_BJTR, v_BJTR, scale)
      : attention(q_BJYR, k_BJTR, v_BJTR, scale, causalMask(T, H / J));
  return { out_XD: output(model, reshape(o, [B, H, T, R]), at, tokens), rows: rowsOf(k_BJTR, v_BJTR, tokens) };
}

/** The same for tokens that follow those whose rows `past` holds: one pair [B, S, head dim] per key head. */
export function cachedGroupedAttention(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  angles: Rope,
  tokens: Tokens,
  past: HeadRows[],
): { out_XD: Tensor; rows: HeadRows[] } {
  const { B, T } = tokens;
  const { q_BHTR, k_BJTR, v_BJTR, H, J, R } = project(model, x_XD, at, angles, tokens);
  const I = H / J;
  const rows = rowsOf(k_BJTR, v_BJTR, tokens);
  const mask = causalMask(T, I);
  const S = past[0]!.k.dim(1);
  const outs = past.map(({ k, v }, j) => {
    const q_BYR = reshape(slice(q_BHTR, 1, j * I, (j + 1) * I), [B, times(I, T), R]);
    const o = joinedAttention(q_BYR, [k, rows[j]!.k], [v, rows[j]!.v], softmaxScale(model.config), mask, [S, T]);
    return reshape(o, [B, I, T, R]);
  });
  return { out_XD: output(model, concat(outs, 1), at, tokens), rows };
}

const times = (n: number, T: Dim): Dim => (typeof T === "number" ? n * T : n === 1 ? T : `${n}*${T}`);

function project(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  { positions_BT, cos, sin, interleaved }: Rope,
  { B, T }: Tokens,
) {
  const config = model.config as DenseConfig;
  const { num_attention_heads: H, num_key_value_heads: J } = config;
  const R = headDims(config).rope;
  const head = (name: "q" | "k" | "v", count: number): Tensor => {
    const x_BTHR = reshape(model.linear(x_XD, `${at}.${name}_proj`), [B, T, count, R]);
    const norm = `${at}.${name}_norm.weight`;
    const normed = model.has(norm) ? rmsNorm(x_BTHR, model.weight(norm), config.rms_norm_eps) : x_BTHR;
    return transpose(normed, [0, 2, 1, 3]);
  };
  const turned = (x: Tensor) => rope(x, positions_BT, cos, sin, interleaved);
  return { q_BHTR: turned(head("q", H)), k_BJTR: turned(head("k", J)), v_BJTR: head("v", J), H, J, R };
}

function rowsOf(k_BJTR: Tensor, v_BJTR: Tensor, { B, T }: Tokens): HeadRows[] {
  const J = k_BJTR.dim(1) as number;
  const R = k_BJTR.dim(3);
  const row = (x: Tensor, j: number) => reshape(slice(x, 1, j, j + 1), [B, T, R]);
  return Array.from({ length: J }, (_, j) => ({ k: row(k_BJTR, j), v: row(v_BJTR, j) }));
}

function output(model: ModelBuilder, o_BHTR: Tensor, at: string, { X }: Tokens): Tensor {
  const flat = reshape(transpose(o_BHTR, [0, 2, 1, 3]), [
    X,
    model.config.num_attention_heads * headDims(model.config).value,
  ]);
  return model.linear(flat, `${at}.o_proj`);
}
