/** Multi-head latent attention: expanded for training and prefill, absorbed over cached latents for decoding. */
import {
  add,
  attention,
  causalAttention,
  concat,
  constant,
  type Dim,
  dimMul,
  expand,
  f32,
  matmul,
  pad,
  reshape,
  rmsNorm,
  rope,
  slice,
  split,
  type Tensor,
  transpose,
} from "../tensor/index.ts";
import type { LatentProducts, ModelBuilder, Rope, Tokens } from "./builder.ts";
import { headDims, isIndexed, type LatentConfig } from "./config.ts";
import { indexer, indexKey } from "./indexer.ts";
import type { LowRank } from "./lora.ts";
import { causalMask } from "./mask.ts";
import { type Past, placeRows, stepAttention } from "./past.ts";
import { softmaxScale } from "./rope.ts";

/** DeepSeek's latent norms keep this whatever rms_norm_eps says. */
const LATENT_EPSILON = 1e-6;

/**
 * Multi-head latent attention within the given tokens, in its expanded form: x_XD -> out_XD. Training and prefill.
 * arXiv:2405.04434 §2.1, arXiv:2412.19437 §2.1.1. `rows` are what a cache keeps: the normed latent with the rotated key behind
 * it, and the indexer's key where there is one.
 */
export function latentAttention(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  rope: Rope,
  tokens: Tokens,
): { out_XD: Tensor; rows: Tensor[] } {
  const { B, T } = tokens;
  const { latent_XC, kRope_B1TR } = latentOf(model, x_XD, at, rope, tokens);
  const { qNope_BHTN, qRope_BHTR, q_XQ } = queries(model, x_XD, at, rope, tokens);
  const q = concat([qNope_BHTN, qRope_BHTR], 3);
  const { k, v } = expandLatent(model, latent_XC, kRope_B1TR, at, { B, S: T });
  const scale = softmaxScale(model.config);
  const rows = [rowOf(latent_XC, kRope_B1TR, tokens)];
  let o_BHTP: Tensor;
  if (isIndexed(model.config)) {
    const mask = causalMask(T);
    const { key_BTZ, chosen } = indexer(model, x_XD, q_XQ, `${at}.indexer`, rope, tokens);
    o_BHTP = attention(q, k, v!, scale, add(reshape(chosen([key_BTZ], mask), [B, 1, T, T]), mask));
    rows.push(key_BTZ);
  } else if (typeof T === "number") o_BHTP = causalAttention(q, k, v!, scale);
  else o_BHTP = attention(q, k, v!, scale, causalMask(T));
  return { out_XD: output(model, o_BHTP, at, tokens), rows };
}

/**
 * The same for tokens that follow those of `past`, rows [B, S, W] (and the indexer's [B, S, Z]). A step is absorbed: the query is carried into the latent space
 * (W_ukᵀ q) and meets the rows themselves; W_uv comes after the weighted sum. Reading rebuilds keys and values of all rows; both agree.
 */
