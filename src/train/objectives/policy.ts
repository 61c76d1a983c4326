/** The objective of reinforcement: clipped policy gradients over sampled answers (GRPO and its kin). */
import { type Predictions, predict } from "../../model/index.ts";
import {
  add,
  and,
  cast,
  div,
  equal,
  exp,
  expand,
  less,
  maximum,
  minimum,
  mul,
  neg,
  reshape,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import type { Objective } from "../objective.ts";
import { countedTargets, depthOf, expertsOf, type MtpOptions, mtpLoss, weighted, weightsShape } from "./weighted.ts";

export interface PolicyOptions extends MtpOptions {
  /** ρ counts up to 1 + high where A > 0, down to 1 − low where A < 0, and there, with `dual`, up to `dual`. What is left out does not bound. */
  clip?: { low?: number; high?: number; dual?: number };
  /** ρ of each token, or one for all of a sequence's: e to the mean of its log ρ (GSPO, arXiv:2507.18071). Default token. */
  ratio?: "token" | "sequence";
  /** min(ρA, clip(ρ)A), or sg(clip(ρ)) A log π, where clipped tokens too have a gradient (CISPO, arXiv:2506.13585). Default clip. */
  surrogate?: "clip" | "weight";
  /** δ: sequences with A < 0 whose mean log π_old/π exceeds it count nothing but their KL (arXiv:2512.02556 §3.1). */
  offPolicyDelta?: number;
  /** A weighs min(π_old/π_drawn, `most`) times itself: tokens were drawn from another distribution, told as `drawnLogProbabilities`. */
  importance?: { most: number };
  /** β > 0: adds β · KL(π ‖ π_ref) by the estimator k3 = eᵈ − d − 1, d = log π_ref − log π; `unbiased` weighs it by ρ (DeepSeek-V3.2). */
  kl?: { beta: number; estimator: "k3" | "unbiased" };
  /** That the tokens were sampled at: logits are divided by it. */
  temperature?: number;
  /** Each token was drawn from at most so many ids, told as `keptIds`, repeated to fill: the others are cut from its softmax too. */
  kept?: number;
  /** The tokens were sampled by the very weights that the step begins with: ρ is 1, `oldLogProbabilities` is not asked for. */
  onPolicy?: boolean;
  /** Also tells each token's experts. */
  experts?: boolean;
}

/** Differences of log-probabilities count up to this, e²⁰: beyond it eˣ leaves f32 and a gradient would be NaN. */
const LOG_RATIO_MAX = 20;

/**
 * −Σ w · min(ρA, clip(ρ)A) + β Σ w · KL over sampled tokens, ρ = π / π_old. Fed, for the token predicted at each place: `advantages`,
 * `oldLogProbabilities`, `referenceLogProbabilities` (with kl), `drawnLogProbabilities` (with importance), [B, T] each, finite also where w is 0;
 * `keptIds` [B, T, kept]; and `tokenWeights` [B, T + MTP depth] as in `supervised`, with masks and the step's normalizer in them.
 * Metrics: Σ w times policyLoss, kl, ratio, clipped (0 or 1) and entropy. Per token: `logProbabilities`, `entropies`, `experts`
 * [B·T, layers · K]. arXiv:2402.03300.
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
      ...(options.importance ? { drawnLogProbabilities: each } : {}),
      ...(options.kept ? { keptIds: [...each, options.kept] } : {}),
    };
  },
  build(model, ids, inputs) {
    const { kl, temperature, onPolicy, kept, importance, mtp = 0 } = options;
    const depth = depthOf(model.config, options);
    const kept_XK = kept ? cast(reshape(inputs["keptIds"]!, [-1, kept]), "i64") : undefined;
    const predictions = predict(model, ids, { depth, detachMtp: true, temperature, entropy: true, kept_XK });
    const { main, tokens, embedded, routings } = predictions;
    const { X } = tokens;
    const flat = (name: string) => reshape(inputs[name]!, [X]);
    const { weight_X: weight } = countedTargets(ids, inputs["tokenWeights"]!, tokens);

    const logProbability = neg(main.nll_X);
    const old = onPolicy ? stopGradient(logProbability) : flat("oldLogProbabilities");
    const given = flat("advantages");
    const advantage = importance
      ? mul(given, minimum(stopGradient(expOf(sub(old, flat("drawnLogProbabilities")))), importance.most))
      : given;
    const moved = sub(logProbability, old);
    const { policyLoss, metrics } = gained(options, { weight, logProbability, moved, advantage, tokens });
    metrics["entropy"] = weighted(weight, main.entropy_X!);
    let loss = policyLoss;
    if (kl) {
      const apart = sub(flat("referenceLogProbabilities"), logProbability);
      const k3 = sub(sub(expOf(apart), apart), 1);
      metrics["kl"] = weighted(weight, k3);
      const counted = kl.estimator === "unbiased" ? mul(expOf(moved), k3) : k3;
      loss = add(loss, mul(weighted(weight, counted), kl.beta));
    }
    const ofModules = mtpLoss(predictions, inputs["tokenWeights"]!);
    if (ofModules) {
      metrics["mtpLoss"] = ofModules;
      loss = add(loss, mul(ofModules, mtp));
    }
    const perToken = { logProbabilities: logProbability, entropies: main.entropy_X! };
    const experts = options.experts ? expertsOf(model.config, predictions) : {};
    return { loss, metrics, embedded, routings, perToken: { ...perToken, ...experts } };
  },
});

/** What a step is made of, [B·T] each: `moved` is log π − log π_old. */
interface Sampled {
  weight: Tensor;
  logProbability: Tensor;
  moved: Tensor;
  advantage: Tensor;
  tokens: Predictions["tokens"];
}

/** The policy's own loss, and what to report of it. */
function gained(
  { clip, ratio: of = "token", surrogate = "clip", offPolicyDelta }: PolicyOptions,
  { weight, logProbability, moved, advantage, tokens: { B, T, X } }: Sampled,
): { policyLoss: Tensor; metrics: Record<string, Tensor> } {
  /** Means over each sequence's trained tokens, at every token of it. */
  const sequenceMean = (values: Tensor): Tensor => {
    const counts = reshape(where(less(0, weight), 1, 0), [B, T]);
    const total = sum(mul(counts, reshape(values, [B, T])), 1, true);
    return reshape(expand(div(total, maximum(sum(counts, 1, true), 1)), [B, T]), [X]);
  };
  const ratio = expOf(of === "sequence" ? sequenceMean(moved) : moved);
  const weighs = surrogate === "weight";
  const counted = !clip ? ratio : weighs ? within(ratio, clip) : clipped(ratio, advantage, clip);
  const each = weighs ? mul(stopGradient(counted), logProbability) : counted;
  const gain = mul(advantage, each);
  const dropped =
    offPolicyDelta === undefined
      ? undefined
      : and(less(advantage, 0), less(stopGradient(sequenceMean(moved)), -offPolicyDelta));
  const policyLoss = neg(weighted(weight, dropped ? where(dropped, 0, gain) : gain));
  const metrics: Record<string, Tensor> = { policyLoss, ratio: weighted(weight, ratio) };
  if (clip) metrics["clipped"] = sum(where(equal(counted, ratio), 0, weight));
  return { policyLoss, metrics };
}

const expOf = (difference: Tensor): Tensor => exp(minimum(difference, LOG_RATIO_MAX));

type Bounds = NonNullable<PolicyOptions["clip"]>;
const atLeast = (ratio: Tensor, low: number | undefined): Tensor =>
  low === undefined ? ratio : maximum(ratio, 1 - low);
const atMost = (ratio: Tensor, high: number | undefined): Tensor =>
  high === undefined ? ratio : minimum(ratio, 1 + high);

/** ρ between both limits, whatever A is. */
const within = (ratio: Tensor, { low, high }: Bounds): Tensor => atMost(atLeast(ratio, low), high);

/** ρ as far as min(ρA, clip(ρ)A) counts it: beyond the limits it is a constant, without a gradient. */
function clipped(ratio: Tensor, advantage: Tensor, { low, high, dual }: Bounds): Tensor {
  const below = atLeast(ratio, low);
  return where(less(advantage, 0), dual === undefined ? below : minimum(below, dual), atMost(ratio, high));
}
