/** The objective of reinforcement: clipped policy gradients over sampled answers (GRPO and its kin). */
import { predict } from "../../model/index.ts";
import {
  add,
  constant,
  equal,
  exp,
  i64,
  less,
  maximum,
  minimum,
  mul,
  neg,
  reshape,
  slice,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import type { Objective } from "../objective.ts";
import { depthOf, type MtpOptions, mtpLoss, weighted, weightsOf, weightsShape } from "./weighted.ts";

export interface PolicyOptions extends MtpOptions {
  /** ρ counts up to 1 + high where A > 0, down to 1 − low where A < 0, and there, with `dual`, up to `dual`. Left out: not clipped. */
  clip?: { low: number; high: number; dual?: number };
  /** β > 0: adds β · KL(π ‖ π_ref) by the estimator k3 = eᵈ − d − 1, d = log π_ref − log π; `unbiased` weighs it by ρ (DeepSeek-V3.2). */
  kl?: { beta: number; estimator: "k3" | "unbiased" };
  /** That the tokens were sampled at: logits are divided by it. */
  temperature?: number;
  /** The tokens were sampled by the very weights that the step begins with: ρ is 1, `oldLogProbabilities` is not asked for. */
  onPolicy?: boolean;
}

/** Differences of log-probabilities count up to this, e²⁰: beyond it eˣ leaves f32 and a gradient would be NaN. */
const LOG_RATIO_MAX = 20;

/**
 * −Σ w · min(ρA, clip(ρ)A) + β Σ w · KL over sampled tokens, ρ = π / π_old. Fed, for the token predicted at each place: `advantages`,
 * `oldLogProbabilities`, `referenceLogProbabilities` (with kl), [B, T] each, finite also where w is 0; and `tokenWeights` [B, T + MTP depth]
 * as in `supervised`: masks, the step's normalizer and importance weights of rollouts by another engine are all in it.
 * Metrics: Σ w times policyLoss, kl, ratio, clipped (0 or 1) and entropy. Per token: `logProbabilities`, `entropies`. arXiv:2402.03300.
 */
export const policy = (options: PolicyOptions): Objective => ({
  name: "policy",
  extraIds: (config) => 1 + depthOf(config, options),
  inputs(config, shard) {
    const each = [shard.sequences, shard.tokens];
    return {
      tokenWeights: weightsShape(config, shard, options),
      advantages: each,
      ...(options.onPolicy ? {} : { oldLogProbabilities: each }),
      ...(options.kl ? { referenceLogProbabilities: each } : {}),
    };
  },
  build(model, ids, inputs) {
    const { clip, kl, temperature, onPolicy, mtp = 0 } = options;
    const depth = depthOf(model.config, options);
    const predictions = predict(model, ids, { depth, detachMtp: true, temperature, entropy: true });
    const { main, tokens, embedded, routings } = predictions;
    const { T, X } = tokens;
    const flat = (name: string) => reshape(inputs[name]!, [X]);
    // A token that was given as ~t has no log-probability and counts nothing.
    const untrained = less(reshape(slice(ids, 1, 1, 1 + T), [X]), constant(i64([], [0])));
    const weight = where(untrained, 0, weightsOf(inputs["tokenWeights"]!, tokens, 0));

    const logProbability = neg(main.nll_X);
    const old = onPolicy ? stopGradient(logProbability) : flat("oldLogProbabilities");
    const ratio = expOf(sub(logProbability, old));
    const advantage = flat("advantages");
    const counted = clip ? clipped(ratio, advantage, clip) : ratio;
    const policyLoss = neg(weighted(weight, mul(advantage, counted)));
    const metrics: Record<string, Tensor> = {
      policyLoss,
      ratio: weighted(weight, ratio),
      entropy: weighted(weight, main.entropy_X!),
    };
    if (clip) metrics["clipped"] = sum(where(equal(counted, ratio), 0, weight));
    let loss = policyLoss;
    if (kl) {
      const apart = sub(flat("referenceLogProbabilities"), logProbability);
      const k3 = sub(sub(expOf(apart), apart), 1);
      metrics["kl"] = weighted(weight, k3);
      loss = add(loss, mul(weighted(weight, kl.estimator === "unbiased" ? mul(ratio, k3) : k3), kl.beta));
    }
    const ofModules = mtpLoss(predictions, inputs["tokenWeights"]!);
    if (ofModules) {
      metrics["mtpLoss"] = ofModules;
      loss = add(loss, mul(ofModules, mtp));
    }
    return {
      loss,
      metrics,
      embedded,
      routings,
      perToken: { logProbabilities: logProbability, entropies: main.entropy_X! },
    };
  },
});

const expOf = (difference: Tensor): Tensor => exp(minimum(difference, LOG_RATIO_MAX));

/** ρ as far as it counts: beyond the limits it is a constant, without a gradient. */
function clipped(ratio: Tensor, advantage: Tensor, { low, high, dual }: NonNullable<PolicyOptions["clip"]>): Tensor {
  const floored = maximum(ratio, 1 - low);
  return where(less(advantage, 0), dual === undefined ? floored : minimum(floored, dual), minimum(ratio, 1 + high));
}
