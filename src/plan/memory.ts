/** Memory of a GPU in training: parameters by what each keeps, gradients, activations, slack. */
import { keptTensors } from "./activations.ts";
import { type LayerRun, layerParameters } from "./architecture.ts";
import { HALF, redoOf } from "./operations.ts";
import type { Job, Layout, MemoryBytes, ParameterBytes, ScheduleName } from "./types.ts";
import {
  fusedAttention,
  heldTokens,
  type ModelWork,
  modelWork,
  type Stage,
  stageCount,
  stageLayers,
  stagesOfRank,
  stageWorks,
  tokensPerGpu,
} from "./work.ts";

/** Megatron-LM's mixed precision: 16-bit weights, 32-bit gradients, master copy and two moments (18 bytes, arXiv:2205.05198). */
export const MIXED: ParameterBytes = { weight: 2, gradient: 4, master: 4, moments: 8 };
/** DeepSeek-V3: master copy and gradients in 32 bits, moments in 16 (arXiv:2412.19437 §3.3); that working weights take 16 is assumed. */
export const DEEPSEEK: ParameterBytes = { weight: 2, gradient: 4, master: 4, moments: 4 };
/** FSDP2 as torchtitan sets it: 32-bit shards of weights, gradients and moments; layers are gathered in 16 bits. */
export const FSDP: ParameterBytes = { weight: 4, gradient: 4, master: 0, moments: 8 };

/** CUDA's context, its libraries' workspaces and NCCL's channels: outside any allocator, about what nvidia-smi shows above PyTorch's own figure. */
const CONTEXT_BYTES = 1.5e9;
/**
 * What a caching allocator reserves above what is in use, as a share: blocks of unequal sizes leave gaps. Fitted on torchtitan's rows of 2024
 * (accuracy/memoryRows.ts), the only fitted number of the memory model. Expandable segments bring it near nothing.
 */
export const ALLOCATOR_SLACK = 0.1;

/** What a schedule makes ranks hold; `inFlight` as ScheduleResult has it. */
export interface Held {
  /** Most activations each rank holds at once, in chunks (stages). */
  inFlight: number[];
  /** Copies of the model that all ranks together hold. */
  parameterCopies: number;
  /** Where stages differ: each rank's most bytes from each stage's (in pipeline order). Exact, where `inFlight` times the rank's mean stage is not. */
  heldBytes?: (bytesOfStage: number[]) => number[];
}

export interface MemoryOptions {
  /** Default ALLOCATOR_SLACK; 0 for bytes in use. */
  slack?: number;
  /** Default CONTEXT_BYTES. */
  contextBytes?: number;
}

/** In-flight chunks by formula, where no simulation was run: 1F1B pp − r; zero-bubble pp; interleaved 2(pp − r − 1) + (vp − 1)pp + 1; DualPipe(V) pp + 1 of a rank. */
export function heldByFormula(
  schedule: ScheduleName,
  { pp, vp }: Pick<Layout, "pp" | "vp">,
  microBatches: number,
): Held {
  const inFlight = Array.from({ length: pp }, (_, r) => {
    if (schedule === "interleaved" && vp > 1) return Math.min(microBatches * vp, 2 * (pp - r - 1) + (vp - 1) * pp + 1);
    if (schedule === "dualpipe") return Math.min(microBatches, pp + 1);
    if (schedule === "dualpipev") return Math.min(2 * microBatches, 2 * pp + 1);
    if (schedule === "zero-bubble") return Math.min(microBatches, pp);
    return Math.min(microBatches * vp, (pp - r) * vp);
  });
  return { inFlight, parameterCopies: schedule === "dualpipe" && pp > 1 ? 2 : 1 };
}

/** Bytes on every pipeline rank, each on its busiest GPU. */
export function memoryOfRanks(job: Job, layout: Layout, held: Held, options: MemoryOptions = {}): MemoryBytes[] {
  const { pp, vp } = layout;
  const stages = stageLayers(job.architecture, stageCount(job.schedule, pp, vp), {
    sequence: job.sequence,
    mtp: job.mtp,
  });
  const work = modelWork(job, layout);
  const activations = stages.map((stage) =>
    stageWorks(job, stage, work).reduce((a, { work, count }) => a + count * work.activationBytes, 0),
  );
  const byRank = stagesOfRank(job.schedule, pp, vp);
  const exact = held.heldBytes?.(activations);
  return byRank.map((mine, rank) => {
    const meanStage = mine.reduce((a, s) => a + activations[s]!, 0) / mine.length;
    return sum(
      parameterMemory(
        job,
        layout,
        mine.map((s) => stages[s]!),
        work,
        held.parameterCopies,
      ),
      exact ? exact[rank]! : meanStage * held.inFlight[rank]!,
      bufferBytes(
        job,
        layout,
        mine.map((s) => stages[s]!),
      ),
      options,
    );
  });
}

/** Bytes on the busiest GPU of the busiest rank. */
export function memoryOf(job: Job, layout: Layout, held: Held, options: MemoryOptions = {}): MemoryBytes {
  return memoryOfRanks(job, layout, held, options).reduce((a, b) => (b.total > a.total ? b : a));
}

type States = Pick<MemoryBytes, "weights" | "gradients" | "optimizer">;

function sum(
  states: States,
  activations: number,
  buffers: number,
  { slack = ALLOCATOR_SLACK, contextBytes = CONTEXT_BYTES }: MemoryOptions,
): MemoryBytes {
  const used = states.weights + states.gradients + states.optimizer + activations + buffers;
  const total = used * (1 + slack) + contextBytes;
  return { ...states, activations, buffers: buffers + used * slack + contextBytes, total };
}

