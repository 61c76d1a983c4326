/** A claim made ready for checks: its work in FLOPs, its rate, its steps. */
import { type ModelConfig, mtpDepth } from "../../model/config.ts";
import { countParameters, flopsPerToken } from "../../model/flops.ts";
import type { Chip } from "../types.ts";
import { type Claim, phaseHours, phaseStretches } from "./claim.ts";

/** FLOPs that a stretch of training does, by the ways of counting that people mix up. */
export interface Work {
  tokens: number;
  /** Half the attention square, without MTP. */
  causal: number;
  /** The whole square, without MTP. */
  full: number;
  /** Causal, with the MTP modules if the claim trains them. */
  trained: number;
  /** Of `trained`: products between tokens, which stay in BF16 when the rest is FP8. */
  scores: number;
}

/** A claim with everything that can be looked up about it. */
export interface Subject {
  claim: Claim;
  config: ModelConfig;
  chip: Chip;
  parameters: { total: number; active: number };
  phases: { name: string; kind: Claim["phases"][number]["kind"]; gpuHours: number; usd?: number; work?: Work }[];
  gpuHours: number;
  /** Sum over phases whose work can be counted. */
  counted?: Work & { gpuHours: number };
  /** The same for pretraining alone, which is what step times and peers speak of. */
  pretrain?: Work & { gpuHours: number; sequence: number };
}

/** Training FLOPs per token that do not depend on the sequence, and those per token attended to. */
function base(config: ModelConfig, mtp: boolean): { linear: number; perAttended: number } {
  const found = BASES.get(config) ?? new Map<boolean, { linear: number; perAttended: number }>();
  BASES.set(config, found);
  if (!found.has(mtp)) {
    const sequence = 4095;
    const { training, parts } = flopsPerToken(config, { sequence, mtp });
    const scores = parts.find(({ part }) => part === "scores")!.forward * 3;
    found.set(mtp, { linear: training - scores, perAttended: scores / ((sequence + 1) / 2) });
  }
  return found.get(mtp)!;
}
const COUNTS = new WeakMap<ModelConfig, { total: number; active: number }>();
const BASES = new WeakMap<ModelConfig, Map<boolean, { linear: number; perAttended: number }>>();

/** Training FLOPs per token, causal, without MTP: flopsPerToken, remembered. */
export function trainingFlops(config: ModelConfig, sequence: number): number {
  const { linear, perAttended } = base(config, false);
  return linear + (perAttended * (sequence + 1)) / 2;
}

/** Training work of `tokens` tokens in sequences of a length. */
function workOf(config: ModelConfig, tokens: number, sequence: number, mtp: boolean): Work {
  const main = base(config, false);
  const all = mtp && mtpDepth(config) > 0 ? base(config, true) : main;
  const attended = (sequence + 1) / 2;
  return {
    tokens,
    causal: (main.linear + main.perAttended * attended) * tokens,
    full: (main.linear + main.perAttended * sequence) * tokens,
    trained: (all.linear + all.perAttended * attended) * tokens,
    scores: all.perAttended * attended * tokens,
  };
}

const add = (a: Work, b: Work): Work => ({
  tokens: a.tokens + b.tokens,
  causal: a.causal + b.causal,
  full: a.full + b.full,
  trained: a.trained + b.trained,
  scores: a.scores + b.scores,
});

/** Looks a claim up: its phases' hours and their work. */
export function subjectOf(claim: Claim, config: ModelConfig, chip: Chip): Subject {
  const phases = claim.phases.map((phase) => {
    const works = phaseStretches(claim, phase).map(({ tokens, sequence }) =>
      workOf(config, tokens, sequence, claim.mtp),
    );
    return {
      name: phase.name,
      kind: phase.kind,
      gpuHours: phaseHours(claim, phase),
      usd: phase.usd,
      work: works.length > 0 ? works.reduce(add) : undefined,
    };
  });
  const sum = (kinds: (kind: string) => boolean) => {
    const some = phases.filter((phase) => phase.work && kinds(phase.kind));
    if (some.length === 0) return undefined;
    return {
      ...some.map(({ work }) => work!).reduce(add),
      gpuHours: some.reduce((a, { gpuHours }) => a + gpuHours, 0),
    };
  };
  const pretrain = sum((kind) => kind === "pretrain");
  const sequence = claim.phases.find(({ kind }) => kind === "pretrain")?.sequence ?? claim.sequence ?? 4096;
  if (!COUNTS.has(config)) COUNTS.set(config, countParameters(config));
  const { total, active } = COUNTS.get(config)!;
  return {
    claim,
    config,
    chip,
    parameters: { total, active },
    phases,
    gpuHours: phases.reduce((a, { gpuHours }) => a + gpuHours, 0),
    counted: sum(() => true),
    pretrain: pretrain && { ...pretrain, sequence },
  };
}

/** Seconds one GPU would need at its peak: products in 8 bits where the claim says FP8 and the chip has it, scores in BF16. */
export function secondsAtPeak(work: Work, chip: Chip, precision: "bf16" | "fp8"): number {
  const fast = precision === "fp8" && chip.fp8 ? chip.eightBitOpsPerSec : chip.bf16FlopsPerSec;
  return (work.trained - work.scores) / fast + work.scores / chip.bf16FlopsPerSec;
}

/** Steps of pretraining: stated, or tokens over a batch. */
export function stepsOf(subject: Subject): number | undefined {
  const { claim, pretrain } = subject;
  if (claim.steps) return claim.steps;
  return pretrain && claim.batch ? pretrain.tokens / (claim.batch * pretrain.sequence) : undefined;
}
