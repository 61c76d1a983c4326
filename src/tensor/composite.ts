/** Composites with their own gradients where that saves passes: dispatch, cross-entropy, reverse KL, attention. */
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
  checkTargets(at, target_X, X);
  if (!(temperature > 0 && temperature < Infinity))
    throw new ShapeError(`${at}: expected a temperature over 0, got ${temperature}`);
  const all_XV = matmul(mul(h_XD, 1 / temperature), w_VD, { transB: true });
  const logits_XV = kept_XK ? add(all_XV, cutBut(kept_XK, all_XV.shape)) : all_XV;
  const probability_XV = softmax(logits_XV);
  const { masked_X, column_X1, hit_X1 } = hitsOf(probability_XV, target_X);
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

function checkTargets(at: string, target_X: Tensor, X: Dim): void {
  if (target_X.rank !== 1 || target_X.dtype !== "i64" || target_X.dim(0) !== X)
    throw new ShapeError(`${at}: expected i64 target_X with X=${X}, got ${target_X.dtype}${show(target_X.shape)}`);
}

/** Which rows have no target (it is < 0), the columns of the others' (0 for those without), and the probabilities there. */
function hitsOf(probability_XV: Tensor, target_X: Tensor): { masked_X: Tensor; column_X1: Tensor; hit_X1: Tensor } {
  const zero = constant(i64([], [0]));
  const masked_X = less(target_X, zero);
  const column_X1 = reshape(where(masked_X, zero, target_X), [target_X.dim(0), 1]);
  return { masked_X, column_X1, hit_X1: gatherElements(probability_XV, column_X1, 1) };
}

/** Another model's predictions of the same rows: what it makes of each before its head, e_XE, and that head, v_VE. */
export interface Teaching {
  hidden_XE: Tensor;
  head_VE: Tensor;
}

export interface ReverseKl {
  /** Nats, of every row. */
  kl_X: Tensor;
  /** log p of each row's target, 0 where that is < 0, and the entropy of every row's p: for reporting, without a gradient. */
  logProbability_X: Tensor;
  entropy_X: Tensor;
}

/**
 * kl_X = KL(p‖q) = Σ p · (log p − log q) over the whole vocabulary, p = softmax(h_XD · w_VDᵀ), q = softmax(e_XE · v_VEᵀ). Gradients reach h and w,
 * never the teacher: of the logits they are p · (log p − log q − KL) = p · (Δ − Σ p·Δ), Δ the difference of both logits, so that no logarithm as
 * wide is taken. The X×V matrices are what memory it takes: rows are as many as a micro-batch's shard has. Errors are those of logits in f32.
 */
export function linearReverseKl(h_XD: Tensor, w_VD: Tensor, teaching: Teaching, target_X: Tensor): ReverseKl {
  const at = place("linearReverseKl");
  const { hidden_XE, head_VE } = teaching;
  const X = h_XD.dim(0);
  checkTargets(at, target_X, X);
  if (hidden_XE.dim(0) !== X || head_VE.dim(0) !== w_VD.dim(0))
    throw new ShapeError(
      `${at}: expected the teacher's hidden_XE with X=${X} and head_VE with V=${w_VD.dim(0)}, got ${show(hidden_XE.shape)} and ${show(head_VE.shape)}`,
    );
  const z_XV = matmul(h_XD, w_VD, { transB: true });
  const u_XV = matmul(hidden_XE, head_VE, { transB: true });
  const p_XV = softmax(z_XV);
  const apart_XV = sub(z_XV, u_XV);
  const mean_X1 = rowProducts(p_XV, apart_XV);
  const kl_X1 = add(sub(mean_X1, logSumOf(z_XV, p_XV)), logSumOf(u_XV, softmax(u_XV)));
  const { masked_X, hit_X1 } = hitsOf(p_XV, target_X);
  const logHit_X1 = where(reshape(masked_X, [X, 1]), 0, log(maximum(hit_X1, 1e-30)));
  const results = [kl_X1, logHit_X1, entropyOf(z_XV, p_XV)];
  const made = custom("linearReverseKl", [h_XD, w_VD], results, ([g_X1, ...reported], needed) => {
    if (reported.some((gradient) => gradient !== undefined))
      throw new ShapeError(`${at}: only the KL has a gradient; put stopGradient around what is for reporting`);
    if (g_X1 === undefined) return [undefined, undefined];
    const d_XV = mul(p_XV, sub(apart_XV, mean_X1));
    return [
      needed[0] ? mul(matmul(d_XV, w_VD), g_X1) : undefined,
      needed[1] ? matmul(d_XV, mul(h_XD, g_X1), { transA: true }) : undefined,
    ];
  });
  const [kl_X, logProbability_X, entropy_X] = made.map((each_X1) => reshape(each_X1, [X])) as [Tensor, Tensor, Tensor];
  return { kl_X, logProbability_X, entropy_X };
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
const entropyOf = (z_XV: Tensor, p_XV: Tensor): Tensor => sub(logSumOf(z_XV, p_XV), rowProducts(p_XV, z_XV));

/** log Σ eᶻ of each row, [X, 1], where p = softmax(z) is known. */
const logSumOf = (z_XV: Tensor, p_XV: Tensor): Tensor => sub(max(z_XV, 1, true), log(max(p_XV, 1, true)));

/** Σ a·b of each row, [X, 1]. */
function rowProducts(a_XV: Tensor, b_XV: Tensor): Tensor {
  const [X, V] = a_XV.shape as [Dim, Dim];
  const rows = (of: Tensor) => reshape(of, [X, 1, V]);
  return reshape(matmul(rows(a_XV), rows(b_XV), { transB: true }), [X, 1]);
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
