import { ConfigError } from "../errors.ts";
import { layerCount } from "./architecture.ts";
import { CONSTANTS, type Constants } from "./constants.ts";
import { divisors, layoutProblem, layoutText } from "./layouts.ts";
import { busiestRankSeconds, estimateStep, stepMemory, usableBytes, type TimedWorks } from "./step.ts";
import type { Job, Layout, MemoryBytes, Runner, StepEstimate } from "./types.ts";

export interface Searched {
  best: StepEstimate;
  /** The best of each other kind of layout, fastest first; at the end those that would be faster but do not fit. */
  runnersUp: Runner[];
  /** Layouts that could run the job, and those that were timed in full. */
  candidates: number;
  timed: number;
}

export interface SearchOptions {
  constants?: Constants;
  /** Most runners-up; default 8. */
  runnersUp?: number;
}

/**
 * The fastest layout that fits into memory, and why others lose; `fixed` holds what may not change. All layouts are bounded from below by their busiest rank's work and
 * timed in full from the least bound up, until no bound is below the best: the answer is the best of all candidates, so more GPUs (which may stay idle) or
 * faster links never lengthen it. Throws ConfigError where nothing can run or nothing fits, naming the nearest.
 */
export function searchLayouts(job: Job, fixed: Partial<Layout> = {}, options: SearchOptions = {}): Searched {
  const { constants = CONSTANTS, runnersUp = 8 } = options;
  const cache: TimedWorks = new Map();
  const kinds = candidates(job, fixed);
  const bounded: { kind: number; dp: number; bound: number }[] = [];
  kinds.forEach(({ layout, dps }, kind) => {
    let busiest = 0, of = 0;
    for (const dp of dps) {
      // With ZeRO-3 a micro-batch's time depends on dp; else it is the same for all.
      if (of === 0 || layout.zero === 3) busiest = busiestRankSeconds(job, { ...layout, dp }, constants, cache);
      of = dp;
      bounded.push({ kind, dp, bound: busiest * (job.batch / (dp * layout.microBatch)) });
    }
  });
  bounded.sort((a, b) => a.bound - b.bound);
  if (bounded.length === 0) throw new ConfigError(noCandidate(job, fixed));
  let best: StepEstimate | undefined;
  const fitting: StepEstimate[] = [];
  const over: { layout: Layout; bound: number; memory: MemoryBytes }[] = [];
  for (const { kind, dp, bound } of bounded) {
    if (best && bound >= best.stepSeconds) break;
    const layout = { ...kinds[kind]!.layout, dp };
    const memory = stepMemory(job, layout);
    if (memory.total > usableBytes(job)) {
      over.push({ layout, bound, memory });
      continue;
    }
    const step = estimateStep(job, layout, constants, cache);
    fitting.push(step);
    if (!best || step.stepSeconds < best.stepSeconds) best = step;
  }
  if (!best) throw new ConfigError(nothingFits(job, over));
  return { best, runnersUp: losers(job, best, fitting, over, constants, cache, runnersUp), candidates: bounded.length, timed: fitting.length };
}

/** All layouts worth asking about, without and with their dp: powers of two and divisors within the cluster, each valid. */
function candidates(job: Job, fixed: Partial<Layout>): { layout: Layout; dps: number[] }[] {
  const { cluster, architecture, schedule, batch } = job;
  const { gpus } = cluster;
  const node = cluster.tiers[0]!.chips;
  const layers = layerCount(architecture);
  const powers = (most: number) => Array.from({ length: Math.floor(Math.log2(Math.max(1, most))) + 1 }, (_, i) => 2 ** i);
  const pick = <K extends keyof Layout>(key: K, values: Layout[K][]): Layout[K][] => (fixed[key] !== undefined ? [fixed[key] as Layout[K]] : values);
  const moe = architecture.layers.find(({ ffn }) => ffn.kind === "moe")?.ffn;
  const tps = pick("tp", powers(Math.min(gpus, node, 16)));
  const cps = pick("cp", job.sequence > 16384 ? powers(Math.min(gpus, 64, job.sequence / 4096)) : [1]);
  const perRank = schedule === "dualpipev" ? 2 : 1;
  const pps = pick("pp", [...new Set([...powers(Math.min(gpus, layers / perRank)), ...divisors(layers).filter((d) => d * perRank <= layers && d <= gpus && d <= 128)])].sort((a, b) => a - b));
  const eps = pick("ep", moe?.kind === "moe" ? divisors(moe.experts).filter((d) => (d & (d - 1)) === 0 || d === moe.experts) : [1]);
  const microBatches = pick("microBatch", [1, 2, 4, 8]);
  const recomputes = pick("recompute", ["none", "selective", "full"]);
  const found: { layout: Layout; dps: number[] }[] = [];
  const dps = new Map<number, number[]>();
  for (const tp of tps) for (const cp of cps) for (const pp of pps) {
    const room = Math.floor(gpus / (tp * cp * pp));
    if (room < 1) continue;
    const vps = pick("vp", schedule === "interleaved" && pp > 1 ? [1, 2, 3, 4, 6, 8].filter((v) => pp * v <= layers) : [1]);
    const zeros = pick("zero", pp === 1 ? [1, 3] : [1]);
    for (const microBatch of microBatches) {
      if (batch % microBatch !== 0) continue;
      if (!dps.has(microBatch)) dps.set(microBatch, divisors(batch / microBatch));
      const fitting = pick("dp", dps.get(microBatch)!.filter((d) => d <= room));
      for (const ep of eps) for (const vp of vps) for (const zero of zeros) {
        const shape: Layout = { dp: 1, tp, cp, pp, vp, ep, zero, microBatch, recompute: "none" };
        const valid = fitting.filter((dp) => layoutProblem(job, { ...shape, dp }) === undefined);
        if (valid.length > 0) for (const recompute of recomputes) found.push({ layout: { ...shape, recompute }, dps: valid });
      }
    }
  }
  return found;
}

