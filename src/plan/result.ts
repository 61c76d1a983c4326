/** The planner's answer as a type: the best step, what a run of it takes and costs, and the runners-up. */
import type { Energy } from "./energy.ts";
import type { Goodput } from "./goodput.ts";
import type { Lines } from "./money.ts";
import type { Layout, MemoryBytes, Precision, ScheduleName, Source, StepEstimate } from "./types.ts";

export interface Runner {
  step: StepEstimate;
  /** Slower than the best by this share, 0 for the best. */
  slower: number;
  /** Why it loses, in a sentence with its numbers that names the layout. */
  why: string;
  /** The same without the layout's name: "takes 5.2 s, …". */
  reason: string;
}

/** What a run takes, on its GPUs and at its price. */
export interface Spent {
  gpuHours: number;
  days: number;
  usd: number;
}

/** The answer. Also what --json prints (plus what `plan` adds); usd is the final run alone. Hours, days and usd are as runs went: a step's time over `goodput`. */
export interface PlanResult {
  model: string;
  chip: string;
  gpus: number;
  tokens: number;
  gpuHours: number;
  days: number;
  usd: number;
  stepSeconds: number;
  steps: number;
  tokensPerSecondPerGpu: number;
  mfu: number;
  flopsPerToken: number;
  memoryBytes: MemoryBytes;
  layout: Layout;
  schedule: ScheduleName;
  precision: Precision;
  /** Share of the best steady state that the run keeps: what published whole runs kept, or what the question gives. */
  goodput: number;
  /** Where that share comes from, to be said beside it. */
  goodputIs: string;
  parts: StepEstimate["parts"];
  /** What the band from p10 to p90 rests on, to be said beside it. */
  restsOn: string;
  /** 10th and 90th percentile of gpuHours, days and usd. */
  p10: Spent;
  p90: Spent;
  runnersUp: Runner[];
  sources: Source[];
  warnings: string[];
  /** Below: what `plan` adds. Tokens of a sequence, sequences of a batch, micro-batches of a pipeline in a step. */
  sequence?: number;
  batch?: number;
  microBatches?: number;
  usdPerGpuHour?: number;
  /** If nothing but failures and checkpoints cost time, with the band of a steady state. */
  bestSteady?: Spent & { share: number; p10: Spent; p90: Spent };
  /** What the failure model says, also where the question gave its own goodput. */
  failures?: Goodput;
  /** The whole programme, experiments and failed runs included; never one number with `usd`. */
  programme?: Lines["programme"];
  /** At the world's mean grid. */
  energy?: Energy;
}
