/** The search for the fastest layout that fits, from the least bound up. */
import { layerCount } from "./architecture.ts";
import { CONSTANTS, type Constants } from "./constants.ts";
import { divisors, layoutRefusal, layoutRuns, layoutText, MOST_STAGES, UNSPREAD } from "./layouts.ts";
import { PART_NAMES } from "./partNames.ts";
import { type Asked, RefusedError } from "./refusal.ts";
import type { Runner } from "./result.ts";
import { stageCount } from "./stages.ts";
import { busiestRankSeconds, estimateStep, stepMemory, type TimedWorks, usableBytes } from "./step.ts";
import type { Job, Layout, MemoryBytes, StepEstimate } from "./types.ts";

export interface Searched {
  best: StepEstimate;
  /** The best of each other kind of layout, fastest first; at the end those that would be faster but do not fit. */
  runnersUp: Runner[];
  /** Layouts that could run the job, and those that were timed in full. */
  candidates: number;
  timed: number;
}

/** A search that looked at all it may and found nothing: asking again with other schedules or counts would take as long. */
export class SearchEnded extends RefusedError {}

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
  const count = kinds.reduce((sum, { dps }) => sum + dps.length, 0);
  if (count === 0) throw noCandidate(job, fixed);
  // Millions of them in a large question: numbers in arrays, not objects.
  const kindOf = new Int32Array(count),
    dpOf = new Int32Array(count),
    bounds = new Float64Array(count);
  let at = 0;
  kinds.forEach(({ layout, dps }, kind) => {
    let busiest = 0,
      of = 0;
    for (const dp of dps) {
      // With ZeRO-3 a micro-batch's time depends on dp; else it is the same for all.
      if (of === 0 || layout.zero === 3) busiest = busiestRankSeconds(job, { ...layout, dp }, constants, cache);
      of = dp;
      kindOf[at] = kind;
      dpOf[at] = dp;
      bounds[at++] = busiest * (job.batch / (dp * layout.microBatch));
    }
  });
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => bounds[a]! - bounds[b]! || a - b);
  let best: StepEstimate | undefined;
  const fitting: StepEstimate[] = [];
  const over: Over[] = [];
  let least: Over | undefined;
  let effort = 0;
  for (const i of order) {
    const bound = bounds[i]!;
    if (best && bound >= best.stepSeconds) break;
    const layout = { ...kinds[kindOf[i]!]!.layout, dp: dpOf[i]! };
    // A schedule's work goes with the square of its stages.
    effort += 1 + (stageCount(job.schedule, layout.pp, layout.vp) / 64) ** 2;
    if (effort > MOST_EFFORT) {
      if (!best)
        throw new SearchEnded(
          `${nothingFits(job, least)}. Thousands of the fastest of ${count.toLocaleString("en-US")} layouts were looked at; fix a part of it, such as --layout pp=8`,
          TOO_LARGE,
        );
      break;
    }
    const memory = stepMemory(job, layout);
    if (memory.total > usableBytes(job)) {
      const found = { layout, bound, memory };
      if (over.length < MOST_SHOWN) over.push(found);
      if (!least || memory.total < least.memory.total) least = found;
      continue;
    }
    const step = estimateStep(job, layout, constants, cache);
    fitting.push(step);
    if (!best || step.stepSeconds < best.stepSeconds) best = step;
  }
  if (!best) throw new RefusedError(nothingFits(job, least), [...partsOf(fixed), ...TOO_LARGE]);
  return {
    best,
    runnersUp: losers(job, best, fitting, over, constants, cache, runnersUp),
    candidates: count,
    timed: fitting.length,
  };
}

/** A layout that does not fit. */
interface Over {
  layout: Layout;
  bound: number;
  memory: MemoryBytes;
}

/** Layouts of up to 64 stages judged in full at most. Published models' answers stand after some hundreds to 8,000; what needs more is no model of this world. */
const MOST_EFFORT = 24_000;
/** Of those that do not fit, the fastest are kept, to be told of. */
const MOST_SHOWN = 256;
/** Pipelines longer than this are asked about only where a question fixes them. */
const MOST_SEARCHED_PP = 256;
/** Of many divisors of a batch the largest: fewer replicas leave most GPUs idle. */
const MOST_DPS = 64;

