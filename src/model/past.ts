/** What attention sees of the tokens before: rows kept in a cache, in sums that do not depend on who else is in the batch. */
import {
  add,
  concat,
  type Dim,
  dimMul,
  expand,
  HIDDEN_SCORE,
  iota,
  lengthOf,
  less,
  lessEqual,
  matmul,
  mul,
  reshape,
  setRows,
  softmax,
  split,
  type Tensor,
  transpose,
  where,
} from "../tensor/index.ts";

/**
 * Rows that a cache holds, by `cacheSpec`: [B, S, width], or [B, J, S, width] of several heads. S is the longest sequence's
 * length or more; what lies beyond a sequence's own positions may be any finite numbers.
 */
export interface Past {
  rows: Tensor[];
  /**
   * step: one token after the past, MLA absorbed. alone: the same for a single sequence, to the bit. check: T tokens of each, to the bit as T steps
   * would have them. read: T tokens, MLA expanded. When read or checked, rows take their places among the past's, by position; S reaches as far.
   */
  mode: "step" | "alone" | "check" | "read";
  /** Added to scores, 0 or −10⁹: [B, T, S] for steps and checks (`pastMask`), [B, 1, T, S] for reading (`readMask`). */
  mask: Tensor;
  /** Where rows take their places when read or checked, i64. */
  places_BT: Tensor;
  /** A new row as the cache will give it back, where it keeps less than all of it; `parts` have scales of their own. */
  kept?: (row: Tensor, parts: readonly number[]) => Tensor;
  /** The weighted sum of rows is taken column by column: slower, but regrouped by no number of threads where rows are narrow. */
  turned?: boolean;
}

/** A step's mask: of S positions, those before a token's own are seen. */
export function pastMask(positions_BT: Tensor, S: Dim): Tensor {
  const [B, T] = positions_BT.shape as [Dim, Dim];
  return where(less(reshape(iota(S), [1, 1, S]), reshape(positions_BT, [B, T, 1])), 0, HIDDEN_SCORE);
}

/** Reading's mask: of S positions, a token sees those up to its own. */
export function readMask(positions_BT: Tensor, S: Dim): Tensor {
  const [B, T] = positions_BT.shape as [Dim, Dim];
  return where(lessEqual(reshape(iota(S), [1, 1, 1, S]), reshape(positions_BT, [B, 1, T, 1])), 0, HIDDEN_SCORE);
}

/** past [B, (J,) S, R] with new rows [B, (J,) T, R] in their places. */
export function placeRows(past: Tensor, rows: Tensor, places_BT: Tensor): Tensor {
  const [B, T] = places_BT.shape as [Dim, Dim];
  const J = past.rank === 4 ? past.dim(1) : 1;
  const [S, R] = [past.dim(-2), past.dim(-1)];
  const lines = dimMul(B, J);
  const from = reshape(mul(iota(lines), lengthOf(S)), [B, J, 1]);
  const places = reshape(add(from, reshape(places_BT, [B, 1, T])), [dimMul(lines, T), 1]);
  const flat = setRows(reshape(past, [dimMul(lines, S), R]), places, reshape(rows, [dimMul(lines, T), R]));
  return reshape(flat, past.shape);
}

/** Sums of so many products are never cut; longer ones are, by how wide the result is. */
const WIDE = 128;

/**
 * Attention of tokens over their past and themselves: q [batch…, Y, R], keys and values as past [batch…, S, ·] and own [batch…, 1, ·]; batch is [B, …], in
 * a check [B, T, …], and all tokens of a sequence share its past. Wide past rows are left operands of the scores, so that nothing but Y groups their sums; a
 * token's own score stands after them all. `chosen` is added to all of them.
 */
export function stepAttention(
  q: Tensor,
  keys: { past: Tensor; own: Tensor },
  values: { past: Tensor; own: Tensor },
  scale: number,
  { mask, mode, turned }: Past,
  chosen?: Tensor,
): Tensor {
  const S = keys.past.dim(-2);
  const swap = [...Array(q.rank - 2).keys(), q.rank - 1, q.rank - 2];
  const scores =
    mode !== "check" && (q.dim(-1) as number) <= WIDE
      ? matmul(q, keys.past, { transB: true, alpha: scale })
      : transpose(matmul(keys.past, q, { transB: true, alpha: scale }), swap);
  const own = matmul(q, keys.own, { transB: true, alpha: scale });
  const tokens = mode === "check" ? mask.shape.slice(0, 2) : mask.shape.slice(0, 1);
  const hidden = reshape(mask, [...tokens, ...Array<Dim>(q.rank - tokens.length - 1).fill(1), S]);
  const all = concat([add(scores, hidden), own], -1);
  const p = softmax(chosen ? add(all, chosen) : all);
  const sizes = concat([lengthOf(S), lengthOf(1)], 0);
  const [pPast, pOwn] = split(p, -1, sizes, [S, 1]) as [Tensor, Tensor];
  // a right operand that many products share would be multiplied with all their rows at once
  const shared = mode === "check" && q.rank === 4;
  const weighed = () =>
    matmul(pPast, shared ? expand(values.past, [...tokens, ...values.past.shape.slice(2)]) : values.past);
  const before = turned ? transpose(matmul(values.past, pPast, { transA: true, transB: true }), swap) : weighed();
  return add(before, mul(pOwn, values.own));
}
