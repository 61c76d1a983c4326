/** One training step timed: compute, communication, pipeline, optimizer. */
import { flopsPerToken, headWidths } from "./architecture.ts";
import { collectiveSeconds, spanOf } from "./collectives.ts";
import { CONSTANTS, type Constants } from "./constants.ts";
import { type AttentionKernel, attentionRateShare, opSeconds } from "./efficiency.ts";
import { layoutRefusal } from "./layouts.ts";
import { heldByFormula, memoryOf } from "./memory.ts";
import { HALF } from "./operations.ts";
import { activationBytes, chunksOf, rankOf, simulate } from "./schedule/index.ts";
import { type Stage, stageLayers } from "./stages.ts";
import type {
  Group,
  Job,
  KindSeconds,
  LayerWork,
  Layout,
  MemoryBytes,
  Op,
  ScheduleInput,
  StageTimes,
  StepEstimate,
} from "./types.ts";
import { fusedAttention, heldTokens, type ModelWork, modelWork, stageCount, stageWorks } from "./work.ts";

/** Seconds of a pass by what they are spent on; communication after overlap. */
export interface PassSeconds {
  compute: number;
  memoryBound: number;
  tp: number;
  ep: number;
  cp: number;
  dp: number;
  overhead: number;
  /** Communication that ran behind `compute`; no part of the time. */
  hidden: number;
}

const KEYS = ["compute", "memoryBound", "tp", "ep", "cp", "dp", "overhead"] as const;
const zero = (): PassSeconds => ({ compute: 0, memoryBound: 0, tp: 0, ep: 0, cp: 0, dp: 0, overhead: 0, hidden: 0 });
const total = (p: PassSeconds): number => p.compute + p.memoryBound + p.tp + p.ep + p.cp + p.dp + p.overhead;
const addTo = (sum: PassSeconds, p: PassSeconds, times = 1): void => {
  for (const key of KEYS) sum[key] += times * p[key];
};

/** Streaming multiprocessors that DualPipe gives to communication: 20 of 132 (arXiv:2412.19437 §3.2.2). The rest compute. */
const DUALPIPE_COMPUTE_SHARE = 112 / 132;

/** Of a stage: its three passes for one micro-batch, and what the schedule needs to know. */
interface StageSeconds {
  forward: PassSeconds;
  backwardInput: PassSeconds;
  backwardWeight: PassSeconds;
  pair: number;
}

/** An estimate with what stands behind it: seconds by kind of work (mean over ranks; they and `after` sum to the step). */
export interface StepDetails {
  estimate: Omit<StepEstimate, "memoryBytes" | "fits">;
  kinds: KindSeconds;
  stages: StageTimes[];
  /** Gradient reduction that nothing hides, and the optimizer's own work. */
  dpSeconds: number;
  optimizerSeconds: number;
  sendSeconds: number;
}

/**
 * Seconds of one training step and what they go to; parts sum to `stepSeconds`. Deterministic, about a millisecond. Throws ConfigError where the layout cannot
 * run the job, with the nearest that can; a layout that does not fit into memory is timed all the same (`fits` false).
 */
export function estimateStep(
  job: Job,
  layout: Layout,
  constants: Constants = CONSTANTS,
  cache?: TimedWorks,
): StepEstimate {
  const { estimate } = stepDetails(job, layout, constants, cache);
  const memoryBytes = stepMemory(job, layout);
  return { ...estimate, memoryBytes, fits: memoryBytes.total <= usableBytes(job) };
}

/** What may be filled of a chip's memory: all of it, the driver's and allocator's shares being counted among the buffers. */
export const usableBytes = (job: Job): number => job.cluster.chip.hbmBytes;

/** Memory of the fullest rank, the schedule's micro-batches in flight counted exactly. */
export function stepMemory(job: Job, layout: Layout): MemoryBytes {
  const { pp, vp, dp, microBatch } = layout;
  const all = job.batch / (dp * microBatch);
  // More micro-batches than fill the pipeline hold no more; interleaving wants a multiple of pp, DualPipe an even number.
  const full = job.schedule === "interleaved" ? pp * Math.max(2, vp) : 4 * pp;
  const microBatches = Math.min(all, full);
  const shape = { schedule: job.schedule, pp, vp, microBatches };
  return memoryOf(job, layout, {
    ...heldByFormula(job.schedule, layout, microBatches),
    heldBytes: (bytes) => activationBytes(shape, bytes),
  });
}

