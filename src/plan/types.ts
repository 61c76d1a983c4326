/** The planner's types: chips, clusters, layouts, jobs, operations, schedules, steps and questions. */
import type { ModelConfig } from "../model/config.ts";
import type { Architecture } from "./architecture.ts";

/** Where a figure about the world comes from. `mark`: seen in a primary or secondary source, derived from such, or remembered and unconfirmed. */
export interface Source {
  title: string;
  /** ISO date of the source, as exact as known: "2024-12-27", "2026-05", "2022". */
  date: string;
  mark: "primary" | "secondary" | "derived" | "unconfirmed";
  url?: string;
}

export type Precision = "bf16" | "fp8";

/** An accelerator. Rates are dense (no sparsity). */
export interface Chip {
  id: string;
  name: string;
  vendor: string;
  /** Seat of the maker: "US", "CN", … */
  origin: string;
  released: string;
  bf16FlopsPerSec: number;
  /** FP8, or INT8 operations where the chip has no FP8 (`fp8` false). */
  eightBitOpsPerSec: number;
  /** Whether the 8-bit rate is usable for FP8 training. */
  fp8: boolean;
  fp4FlopsPerSec?: number;
  hbmBytes: number;
  hbmBytesPerSec: number;
  /** Bidirectional aggregate over all links to other chips, as data sheets say it; one direction carries half. */
  linkBytesPerSec: number;
  /** Chips that such links join; 1 where only PCIe joins them. */
  linkedChips: number;
  watts: number;
  /** Area of the non-planar logic dies. Unknown where nobody published it. */
  logicDieMm2?: number;
  processNode: string;
  /** Sold for data centres; consumer cards are judged by other lines of the rules. */
  datacenter: boolean;
  /** Best number for "total processing performance" where it does not follow from the rates above (e.g. fp16 with fp16 accumulation). */
  tpp?: number;
  /** Link to the host, bidirectional; counts as I/O in the rule of 2022. */
  hostBytesPerSec?: number;
  /** Figures above that are not published or in doubt, by field name, each with what is known of it. */
  doubts?: Partial<Record<string, string>>;
  sources: Source[];
  notes?: string;
}

/** What is known of a chip whose rates are not published: enough for the export rules, too little to plan with. Every Chip is one. */
export type ChipFacts = Partial<Chip> &
  Pick<Chip, "id" | "name" | "vendor" | "origin" | "released" | "datacenter" | "sources">;

/** One tier of the network, innermost first. */
export interface LinkTier {
  name: string;
  /** Chips that this tier joins; Infinity for the outermost. */
  chips: number;
  /** One direction, per chip. */
  bytesPerSec: number;
  latencySeconds: number;
}

export interface Cluster {
  chip: Chip;
  gpus: number;
  /** Innermost first; at least one; the last has chips: Infinity. */
  tiers: LinkTier[];
}

/** How a model is spread. gpus = dp · tp · cp · pp; ep divides dp · cp · tp. All 1 or more. */
export interface Layout {
  dp: number;
  tp: number;
  cp: number;
  pp: number;
  /** Model chunks a pipeline rank holds (interleaving); DualPipe and DualPipeV hold two by nature, and say 1 here. */
  vp: number;
  ep: number;
  zero: 0 | 1 | 2 | 3;
  /** Sequences of a micro-batch. */
  microBatch: number;
  recompute: "none" | "selective" | "full";
}

export type ScheduleName = "1f1b" | "interleaved" | "zero-bubble" | "dualpipe" | "dualpipev";
export type Group = "dp" | "tp" | "cp" | "pp" | "ep" | "edp";
export type Collective = "allReduce" | "reduceScatter" | "allGather" | "allToAll" | "pointToPoint";

/** Something a GPU does for one micro-batch. Counts are per GPU, after the layout's division. */
export type Op =
  /** `count` products [m,k]·[k,n]; grouped expert products say their count and the mean rows. */
  | { kind: "gemm"; name: string; m: number; n: number; k: number; count: number; precision: Precision }
  /** Attention's core (scores, softmax, values) as a fused kernel; flops already halved when causal. */
  | { kind: "attention"; name: string; flops: number; bytes: number }
  /** Bound by memory: norms, activations, residuals, casts, permutations. */
  | {
      kind: "memory";
      name: string;
      bytes: number /** Sorts rows by expert: software passes over them more than once. */;
      routed?: true;
    }
  /** `bytes` as it lies on one GPU before the collective (all-to-all: what it sends in all, also to itself; all-gather: its result). */
  | {
      kind: "collective";
      name: string;
      collective: Collective;
      bytes: number;
      group: Group;
      overlaps: boolean;
      nodesPerToken?: number;
    };

export type LayerKind = "embedding" | "dense" | "moe" | "head" | "mtp";

/** The work of one layer for one micro-batch on one GPU. */
export interface LayerWork {
  kind: LayerKind;
  forward: Op[];
  /** Gradient of the activations. */
  backwardInput: Op[];
  /** Gradient of the weights. */
  backwardWeight: Op[];
  /** Run again before the backward pass, by the layout's recompute. */
  recomputed: Op[];
  /** Kept from forward to backward for one micro-batch, under the layout's recompute. */
  activationBytes: number;
  /** Parameters on this GPU: those every DP rank shares, and those spread over EP. */
  sharedParameters: number;
  expertParameters: number;
  /** Matrix FLOPs of the forward pass on this GPU without recomputation, causal. */
  forwardFlops: number;
}

