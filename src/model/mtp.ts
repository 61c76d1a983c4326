/** Multi-token prediction: one module of DeepSeek-V3's. */
import { concat, reshape, rmsNorm, scope, type Tensor } from "../tensor/index.ts";
import type { ModelBuilder, Rope, Tokens } from "./builder.ts";
import { latentRows } from "./mla.ts";
import type { Routing } from "./moe.ts";
import type { Past } from "./past.ts";
import { layer } from "./transformer.ts";

/** The layer of module `k`, from 1: modules count on from the model's own. */
const layerOf = ({ config }: ModelBuilder, k: number): number => config.num_hidden_layers + k - 1;

/**
 * One multi-token-prediction module, `k` from 1: next_XD (embedding of the token k places ahead) and hidden_XD (of the model, or
 * of module k−1, after its norm) -> hidden_XD after shared_head.norm, from which the model's head predicts token k+1 ahead.
 * arXiv:2412.19437 §2.2. The model's final norm comes before, as in transformers 5.23.
 */
export function mtpModule(
  model: ModelBuilder,
  k: number,
  next_XD: Tensor,
  hidden_XD: Tensor,
  rope: Rope,
  tokens: Tokens,
): { hidden_XD: Tensor; rows: Tensor[]; routing?: Routing } {
  return mtpLayer(model, k, mtpJoined(model, k, next_XD, hidden_XD), rope, tokens);
}

/** What a module's layer gets: eh_proj of the two norms side by side, next_XD and hidden_XD -> [X, D]. */
export function mtpJoined(model: ModelBuilder, k: number, next_XD: Tensor, hidden_XD: Tensor): Tensor {
  const { rms_norm_eps, hidden_size: D } = model.config;
  const at = `model.layers.${layerOf(model, k)}`;
  return scope(`mtp.${k}`, () => {
    const embedded = rmsNorm(next_XD, model.weight(`${at}.enorm.weight`), rms_norm_eps);
    const before = rmsNorm(hidden_XD, model.weight(`${at}.hnorm.weight`), rms_norm_eps);
    return model.linear(reshape(concat([embedded, before], 1), [next_XD.dim(0), 2 * D]), `${at}.eh_proj`);
  });
}

/** The module's layer and last norm: joined_XD of `mtpJoined` -> hidden_XD, and the rows that its cache gains. */
export function mtpLayer(
  model: ModelBuilder,
  k: number,
  joined_XD: Tensor,
  rope: Rope,
  tokens: Tokens,
  past?: Past,
): { hidden_XD: Tensor; rows: Tensor[]; routing?: Routing } {
  const i = layerOf(model, k);
  return scope(`mtp.${k}`, () => {
    const { out_XD, rows, routing } = layer(model, joined_XD, i, rope, tokens, { past });
    const norm = model.weight(`model.layers.${i}.shared_head.norm.weight`);
    return { hidden_XD: rmsNorm(out_XD, norm, model.config.rms_norm_eps), rows, routing };
  });
}

/** What the module's cache gains of tokens that nobody asks a prediction of: joined_XD -> rows of its `layerCacheSpec`, each [B, T, ·]. */
export function mtpRows(
  model: ModelBuilder,
  k: number,
  joined_XD: Tensor,
  rope: Rope,
  tokens: Tokens,
  kept?: Past["kept"],
): Tensor[] {
  const at = `model.layers.${layerOf(model, k)}`;
  return scope(`mtp.${k}`, () => {
    const normed = rmsNorm(joined_XD, model.weight(`${at}.input_layernorm.weight`), model.config.rms_norm_eps);
    return latentRows(model, normed, `${at}.self_attn`, rope, tokens, kept);
  });
}
