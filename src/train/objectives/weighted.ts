/** Sums over tokens that each count what they were given: what supervised and policy training share. */
import { type ModelConfig, mtpDepth, type Predictions } from "../../model/index.ts";
import { add, mul, reshape, slice, sum, type Tensor } from "../../tensor/index.ts";
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

export const weighted = (weight_X: Tensor, of_X: Tensor): Tensor => sum(mul(weight_X, of_X));

/** Mean over the modules of Σ weight · nll; undefined without modules. */
export function mtpLoss({ mtp, tokens }: Predictions, weights: Tensor): Tensor | undefined {
  if (mtp.length === 0) return undefined;
  return mul(mtp.map(({ nll_X }, i) => weighted(weightsOf(weights, tokens, i + 1), nll_X)).reduce(add), 1 / mtp.length);
}
