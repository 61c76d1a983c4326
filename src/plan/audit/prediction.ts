/** Checks of an audit: the claimed hours beside the planner's. */
import type { PlanResult } from "../result.ts";
import { count, percent, trim } from "./figures.ts";
import type { Check, Grade, Prediction } from "./report.ts";
import type { Subject } from "./subject.ts";

/** Standard deviations (of the band's log) by which the claim may lie below the prediction. */
export const PREDICTION_LIMITS = { ok: 1.2816, aggressive: 2.3263 } as const;

export const predictionOf = (plan: PlanResult, how: string): Prediction => ({
  gpuHours: { p10: plan.p10.gpuHours, p50: plan.gpuHours, p90: plan.p90.gpuHours },
  stepSeconds: plan.stepSeconds,
  tokensPerSecondPerGpu: plan.tokensPerSecondPerGpu,
  mfu: plan.mfu,
  steadyShare: plan.bestSteady!.share,
  parts: plan.parts,
  memoryBytes: plan.memoryBytes,
  how,
});

/** Sigma of a prediction's log. */
export const spreadOf = ({ gpuHours }: Prediction): number =>
  Math.max(0.05, Math.log(gpuHours.p90 / gpuHours.p10) / (2 * 1.2816));

/** The claim's pretraining beside what the planner expects of it. Slower than expected is nothing to doubt. */
export function checkPrediction(subject: Subject, prediction: Prediction | undefined): Check[] {
  const { pretrain, claim } = subject;
  if (!pretrain || !prediction) return [];
  const { p10, p50, p90 } = prediction.gpuHours;
  const below = Math.log(p50 / pretrain.gpuHours) / spreadOf(prediction);
  const grade: Grade =
    below <= PREDICTION_LIMITS.ok ? "ok" : below <= PREDICTION_LIMITS.aggressive ? "aggressive" : "unshown";
  const off = pretrain.gpuHours / p50 - 1;
  const where = pretrain.gpuHours < p10 ? "below" : pretrain.gpuHours > p90 ? "above" : "inside";
  const step = claim.stepSeconds
    ? ` A step of ${trim(prediction.stepSeconds)} s is expected; ${trim(claim.stepSeconds)} s is stated.`
    : "";
  return [
    {
      id: "prediction",
      topic: "prediction",
      kind: "prediction",
      title: "hours beside the prediction",
      grade,
      says: `Sumbi's planner expects ${count(p50, 3)} GPU-hours (${count(p10, 3)} to ${count(p90, 3)} at 80 %); ${count(pretrain.gpuHours)} is ${percent(Math.abs(off), 0)} ${off < 0 ? "less" : "more"}, ${where} the band.${step} ${prediction.how}`,
      short: `Sumbi predicts ${count(p50, 3)} h (${count(p10, 3)} to ${count(p90, 3)}); ${count(pretrain.gpuHours)} is ${where}`,
      numbers: { p10, p50, p90, stated: pretrain.gpuHours, off, stepSeconds: prediction.stepSeconds },
      sources: [
        {
          title:
            "Sumbi's planner: constants fitted on published runs, without those of the claim's own makers where the claim is among them (docs/accuracy.md)",
          date: "2026-11",
          mark: "derived",
        },
      ],
    },
  ];
}
