/** Sums over tokens that each count what they were given: what supervised and policy training and distillation share. */
import { type ModelConfig, mtpDepth, type Predictions, routedLayers } from "../../model/index.ts";
import {
  add,
  cast,
  concat,
  constant,
  i64,
  less,
  mul,
  reshape,
  slice,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import type { Shard } from "../objective.ts";

export interface MtpOptions {
  /** Weight of the mean of the MTP modules' losses, whose gradients stay in the modules; 0, the default, leaves the modules out. */
  mtp?: number;
}

export const depthOf = (config: ModelConfig, { mtp = 0 }: MtpOptions): number => (mtp > 0 ? mtpDepth(config) : 0);

/** Shape of `tokenWeights`: what each id but a sequence's first counts as a target, [B, T + depth]. */
export const weightsShape = (config: ModelConfig, { sequences, tokens }: Shard, options: MtpOptions): number[] => [
  sequences,
  tokens + depthOf(config, options),
];

/** The weights of the targets that module k predicts, [B·T]; k = 0 is the model. */
export function weightsOf(weights: Tensor, { T, X }: Predictions["tokens"], k: number): Tensor {
  return reshape(slice(weights, 1, k, k + T), [X]);
}

/** The model's targets [B·T], and what each counts: nothing where it is ~t. */
export function countedTargets(
  ids: Tensor,
  weights: Tensor,
  tokens: Predictions["tokens"],
): { target_X: Tensor; weight_X: Tensor } {
  const target_X = reshape(slice(ids, 1, 1, 1 + tokens.T), [tokens.X]);
  const untrained = less(target_X, constant(i64([], [0])));
  return { target_X, weight_X: where(untrained, 0, weightsOf(weights, tokens, 0)) };
}

/** Each token's experts, [B·T, layers · K], as a value of each token; none where the model has no mixtures. */
export function expertsOf(config: ModelConfig, { routings }: Predictions): Record<string, Tensor> {
  const own = routings.slice(0, routedLayers(config)).map(({ experts_XK }) => cast(experts_XK, "f32"));
  return own.length > 0 ? { experts: concat(own, 1) } : {};
}

export const weighted = (weight_X: Tensor, of_X: Tensor): Tensor => sum(mul(weight_X, of_X));

/** Mean over the modules of Σ weight · nll; undefined without modules. */
export function mtpLoss({ mtp, tokens }: Predictions, weights: Tensor): Tensor | undefined {
  if (mtp.length === 0) return undefined;
  return mul(mtp.map(({ nll_X }, i) => weighted(weightsOf(weights, tokens, i + 1), nll_X)).reduce(add), 1 / mtp.length);
}