export function cachedLatentAttention(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  rope: Rope,
  tokens: Tokens,
  past: Past,
): { out_XD: Tensor; rows: Tensor[] } {
  const config = model.config as LatentConfig;
  const { B, T, X } = tokens;
  const { kv_lora_rank: C, num_attention_heads: H } = config;
  const { nope: N, rope: R, value: P } = headDims(config);
  const W = C + R;
  const [past_BSW, past_BSZ] = past.rows as [Tensor, Tensor?];
  const S = past_BSW.dim(1);
  const { latent_XC, kRope_B1TR } = latentOf(model, x_XD, at, rope, tokens);
  const { qNope_BHTN, qRope_BHTR, q_XQ } = queries(model, x_XD, at, rope, tokens);
  const kept = (row: Tensor, parts: number[]) => past.kept?.(row, parts) ?? row;
  const row_BTW = kept(rowOf(latent_XC, kRope_B1TR, tokens), [C, R]);
  const scale = softmaxScale(config);
  const scored = past.mode === "check" ? eachAlone(rope, tokens) : { rope, tokens };
  const index = past_BSZ && indexer(model, x_XD, q_XQ, `${at}.indexer`, scored.rope, scored.tokens);
  const Z = index?.key_BTZ.dim(2) as number;
  const key_BTZ = index && kept(reshape(index.key_BTZ, [B, T, Z]), [Z]);
  const gained = key_BTZ ? [row_BTW, key_BTZ] : [row_BTW];

  if (past.mode === "read") {
    const rows_BSW = placeRows(past_BSW, row_BTW, past.places_BT);
    const latent = reshape(slice(rows_BSW, 2, 0, C), [dimMul(B, S), C]);
    const { k, v } = expandLatent(model, latent, reshape(slice(rows_BSW, 2, C, W), [B, 1, S, R]), at, { B, S });
    let { mask } = past;
    if (index && key_BTZ) {
      const keys_BSZ = placeRows(past_BSZ, key_BTZ, past.places_BT);
      mask = add(mask, reshape(index.chosen([keys_BSZ], reshape(mask, [B, T, S])), [B, 1, T, S]));
    }
    const o_BHTP = attention(concat([qNope_BHTN, qRope_BHTR], 3), k, v!, scale, mask);
    return { out_XD: output(model, o_BHTP, at, tokens), rows: gained };
  }

  const key = `${at}.kv_b_proj.weight`;
  const whole = model.latent(key) ?? wholeProducts(model.weight(key), [H, N, P, C]);
  const low = model.lowRank(`${at}.kv_b_proj`);
  const products = low ? adaptedProducts(whole, low, [H, N, P]) : whole;
  const checked = past.mode === "check";
  const byToken = (x: Tensor) => (checked ? transpose(x, [0, 2, 1, 3]) : x);
  const qLatent_HXC = products.toLatent(reshape(transpose(qNope_BHTN, [1, 0, 2, 3]), [H, X, N]));
  const q_XHW = concat([transpose(qLatent_HXC, [1, 0, 2]), reshape(byToken(qRope_BHTR), [X, H, R])], 2);
  const batch = checked ? [B, T] : [X];
  const placed = (all: Tensor, own: Tensor) => (checked ? placeRows(all, own, past.places_BT) : all);
  const rows = {
    past: reshape(placed(past_BSW, row_BTW), checked ? [B, 1, S, W] : [B, S, W]),
    own: reshape(row_BTW, [...batch, 1, W]),
  };
  const chosen = () => {
    if (!index || !past_BSZ || !key_BTZ) return undefined;
    const keys_BSZ = placed(past_BSZ, key_BTZ);
    const keys_XSZ = checked ? reshape(expand(reshape(keys_BSZ, [B, 1, S, Z]), [B, T, S, Z]), [X, S, Z]) : keys_BSZ;
    const zero_X11 = expand(constant(f32([1, 1, 1], [0])), [X, 1, 1]);
    const mask_X1S = concat([reshape(past.mask, [X, 1, S]), zero_X11], 2);
    const all_X1S = index.chosen([keys_XSZ, reshape(key_BTZ, [X, 1, Z])], mask_X1S);
    return reshape(all_X1S, [...batch, 1, all_X1S.dim(2)]);
  };
  const o = stepAttention(reshape(q_XHW, [...batch, H, W]), rows, rows, scale, past, chosen());
  const oLatent_HXC = transpose(slice(reshape(o, [X, H, W]), 2, 0, C), [1, 0, 2]);
  const o_XHP = transpose(products.fromLatent(oLatent_HXC), [1, 0, 2]);
  const o_BHTP = byToken(reshape(o_XHP, checked ? [B, T, H, P] : [B, H, T, P]));
  return { out_XD: output(model, o_BHTP, at, tokens), rows: gained };
}

/** The rows of `cachedLatentAttention` alone: what a cache gains of tokens x_XD whose attention nobody wants. */
export function latentRows(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  rope: Rope,
  tokens: Tokens,
  kept: NonNullable<Past["kept"]> = (row) => row,
): Tensor[] {
  const { kv_lora_rank: C, qk_rope_head_dim: R } = model.config as LatentConfig;
  const { latent_XC, kRope_B1TR } = latentOf(model, x_XD, at, rope, tokens);
  const row_BTW = kept(rowOf(latent_XC, kRope_B1TR, tokens), [C, R]);
  if (!isIndexed(model.config)) return [row_BTW];
  const key_BTZ = indexKey(model, x_XD, `${at}.indexer`, rope, tokens);
  return [row_BTW, kept(key_BTZ, [model.config.index_head_dim])];
}

/** Tokens as if each were a sequence of its own. */
const eachAlone = (rope: Rope, { X }: Tokens): { rope: Rope; tokens: Tokens } => ({
  rope: { ...rope, positions_BT: reshape(rope.positions_BT, [X, 1]) },
  tokens: { B: X, T: 1, X },
});

