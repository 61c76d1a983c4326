/** Composites with their own gradients where that saves passes: dispatch, cross-entropy, attention. */
import { ShapeError } from "../errors.ts";
import { custom } from "./custom.ts";
import { type Dim, show } from "./dims.ts";
import { f32, i64 } from "./dtype.ts";
import { expand, sum } from "./ops/broadcast.ts";
import { add, div, less, log, maximum, mul, neg, sub, where } from "./ops/elementwise.ts";
import { addRows, gatherElements, scatterElements, takeRows } from "./ops/indexing.ts";
import { matmul } from "./ops/matmul.ts";
import { softmax } from "./ops/nn.ts";
import { max } from "./ops/reduce.ts";
import { concat, reshape, slice, transpose, zerosLike } from "./ops/shape.ts";
import { constant, place, type Tensor } from "./tensor.ts";

/** Sends rows to their experts: x_XD → for every expert the rows that its ids_n1 names. Gradients are added up row by row. */
export function dispatch(x_XD: Tensor, experts: readonly Tensor[]): Tensor[] {
  const parts = experts.map((ids_n1) => takeRows(x_XD, ids_n1));
  return custom("dispatch", [x_XD], parts, (gradients) => [collect(gradients, experts, zerosLike(x_XD))]);
}

/** Brings rows back from their experts: onto_XD with every expert's rows added where they came from. */
export function collect(parts: readonly (Tensor | undefined)[], experts: readonly Tensor[], onto_XD: Tensor): Tensor {
  return parts.reduce((x, rows, e) => (rows === undefined ? x : addRows(x!, experts[e]!, rows)), onto_XD)!;
}

/** The products of a head's gradient: d_XV, all within ±1, with the weight [V, D] towards its input, and with the input [X, D] towards the weight. */
export interface HeadProducts {
  toInput(d_XV: Tensor, w_VD: Tensor): Tensor;
  toWeight(d_XV: Tensor, h_XD: Tensor): Tensor;
}

const EXACT: HeadProducts = {
  toInput: (d_XV, w_VD) => matmul(d_XV, w_VD),
  toWeight: (d_XV, h_XD) => matmul(d_XV, h_XD, { transA: true }),
};

export interface CrossEntropyOptions {
  /** How the gradient's products multiply. */
  products?: HeadProducts;
  /** T > 0: logits are divided by it. */
  temperature?: number;
  /** Also gives the entropy of each row's distribution: four more reads as wide, and no write. */
  entropy?: boolean;
  /** i64 [X, n]: each row's distribution is over these alone, told twice or not; the others have probability 0. Three more passes as wide. */
  kept_XK?: Tensor;
}

export interface CrossEntropy {
  loss: Tensor;
  nll_X: Tensor;
  entropy_X?: Tensor;
}

/**
 * nll_X = −log softmax(h_XD · w_VDᵀ / T) at target_X in nats, 0 where the target is < 0, and `loss`, its mean over the other rows: gradients
 * flow from both. What each row counts is folded into the narrow operands of the backward products, so that the wide X×V matrix is written
 * three times in all: product, softmax, and a write of X targets. entropy_X, of every row, is for reporting: no gradient, refused by name.
 */
export function linearCrossEntropy(
  h_XD: Tensor,
  w_VD: Tensor,
  target_X: Tensor,
  { products = EXACT, temperature = 1, entropy = false, kept_XK }: CrossEntropyOptions = {},
): CrossEntropy {
  const at = place("linearCrossEntropy");
  const X = h_XD.dim(0);
  if (target_X.rank !== 1 || target_X.dtype !== "i64" || target_X.dim(0) !== X)
    throw new ShapeError(`${at}: expected i64 target_X with X=${X}, got ${target_X.dtype}${show(target_X.shape)}`);
  if (!(temperature > 0 && temperature < Infinity))
    throw new ShapeError(`${at}: expected a temperature over 0, got ${temperature}`);
  const all_XV = matmul(mul(h_XD, 1 / temperature), w_VD, { transB: true });
  const logits_XV = kept_XK ? add(all_XV, cutBut(kept_XK, all_XV.shape)) : all_XV;
  const probability_XV = softmax(logits_XV);
  const zero = constant(i64([], [0]));
  const masked_X = less(target_X, zero);
  const column_X1 = reshape(where(masked_X, zero, target_X), [X, 1]);
  const hit_X1 = gatherElements(probability_XV, column_X1, 1);
  const weight_X1 = reshape(where(masked_X, 0, 1), [X, 1]);
  const count = maximum(sum(weight_X1), 1);
  const nll_X1 = mul(neg(log(maximum(hit_X1, 1e-30))), weight_X1);
  const results = [div(sum(nll_X1), count), nll_X1];
  if (entropy) results.push(entropyOf(logits_XV, probability_XV));
  const [loss, nll, entropy_X1] = custom("linearCrossEntropy", [h_XD, w_VD], results, ([g, gNll, gEntropy], needed) => {
    if (gEntropy !== undefined)
      throw new ShapeError(`${at}: the entropy is for reporting and has no gradient; put stopGradient around it`);
    const ofMean = g && mul(weight_X1, div(g, count));
    const ofEach = gNll && mul(weight_X1, gNll);
    const each_X1 = ofMean && ofEach ? add(ofMean, ofEach) : (ofMean ?? ofEach);
    if (each_X1 === undefined) return [undefined, undefined];
    const scale_X1 = mul(each_X1, 1 / temperature);
    const d_XV = scatterElements(probability_XV, column_X1, sub(hit_X1, 1), 1);
    return [
      needed[0] ? mul(products.toInput(d_XV, w_VD), scale_X1) : undefined,
      needed[1] ? products.toWeight(d_XV, mul(h_XD, scale_X1)) : undefined,
    ];
  });
  return {
    loss: loss!,
    nll_X: reshape(nll!, [X]),
    ...(entropy_X1 ? { entropy_X: reshape(entropy_X1, [X]) } : {}),
  };
}

