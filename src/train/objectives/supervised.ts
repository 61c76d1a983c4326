/** The objective of given answers: fine-tuning and distillation. */
import { predict } from "../../model/index.ts";
import { add, mul, neg, type Tensor } from "../../tensor/index.ts";
import type { Objective } from "../objective.ts";
import { depthOf, type MtpOptions, mtpLoss, weighted, weightsOf, weightsShape } from "./weighted.ts";

/**
 * Σ w · −log p over given targets: fine-tuning on answers, distillation on another model's texts. Fed: `tokenWeights` [B, T + MTP depth], what
 * each id but a sequence's first counts: 0 for prompt and padding, else 1 / trained tokens of the whole step, or of its sequence and so on.
 * A token given as ~t counts nothing either. Per token: `logProbabilities`, 0 where ~t.
 */
export const supervised = (options: MtpOptions = {}): Objective => ({
  name: "supervised",
  extraIds: (config) => 1 + depthOf(config, options),
  inputs: (config, shard) => ({ tokenWeights: weightsShape(config, shard, options) }),
  build(model, ids, { tokenWeights }) {
    const predictions = predict(model, ids, { depth: depthOf(model.config, options), detachMtp: true });
    const { main, tokens, embedded, routings } = predictions;
    const mainLoss = weighted(weightsOf(tokenWeights!, tokens, 0), main.nll_X);
    const ofModules = mtpLoss(predictions, tokenWeights!);
    const metrics: Record<string, Tensor> = { mainLoss, ...(ofModules ? { mtpLoss: ofModules } : {}) };
    return {
      loss: ofModules ? add(mainLoss, mul(ofModules, options.mtp!)) : mainLoss,
      metrics,
      embedded,
      routings,
      perToken: { logProbabilities: neg(main.nll_X) },
    };
  },
});