const powers = (most: number): number[] =>
  Array.from({ length: Math.floor(Math.log2(Math.max(1, most))) + 1 }, (_, i) => 2 ** i);

/** What each part of a layout may be where the question leaves it open: powers of two and divisors within the cluster. */
function choicesOf({ cluster, architecture, schedule, sequence }: Job) {
  const { gpus } = cluster;
  const node = cluster.tiers[0]!.chips;
  const layers = layerCount(architecture);
  const moe = architecture.layers.find(({ ffn }) => ffn.kind === "moe")?.ffn;
  const perRank = schedule === "dualpipev" ? 2 : 1;
  const depths = new Set([
    ...powers(Math.min(gpus, layers / perRank, MOST_SEARCHED_PP)),
    ...divisors(layers).filter((d) => d * perRank <= layers && d <= gpus && d <= 128),
  ]);
  return {
    tp: powers(Math.min(gpus, node, 16)),
    cp: sequence > 16384 ? powers(Math.min(gpus, 64, sequence / 4096)) : [1],
    pp: [...depths].sort((a, b) => a - b),
    ep: moe?.kind === "moe" ? divisors(moe.experts).filter((d) => (d & (d - 1)) === 0 || d === moe.experts) : [1],
    microBatch: [1, 2, 4, 8],
    recompute: ["none", "selective", "full"] as Layout["recompute"][],
    /** Interleaving and sharding of the weights, by the pipeline's length. */
    vp: (pp: number) =>
      schedule === "interleaved" && pp > 1
        ? [1, 2, 3, 4, 6, 8].filter((v) => pp * v <= Math.min(layers, MOST_STAGES))
        : [1],
    zero: (pp: number): Layout["zero"][] => (pp === 1 ? [1, 3] : [1]),
  };
}

/** All layouts worth asking about, without and with their dp, each valid: the question's parts as they are, the others as `choicesOf` has them. */
function candidates(job: Job, fixed: Partial<Layout>): { layout: Layout; dps: number[] }[] {
  const { cluster, batch } = job;
  const choices = choicesOf(job);
  const pick = <K extends keyof Layout>(key: K, values: Layout[K][]): Layout[K][] =>
    fixed[key] !== undefined ? [fixed[key] as Layout[K]] : values;
  const microBatches = pick("microBatch", choices.microBatch).filter((size) => batch % size === 0);
  const dpsOf = new Map(microBatches.map((size) => [size, divisors(batch / size, cluster.gpus)]));
  const found: { layout: Layout; dps: number[] }[] = [];
  const add = (shape: Layout, dps: number[]): void => {
    const valid = dps.filter((dp) => layoutRuns(job, { ...shape, dp }));
    if (valid.length === 0) return;
    for (const recompute of pick("recompute", choices.recompute))
      found.push({ layout: { ...shape, recompute }, dps: valid });
  };
  for (const tp of pick("tp", choices.tp))
    for (const cp of pick("cp", choices.cp))
      for (const pp of pick("pp", choices.pp)) {
        const room = Math.floor(cluster.gpus / (tp * cp * pp));
        if (room < 1) continue;
        for (const microBatch of microBatches) {
          const fitting = (dpsOf.get(microBatch) ?? []).filter((d) => d <= room).slice(-MOST_DPS);
          const dps = pick("dp", fitting);
          for (const ep of pick("ep", choices.ep))
            for (const vp of pick("vp", choices.vp(pp)))
              for (const zero of pick("zero", choices.zero(pp)))
                add({ ...UNSPREAD, tp, cp, pp, vp, ep, zero, microBatch }, dps);
        }
      }
  return found;
}

const GB = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
const seconds = (s: number) => `${s >= 0.1 ? s.toFixed(2) : s.toPrecision(2)} s`;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

