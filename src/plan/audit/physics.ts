/** Checks of an audit: peak rates, kernels' floors, pipeline shapes, memory. */
import { mixtureOf } from "../../model/config.ts";
import { MOST_STAGES } from "../layouts.ts";
import { shapeProblem, simulate } from "../schedule/index.ts";
import type { MemoryBytes, Source } from "../types.ts";
import { count, gradeUpTo, percent, trim, whole } from "./figures.ts";
import type { Check } from "./report.ts";
import { type Subject, secondsAtPeak, stepsOf } from "./subject.ts";

/** Share of the mixed peak: what published runs reached, what no run reached, what kernels cannot reach. */
const PEAK_LIMITS = { ok: 0.45, aggressive: 0.57, unshown: 0.75 } as const;

const RECORDS: Source[] = [
  {
    title:
      "Korthikanti et al. 2022, table 5: 71.49 s for a batch of 512 by 1T parameters on 512 A100, 56 % of the BF16 peak",
    date: "2022-05",
    mark: "derived",
    url: "https://arxiv.org/abs/2205.05198",
  },
  {
    title:
      "NVIDIA Megatron-Bridge performance summary: Llama 3.1 405B, FP8, 822 TFLOP/s on H100 (41.5 % of the FP8 peak)",
    date: "2026-08-22",
    mark: "primary",
    url: "https://github.com/NVIDIA-NeMo/Megatron-Bridge/blob/main/docs/performance-summary.md",
  },
];

/** How busy the chips must have been. */
export function checkPeak(subject: Subject): Check[] {
  const { counted, chip, claim } = subject;
  if (!counted) {
    return [
      {
        id: "peak",
        topic: "peak",
        kind: "physics",
        title: "work against the chip's peak",
        grade: "unknown",
        numbers: {},
        sources: [],
        says: "The claim names no tokens, so its work cannot be counted.",
        short: "work cannot be counted: no tokens stated",
      },
    ];
  }
  const seconds = counted.gpuHours * 3600;
  const share = secondsAtPeak(counted, chip, claim.precision) / seconds;
  const causal = counted.causal / seconds / chip.bf16FlopsPerSec;
  const fp8 = claim.precision === "fp8" && chip.fp8;
  const eight = fp8
    ? `, ${percent((causal * chip.bf16FlopsPerSec) / chip.eightBitOpsPerSec)} of its FP8 peak, ${percent(share)} of what FP8 products with BF16 attention could do`
    : "";
  return [
    {
      id: "peak",
      topic: "peak",
      kind: "physics",
      title: "work against the chip's peak",
      grade: gradeUpTo(share, PEAK_LIMITS),
      says: `${count(counted.tokens)} tokens × ${trim(counted.causal / counted.tokens / 1e9, 4)} GFLOP (causal, without MTP) in ${count(counted.gpuHours)} hours are ${trim(counted.causal / seconds / 1e12)} TFLOP/s a GPU: ${percent(causal)} of the ${chip.name}'s BF16 peak${eight}. The best on record are 56 % (BF16, A100) and 41.5 % (FP8, H100).`,
      short: `${trim(counted.causal / seconds / 1e12)} TFLOP/s a GPU: ${percent(causal)} of the BF16 peak${fp8 ? `, ${percent(share)} of the FP8 one` : ""}; others reach 56${fp8 ? " and 41" : ""} %`,
      numbers: { share, causal, flopsPerSec: counted.causal / seconds },
      sources: [...chip.sources, ...RECORDS],
    },
  ];
}

/** Share of the stated hours that the chips would need at their peak, nothing lost: no hours below it are possible. */
export const peakFloor = ({ counted, chip, claim }: Subject): number =>
  counted ? secondsAtPeak(counted, chip, claim.precision) / (counted.gpuHours * 3600) : 0;

/** The least time that the published kernels themselves need, by a trace anyone can open. */
export function kernelFloorHours(
  subject: Subject,
): { seconds: number; gpuHours: number; microBatches: number } | undefined {
  const { claim, pretrain } = subject;
  const steps = stepsOf(subject);
  const { pp, microBatch = 1 } = claim.layout ?? {};
  if (!claim.trace || !steps || !claim.batch || !claim.gpus || !pp || !pretrain) return undefined;
  const width = claim.gpus / (pp * (claim.layout!.tp ?? 1) * (claim.layout!.cp ?? 1));
  const microBatches = claim.batch / width / microBatch;
  const seconds = microBatches * claim.trace.pairSeconds;
  return { seconds, microBatches, gpuHours: (steps * seconds * claim.gpus) / 3600 };
}

