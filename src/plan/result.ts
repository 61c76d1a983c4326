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

/** The answer. Also what --json prints (plus what `plan` adds); usd is the final run alone. */
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
  goodput: number;
  parts: StepEstimate["parts"];
  /** What the band from p10 to p90 rests on, to be said beside it. */
  restsOn: string;
  /** 10th and 90th percentile of gpuHours, days and usd. */
  p10: { gpuHours: number; days: number; usd: number };
  p90: { gpuHours: number; days: number; usd: number };
  runnersUp: Runner[];
  sources: Source[];
  warnings: string[];
  /** Below: what `plan` adds. Tokens of a sequence, sequences of a batch, micro-batches of a pipeline in a step. */
  sequence?: number;
  batch?: number;
  microBatches?: number;
  usdPerGpuHour?: number;
  /** If the run kept only the share of its best steady state that published whole runs kept. */
  asRunsWent?: { share: number; gpuHours: number; days: number; usd: number };
  /** What the failure model says, also where the question gave its own goodput. */
  failures?: Goodput;
  /** The whole programme, experiments and failed runs included; never one number with `usd`. */
  programme?: Lines["programme"];
  /** At the world's mean grid. */
  energy?: Energy;
}
