/** A model's training in phases: pretraining, long context, fine-tuning, reinforcement, one plan each. */
import { ConfigError } from "../errors.ts";
import { inUnits, trim } from "../format.ts";
import { BAND_RESTS } from "./band.ts";
import { clusterOf } from "./cluster.ts";
import { layoutText } from "./layouts.ts";
import { plan } from "./plan.ts";
import { rentalRate } from "./prices.ts";
import { checkQuestion, questionArchitecture } from "./question.ts";
import type { PlanResult } from "./result.ts";
import { rollout } from "./rollouts.ts";
import { measuredShare, SERVING_SOURCES, type Speculation } from "./serving.ts";
import type { PlanQuestion, Source } from "./types.ts";

interface Named {
  name: string;
  /** Figures of this phase that are published, and those that are assumed. */
  sources: Source[];
}

/** What a phase does; hours are worked out, never given. */
export type PhaseSpec = Named &
  (
    | {
        kind: "pretrain";
        tokens: number /** The batch grows from here to the question's over so many tokens. */;
        ramp?: { from: number; tokens: number };
      }
    | { kind: "extend"; steps: number; batch: number; sequence: number }
    /** Training on written answers: SFT, or distillation if a larger model wrote them. */
    | { kind: "sft"; samples: number; meanTokens: number; epochs: number; batch?: number }
    /** Reinforcement learning with groups of answers: rollouts by the model itself, a pass of the reference, the update. */
    | {
        kind: "grpo";
        steps: number;
        outputsPerStep: number;
        outputsPerRollout: number;
        promptTokens?: number;
        meanTokens: number;
        maxTokens: number;
      }
    /** Answers written to be chosen from. */
    | { kind: "sample"; outputs: number; promptTokens?: number; meanTokens: number; maxTokens: number }
  );

export interface PhaseResult {
  name: string;
  kind: PhaseSpec["kind"];
  gpus: number;
  gpuHours: number;
  days: number;
  usd: number;
  tokens: number;
  /** What the hours consist of; sum to gpuHours. */
  parts: { name: string; gpuHours: number }[];
  /** How the hours came about, in a sentence or two. */
  says: string;
  /** Factors on the hours, 80 times in 100. */
  low: number;
  high: number;
}

export interface PhasesResult {
  phases: PhaseResult[];
  gpuHours: number;
  days: number;
  usd: number;
  p10: { gpuHours: number; usd: number };
  p90: { gpuHours: number; usd: number };
  /** What the bands rest on. */
  restsOn: string;
  sources: Source[];
}

export interface PhaseOptions {
  /** Drafting by the MTP module in rollouts. */
  speculation?: Speculation;
  onProgress?: (done: number, total: number, note: string) => void;
}

/** Between generating and training: weights moved, caches built up and torn down. Unconfirmed. */
const SWITCH_SECONDS = 30;
/** Rollouts hang on how long answers grow, which is read off curves at best. */
const ROLLOUT_BAND = 1.7;
const switching: Source = {
  title: "Time to switch between rollouts and training, 30 s, assumed",
  date: "2026-11",
  mark: "unconfirmed",
};

/**
 * Hours of each phase on the question's GPUs: training by `plan` at the phase's own sequence and batch, rollouts by the decode model. The
 * question's tokens count only where a pretrain phase says so. Throws ConfigError as plan does.
 */
export function planPhases(
  question: PlanQuestion & { gpus: number },
  specs: PhaseSpec[],
  options: PhaseOptions = {},
): PhasesResult {
  if (specs.length === 0) throw new ConfigError("phases: expected at least one phase");
  checkQuestion(question);
  const phases: PhaseResult[] = [];
  const sources: Source[] = [];
  const rate = question.usdPerGpuHour ?? rentalRate(question.chip).usdPerGpuHour;
  const price = (gpuHours: number) => gpuHours * rate;
  specs.forEach((spec, i) => {
    options.onProgress?.(i, specs.length, spec.name);
    phases.push(phaseOf(question, spec, price, options));
    sources.push(
      ...spec.sources,
      ...(spec.kind === "grpo" ? [switching, ...SERVING_SOURCES] : spec.kind === "sample" ? SERVING_SOURCES : []),
    );
  });
  options.onProgress?.(specs.length, specs.length, "");
  const sum = (pick: (phase: PhaseResult) => number) => phases.reduce((a, phase) => a + pick(phase), 0);
  const gpuHours = sum((p) => p.gpuHours);
  // Phases share the model's error: their bands add.
  const at = (pick: (phase: PhaseResult) => number) => ({
    gpuHours: sum((p) => p.gpuHours * pick(p)),
    usd: sum((p) => p.usd * pick(p)),
  });
  return {
    phases,
    gpuHours,
    days: sum((p) => p.days),
    usd: sum((p) => p.usd),
    p10: at((p) => p.low),
    p90: at((p) => p.high),
    restsOn: `${BAND_RESTS}. Hours are as published whole runs went.`,
    sources: [...new Map(sources.map((source) => [source.title, source])).values()],
  };
}