/** Whether a step leaves its own kernels the time they were seen to take. */
export function checkKernels(subject: Subject): Check[] {
  const { claim, pretrain } = subject;
  const floor = kernelFloorHours(subject);
  const steps = stepsOf(subject);
  if (!floor || !steps || !claim.gpus || !pretrain) return [];
  const step = (pretrain.gpuHours * 3600) / steps / claim.gpus;
  const used = floor.seconds / step;
  return [
    {
      id: "kernels",
      topic: "kernels",
      kind: "physics",
      title: "step against its own kernels",
      grade: used > 1.02 ? "broken" : used > 0.95 ? "unshown" : "ok",
      says: `Each pipeline works off ${trim(floor.microBatches)} micro-batches a step, and the published trace shows ${trim(claim.trace!.pairSeconds * 1000, 4)} ms for one forward and backward of a stage: at least ${trim(floor.seconds)} s, or ${count(floor.gpuHours)} GPU-hours in all. The hours leave ${trim(step)} s a step, ${percent(used)} of it kernels and the rest for bubble, optimizer and waiting.`,
      short: `kernels need ≥ ${trim(floor.seconds)} s a step (${count(floor.gpuHours, 3)} h), the hours leave ${trim(step)}`,
      numbers: { floorSeconds: floor.seconds, floorGpuHours: floor.gpuHours, stepSeconds: step },
      sources: [claim.trace!.source],
    },
  ];
}

/** Whether the time published for pairs of forward and backward is that of the pairs which the schedule runs, by the trace's length of one. */
export function checkPairs(subject: Subject): Check[] {
  const { claim } = subject;
  const seconds = claim.stepParts?.["1F1B"];
  const floor = kernelFloorHours(subject);
  const { pp = 1 } = claim.layout ?? {};
  const schedule = claim.schedule;
  if (!seconds || !floor || !claim.trace || (schedule !== "dualpipe" && schedule !== "dualpipev") || pp > MOST_STAGES)
    return [];
  if (shapeProblem({ schedule, pp, vp: 1, microBatches: floor.microBatches }) !== undefined) return [];
  const count_ = pairsOf(schedule, pp, floor.microBatches);
  const [least, most] = [Math.min(...count_), Math.max(...count_)];
  const pairs = seconds / claim.trace.pairSeconds;
  const off = (n: number) => `${percent(Math.abs(pairs / n - 1), 0)}`;
  return [
    {
      id: "pairs",
      topic: "pairs",
      kind: "physics",
      title: "pairs in a step against the schedule",
      grade: pairs < 0.98 * least ? "broken" : pairs > 1.3 * most ? "aggressive" : "ok",
      says: `${trim(seconds, 4)} s of a step go to pairs of forward and backward: the time of ${trim(pairs)} pairs of ${trim(claim.trace.pairSeconds * 1000, 4)} ms. The schedule, simulated, runs ${least} to ${most} on a GPU, so the run was ${off(most)} to ${off(least)} ${pairs >= most ? "slower" : "off"} than the traced kernels alone, which leave out pipeline sends and route evenly.`,
      short: `${trim(seconds, 4)} s in pairs are ${trim(pairs)} of them, the schedule runs ${least} to ${most}`,
      numbers: { pairs, least, most },
      sources: [claim.trace.source, ...claim.sources],
    },
  ];
}

/** Pairs that each rank runs, by simulating the schedule with stages of equal length; of a long step a shorter one is, and each micro-batch more is a pair more a chunk. */
export function pairsOf(schedule: "dualpipe" | "dualpipev", pp: number, microBatches: number): number[] {
  const played = 4 * pp + (microBatches % 2);
  if (microBatches > played) {
    const more = (microBatches - played) * (schedule === "dualpipev" ? 2 : 1);
    return pairsOf(schedule, pp, played).map((pairs) => pairs + more);
  }
  const key = `${schedule} ${pp} ${microBatches}`;
  const known = PAIRS.get(key);
  if (known) return known;
  const stage = { forward: 1, backwardInput: 1, backwardWeight: 1, pair: 2.5 };
  const stages = Array.from({ length: schedule === "dualpipev" ? 2 * pp : pp }, () => stage);
  const counts = new Array<number>(pp).fill(0);
  for (const { kind, rank } of simulate({ schedule, stages, pp, vp: 1, microBatches, sendSeconds: 0 }).events)
    if (kind === "FB") counts[rank]!++;
  PAIRS.set(key, counts);
  return counts;
}
const PAIRS = new Map<string, number[]>();

