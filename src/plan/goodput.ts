/** The share of time that counts: failures, checkpoints, restarts. */
import { ConfigError } from "../errors.ts";
import type { Source } from "./types.ts";

const llama3: Source = {
  title:
    "The Llama 3 Herd of Models, arXiv:2407.21783, §3.3 (419 unexpected interruptions in 54 days on 16,384 H100; 2 TB/s of storage)",
  date: "2024-07-31",
  mark: "primary",
  url: "https://arxiv.org/abs/2407.21783",
};
const daly: Source = {
  title:
    "Daly, A higher order estimate of the optimum checkpoint interval for restart dumps, Future Generation Computer Systems 22",
  date: "2006",
  mark: "unconfirmed",
  url: "https://doi.org/10.1016/j.future.2004.11.016",
};
const restart: Source = {
  title: "Time from a failure to the first new step, assumed: detection, replacement of a node from spares, loading",
  date: "2026-11",
  mark: "unconfirmed",
};
export const GOODPUT_SOURCES: readonly Source[] = [llama3, daly, restart];

/** Hours one GPU of a cluster runs between unexpected interruptions of the job, whatever part failed: 16,384 × 54 d / 419 = 50,676. */
export const MTBF_HOURS_PER_GPU = (16_384 * 54 * 24) / 419;
/** Sustained storage rate a GPU has when all write: 2 TB/s over 16,384. */
const CHECKPOINT_BYTES_PER_SEC_PER_GPU = 2e12 / 16_384;
const RESTART_SECONDS = 300;

export interface GoodputQuestion {
  gpus: number;
  /** Everything a checkpoint holds: master copy and moments of all parameters. */
  stateBytes: number;
  mtbfHoursPerGpu?: number;
  /** Time training stands still for a checkpoint; default from stateBytes and the storage rate. */
  checkpointSeconds?: number;
  /** Default: Daly's optimum. */
  intervalSeconds?: number;
  restartSeconds?: number;
  storageBytesPerSecPerGpu?: number;
}

export interface Goodput {
  /** Share of wall time that advances training. */
  share: number;
  /** Where the rest goes; with `share` they sum to 1. */
  lost: { checkpoints: number; repeated: number; restarts: number };
  mtbfHours: number;
  interruptionsPerDay: number;
  checkpointSeconds: number;
  intervalSeconds: number;
  restartSeconds: number;
}

/**
 * Share of wall time that counts when a job of `gpus` fails at random, restarts from its last checkpoint and repeats what was lost.
 * The job fails `gpus` times as often as one GPU does. Interval by default √(2·C·M)−C (Young 1974, Daly 2006) for C ≪ M.
 * Throws ConfigError for figures that leave no time to train.
 */
export function goodput(question: GoodputQuestion): Goodput {
  const { gpus, stateBytes, mtbfHoursPerGpu = MTBF_HOURS_PER_GPU, restartSeconds = RESTART_SECONDS } = question;
  const storage = (question.storageBytesPerSecPerGpu ?? CHECKPOINT_BYTES_PER_SEC_PER_GPU) * gpus;
  const checkpointSeconds = question.checkpointSeconds ?? stateBytes / storage;
  const mtbfSeconds = (mtbfHoursPerGpu * 3600) / gpus;
  const intervalSeconds = question.intervalSeconds ?? dalyInterval(checkpointSeconds, mtbfSeconds);
  if (!(mtbfSeconds > 0) || !(intervalSeconds > 0) || checkpointSeconds < 0 || restartSeconds < 0)
    throw new ConfigError(
      `goodput: expected positive times, got ${mtbfHoursPerGpu} h between failures of a GPU, a checkpoint of ${checkpointSeconds} s every ${intervalSeconds} s`,
    );
  // One stretch between failures, M seconds of running: C of every τ + C writes, half an interval is repeated, then R to come back.
  const writing = checkpointSeconds / (intervalSeconds + checkpointSeconds);
  const repeated = Math.min(mtbfSeconds * (1 - writing), (intervalSeconds + checkpointSeconds) / 2);
  const wall = mtbfSeconds + restartSeconds;
  const share = (mtbfSeconds * (1 - writing) - repeated) / wall;
  return {
    share,
    lost: { checkpoints: (mtbfSeconds * writing) / wall, repeated: repeated / wall, restarts: restartSeconds / wall },
    mtbfHours: mtbfSeconds / 3600,
    interruptionsPerDay: 86_400 / wall,
    checkpointSeconds,
    intervalSeconds,
    restartSeconds,
  };
}

/** Seconds between checkpoints that lose least: √(2·C·M) − C, and M where a checkpoint takes longer than half of that. */
export function dalyInterval(checkpointSeconds: number, mtbfSeconds: number): number {
  if (checkpointSeconds >= mtbfSeconds / 2) return mtbfSeconds;
  return Math.max(Math.sqrt(2 * checkpointSeconds * mtbfSeconds) - checkpointSeconds, 1);
}

/** What a claim's stated hours leave for failures: steady-state hours over claimed hours. V3: 2.6666M / 2.664M = 1.001, so none. */
export const impliedGoodput = (steadyGpuHours: number, claimedGpuHours: number): number =>
  steadyGpuHours / claimedGpuHours;