const runner = (step: StepEstimate, best: StepEstimate, reason: string): Runner => ({
  step,
  slower: step.stepSeconds / best.stepSeconds - 1,
  why: `${layoutText(step.layout)} ${reason}`,
  reason,
});

/** The best of each kind (tp, cp, pp, vp, ep, recomputation), and the fastest that do not fit. */
function losers(
  job: Job,
  best: StepEstimate,
  fitting: StepEstimate[],
  over: Over[],
  constants: Constants,
  cache: TimedWorks,
  most: number,
): Runner[] {
  const kind = ({ tp, cp, pp, vp, ep, recompute }: Layout) => [tp, cp, pp, vp, ep, recompute].join();
  const seen = new Set([kind(best.layout)]);
  const runners: Runner[] = [];
  for (const step of [...fitting].sort((a, b) => a.stepSeconds - b.stepSeconds)) {
    if (seen.has(kind(step.layout)) || runners.length >= most) continue;
    seen.add(kind(step.layout));
    runners.push(runner(step, best, whySlower(step, best)));
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
    const less = 1 - step.stepSeconds / best.stepSeconds;
    const needs = `${GB(memory.total)} of the ${GB(chip.hbmBytes)} a ${chip.name} has: ${GB(memory.total - chip.hbmBytes)} too much, ${GB(memory.activations)} of it activations`;
    const reason = `would take ${seconds(step.stepSeconds)} (${percent(less)} less) but needs ${needs}.`;
    runners.push(runner(step, best, reason));
  }
  return runners;
}

/** The parts in which a layout loses most, with their numbers. */
function whySlower(step: StepEstimate, best: StepEstimate): string {
  const keys = Object.keys(PART_NAMES) as (keyof StepEstimate["parts"])[];
  const lost = keys
    .map((key) => ({ key, by: step.parts[key] - best.parts[key] }))
    .filter(({ by }) => by > 0)
    .sort((a, b) => b.by - a.by)
    .slice(0, 2);
  const share = (key: keyof StepEstimate["parts"], s: StepEstimate) =>
    key === "bubble" ? ` (${percent(s.parts.bubble / s.stepSeconds)} of the step)` : "";
  const text = lost
    .map(
      ({ key }) =>
        `${PART_NAMES[key]} ${seconds(step.parts[key])}${share(key, step)} against ${seconds(best.parts[key])}`,
    )
    .join(", ");
  return `takes ${seconds(step.stepSeconds)}, ${percent(step.stepSeconds / best.stepSeconds - 1)} more: ${text || "the same work on fewer GPUs"}.`;
}

/** What a question fixes of a layout. */
const partsOf = (fixed: Partial<Layout>): (keyof Layout)[] =>
  (Object.keys(fixed) as (keyof Layout)[]).filter((key) => fixed[key] !== undefined);

/** What to change where a model is too large for the GPUs. */
const TOO_LARGE: readonly Asked[] = ["gpus", "chip"];

function noCandidate(job: Job, fixed: Partial<Layout>): RefusedError {
  return (
    layoutRefusal(job, { ...UNSPREAD, ...fixed }) ??
    new RefusedError(
      `layout: no layout of ${job.cluster.gpus} GPUs divides a batch of ${job.batch} as asked; leave out some of ${Object.keys(fixed).join(", ")}`,
      [...partsOf(fixed), "batch"],
    )
  );
}

function nothingFits(job: Job, least: Over | undefined): string {
  const { chip, gpus } = job.cluster;
  const where = `layout: expected ${job.architecture.name} to fit into ${gpus} × ${GB(chip.hbmBytes)} (${chip.name})`;
  if (!least) return where;
  const more = gpus * 2 ** Math.ceil(Math.log2(Math.max(2, least.memory.total / chip.hbmBytes)));
  return `${where}; the nearest, ${layoutText(least.layout)}, needs ${GB(least.memory.total)} a GPU, ${GB(least.memory.total - chip.hbmBytes)} too much; try about ${more} GPUs or chips of more memory`;
}