/** `estimateStep` without memory and with its insides. */
export function stepDetails(
  job: Job,
  layout: Layout,
  constants: Constants = CONSTANTS,
  cache?: TimedWorks,
): StepDetails {
  const refusal = layoutRefusal(job, layout);
  if (refusal) throw refusal;
  const { work, passes } = timedWork(job, layout, constants, cache);
  const stages = stagesOf(job, layout);
  const seconds = stageSeconds(job, stages, work, passes);
  const microBatches = job.batch / (layout.dp * layout.microBatch);
  const sendSeconds = sendTime(job, layout, constants);
  const input: ScheduleInput = {
    schedule: job.schedule,
    stages: seconds.map(times),
    pp: layout.pp,
    vp: layout.vp,
    microBatches,
    sendSeconds,
  };
  const { seconds: pipeline, kinds } = pipelineSeconds(input);
  const sends =
    layout.pp > 1 ? Math.min(kinds.idle, pipeline - pipelineSeconds({ ...input, sendSeconds: 0 }).seconds) : 0;
  const { dpSeconds, optimizerSeconds } = afterPipeline(job, layout, stages, work, seconds, constants);

  // Work of all ranks, mean, as if nothing were paired; what pairing saved comes off the communication it hid.
  const busy = zero();
  for (const s of seconds)
    for (const pass of [s.forward, s.backwardInput, s.backwardWeight]) addTo(busy, pass, microBatches / layout.pp);
  const saved = total(busy) - (kinds.forward + kinds.backward + kinds.weight + kinds.pair);
  const stepSeconds = pipeline + dpSeconds + optimizerSeconds;
  const tokens = job.batch * job.sequence;
  const flops = flopsPerToken(job.architecture, { sequence: job.sequence, mtp: job.mtp }).training;
  const gpus = layout.dp * layout.tp * layout.cp * layout.pp;
  const tokensPerSecondPerGpu = tokens / stepSeconds / gpus;
  return {
    estimate: {
      layout,
      schedule: job.schedule,
      stepSeconds,
      parts: {
        compute: busy.compute,
        memoryBound: busy.memoryBound,
        tp: busy.tp,
        ep: busy.ep - saved,
        cp: busy.cp,
        pp: Math.max(0, sends),
        dp: busy.dp + dpSeconds,
        bubble: kinds.idle - Math.max(0, sends),
        optimizer: optimizerSeconds,
        overhead: busy.overhead,
      },
      microBatches,
      tokensPerSecondPerGpu,
      mfu: (tokensPerSecondPerGpu * flops) / job.cluster.chip.bf16FlopsPerSec,
      flopsPerToken: flops,
    },
    kinds,
    stages: input.stages,
    dpSeconds,
    optimizerSeconds,
    sendSeconds,
  };
}

const times = (s: StageSeconds): StageTimes => ({
  forward: total(s.forward),
  backwardInput: total(s.backwardInput),
  backwardWeight: total(s.backwardWeight),
  pair: s.pair,
});

/** Makespan and kinds. Long steps are periodic in the middle: two shorter ones are simulated and the period continued. */
function pipelineSeconds(input: ScheduleInput): { seconds: number; kinds: KindSeconds } {
  const { pp, microBatches } = input;
  const run = (m: number) => {
    const result = simulate({ ...input, microBatches: m }, { events: false });
    const kinds: KindSeconds = { forward: 0, backward: 0, weight: 0, pair: 0, idle: 0 };
    for (const rank of result.ranks)
      for (const key of Object.keys(kinds) as (keyof KindSeconds)[]) kinds[key] += rank[key] / pp;
    return { seconds: result.seconds, kinds };
  };
  const period = 2 * pp;
  const short = 2 * period + (microBatches % period);
  if (microBatches <= short + 2 * period) return run(microBatches);
  const one = run(short),
    two = run(short + period);
  const more = (microBatches - short - period) / period;
  const on = (a: number, b: number) => b + more * (b - a);
  const kinds = { ...two.kinds };
  for (const key of Object.keys(kinds) as (keyof KindSeconds)[]) kinds[key] = on(one.kinds[key], two.kinds[key]);
  return { seconds: on(one.seconds, two.seconds), kinds };
}

