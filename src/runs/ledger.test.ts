import { describe, expect, it } from "vitest";
import { flopsPerToken, parseConfig } from "../model/index.ts";
import type { Phase, StepReport } from "../train/index.ts";
import { Ledger } from "./ledger.ts";

const CONFIG = parseConfig({
  model_type: "llama",
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 2,
});
const phase = (over: Partial<Phase>): Phase => ({
  name: "pretrain",
  sequence: 16,
  microBatch: 1,
  lanes: 1,
  config: CONFIG,
  configJson: {},
  tokens: 1600,
  fromStep: 0,
  toStep: 10,
  ...over,
});
const COST = { usdPerHour: 3.6, watts: 1000, usdPerKwh: 0.36 };
const flops = (sequence: number) => flopsPerToken(CONFIG, { sequence, causal: true, mtp: false }).training;

/** A report of a step of `tokens` at a machine of 1 GFLOP/s. */
function report(step: number, tokens: number, after: number, sequence = 16): StepReport {
  const stepSeconds = (tokens * flops(sequence)) / 1e9;
  return {
    step,
    tokens: after,
    stepSeconds,
    flopsPerSecond: 1e9,
    tokensPerSecond: tokens / stepSeconds,
    seconds: 0,
    loss: 1,
    mainLoss: 1,
    mtpLoss: 0,
    balanceLoss: 0,
    loads: [],
    gradNorm: 1,
    batch: tokens / sequence,
    learningRate: 1,
    gamma: 0,
    lambda: 0,
  } as unknown as StepReport;
}

describe("the ledger", () => {
  it("reckons the time left by what is left to compute: a growing batch and a longer sequence do not mislead it", () => {
    let now = 0;
    const phases = [phase({}), phase({ name: "extend-1", sequence: 64, tokens: 640, fromStep: 10, toStep: 20 })];
    const ledger = new Ledger({ cost: COST, phases, peak: 0, now: () => now });
    const whole = (1600 * flops(16) + 640 * flops(64)) / 1e9;
    let tokens = 0;
    // Batches of 16, 32, 64 … tokens; the step count alone would say 5 times too little at the beginning.
    for (const [i, batch] of [16, 32, 64, 128].entries()) {
      tokens += batch;
      const step = report(i + 1, batch, tokens);
      now += step.stepSeconds * 1000;
      const record = ledger.step(step, 20);
      expect(record.seconds! + record.etaSeconds!).toBeCloseTo(whole, 9);
    }
    tokens = 1600 + 320;
    const record = ledger.step(report(15, 64, tokens, 64), 20);
    expect(record.etaSeconds! / ((320 * flops(64)) / 1e9)).toBeGreaterThanOrEqual(1);
  });

  it("counts what is not a step: lost steps, evaluation, saving, earlier sessions", () => {
    let now = 0;
    const ledger = new Ledger({ cost: COST, phases: [phase({})], peak: 2e9, earlierSeconds: 1800, now: () => now });
    now = 1_800_000;
    const record = ledger.step(report(5, 160, 800), 10);
    expect(record.seconds).toBe(3600);
    expect(record.joules).toBe(3.6e6);
    expect(record.usd).toBeCloseTo(3.6 + 0.36, 9);
    expect(record.gemmShare).toBe(0.5);
    expect(ledger.step(report(10, 160, 1600), 10).etaSeconds).toBe(0);
  });
});