const whole = (n: number): string => Math.round(n).toLocaleString("en-US");
const figures = (n: number): string => inUnits(n, trim, 1e4) ?? trim(n);

/** Training at a sequence and batch of its own, in whatever layout is best for it; under the question's schedule if that can run it. */
function trained(
  question: PlanQuestion & { gpus: number },
  tokens: number,
  sequence: number,
  batch: number,
): PlanResult {
  const same = sequence === question.sequence && batch === question.batch;
  const asked = { ...question, tokens, sequence, batch, ...(!same && { layout: undefined }) };
  try {
    return plan(asked);
  } catch (error) {
    if (same || !(error instanceof ConfigError) || question.schedule === undefined) throw error;
    return plan({ ...asked, schedule: undefined });
  }
}

const bandOf = (result: PlanResult) => ({
  low: result.p10.gpuHours / result.gpuHours,
  high: result.p90.gpuHours / result.gpuHours,
});

function phaseOf(
  question: PlanQuestion & { gpus: number },
  spec: PhaseSpec,
  price: (gpuHours: number) => number,
  options: PhaseOptions,
): PhaseResult {
  const done = (
    tokens: number,
    parts: PhaseResult["parts"],
    says: string,
    band: { low: number; high: number },
  ): PhaseResult => {
    const gpuHours = parts.reduce((a, part) => a + part.gpuHours, 0);
    return {
      name: spec.name,
      kind: spec.kind,
      gpus: question.gpus,
      gpuHours,
      days: gpuHours / question.gpus / 24,
      usd: price(gpuHours),
      tokens,
      parts,
      says,
      ...band,
    };
  };
  const sequence = question.sequence ?? 4096;
  switch (spec.kind) {
    case "pretrain": {
      const batch = question.batch ?? 1024;
      const ramp = spec.ramp ? Math.min(spec.ramp.tokens, spec.tokens) : 0;
      const main = trained(question, Math.max(spec.tokens - ramp, 1), sequence, batch);
      const parts = [{ name: "at the full batch", gpuHours: ramp < spec.tokens ? main.gpuHours : 0 }];
      if (spec.ramp && ramp > 0)
        parts.unshift({
          name: "batch growing",
          gpuHours: rampHours(question, spec.ramp.from, batch, ramp, sequence, main),
        });
      const grown = spec.ramp ? ` The batch grows from ${whole(spec.ramp.from)} over the first ${figures(ramp)}.` : "";
      return done(
        spec.tokens,
        parts,
        `${figures(spec.tokens)} tokens in steps of ${whole(batch)} × ${whole(sequence)}, ${main.stepSeconds.toFixed(2)} s each: ${layoutText(main.layout)}.${grown}`,
        bandOf(main),
      );
    }
    case "extend": {
      const tokens = spec.steps * spec.batch * spec.sequence;
      const result = trained(question, tokens, spec.sequence, spec.batch);
      return done(
        tokens,
        [{ name: "training", gpuHours: result.gpuHours }],
        `${whole(spec.steps)} steps of ${whole(spec.batch)} × ${whole(spec.sequence)}, ${result.stepSeconds.toFixed(1)} s each: ${layoutText(result.layout)}.`,
        bandOf(result),
      );
    }
    case "sft": {
      const tokens = spec.samples * spec.meanTokens * spec.epochs;
      const result = trained(question, tokens, packed(spec.meanTokens, sequence), spec.batch ?? 512);
      return done(
        tokens,
        [{ name: "training", gpuHours: result.gpuHours }],
        `${figures(spec.samples)} answers of ${whole(spec.meanTokens)} tokens, ${spec.epochs} times: ${figures(tokens)} tokens at ${whole(result.tokensPerSecondPerGpu)} a second and GPU.`,
        bandOf(result),
      );
    }
    case "grpo": {
      const rollouts = (spec.steps * spec.outputsPerStep) / spec.outputsPerRollout;
      const wave = wavesOf(question, spec, options, spec.outputsPerRollout);
      const tokens = spec.steps * spec.outputsPerStep * spec.meanTokens;
      const length = packed(spec.meanTokens, sequence);
      const update = trained(
        question,
        tokens,
        length,
        Math.max(1, Math.round((spec.outputsPerStep * spec.meanTokens) / length / 16) * 16),
      );
      const generating = (wave.seconds * rollouts * question.gpus) / 3600 / engineShare();
      const changing = (SWITCH_SECONDS * rollouts * question.gpus) / 3600;
      const parts = [
        { name: "rollouts", gpuHours: generating / update.goodput },
        { name: "reference", gpuHours: update.gpuHours / 3 },
        { name: "update", gpuHours: update.gpuHours },
        { name: "switching", gpuHours: changing / update.goodput },
      ];
      return done(
        tokens,
        parts,
        `${whole(spec.steps)} steps of ${whole(spec.outputsPerStep)} answers, ${whole(spec.meanTokens)} tokens in the mean and ${whole(spec.maxTokens)} at most: ${figures(tokens)} tokens. ${whole(rollouts)} rollouts of ${whole(spec.outputsPerRollout)} take ${whole(wave.seconds)} s each, ${Math.round(wave.tail * 100)} % of it for the last tenth of the answers (${whole(wave.tokensPerSecondPerGpu)} tokens/s a GPU); updates take ${whole((update.gpuHours * 3600) / question.gpus / rollouts)} s a rollout.`,
        { low: 1 / ROLLOUT_BAND, high: ROLLOUT_BAND },
      );
    }
    case "sample": {
      const atOnce = Math.min(spec.outputs, 64 * question.gpus);
      const wave = wavesOf(question, spec, options, atOnce);
      // Samples do not wait for each other: the next begins where one ends, so all but the last wave run full.
      const tokens = spec.outputs * spec.meanTokens;
      const full = wavesOf(question, { ...spec, maxTokens: spec.meanTokens * 1.02 }, options, atOnce);
      const gpuHours =
        (tokens / full.tokensPerSecondPerGpu + (wave.seconds - full.seconds) * question.gpus) / 3600 / engineShare();
      return done(
        tokens,
        [{ name: "generation", gpuHours }],
        `${figures(spec.outputs)} answers of ${whole(spec.meanTokens)} tokens: ${figures(tokens)} tokens at ${whole(full.tokensPerSecondPerGpu)} a second and GPU.`,
        { low: 1 / ROLLOUT_BAND, high: ROLLOUT_BAND },
      );
    }
  }
}

