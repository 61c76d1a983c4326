/** Checks of an audit: the answers that reinforcement learning had to generate. */
import type { Source } from "../types.ts";
import { count, gradeUpTo, percent, trim, whole } from "./figures.ts";
import type { Estimate } from "./hours.ts";
import { PREDICTION_LIMITS } from "./prediction.ts";
import type { Band, Check } from "./report.ts";
import { type Subject, trainingFlops } from "./subject.ts";

const serving: Source = {
  title:
    "DeepSeek-V3/R1 inference system overview: 14.8K output tokens/s for a node of 8 H800, 20 to 22 tokens/s for one user",
  date: "2025-03-01",
  mark: "secondary",
  url: "https://github.com/deepseek-ai/open-infra-index",
};
/** What that service does per GPU, and what it read per token: the yardstick for other models and chips, by active weights and memory bandwidth. */
const SERVED = { tokensPerSecondPerGpu: 14_800 / 8, active: 36.6e9, hbmBytesPerSec: 3.35e12, perUser: 22 };
/** Speculation with the MTP module, as the V3 report measured it. */
const MTP_SPEEDUP = 1.8;
/** Passes over the answers beside the update: the frozen reference and the policy that sampled. */
const EXTRA_FORWARDS = 2;
/** Share of the BF16 peak for the update. */
const TRAINING_SHARE = 0.35;

export interface Rollouts {
  phase: string;
  gpuHours: number;
  idealHours: number;
  secondsPerRollout: number;
  neededPerUser: number;
}

/** What a phase of reinforcement learning must generate and learn from, at the service's own rates. */
export function rollouts(subject: Subject): Rollouts[] {
  const { claim, chip, config, parameters } = subject;
  const found: Rollouts[] = [];
  claim.phases.forEach((phase, i) => {
    const gpus = phase.gpus ?? claim.gpus;
    const { steps, outputsPerStep, meanTokens } = phase;
    if (phase.kind !== "rl" || !steps || !outputsPerStep || !meanTokens || !gpus) return;
    const decode =
      SERVED.tokensPerSecondPerGpu *
      (SERVED.active / parameters.active) *
      (chip.hbmBytesPerSec / SERVED.hbmBytesPerSec);
    const training = trainingFlops(config, meanTokens);
    const update = (training * (1 + EXTRA_FORWARDS / 3)) / (TRAINING_SHARE * chip.bf16FlopsPerSec);
    const tokens = steps * outputsPerStep * meanTokens;
    const gpuHours = subject.phases[i]!.gpuHours;
    const secondsPerStep = (gpuHours * 3600) / gpus / steps;
    const perRollout = (phase.outputsPerRollout ?? outputsPerStep) / outputsPerStep;
    const secondsPerRollout = secondsPerStep * perRollout;
    const updating = (perRollout * outputsPerStep * meanTokens * update) / gpus;
    found.push({
      phase: phase.name,
      gpuHours,
      idealHours: (tokens * (1 / decode + update)) / 3600,
      secondsPerRollout,
      neededPerUser:
        secondsPerRollout > updating ? (phase.maxTokens ?? meanTokens) / (secondsPerRollout - updating) : Infinity,
    });
  });
  return found;
}

