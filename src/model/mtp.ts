/** Multi-token prediction: one module of DeepSeek-V3's. */
import { concat, reshape, rmsNorm, scope, type Tensor } from "../tensor/index.ts";
import type { ModelBuilder, Rope, Tokens } from "./builder.ts";
import type { Routing } from "./moe.ts";
import type { Past } from "./past.ts";
import { layer } from "./transformer.ts";

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
  past?: Past,
): { hidden_XD: Tensor; rows: Tensor[]; routing?: Routing } {
  const { num_hidden_layers, rms_norm_eps, hidden_size: D } = model.config;
  const i = num_hidden_layers + k - 1;
  const at = `model.layers.${i}`;
  return scope(`mtp.${k}`, () => {
    const embedded = rmsNorm(next_XD, model.weight(`${at}.enorm.weight`), rms_norm_eps);
    const before = rmsNorm(hidden_XD, model.weight(`${at}.hnorm.weight`), rms_norm_eps);
    const joined = model.linear(reshape(concat([embedded, before], 1), [tokens.X, 2 * D]), `${at}.eh_proj`);
    const { out_XD, rows, routing } = layer(model, joined, i, rope, tokens, { past });
    return { hidden_XD: rmsNorm(out_XD, model.weight(`${at}.shared_head.norm.weight`), rms_norm_eps), rows, routing };
  });
}
