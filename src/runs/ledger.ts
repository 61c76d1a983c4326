/** What a run has cost and when it will end, worked out of the trainer's reports and the clock. */
import { flopsPerToken, mtpDepth } from "../model/index.ts";
import type { Cost, Phase, StepReport } from "../train/index.ts";
import type { StepRecord } from "./schema.ts";

/** Steps whose speed the rest is expected to have. */
const RECENT_STEPS = 50;

export interface LedgerOptions {
  cost: Cost;
  phases: readonly Phase[];
  /** FLOP/s of the machine's best product; 0 when unknown. */
  peak: number;
  /** Seconds that earlier sessions of the run took, as far as its log tells. */
  earlierSeconds?: number;
  /** Milliseconds; for tests. */
  now?: () => number;
}

/** What so many seconds of a machine come to, in joules and dollars. */
export function spentIn(seconds: number, cost: Cost): { seconds: number; usd: number; joules: number } {
  const joules = cost.watts * seconds;
  return { seconds, usd: (seconds / 3600) * cost.usdPerHour + (joules / 3.6e6) * cost.usdPerKwh, joules };
}

/**
 * Time and money of a run: everything since it began counts, also steps that were lost or rolled back, evaluation and saving.
 * What is left is reckoned in FLOPs, so that neither a growing batch nor a longer sequence misleads it.
 */
export class Ledger {
  readonly #recent: number[] = [];
  readonly #now: () => number;
  readonly #began: number;
  #stepping = 0;

  constructor(private readonly options: LedgerOptions) {
    this.#now = options.now ?? (() => performance.now());
    this.#began = this.#now();
  }

  /** Seconds of the run so far, all sessions together. */
  get seconds(): number {
    return (this.options.earlierSeconds ?? 0) + this.#session;
  }

  get #session(): number {
    return (this.#now() - this.#began) / 1000;
  }

  /** Seconds to the end: the FLOPs left at the speed of the last steps, and for evaluation and saving the share they took so far. */
  #left(tokens: number): number {
    const speeds = [...this.#recent].sort((a, b) => a - b);
    const flopsPerSec = speeds[Math.floor(speeds.length / 2)] ?? 0;
    let before = 0;
    let flops = 0;
    for (const phase of this.options.phases) {
      const left = Math.max(0, Math.min(phase.tokens, before + phase.tokens - tokens));
      flops += left * trainingFlops(phase);
      before += phase.tokens;
    }
    return (flops / flopsPerSec) * Math.max(1, this.#session / this.#stepping);
  }

  /** The log's record of one step. */
  step(report: StepReport, totalSteps: number): StepRecord {
    const { cost, peak } = this.options;
    this.#recent.push(report.flopsPerSecond);
    if (this.#recent.length > RECENT_STEPS) this.#recent.shift();
    this.#stepping += report.stepSeconds;
    return {
      type: "step",
      step: report.step,
      steps: totalSteps,
      tokens: report.tokens,
      loss: report.loss,
      mainLoss: report.mainLoss,
      mtpLoss: report.mtpLoss,
      balanceLoss: report.balanceLoss,
      lr: report.learningRate,
      gradNorm: report.gradNorm,
      tokensPerSecond: report.tokensPerSecond,
      flopsPerSecond: report.flopsPerSecond,
      ...(peak > 0 ? { gemmShare: report.flopsPerSecond / peak } : {}),
      ...spentIn(this.seconds, cost),
      etaSeconds: report.step === totalSteps ? 0 : this.#left(report.tokens),
      batch: report.batch,
      stepSeconds: report.stepSeconds,
    };
  }
}

const trainingFlops = ({ config, sequence }: Phase): number =>
  flopsPerToken(config, { sequence, causal: true, mtp: mtpDepth(config) > 0 }).training;