/** The works of a layout with the seconds of their passes. */
interface TimedWork {
  work: ModelWork;
  passes: Map<LayerWork, { forward: PassSeconds; backwardInput: PassSeconds; backwardWeight: PassSeconds }>;
  /** All three passes, and the expert traffic in them. */
  sums: Map<LayerWork, { all: number; ep: number }>;
}

/** Works of one job and constants that a search has timed, by what of a layout they depend on. */
export type TimedWorks = Map<string, TimedWork>;

function timedWork(job: Job, layout: Layout, constants: Constants, cache?: TimedWorks): TimedWork {
  const { tp, cp, ep, microBatch, recompute } = layout;
  if (layout.zero === 3)
    return sharded(timedWork(job, { ...layout, zero: 1 }, constants, cache), job, layout, constants);
  const key = `${tp} ${cp} ${ep} ${microBatch} ${recompute}`;
  const known = cache?.get(key);
  if (known) return known;
  const work = modelWork(job, layout);
  const passes: TimedWork["passes"] = new Map();
  const sums: TimedWork["sums"] = new Map();
  for (const w of [work.embedding, ...work.runs, ...(work.mtp ? [work.mtp] : []), work.head]) {
    const forward = passSeconds(w.forward, job, layout, constants);
    const backwardInput = passSeconds([...w.recomputed, ...w.backwardInput], job, layout, constants);
    const backwardWeight = passSeconds(w.backwardWeight, job, layout, constants);
    if (job.fusedAccumulation === false) {
      const bytes = (w.sharedParameters + w.expertParameters) * (HALF + 2 * job.bytes.gradient);
      backwardWeight.memoryBound += bytes / (job.cluster.chip.hbmBytesPerSec * constants.memoryShare);
    }
    passes.set(w, { forward, backwardInput, backwardWeight });
    sums.set(w, sumOf(passes.get(w)!));
  }
  const timed = { work, passes, sums };
  cache?.set(key, timed);
  return timed;
}

type Passes = Record<"forward" | "backwardInput" | "backwardWeight", PassSeconds>;
const sumOf = ({ forward, backwardInput, backwardWeight }: Passes) => ({
  all: total(forward) + total(backwardInput) + total(backwardWeight),
  ep: forward.ep + backwardInput.ep,
});

/** The same work where ZeRO-3 spreads the parameters: the time then depends on dp too, so it is made anew from what is remembered without it. */
function sharded({ work, passes: whole }: TimedWork, job: Job, layout: Layout, constants: Constants): TimedWork {
  const passes: TimedWork["passes"] = new Map();
  const sums: TimedWork["sums"] = new Map();
  for (const [w, { forward, backwardInput, backwardWeight }] of whole) {
    const own = { forward: { ...forward }, backwardInput: { ...backwardInput }, backwardWeight: { ...backwardWeight } };
    shardedParameters(w, job, layout, constants, own);
    passes.set(w, own);
    sums.set(w, sumOf(own));
  }
  return { work, passes, sums };
}

const stagesOf = (job: Job, { pp, vp }: Layout): Stage[] =>
  stageLayers(job.architecture, stageCount(job.schedule, pp, vp), { sequence: job.sequence, mtp: job.mtp });

const isDual = (job: Job): boolean => job.schedule === "dualpipe" || job.schedule === "dualpipev";

/** A pair: all-to-alls on their own SMs while the others compute, the slower of the two deciding; never slower than one after the other. */
const pairSeconds = (job: Job, all: number, ep: number): number =>
  isDual(job) ? Math.min(all, Math.max((all - ep) / (ep > 0 ? DUALPIPE_COMPUTE_SHARE : 1), ep)) : all;

function stageSeconds(job: Job, stages: Stage[], work: ModelWork, passes: TimedWork["passes"]): StageSeconds[] {
  return stages.map((stage) => {
    const sum = { forward: zero(), backwardInput: zero(), backwardWeight: zero() };
    for (const { work: w, count } of stageWorks(job, stage, work)) {
      const p = passes.get(w)!;
      addTo(sum.forward, p.forward, count);
      addTo(sum.backwardInput, p.backwardInput, count);
      addTo(sum.backwardWeight, p.backwardWeight, count);
    }
    const all = total(sum.forward) + total(sum.backwardInput) + total(sum.backwardWeight);
    const ep = sum.forward.ep + sum.backwardInput.ep;
    return { ...sum, pair: pairSeconds(job, all, ep) };
  });
}