/** kv_b_proj has N key rows, then P value rows per head. Padding the narrow operands with zeros uses it as it lies. */
function wholeProducts(weight: Tensor, [H, N, P, C]: [number, number, number, number]): LatentProducts {
  const up_HEC = reshape(weight, [H, N + P, C]);
  return {
    toLatent: (q_HXN) => matmul(pad(q_HXN, 2, 0, P), up_HEC),
    fromLatent: (o_HXC) => slice(matmul(o_HXC, up_HEC, { transB: true }), 2, N, N + P),
  };
}

/** The same with an adapter's part: through its inner width, B by heads first, then A, or the other way round. */
function adaptedProducts(
  { toLatent, fromLatent }: LatentProducts,
  { a, b, scale }: LowRank,
  [H, N, P]: [number, number, number],
): LatentProducts {
  const up_HEr = reshape(b, [H, N + P, b.dim(1)]);
  return {
    toLatent: (q_HXN) => add(toLatent(q_HXN), matmul(matmul(pad(q_HXN, 2, 0, P), up_HEr, { alpha: scale }), a)),
    fromLatent: (o_HXC) => {
      const inner_HXr = matmul(o_HXC, a, { transB: true, alpha: scale });
      return add(fromLatent(o_HXC), slice(matmul(inner_HXr, up_HEr, { transB: true }), 2, N, N + P));
    },
  };
}

/** The normed latent and the rotated key that all heads share. */
function latentOf(model: ModelBuilder, x_XD: Tensor, at: string, angles: Rope, { B, T }: Tokens) {
  const config = model.config as LatentConfig;
  const { kv_lora_rank: C, qk_rope_head_dim: R } = config;
  const [compressed_XC, kRope_XR] = split(model.linear(x_XD, `${at}.kv_a_proj_with_mqa`), 1, [C, R]);
  const latent_XC = rmsNorm(compressed_XC, model.weight(`${at}.kv_a_layernorm.weight`), LATENT_EPSILON);
  return { latent_XC, kRope_B1TR: turn(reshape(kRope_XR, [B, 1, T, R]), angles) };
}

/** Queries of every head, through their own latent when the model has one; the rope part is rotated. */
function queries(model: ModelBuilder, x_XD: Tensor, at: string, angles: Rope, { B, T }: Tokens) {
  const config = model.config as LatentConfig;
  const { nope: N, rope: R } = headDims(config);
  const rank = config.q_lora_rank;
  const latent = () =>
    rmsNorm(model.linear(x_XD, `${at}.q_a_proj`), model.weight(`${at}.q_a_layernorm.weight`), LATENT_EPSILON);
  const q_XQ = rank === null ? x_XD : latent();
  const q = model.linear(q_XQ, `${at}.${rank === null ? "q_proj" : "q_b_proj"}`);
  const q_BHTE = transpose(reshape(q, [B, T, config.num_attention_heads, N + R]), [0, 2, 1, 3]);
  const [qNope_BHTN, qRope_BHTR] = split(q_BHTE, 3, [N, R]);
  return { qNope_BHTN, qRope_BHTR: turn(qRope_BHTR!, angles), q_XQ };
}

const turn = (x_BHTR: Tensor, { positions_BT, cos, sin, interleaved }: Rope): Tensor =>
  rope(x_BHTR, positions_BT, cos, sin, interleaved);

/** Keys and values of every head from the latent of S tokens. */
function expandLatent(
  model: ModelBuilder,
  latent_XC: Tensor,
  kRope_B1SR: Tensor,
  at: string,
  { B, S }: { B: Dim; S: Dim },
) {
  const { num_attention_heads: H } = model.config;
  const { nope: N, rope: R, value: P } = headDims(model.config);
  const kv_BHSE = transpose(reshape(model.linear(latent_XC, `${at}.kv_b_proj`), [B, S, H, N + P]), [0, 2, 1, 3]);
  const [kNope_BHSN, v] = split(kv_BHSE, 3, [N, P]);
  return { k: concat([kNope_BHSN, expand(kRope_B1SR, [B, H, S, R])], 3), v };
}

function rowOf(latent_XC: Tensor, kRope_B1TR: Tensor, { B, T }: Tokens): Tensor {
  const C = latent_XC.dim(1);
  return concat([reshape(latent_XC, [B, T, C]), reshape(kRope_B1TR, [B, T, kRope_B1TR.dim(3)])], 2);
}

function output(model: ModelBuilder, o_BHTP: Tensor, at: string, { X }: Tokens): Tensor {
  const { num_attention_heads: H } = model.config;
  const { value: P } = headDims(model.config);
  return model.linear(reshape(transpose(o_BHTP, [0, 2, 1, 3]), [X, H * P]), `${at}.o_proj`);
}