/** What the planner knows of a job before it chooses a layout. */
export interface Job {
  architecture: Architecture;
  cluster: Cluster;
  sequence: number;
  /** Sequences of a global batch. */
  batch: number;
  precision: Precision;
  schedule: ScheduleName;
  /** Busiest expert rank's load over the mean; 1 is perfect balance. */
  imbalance: number;
  /** Bytes a parameter takes: weights, gradients, master copy, moments. */
  bytes: ParameterBytes;
  mtp: boolean;
  /** Attention as one kernel that keeps no scores and skips the masked half. Default true; false for what ran before 2022. */
  fusedAttention?: boolean;
  /** Fused kernels made for this generation of chips (FlashAttention-2 on A100, FlashAttention-3 and cuDNN since), or those of the one before. Default "tuned". */
  attentionKernels?: "tuned" | "older";
  /** Norms and residuals split over TP. Default true. */
  sequenceParallel?: boolean;
  /** What `recompute: "selective"` recomputes; default "core" without fused attention, else "cheap". See activations.ts. */
  selective?: "core" | "cheap" | "alternate" | "alternateEager";
  /** Communication that software runs behind computation: default tp and dp, not ep (DualPipe's pairs overlap ep by nature). */
  overlap?: { tp?: boolean; dp?: boolean; ep?: boolean };
  /** Gradients of micro-batches are summed inside the product that makes them, as since 2022; else by a kernel of its own. Default true. */
  fusedAccumulation?: boolean;
  /** Loss as one kernel: its gradient comes from 16-bit logits, with no 32-bit copies. Default true. */
  fusedLoss?: boolean;
}

export interface ParameterBytes {
  weight: number;
  gradient: number;
  master: number;
  moments: number;
}

export interface MemoryBytes {
  weights: number;
  gradients: number;
  /** Master copies and moments. */
  optimizer: number;
  activations: number;
  /** Communication buffers, logits, workspace, allocator's slack. */
  buffers: number;
  total: number;
}

/** Durations of one stage (rank's chunk) for one micro-batch, in seconds. */
export interface StageTimes {
  forward: number;
  backwardInput: number;
  backwardWeight: number;
  /** A forward and a backward (input and weight) run together, communication of one behind computation of the other (DualPipe's pair). */
  pair: number;
}

export interface ScheduleInput {
  schedule: ScheduleName;
  /** One per stage in pipeline order; pp · vp of them (DualPipe: pp; DualPipeV: 2·pp). */
  stages: StageTimes[];
  pp: number;
  vp: number;
  microBatches: number;
  /** Between neighbouring stages, for one micro-batch. */
  sendSeconds: number;
}

export interface ScheduleEvent {
  rank: number;
  stage: number;
  microBatch: number;
  kind: "F" | "B" | "W" | "BW" | "FB";
  start: number;
  end: number;
  /** Of an FB: what goes backward; `stage` and `microBatch` go forward. */
  backward?: { stage: number; microBatch: number };
}

/** Seconds of one rank by kind of work (whole backwards under `backward`); they sum to the step. */
export interface KindSeconds {
  forward: number;
  backward: number;
  weight: number;
  pair: number;
  idle: number;
}

export interface ScheduleResult {
  seconds: number;
  events: ScheduleEvent[];
  /** Idle share of rank-seconds. */
  bubble: number;
  /** Most activations a rank held at once, each being one micro-batch's at one chunk (stage); divide by `chunks` for micro-batches of a whole rank. */
  inFlight: number[];
  /** Chunks a rank runs: vp, or 2 for DualPipe (both directions) and DualPipeV. Each is a stage, 1 ÷ (stages) of the model. */
  chunks: number;
  /** Copies of the model held by all ranks together: 1, or 2 for DualPipe. */
  parameterCopies: number;
  ranks: KindSeconds[];
}

/** One step, taken apart. Parts sum to `stepSeconds`. */
export interface StepEstimate {
  layout: Layout;
  schedule: ScheduleName;
  stepSeconds: number;
  parts: {
    /** Products and attention, on the critical path. */
    compute: number;
    memoryBound: number;
    /** Exposed, by group. */
    tp: number;
    ep: number;
    cp: number;
    pp: number;
    dp: number;
    bubble: number;
    optimizer: number;
    /** Launches, stragglers, what no line above names. */
    overhead: number;
  };
  microBatches: number;
  tokensPerSecondPerGpu: number;
  /** Model FLOPs (causal, no recomputation) over the BF16 peak. */
  mfu: number;
  flopsPerToken: number;
  memoryBytes: MemoryBytes;
  fits: boolean;
}

/** A question as the verbs and the page ask it. */
export interface PlanQuestion {
  model: ModelConfig | Architecture;
  modelName: string;
  tokens: number;
  chip: Chip;
  /** One of gpus, budgetUsd, days must be given; the others are solved for. */
  gpus?: number;
  budgetUsd?: number;
  days?: number;
  layout?: Partial<Layout>;
  schedule?: ScheduleName;
  precision?: Precision;
  sequence?: number;
  batch?: number;
  usdPerGpuHour?: number;
  mtp?: boolean;
  imbalance?: number;
  /** Share of wall time that counts (failures, checkpoints, restarts); default from the failure model. */
  goodput?: number;
  /** Between nodes, one direction, per chip. */
  networkBytesPerSec?: number;
}