/** A step can be no shorter than its busiest rank's work: what a search prunes by. Seconds for one micro-batch. */
export function busiestRankSeconds(job: Job, layout: Layout, constants: Constants, cache: TimedWorks): number {
  const { work, sums } = timedWork(job, layout, constants, cache);
  const { schedule } = job,
    { pp, vp } = layout;
  const perRank = new Float64Array(pp);
  const shape = { schedule, pp, vp, microBatches: 2 * pp };
  stagesOf(job, layout).forEach((stage, i) => {
    let all = 0,
      ep = 0;
    const add = (w: LayerWork | undefined, count: number) => {
      if (!w || count === 0) return;
      const s = sums.get(w)!;
      all += count * s.all;
      ep += count * s.ep;
    };
    if (stage.embedding) add(work.embedding, 1);
    for (let r = 0; r < work.runs.length; r++) add(work.runs[r], stage.runs[r]!);
    if (stage.mtp) add(work.mtp, job.architecture.mtpDepth);
    if (stage.head) add(work.head, 1);
    const least = pairSeconds(job, all, ep);
    if (schedule === "dualpipe") {
      perRank[i]! += least / 2;
      perRank[pp - 1 - i]! += least / 2;
    } else perRank[rankOf(shape, i, 0)]! += least;
  });
  return Math.max(...perRank);
}

const attentionKernel = (job: Job): AttentionKernel => ({
  fused: fusedAttention(job),
  older: job.attentionKernels === "older",
  sequence: job.sequence,
  width: headWidths(job.architecture.layers[0]!.attention).value,
});

/** Seconds of a list of operations, one after the other but for what overlaps. */
function passSeconds(ops: Op[], job: Job, layout: Layout, constants: Constants): PassSeconds {
  const { chip } = job.cluster;
  const sum = zero();
  const attention = attentionRateShare(attentionKernel(job), constants);
  const hidden: Partial<Record<Group, number>> = {};
  for (const op of ops) {
    if (op.kind !== "collective") {
      const seconds = opSeconds(op, chip, constants, attention) - constants.launchSeconds;
      if (op.kind === "memory") sum.memoryBound += seconds;
      else sum.compute += seconds;
      sum.overhead += constants.launchSeconds;
      continue;
    }
    const seconds = opCollectiveSeconds(op, job, layout, constants);
    if (op.overlaps || overlapsGroup(job, op.group)) hidden[op.group] = (hidden[op.group] ?? 0) + seconds;
    else sum[column(op.group)] += seconds;
  }
  for (const group of Object.keys(hidden) as Group[]) {
    const left = exposed(hidden[group]!, sum.compute - sum.hidden, constants);
    sum[column(group)] += left;
    sum.hidden += hidden[group]! - left;
  }
  return sum;
}

/** What is left of communication that runs behind `cover` seconds of computation. */
const exposed = (seconds: number, cover: number, constants: Constants): number =>
  seconds - Math.min(seconds * constants.hiddenShare, cover);

const overlapsGroup = (job: Job, group: Group): boolean => {
  const { tp = true, dp = true, ep = false } = job.overlap ?? {};
  return group === "tp" ? tp : group === "ep" ? ep : group === "cp" ? true : dp;
};

const column = (group: Group): "tp" | "ep" | "cp" | "dp" => (group === "edp" ? "dp" : group === "pp" ? "dp" : group);

function opCollectiveSeconds(
  op: Extract<Op, { kind: "collective" }>,
  job: Job,
  layout: Layout,
  constants: Constants,
): number {
  const copies = op.collective === "allToAll" ? expertsPerToken(job) : 1;
  return collectiveSeconds(
    { collective: op.collective, bytes: op.bytes, copies, nodesPerToken: op.nodesPerToken },
    spanOf(op.group, layout),
    job.cluster,
    constants,
  );
}

const expertsPerToken = (job: Job): number => {
  for (const { ffn } of job.architecture.layers) if (ffn.kind === "moe") return ffn.perToken;
  return 1;
};

