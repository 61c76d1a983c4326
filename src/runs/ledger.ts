/** What a run has cost and when it will end, worked out of the trainer's reports. */
import type { Recipe, StepReport } from "../train/index.ts";
import type { StepRecord } from "./records.ts";

export class Ledger {
  readonly #speeds: number[] = [];

  constructor(
    readonly cost: Recipe["cost"],
    /** FLOP/s of the machine's best product; 0 when unknown. */
    readonly peak: number,
  ) {}

  /** The log's record of one step. */
  step(report: StepReport, totalSteps: number): StepRecord {
    const { usdPerHour, watts, usdPerKwh } = this.cost;
    this.#speeds.push(report.stepSeconds);
    const recent = this.#speeds.slice(-50).sort((a, b) => a - b);
    const joules = watts * report.seconds;
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
      ...(this.peak > 0 ? { gemmShare: report.flopsPerSecond / this.peak } : {}),
      seconds: report.seconds,
      etaSeconds: (recent[Math.floor(recent.length / 2)] ?? 0) * (totalSteps - report.step),
      usd: (report.seconds / 3600) * usdPerHour + (joules / 3.6e6) * usdPerKwh,
      joules,
      batch: report.batch,
      stepSeconds: report.stepSeconds,
    };
  }
}