/** Whether the batch and the GPUs divide by the stated layout. */
export function checkLayout(subject: Subject): Check[] {
  const { claim } = subject;
  const { layout, gpus, batch, schedule } = claim;
  if (!layout || !gpus) return [];
  const { tp = 1, cp = 1, pp = 1, ep = 1, microBatch = 1 } = layout;
  const faults: string[] = [];
  const dp = layout.dp ?? gpus / (tp * cp * pp);
  if (!Number.isInteger(dp)) faults.push(`${whole(gpus)} GPUs do not divide by tp ${tp} × cp ${cp} × pp ${pp}`);
  else if (dp * tp * cp * pp !== gpus)
    faults.push(`dp ${dp} × tp ${tp} × cp ${cp} × pp ${pp} = ${whole(dp * tp * cp * pp)} is not ${whole(gpus)} GPUs`);
  else if ((dp * tp * cp) % ep !== 0) faults.push(`ep ${ep} does not divide dp × cp × tp = ${whole(dp * cp * tp)}`);
  const perPipeline = batch !== undefined && Number.isInteger(dp) ? batch / dp / microBatch : undefined;
  if (perPipeline !== undefined) {
    const least = schedule === "dualpipe" || schedule === "dualpipev" ? 2 * pp : pp;
    if (!Number.isInteger(perPipeline))
      faults.push(`a batch of ${whole(batch!)} does not divide by ${whole(dp)} pipelines of micro-batch ${microBatch}`);
    else if (perPipeline < least)
      faults.push(
        `${trim(perPipeline)} micro-batches a pipeline are fewer than the ${least} that ${schedule ?? "its"} stages need`,
      );
  }
  const { experts } = mixtureOf(subject.config);
  if (ep > 1 && (experts === 0 || experts % ep !== 0)) faults.push(`${experts} experts do not divide over ep ${ep}`);
  const good = `${whole(gpus)} GPUs = ${whole(dp)} × ${pp * tp * cp}${perPipeline !== undefined ? `; ${trim(perPipeline)} micro-batches a pipeline` : ""}${ep > 1 ? `; ${experts / ep} experts a GPU` : ""}`;
  return [
    {
      id: "layout",
      topic: "layout",
      kind: "physics",
      title: "batch and layout",
      grade: faults.length > 0 ? "broken" : "ok",
      says: faults.length > 0 ? `${faults.join("; ")}.` : `${good}.`,
      short: faults.length > 0 ? faults.join("; ") : good,
      numbers: { dp, ...(perPipeline !== undefined ? { microBatches: perPipeline } : {}) },
      sources: claim.sources,
    },
  ];
}

/** Bytes that a parameter takes at least, however it is spread: BF16 weights, FP32 master copy, two BF16 moments. */
const LEAST_BYTES = 10;

/** Whether the model fits: in the stated layout by the memory that the planner predicts (its error allowed for), else by its bare states. */
export function checkMemory(subject: Subject, memory: MemoryBytes | undefined): Check[] {
  const { chip, claim, parameters } = subject;
  const GB = (n: number) => `${trim(n / 1e9)} GB`;
  const least = claim.gpus ? (parameters.total * LEAST_BYTES) / claim.gpus : 0;
  if (least > chip.hbmBytes) {
    return [
      {
        id: "memory",
        topic: "memory",
        kind: "physics",
        title: "memory",
        grade: "broken",
        numbers: { bytes: least, share: least / chip.hbmBytes },
        sources: chip.sources,
        says: `Weights, master copies and moments alone, spread over all ${whole(claim.gpus!)} GPUs, take ${GB(least)} of ${GB(chip.hbmBytes)}: no layout can hold them.`,
        short: `bare states need ${GB(least)} of ${GB(chip.hbmBytes)}: no layout can hold them`,
      },
    ];
  }
  if (!memory || !claim.layout) return [];
  const share = memory.total / chip.hbmBytes;
  return [
    {
      id: "memory",
      topic: "memory",
      kind: "physics",
      title: "memory",
      grade: gradeUpTo(share, { ok: 1, unshown: 1.2 }),
      says: `In the stated layout a GPU holds about ${GB(memory.total)} (weights ${GB(memory.weights)}, gradients ${GB(memory.gradients)}, optimizer ${GB(memory.optimizer)}, activations ${GB(memory.activations)}, buffers ${GB(memory.buffers)}) of ${GB(chip.hbmBytes)}.`,
      short: `${GB(memory.total)} of ${GB(chip.hbmBytes)}`,
      numbers: { bytes: memory.total, share },
      sources: chip.sources,
    },
  ];
}