/** Whether reinforcement learning fits its hours: enough work per hour, and the longest answer within one round. */
export function checkRollouts(subject: Subject): Check[] {
  return rollouts(subject).flatMap((r): Check[] => {
    const fill = r.idealHours / r.gpuHours;
    const phase = subject.claim.phases.find(({ name }) => name === r.phase)!;
    const outputs = phase.steps! * phase.outputsPerStep!;
    const limit = SERVED.perUser * MTP_SPEEDUP;
    return [
      {
        topic: "rollouts",
        id: `rollouts-${r.phase}`,
        kind: "physics",
        title: `${r.phase}: answers against the hours`,
        grade: gradeUpTo(fill, { ok: 0.5, aggressive: 0.8, unshown: 1.1 }),
        says: `${whole(phase.steps!)} steps × ${whole(phase.outputsPerStep!)} answers × ${whole(phase.meanTokens!)} tokens are ${count(outputs * phase.meanTokens!)} tokens. At DeepSeek's own serving rate, and with the update at ${percent(TRAINING_SHARE, 0)} of the BF16 peak, they need ${count(r.idealHours)} hours, ${percent(fill, 0)} of the ${count(r.gpuHours)} stated.`,
        short: `${r.phase}: ${count(outputs * phase.meanTokens!, 3)} tokens sampled and learnt need ${count(r.idealHours, 3)} h at DeepSeek's serving rate, ${percent(fill, 0)} of the hours`,
        numbers: { tokens: outputs * phase.meanTokens!, idealHours: r.idealHours, fill },
        sources: [serving],
      },
      {
        topic: "clock",
        id: `clock-${r.phase}`,
        kind: "physics",
        title: `${r.phase}: longest answer against a round`,
        grade: gradeUpTo(r.neededPerUser / limit, { ok: 1, aggressive: 2.5, unshown: 10 }),
        says: `A round of ${whole(phase.outputsPerRollout ?? phase.outputsPerStep!)} answers lasts ${whole(r.secondsPerRollout)} s with its updates. An answer of ${whole(phase.maxTokens ?? phase.meanTokens!)} tokens must then come at ${trim(r.neededPerUser)} tokens/s; the loaded service gives ${SERVED.perUser}, with MTP about ${trim(limit)}. Few answers are that long, and the last ones run on emptied GPUs.`,
        short: `${r.phase}: a round lasts ${whole(r.secondsPerRollout)} s, so its longest answers need ${trim(r.neededPerUser)} tokens/s (a loaded service gives ${SERVED.perUser}, with MTP ${trim(limit, 2)})`,
        numbers: { secondsPerRollout: r.secondsPerRollout, neededPerUser: r.neededPerUser },
        sources: [serving],
      },
    ];
  });
}

/** A phase with answers as the planner expects it. */
export interface AnswersPrediction {
  phase: string;
  gpuHours: Band;
  says: string;
  sources: Source[];
}

/** Hours of reinforcement learning beside what the planner expects; its band is wide, since it hangs on how long answers grew. */
export function checkAnswers(subject: Subject, predictions: AnswersPrediction[]): Check[] {
  return predictions.map(({ phase, gpuHours: { p10, p50, p90 }, says, sources }): Check => {
    const stated = subject.phases.find(({ name }) => name === phase)!.gpuHours;
    const below = Math.log(p50 / stated) / (Math.log(p90 / p10) / 2.5632);
    const where = stated < p10 ? "below" : stated > p90 ? "above" : "inside";
    return {
      topic: "prediction",
      id: `prediction-${phase}`,
      kind: "prediction",
      title: `${phase}: hours beside the prediction`,
      grade: gradeUpTo(below, PREDICTION_LIMITS, "unshown"),
      says: `Sumbi's planner expects ${count(p50, 3)} GPU-hours (${count(p10, 3)} to ${count(p90, 3)}); ${count(stated)} is ${where} the band. ${says}`,
      short: `${phase}: Sumbi predicts ${count(p50, 3)} h (${count(p10, 3)} to ${count(p90, 3)}); ${count(stated)} is ${where}`,
      numbers: { p10, p50, p90, stated },
      sources,
    };
  });
}

/** The predictions as estimates of stated hours. */
export const answerEstimates = (subject: Subject, predictions: AnswersPrediction[]): Estimate[] =>
  predictions.map(({ phase, gpuHours: { p10, p50, p90 } }) => ({
    name: phase,
    ratio: p50 / subject.phases.find(({ name }) => name === phase)!.gpuHours,
    sigma: Math.log(p90 / p10) / 2.5632,
  }));