/** Share of an ideal engine's rate that a real one holds: DeepSeek's service over the decode model's, at most 1. */
const engineShare = (): number => Math.min(1, measuredShare().decode);

/** Length that answers are packed to: the power of two next above the mean, at least the base sequence. */
const packed = (mean: number, sequence: number): number => Math.max(sequence, 2 ** Math.ceil(Math.log2(mean)));

function wavesOf(
  question: PlanQuestion & { gpus: number },
  spec: { promptTokens?: number; meanTokens: number; maxTokens: number },
  options: PhaseOptions,
  outputs: number,
) {
  return rollout({
    architecture: questionArchitecture(question),
    cluster: clusterOf(question.chip, question.gpus, { networkBytesPerSec: question.networkBytesPerSec }),
    precision: question.precision ?? "bf16",
    outputs,
    promptTokens: spec.promptTokens ?? 256,
    meanTokens: spec.meanTokens,
    maxTokens: spec.maxTokens,
    speculation: options.speculation,
  });
}

/** Hours of tokens during which the batch grows evenly: three stretches, each with the batch of its middle and the best layout for it. */
function rampHours(
  question: PlanQuestion & { gpus: number },
  from: number,
  to: number,
  tokens: number,
  sequence: number,
  main: PlanResult,
): number {
  const stretches = 3;
  let hours = 0;
  for (let i = 0; i < stretches; i++) {
    const middle = from + ((i + 0.5) / stretches) * (to - from);
    const unit = from % 256 === 0 ? 256 : 1;
    const batch = Math.max(unit, Math.round(middle / unit) * unit);
    try {
      hours += plan({ ...question, tokens: tokens / stretches, sequence, batch, layout: undefined }).gpuHours;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      hours += (main.gpuHours / main.tokens) * (tokens / stretches);
    }
  }
  return hours;
}