/** ZeRO-3: weights gathered before each forward and backward, gradients scattered after; behind the layer's own computation. */
function shardedParameters(
  w: LayerWork,
  job: Job,
  layout: Layout,
  constants: Constants,
  { forward, backwardInput, backwardWeight }: Record<"forward" | "backwardInput" | "backwardWeight", PassSeconds>,
): void {
  const on = (group: "dp" | "edp", collective: "allGather" | "reduceScatter", bytes: number) =>
    collectiveSeconds({ collective, bytes }, spanOf(group, layout), job.cluster, constants);
  const { sharedParameters: dense, expertParameters: expert } = w;
  const weight = Math.min(HALF, job.bytes.weight);
  const gather = on("dp", "allGather", dense * weight) + on("edp", "allGather", expert * weight);
  const scatter =
    on("dp", "reduceScatter", dense * job.bytes.gradient) + on("edp", "reduceScatter", expert * job.bytes.gradient);
  const hide = overlapsGroup(job, "dp");
  const room = (...passes: PassSeconds[]) => passes.reduce((a, p) => a + p.compute - p.hidden, 0);
  forward.dp += hide ? exposed(gather, room(forward), constants) : gather;
  backwardInput.dp += hide
    ? exposed(gather + scatter, room(backwardInput, backwardWeight), constants)
    : gather + scatter;
}

/** A micro-batch's activations between neighbouring stages. */
function sendTime(job: Job, layout: Layout, constants: Constants): number {
  if (layout.pp === 1) return 0;
  const bytes =
    heldTokens({ ...job, sequenceParallel: true }, layout) *
    job.architecture.hidden *
    (job.architecture.streams ?? 1) *
    2;
  return collectiveSeconds({ collective: "pointToPoint", bytes }, spanOf("pp", layout), job.cluster, constants);
}

/** What follows the last backward: the part of gradient and weight exchange that nothing hid, then the optimizer, on the slowest rank. */
function afterPipeline(
  job: Job,
  layout: Layout,
  stages: Stage[],
  work: ModelWork,
  seconds: StageSeconds[],
  constants: Constants,
) {
  const { chip } = job.cluster;
  const { bytes } = job;
  const spans = { dp: spanOf("dp", layout), edp: spanOf("edp", layout) };
  const dual = job.schedule === "dualpipe";
  const perRank = Array.from({ length: layout.pp }, () => ({ shared: 0, expert: 0, once: 0 }));
  stages.forEach((stage, s) => {
    const { forward, backwardInput, backwardWeight } = seconds[s]!;
    const once = total(forward) + total(backwardInput) + total(backwardWeight);
    const ranks = dual
      ? [s, layout.pp - 1 - s]
      : [rankOf({ schedule: job.schedule, pp: layout.pp, vp: layout.vp, microBatches: 2 * layout.pp }, s, 0)];
    for (const r of ranks) {
      const rank = perRank[r]!;
      for (const { work: w, count } of stageWorks(job, stage, work)) {
        rank.shared += count * w.sharedParameters;
        rank.expert += count * w.expertParameters;
      }
      rank.once += once / ranks.length;
    }
  });
  const exchange = (parameters: number, group: "dp" | "edp") => {
    if (spans[group].size <= 1 || parameters === 0 || layout.zero === 3) return 0;
    const on = (collective: "allReduce" | "reduceScatter" | "allGather", b: number) =>
      collectiveSeconds({ collective, bytes: b }, spans[group], job.cluster, constants);
    return layout.zero === 0
      ? on("allReduce", parameters * bytes.gradient)
      : on("reduceScatter", parameters * bytes.gradient) + on("allGather", parameters * Math.min(HALF, bytes.weight));
  };
  let worst = { dpSeconds: 0, optimizerSeconds: 0 };
  for (const { shared, expert, once } of perRank) {
    const raw = exchange(shared, "dp") + exchange(expert, "edp");
    // Gradients leave during the last backward of a chunk, weights arrive during the first forward.
    const dpSeconds = overlapsGroup(job, "dp")
      ? exposed(
          raw,
          once / chunksOf({ schedule: job.schedule, pp: layout.pp, vp: layout.vp, microBatches: 2 * layout.pp }),
          constants,
        )
      : raw;
    const sharded = layout.zero === 0 ? shared + expert : shared / spans.dp.size + expert / spans.edp.size;
    const moved = bytes.gradient + 2 * (bytes.master + bytes.moments) + bytes.weight;
    const optimizerSeconds =
      (sharded * moved) / (chip.hbmBytesPerSec * constants.memoryShare) + constants.launchSeconds;
    if (dpSeconds + optimizerSeconds > worst.dpSeconds + worst.optimizerSeconds)
      worst = { dpSeconds, optimizerSeconds };
  }
  return worst;
}