/** [X, V]: 0 where an id is kept, elsewhere so low that its probability is 0. */
const cutBut = (kept_XK: Tensor, shape: readonly Dim[]): Tensor =>
  scatterElements(
    expand(constant(f32([1, 1], [HIDDEN_SCORE])), shape),
    kept_XK,
    expand(constant(f32([1, 1], [0])), kept_XK.shape),
    1,
  );

/**
 * −Σ p·log p of each row of p = softmax(z), as log Σ eᶻ − Σ p·z: the first is max z − log max p, the second a product of rows, so that
 * nothing wide is written. Errors are those of logits in f32, about 1e-5 nats.
 */
function entropyOf(z_XV: Tensor, p_XV: Tensor): Tensor {
  const [X, V] = z_XV.shape as [Dim, Dim];
  const rows = (of: Tensor) => reshape(of, [X, 1, V]);
  const mean_X1 = reshape(matmul(rows(p_XV), rows(z_XV), { transB: true }), [X, 1]);
  return sub(sub(max(z_XV, 1, true), log(max(p_XV, 1, true))), mean_X1);
}

/**
 * softmax(scale · q·kᵀ + mask)·v: q_BHTx, k_BHSx, v_BHSP → o_BHTP; mask_TS is added (0 or −10⁹) and may be left out. The
 * row term of softmax's gradient is taken from Σ o·do (P wide) instead of Σ p·dp (S wide). arXiv:2205.14135 §B.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, scale: number, mask?: Tensor): Tensor {
  const score = matmul(q, k, { transB: true, alpha: scale });
  const p = softmax(mask === undefined ? score : add(score, mask));
  const o = matmul(p, v);
  return custom("attention", [q, k, v], [o], ([g]) => {
    if (g === undefined) return [undefined, undefined, undefined];
    // gᵀ·p transposed, not pᵀ·g: of the two the wide p, long out of the cache, is then read row by row.
    const dv = transpose(matmul(g, p, { transA: true }), transposed(p.rank));
    const dp = matmul(g, v, { transB: true });
    const ds = mul(p, sub(dp, sum(mul(g, o), -1, true)));
    return [matmul(ds, k, { alpha: scale }), matmul(ds, q, { transA: true, alpha: scale }), dv];
  })[0]!;
}

/**
 * `attention` where position t sees positions 0 … t: q_BHTx, k_BHTx, v_BHTP → o_BHTP, T known. Queries go in blocks that
 * leave out the keys after them: with two blocks a quarter of the T×T work, with four three eighths.
 */
export function causalAttention(q: Tensor, k: Tensor, v: Tensor, scale: number): Tensor {
  const T = q.dim(2);
  if (typeof T !== "number" || k.dim(2) !== T)
    throw new ShapeError(
      `${place("causalAttention")}: expected as many keys as queries, known, got ${show(q.shape)} and ${show(k.shape)}`,
    );
  const blocks = T >= 1024 ? 4 : T >= 128 ? 2 : 1;
  const outs = Array.from({ length: blocks }, (_, i) => {
    const [start, end] = [Math.floor((T * i) / blocks), Math.floor((T * (i + 1)) / blocks)];
    const mask = new Float32Array((end - start) * end);
    for (let row = start; row < end; row++)
      mask.fill(HIDDEN_SCORE, (row - start) * end + row + 1, (row - start + 1) * end);
    return attention(
      slice(q, 2, start, end),
      slice(k, 2, 0, end),
      slice(v, 2, 0, end),
      scale,
      constant(f32([end - start, end], mask)),
    );
  });
  return concat(outs, 2);
}

/** The axes' order with the last two exchanged. */
const transposed = (rank: number): number[] => [...Array(rank - 2).keys(), rank - 1, rank - 2];

/** Added to a score that must not count. */
export const HIDDEN_SCORE = -1e9;
