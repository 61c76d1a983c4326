/** DeepSeek-V3.2's lightning indexer: which of the tokens before it a token attends to. */
import {
  add,
  concat,
  dimMul,
  HIDDEN_SCORE,
  matmul,
  maximum,
  mean,
  mul,
  reshape,
  rmsNorm,
  rope,
  scatterElements,
  split,
  sub,
  type Tensor,
  topK,
  transpose,
  zerosLike,
} from "../tensor/index.ts";
import type { ModelBuilder, Rope, Tokens } from "./builder.ts";
import { type DeepseekV32Config, isIndexed } from "./config.ts";

/** Of the LayerNorm of the keys, in DeepSeek's and transformers' code. */
const KEY_EPSILON = 1e-6;

/** What an indexer makes of the tokens of a pass. */
export interface Index {
  /** What a token is found by later, the row that a cache keeps: layer norm, then the first R numbers are turned. */
  key_BTZ: Tensor;
  /**
   * Added to the attention scores over keys that lie in one place or more, [B, S, Z] each, one behind the other: 0 for the index_topk with the
   * largest Σ_u w_u · relu(q_u · k) among those that `mask` ([T, S] or [B, T, S], 0 or −10⁹) shows, −10⁹ for the others: [B, T, S].
   */
  chosen(keys: readonly Tensor[], mask: Tensor): Tensor;
}

/**
 * x_XD and the normed query latent q_XQ -> keys, weights w_u and queries q_u of U heads, and the choice by them. No gradient passes. Differs: no
 * Hadamard rotation and no FP8, which are for speed (the rotation leaves products as they are). arXiv:2512.02556 §2.1.
 */
export function indexer(
  model: ModelBuilder,
  x_XD: Tensor,
  q_XQ: Tensor,
  at: string,
  angles: Rope,
  tokens: Tokens,
): Index {
  const { config } = model;
  if (!isIndexed(config)) throw new Error(`indexer: ${config.model_type} has none`);
  const { index_n_heads: U, index_head_dim: Z, index_topk, qk_rope_head_dim: R } = config;
  const { B, T } = tokens;
  const key_BTZ = indexKey(model, x_XD, at, angles, tokens);
  const query_BTUZ = turnFirst(reshape(model.linear(q_XQ, `${at}.wq_b`), [B, T, U, Z]), R, angles);
  const query_BYZ = reshape(query_BTUZ, [B, dimMul(U, T), Z]);
  const weight_BT1U = reshape(mul(model.linear(x_XD, `${at}.weights_proj`), (U * Z) ** -0.5), [B, T, 1, U]);
  return {
    key_BTZ,
    chosen(keys, mask) {
      const product_BYS = concat(
        keys.map((key_BSZ) => matmul(query_BYZ, key_BSZ, { transB: true })),
        2,
      );
      const S = product_BYS.dim(2);
      const each_BTUS = reshape(maximum(product_BYS, 0), [B, T, U, S]);
      const score_BTS = add(reshape(matmul(weight_BT1U, each_BTUS), [B, T, S]), mask);
      const { indices, values } = topK(score_BTS, index_topk);
      return scatterElements(add(zerosLike(score_BTS), HIDDEN_SCORE), indices, zerosLike(values), 2);
    },
  };
}

/** The keys alone: layer norm, then the first R numbers turned, x_XD -> [B, T, Z]. */
export function indexKey(model: ModelBuilder, x_XD: Tensor, at: string, angles: Rope, { B, T }: Tokens): Tensor {
  const { index_head_dim: Z, qk_rope_head_dim: R } = model.config as DeepseekV32Config;
  const key_XZ = model.linear(x_XD, `${at}.wk`);
  const centered_XZ = sub(key_XZ, mean(key_XZ, 1, true));
  const scaled_XZ = rmsNorm(centered_XZ, model.weight(`${at}.k_norm.weight`), KEY_EPSILON);
  const normed_XZ = add(scaled_XZ, model.weight(`${at}.k_norm.bias`));
  return reshape(turnFirst(reshape(normed_XZ, [B, T, 1, Z]), R, angles), [B, T, Z]);
}

/** Turns the first R of Z numbers of every head by halves, whatever the order of the attention's own: x_BTUZ -> x_BTUZ. */
function turnFirst(x_BTUZ: Tensor, R: number, { positions_BT, cos, sin }: Rope): Tensor {
  const Z = x_BTUZ.dim(3) as number;
  const [first, rest] = R === Z ? [x_BTUZ] : split(x_BTUZ, 3, [R, Z - R]);
  const swap = (x: Tensor) => transpose(x, [0, 2, 1, 3]);
  const turned_BTUR = swap(rope(swap(first), positions_BT, cos, sin, false));
  return rest === undefined ? turned_BTUR : concat([turned_BTUR, rest], 3);
}
