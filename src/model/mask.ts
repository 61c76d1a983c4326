/** The causal mask. */
import {
  constant,
  type Dim,
  expand,
  f32,
  HIDDEN_SCORE,
  iota,
  lessEqual,
  reshape,
  type Tensor,
  where,
} from "../tensor/index.ts";

/** 0 where a query may see a key of the same run of tokens, −10⁹ after it: [repeat·T, T]. One row block per `repeat`. */
export function causalMask(T: Dim, repeat = 1): Tensor {
  if (typeof T === "number") {
    const data = new Float32Array(repeat * T * T);
    for (let row = 0; row < repeat * T; row++) data.fill(HIDDEN_SCORE, row * T + (row % T) + 1, (row + 1) * T);
    return constant(f32([repeat * T, T], data));
  }
  const key_1T = reshape(iota(T), [1, T]);
  const query_T1 = reshape(iota(T), [T, 1]);
  const mask_TT = where(lessEqual(key_1T, query_T1), 0, HIDDEN_SCORE);
  return repeat === 1 ? mask_TT : reshape(expand(mask_TT, [repeat, T, T]), [-1, T]);
}
