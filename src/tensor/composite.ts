import { ShapeError } from "../errors.ts";
import { show } from "./dims.ts";
import { custom } from "./custom.ts";
import { add, div, less, log, maximum, mul, neg, sub, where } from "./ops/elementwise.ts";
import { gather, gatherElements, scatterElements } from "./ops/indexing.ts";
import { matmul } from "./ops/matmul.ts";
import { softmax } from "./ops/nn.ts";
import { sum } from "./ops/reduce.ts";
import { reshape } from "./ops/shape.ts";
import { constant, place, type Tensor } from "./tensor.ts";
import { i64 } from "./dtype.ts";

/**
 * Sends rows to their experts: x_XD, token_A (the row each of the A = X·K assignments takes), slot_XK (the K assignments
 * of each row) → rows_AD. Its gradient is `collect`: both ways are plain row gathers, no scatter.
 */
export function dispatch(x_XD: Tensor, token_A: Tensor, slot_XK: Tensor): Tensor {
  const rows = gather(x_XD, token_A);
  return custom("dispatch", [x_XD], [rows], ([g]) => [g && collect(g, token_A, slot_XK)])[0]!;
}

/** Brings rows back from their experts: rows_AD → x_XD, the sum of each row's K assignments. Its gradient is `dispatch`. */
export function collect(rows_AD: Tensor, token_A: Tensor, slot_XK: Tensor): Tensor {
  const x = sum(gather(rows_AD, slot_XK), 1);
  return custom("collect", [rows_AD], [x], ([g]) => [g && dispatch(g, token_A, slot_XK)])[0]!;
}

/**
 * Mean negative log-likelihood of target_X under softmax(h_XD · w_VDᵀ) over the rows whose target is ≥ 0, in nats.
 * The weight per row is folded into the narrow operands of the backward products, so that the wide X×V matrix is
 * written three times in all: product, softmax, and a write of X targets. Also gives nll_X (0 where the target is < 0).
 */
export function linearCrossEntropy(h_XD: Tensor, w_VD: Tensor, target_X: Tensor): { loss: Tensor; nll_X: Tensor } {
  if (target_X.rank !== 1 || target_X.dtype !== "i64" || target_X.dim(0) !== h_XD.dim(0))
    throw new ShapeError(`${place("linearCrossEntropy")}: expected i64 target_X with X=${h_XD.dim(0)}, got ${target_X.dtype}${show(target_X.shape)}`);
  const probability_XV = softmax(matmul(h_XD, w_VD, { transB: true }));
  const zero = constant(i64([], [0]));
  const masked_X = less(target_X, zero);
  const column_X1 = reshape(where(masked_X, zero, target_X), [target_X.dim(0), 1]);
  const hit_X1 = gatherElements(probability_XV, column_X1, 1);
  const weight_X1 = reshape(where(masked_X, 0, 1), [target_X.dim(0), 1]);
  const count = maximum(sum(weight_X1), 1);
  const nll_X1 = mul(neg(log(maximum(hit_X1, 1e-30))), weight_X1);
  const loss = div(sum(nll_X1), count);
  const [out, nll] = custom("linearCrossEntropy", [h_XD, w_VD], [loss, nll_X1], ([g, gNll], needed) => {
    if (gNll !== undefined) throw new ShapeError(`${place("linearCrossEntropy")}: expected a gradient of the loss only`);
    if (g === undefined) return [undefined, undefined];
    const scale_X1 = mul(weight_X1, div(g, count));
    const d_XV = scatterElements(probability_XV, column_X1, sub(hit_X1, 1), 1);
    return [
      needed[0] ? mul(matmul(d_XV, w_VD), scale_X1) : undefined,
      needed[1] ? matmul(d_XV, mul(h_XD, scale_X1), { transA: true }) : undefined,
    ];
  });
  return { loss: out!, nll_X: reshape(nll!, [target_X.dim(0)]) };
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
    const dv = matmul(p, g, { transA: true });
    const dp = matmul(g, v, { transB: true });
    const ds = mul(p, sub(dp, sum(mul(g, o), -1, true)));
    return [matmul(ds, k, { alpha: scale }), matmul(ds, q, { transA: true, alpha: scale }), dv];
  })[0]!;
}
