/** DeepSeek-V3's FP8 training numerics, emulated: tiles, blocks, the product. */
import type { Product } from "../model/index.ts";
import {
  abs,
  cast,
  custom,
  type Dim,
  dimDiv,
  dimMul,
  div,
  matmul,
  max,
  maximum,
  mul,
  pad,
  reshape,
  slice,
  stopGradient,
  type Tensor,
} from "../tensor/index.ts";

/** Elements that share a scale (arXiv:2412.19437 §3.3.2). */
const TILE = 128;
const E4M3_MAX = 448;

/** Rounds through E4M3 with one scale per maximum over `axes`: what a tensor core would be given, back in f32. */
function roundTo8(x: Tensor, axes: number[]): Tensor {
  const scale = mul(maximum(max(abs(x), axes, true), 1e-20), 1 / E4M3_MAX);
  return mul(cast(cast(div(x, scale), "f8e4m3"), "f32"), scale);
}

/** Cuts an axis into tiles, zero-padding a ragged edge; undefined when the axis' length is only known at run time. */
function tiles(x: Tensor, axis: number): { cut: Tensor; whole: Dim } | undefined {
  const length = x.dim(axis);
  if (typeof length !== "number") {
    const n = dimDiv(length, TILE);
    return n === undefined
      ? undefined
      : {
          cut: reshape(
            x,
            x.shape.flatMap((d, i) => (i === axis ? [n, TILE] : [d])),
          ),
          whole: length,
        };
  }
  const n = Math.ceil(length / TILE);
  const padded = pad(x, axis, 0, n * TILE - length);
  return {
    cut: reshape(
      padded,
      x.shape.flatMap((d, i) => (i === axis ? [n, TILE] : [d])),
    ),
    whole: n * TILE,
  };
}

/** x [rows, columns] with a scale for each 1×128 tile along its columns (axis 1) or 128×1 along its rows (axis 0). */
export function quantizeTiles(x: Tensor, axis: 0 | 1): Tensor {
  const cut = tiles(x, axis);
  // Rows of an expert are counted only at run time: they keep the tiles along their columns.
  if (cut === undefined) return quantizeTiles(x, 1);
  const rounded = roundTo8(cut.cut, [axis + 1]);
  const whole = reshape(
    rounded,
    x.shape.map((d, i) => (i === axis ? cut.whole : d)),
  );
  return typeof x.dim(axis) === "number" ? slice(whole, axis, 0, x.dim(axis) as number) : whole;
}

/** A weight [out, in] with a scale for each 128×128 block. */
export function quantizeBlocks(weight: Tensor): Tensor {
  const [rows, columns] = weight.shape as [number, number];
  const [r, c] = [Math.ceil(rows / TILE), Math.ceil(columns / TILE)];
  const padded = pad(pad(weight, 0, 0, r * TILE - rows), 1, 0, c * TILE - columns);
  const rounded = roundTo8(reshape(padded, [r, TILE, c, TILE]), [1, 3]);
  return slice(slice(reshape(rounded, [dimMul(r, TILE), dimMul(c, TILE)]), 0, 0, rows), 1, 0, columns);
}

/** Embedding, head, norms and the router stay in full precision (§3.3.1). */
export const FULL_PRECISION = /mlp\.gate\.weight$|lm_head|shared_head|embed_tokens/;

/**
 * A linear layer with V3's FP8 numerics emulated: all three products (forward, input gradient, weight gradient) take operands
 * rounded through E4M3, activations and gradients by 1×128 tiles, weights by 128×128 blocks; master weights, gradients
 * and sums in f32. arXiv:2412.19437 §3.3. Differs: sums are f32 throughout, which tensor cores reach by promoting every 128
 * elements; the weight gradient of an expert keeps 1×128 tiles, since its row count is only known at run time.
 */
export const fp8Product: Product = (x, weight, key) => {
  if (FULL_PRECISION.test(key)) return matmul(x, weight, { transB: true });
  const w8 = quantizeBlocks(stopGradient(weight));
  const out = matmul(quantizeTiles(stopGradient(x), 1), w8, { transB: true });
  return custom("fp8Product", [x, weight], [out], ([g], needed) => {
    if (g === undefined) return [undefined, undefined];
    return [
      needed[0] ? matmul(quantizeTiles(g, 1), w8) : undefined,
      needed[1] ? matmul(quantizeTiles(g, 0), quantizeTiles(x, 0), { transA: true }) : undefined,
    ];
  })[0]!;
};