const GB = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
const seconds = (s: number) => `${s >= 0.1 ? s.toFixed(2) : s.toPrecision(2)} s`;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

const NAMES: Record<keyof StepEstimate["parts"], string> = {
  compute: "computation", memoryBound: "memory-bound work", tp: "exposed tensor-parallel communication", ep: "exposed expert all-to-all", cp: "exposed context-parallel communication",
  pp: "sends between stages", dp: "exposed gradient and weight exchange", bubble: "pipeline bubble", optimizer: "optimizer", overhead: "kernel launches",
};

/** The best of each kind (tp, cp, pp, vp, ep, recomputation), and the fastest that do not fit. */
function losers(job: Job, best: StepEstimate, fitting: StepEstimate[], over: { layout: Layout; bound: number; memory: MemoryBytes }[], constants: Constants, cache: TimedWorks, most: number): Runner[] {
  const kind = ({ tp, cp, pp, vp, ep, recompute }: Layout) => [tp, cp, pp, vp, ep, recompute].join();
  const seen = new Set([kind(best.layout)]);
  const runners: Runner[] = [];
  for (const step of [...fitting].sort((a, b) => a.stepSeconds - b.stepSeconds)) {
    if (seen.has(kind(step.layout)) || runners.length >= most) continue;
    seen.add(kind(step.layout));
    runners.push({ step, slower: step.stepSeconds / best.stepSeconds - 1, why: whySlower(step, best) });
  }
  const { chip } = job.cluster;
  let shown = 0;
  for (const { layout, memory } of over) {
    if (shown >= 3) break;
    if (seen.has(kind(layout))) continue;
    seen.add(kind(layout));
    const step = estimateStep(job, layout, constants, cache);
    if (step.stepSeconds >= best.stepSeconds) continue;
    shown++;
    const slower = step.stepSeconds / best.stepSeconds - 1;
    runners.push({ step, slower, why: `${layoutText(layout)} would take ${seconds(step.stepSeconds)} (${percent(-slower)} less) but needs ${GB(memory.total)} of the ${GB(chip.hbmBytes)} a ${chip.name} has: ${GB(memory.total - chip.hbmBytes)} too much, ${GB(memory.activations)} of it activations.` });
  }
  return runners;
}

/** The parts in which a layout loses most, with their numbers. */
function whySlower(step: StepEstimate, best: StepEstimate): string {
  const keys = Object.keys(NAMES) as (keyof StepEstimate["parts"])[];
  const lost = keys.map((key) => ({ key, by: step.parts[key] - best.parts[key] })).filter(({ by }) => by > 0).sort((a, b) => b.by - a.by).slice(0, 2);
  const share = (key: keyof StepEstimate["parts"], s: StepEstimate) => (key === "bubble" ? ` (${percent(s.parts.bubble / s.stepSeconds)} of the step)` : "");
  const text = lost.map(({ key }) => `${NAMES[key]} ${seconds(step.parts[key])}${share(key, step)} against ${seconds(best.parts[key])}`).join(", ");
  return `${layoutText(step.layout)} takes ${seconds(step.stepSeconds)}, ${percent(step.stepSeconds / best.stepSeconds - 1)} more: ${text || "the same work on fewer GPUs"}.`;
}

function noCandidate(job: Job, fixed: Partial<Layout>): string {
  const whole: Layout = { dp: 1, tp: 1, cp: 1, pp: 1, vp: 1, ep: 1, zero: 1, microBatch: 1, recompute: "none", ...fixed };
  return layoutProblem(job, whole) ?? `layout: no layout of ${job.cluster.gpus} GPUs divides a batch of ${job.batch} as asked; leave out some of ${Object.keys(fixed).join(", ")}`;
}

function nothingFits(job: Job, over: { layout: Layout; memory: MemoryBytes }[]): string {
  const { chip, gpus } = job.cluster;
  const least = over.reduce((a, b) => (b.memory.total < a.memory.total ? b : a));
  const more = gpus * 2 ** Math.ceil(Math.log2(Math.max(2, least.memory.total / chip.hbmBytes)));
  return `layout: expected ${job.architecture.name} to fit into ${gpus} × ${GB(chip.hbmBytes)} (${chip.name}); the nearest, ${layoutText(least.layout)}, needs ${GB(least.memory.total)} a GPU, ${GB(least.memory.total - chip.hbmBytes)} too much; try about ${more} GPUs or chips of more memory`;
}
