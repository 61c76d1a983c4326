/** What generating answers for reinforcement learning takes: groups of sequences that end at different lengths. */
import { ConfigError } from "../errors.ts";
import { CONSTANTS, type Constants } from "./constants.ts";
import { cacheBytes, decodeSeconds, type ServingLayout, servedWeightBytes } from "./decode.ts";
import { type ServingQuestion, type Speculation, servingJob, tokensPerPass, units } from "./serving.ts";

/** Answers generated together before a model is updated. */
export interface RolloutQuestion extends Pick<ServingQuestion, "architecture" | "cluster" | "precision"> {
  outputs: number;
  promptTokens: number;
  meanTokens: number;
  /** Answers are cut here; the longest reach it. */
  maxTokens: number;
  speculation?: Speculation;
  constants?: Constants;
}

export interface Rollout {
  seconds: number;
  unit: ServingLayout;
  /** At the start of a wave. */
  sequencesPerGpu: number;
  /** Batches one after the other, where memory does not hold all at once. */
  waves: number;
  tokens: number;
  tokensPerSecondPerGpu: number;
  /** Share of the time in which fewer than a tenth of the answers were still being written. */
  tail: number;
}

const USABLE = 0.85;
const SLICES = 48;

/**
 * Share of answers longer than `t`: 1 − (t/max)^k with the k that gives the mean, k = mean/(max − mean). Many short, some that reach the limit,
 * as published histograms of reasoning look.
 */
export const surviving = (t: number, mean: number, max: number): number => 1 - (t / max) ** (mean / (max - mean));

/**
 * Seconds until the last of the answers ends. All start together; as they end, passes get faster but the GPUs emptier, so the longest answers
 * decide: DeepSeek's figure of 14.8K tokens/s a node is that of a full machine, which rollouts are only at first.
 */
export function rollout(question: RolloutQuestion): Rollout {
  const { cluster, outputs, promptTokens, meanTokens, maxTokens, speculation, constants = CONSTANTS } = question;
  if (!(meanTokens > 0 && meanTokens < maxTokens))
    throw new ConfigError(`rollouts: expected a mean answer below the longest, ${maxTokens}, got ${meanTokens}`);
  const job = servingJob(question, promptTokens + meanTokens);
  const width = speculation ? speculation.drafted + 1 : 1;
  const yielded = speculation ? tokensPerPass(speculation) : 1;
  let best: Rollout | undefined;
  for (const unit of units({ ...question }, undefined, 320)) {
    const replicas = Math.floor(cluster.gpus / unit.gpus) * (unit.gpus / unit.tp);
    if (replicas < 1) continue;
    const room = cluster.chip.hbmBytes * USABLE - servedWeightBytes(job, unit);
    const most = Math.floor(room / cacheBytes(question.architecture, unit.tp, promptTokens + meanTokens));
    if (most < 1) continue;
    const perReplica = Math.ceil(outputs / replicas);
    const waves = Math.ceil(perReplica / most);
    const start = perReplica / waves;
    let seconds = 0,
      tail = 0;
    for (let i = 0; i < SLICES; i++) {
      const at = ((i + 0.5) / SLICES) * maxTokens;
      const alive = surviving(at, meanTokens, maxTokens);
      const passes = maxTokens / SLICES / yielded;
      const spent =
        passes *
        decodeSeconds(
          job,
          unit,
          { sequences: Math.max(1, start * alive), context: promptTokens + at, width },
          constants,
        );
      seconds += spent;
      if (alive < 0.1) tail += spent;
    }
    const tokens = outputs * meanTokens;
    if (!best || seconds * waves < best.seconds)
      best = {
        seconds: seconds * waves,
        unit,
        sequencesPerGpu: start / unit.tp,
        waves,
        tokens,
        tokensPerSecondPerGpu: tokens / (seconds * waves) / cluster.gpus,
        tail: tail / seconds,
      };
  }
  if (!best)
    throw new ConfigError(
      `rollouts: ${question.architecture.name} with answers of ${meanTokens} tokens does not fit ${cluster.gpus} × ${cluster.chip.name}; try more of them`,
    );
  return best;
}