/** Parameters of a rank: those DP shares, and those of experts. A tied head beside its embedding is not counted again; MTP brings an embedding along. */
function rankParameters(job: Job, stages: Stage[], work: ModelWork, tp: number): { shared: number; expert: number } {
  const { architecture } = job;
  const table = (architecture.vocab * architecture.hidden) / tp;
  let shared = 0;
  let expert = 0;
  for (const stage of stages)
    for (const { work: w, count } of stageWorks(job, stage, work)) {
      shared += count * w.sharedParameters;
      expert += count * w.expertParameters;
    }
  const embedding = stages.some((s) => s.embedding);
  if (architecture.tied && embedding && stages.some((s) => s.head)) shared -= table;
  if (!embedding && !architecture.tied && stages.some((s) => s.mtp)) shared += table;
  return { shared, expert };
}

/** ZeRO-1 shards optimizer states, 2 gradients too, 3 weights too; shared parameters over dp · cp, experts over the rest of EP. Copies of a schedule share their states. */
function parameterMemory(job: Job, layout: Layout, stages: Stage[], work: ModelWork, copies: number): States {
  const { dp, cp, tp, ep, zero } = layout;
  const { shared, expert } = rankParameters(job, stages, work, tp);
  const sharded = shared / (dp * cp) + expert / Math.max(1, (dp * cp * tp) / ep);
  const full = shared + expert;
  const { weight, gradient, master, moments } = job.bytes;
  return {
    weights: weight * (zero >= 3 ? sharded : full),
    gradients: gradient * (zero >= 2 ? sharded : full),
    optimizer: (master + moments) * (zero >= 1 ? sharded / copies : full),
  };
}

/** Buffers of a rank: the loss's logits or a layer's working set (whichever is more: they do not meet), gathered weights, sends. */
function bufferBytes(job: Job, layout: Layout, stages: Stage[]): number {
  const runs = job.architecture.layers.filter((_, i) => stages.some((s) => s.runs[i]! > 0));
  const working = Math.max(...runs.map((run) => workingBytes(job, layout, run)), 0);
  const logits = stages.some((s) => s.head) ? logitBytes(job, layout) : 0;
  const sends = layout.pp > 1 ? 2 * heldTokens(job, layout) * job.architecture.hidden * HALF : 0;
  return Math.max(working, logits) + gatheredBytes(job, layout, stages, runs) + sends;
}

/**
 * Bytes at the loss: the head's gathered input under TP, and logits. A fused loss has them and their gradient in 16 bits; else log-softmax, its gradient
 * and theirs in 32 bits, and one copy more where the vocabulary is split (PyTorch's own parallel loss).
 */
function logitBytes(job: Job, layout: Layout): number {
  const tokens = tokensPerGpu(job, layout);
  const { hidden, vocab } = job.architecture;
  const perLogit = (job.fusedLoss ?? true) ? 2 * HALF : (layout.tp > 1 ? 4 : 3) * 4;
  return ((tokens * vocab) / layout.tp) * perLogit + (layout.tp > 1 ? tokens * hidden * HALF : 0);
}

/** Bytes a layer needs beside what it keeps: what recomputation brings back, and the largest gradients alive together. */
function workingBytes(job: Job, layout: Layout, run: LayerRun): number {
  const { hidden } = job.architecture;
  const { tp } = layout;
  const all = keptTensors(job, layout, run).reduce((a, { bytes }) => a + bytes, 0);
  const kept = modelKept(job, layout, run);
  const T = tokensPerGpu(job, layout);
  const rows = run.ffn.kind === "moe" ? (T / tp) * run.ffn.perToken * (layout.ep > 1 ? job.imbalance : 1) : T;
  const width = run.ffn.kind === "moe" ? run.ffn.width : run.ffn.width / tp;
  const wide = run.ffn.kind === "dense" && !run.ffn.gated ? 2 : 3;
  // gradients of the activation, gate and up, and of what enters and leaves; TP gathers the shards' input whole
  const feed = rows * HALF * (wide * width + 2 * hidden);
  const scores = fusedAttention(job) ? 0 : (2 * HALF * T * run.attention.heads * job.sequence) / tp;
  return all - kept + Math.max(feed, scores);
}

function modelKept(job: Job, layout: Layout, run: LayerRun): number {
  if (layout.recompute === "full")
    return heldTokens(job, layout) * job.architecture.hidden * (job.architecture.streams ?? 1) * HALF;
  if (layout.recompute === "none") return keptTensors(job, layout, run).reduce((a, { bytes }) => a + bytes, 0);
  const kind = redoOf(job);
  return keptTensors(job, layout, run)
    .filter(({ by }) => !by.includes(kind))
    .reduce((a, { bytes }) => a + bytes, 0);
}

/** ZeRO-3: this layer's and the next one's weights in 16 bits, embedding and head, and a layer's gradients in 16 bits and for their reduction in 32. */
function gatheredBytes(job: Job, layout: Layout, stages: Stage[], runs: LayerRun[]): number {
  if (layout.zero < 3) return 0;
  const { architecture } = job;
  const table = (architecture.vocab * architecture.hidden) / layout.tp;
  const ends =
    (stages.some((s) => s.embedding) ? table : 0) + (stages.some((s) => s.head) && !architecture.tied ? table : 0);
  const largest = Math.max(
    0,
    ...runs.map((run) => {
      const { routed, ...rest } = layerParameters(architecture, run);
      return Object.values(rest).reduce((a, b) => a + b, 0) / layout.tp + routed / layout.ep;
    }),
  );
  return ends * HALF + largest * (2 * HALF + HALF + 4);
}
