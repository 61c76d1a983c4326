/** The objective of on-policy distillation: the student's whole distribution at each token of its own answers, held against a teacher's. */
import { predict } from "../../model/index.ts";
import { add, type HostTensor, linearReverseKl, mul, reshape, type Tensor } from "../../tensor/index.ts";
import type { Objective, TokenValues } from "../objective.ts";
import { countedTargets, depthOf, expertsOf, type MtpOptions, mtpLoss, weighted, weightsShape } from "./weighted.ts";

export interface DistillationOptions extends MtpOptions {
  /** The teacher's head, [V, E], V the student's. */
  head: HostTensor<Float32Array>;
  /** Also tells each token's experts. */
  experts?: boolean;
}

/** What a model makes of each token before its head, `hidden` [B·T, D]: a teacher's side of `distillation`. */
export const hiddenStates: TokenValues = {
  name: "hidden states",
  extraIds: () => 1,
  inputs: () => ({}),
  build: (model, ids) => ({ perToken: { hidden: predict(model, ids, { depth: 0 }).hidden_XD } }),
};

/**
 * Σ w · KL(student ‖ teacher) over sampled tokens, the whole vocabulary at each (arXiv:2306.13649 §3). Fed: `teacherHidden` [B, T, E], as `hiddenStates`
 * gives it of the same ids, and `tokenWeights` [B, T + MTP depth] as in `supervised`. Metrics: Σ w times kl and entropy. Per token: `kls`,
 * `logProbabilities`, `entropies`, `experts` [B·T, layers · K].
 */
export const distillation = ({ head, ...options }: DistillationOptions): Objective => ({
  name: "distillation",
  extraIds: (config) => 1 + depthOf(config, options),
  inputs: (config, shard) => ({
    tokenWeights: weightsShape(config, shard, options),
    teacherHidden: [shard.sequences, shard.tokens, head.shape[1]!],
  }),
  fixed: { teacherHead: head },
  build(model, ids, inputs) {
    const { mtp = 0 } = options;
    const predictions = predict(model, ids, { depth: depthOf(model.config, options), detachMtp: true });
    const { hidden_XD, head_VD, tokens, embedded, routings } = predictions;
    const { target_X, weight_X } = countedTargets(ids, inputs["tokenWeights"]!, tokens);
    const hidden_XE = reshape(inputs["teacherHidden"]!, [tokens.X, head.shape[1]!]);
    const teaching = { hidden_XE, head_VE: inputs["teacherHead"]! };
    const { kl_X, logProbability_X, entropy_X } = linearReverseKl(hidden_XD, head_VD, teaching, target_X);
    const kl = weighted(weight_X, kl_X);
    const metrics: Record<string, Tensor> = { kl, entropy: weighted(weight_X, entropy_X) };
    const ofModules = mtpLoss(predictions, inputs["tokenWeights"]!);
    if (ofModules) metrics["mtpLoss"] = ofModules;
    const perToken = { kls: kl_X, logProbabilities: logProbability_X, entropies: entropy_X };
    return {
      loss: ofModules ? add(kl, mul(ofModules, mtp)) : kl,
      metrics,
      embedded,
      routings,
      perToken: { ...perToken, ...(options.experts ? expertsOf(model.config, predictions) : {}) },
    };
  },
});
