/** The objective of pretraining: next token, multi-token prediction, balance. */
import { mtpDepth, trainingLoss } from "../../model/index.ts";
import { add, div, mul, type Tensor } from "../../tensor/index.ts";
import type { Objective } from "../objective.ts";

/**
 * V3's pretraining: next token + λ · MTP + α · balance, each the mean over a shard. Fed: `lambda`, and `share`, what a shard's means count
 * in the step's: 1 / (micro-batches · lanes). arXiv:2412.19437 eq. 21-25.
 */
export const pretraining = ({ alpha }: { alpha: number }): Objective => ({
  name: "pretraining",
  extraIds: (config) => 1 + mtpDepth(config),
  inputs: () => ({ lambda: [], share: [] }),
  build(model, ids, { lambda, share }) {
    const { loss, mainLoss, mtpLosses, balanceLoss, embedded, routings } = trainingLoss(model, ids, { lambda, alpha });
    const ofStep = (mean: Tensor) => mul(mean, share!);
    const metrics: Record<string, Tensor> = { mainLoss: ofStep(mainLoss) };
    if (mtpLosses.length > 0) metrics["mtpLoss"] = ofStep(div(mtpLosses.reduce(add), mtpLosses.length));
    if (balanceLoss) metrics["balanceLoss"] = ofStep(balanceLoss);
    return { loss: ofStep(loss), metrics, embedded, routings };
  },
});
