/** Layers dealt to pipeline stages so that the slowest is as fast as can be. */
import { ConfigError } from "../errors.ts";
import { type Architecture, layerCount, layerFlops, layerOrder, mtpLayer } from "./architecture.ts";
import type { ScheduleName } from "./types.ts";

/** What one pipeline stage holds: how many layers of each run of the architecture, and the model's ends. */
export interface Stage {
  runs: number[];
  embedding: boolean;
  head: boolean;
  /** The MTP modules sit before the head. */
  mtp: boolean;
}

export interface SplitOptions {
  sequence?: number;
  mtp?: boolean;
}

/** Stages of a schedule: pp · vp, and for DualPipeV two a rank. */
export const stageCount = (schedule: ScheduleName, pp: number, vp: number): number =>
  schedule === "dualpipev" ? 2 * pp : pp * vp;

/** Which stages each pipeline rank holds. DualPipe's rank holds a stage of each direction, the V's rank the two at equal distance from the ends. */
export function stagesOfRank(schedule: ScheduleName, pp: number, vp: number): number[][] {
  return Array.from({ length: pp }, (_, rank) => {
    if (schedule === "dualpipe") return rank === pp - 1 - rank ? [rank] : [rank, pp - 1 - rank];
    if (schedule === "dualpipev") return [rank, 2 * pp - 1 - rank];
    return Array.from({ length: vp }, (_, chunk) => rank + chunk * pp);
  });
}

const cache = new WeakMap<Architecture, Map<string, Stage[]>>();

/**
 * Splits the layers in order over `stages` so that the busiest stage's FLOPs are least, then so that the sum of squares is;
 * the head counts as work, so that stages at the edges hold fewer layers. Every stage holds a layer.
 * Throws ConfigError where there are more stages than layers.
 */
export function stageLayers(
  architecture: Architecture,
  stages: number,
  { sequence = 4096, mtp = false }: SplitOptions = {},
): Stage[] {
  const layers = layerCount(architecture);
  if (stages > layers)
    throw new ConfigError(
      `pipeline: expected at most ${layers} stages, one a layer of ${architecture.name}, got ${stages}`,
    );
  const key = `${stages} ${sequence} ${mtp}`;
  const known = cache.get(architecture)?.get(key);
  if (known) return known;
  const made = split(architecture, stages, sequence, mtp && architecture.mtpDepth > 0);
  if (!cache.has(architecture)) cache.set(architecture, new Map());
  cache.get(architecture)!.set(key, made);
  return made;
}

function split(architecture: Architecture, stages: number, sequence: number, mtp: boolean): Stage[] {
  const { hidden, vocab } = architecture;
  const headFlops = 2 * hidden * vocab;
  const runOf = layerOrder(architecture);
  const flopsOf = architecture.layers.map((run) => layerFlops(run, hidden, { sequence }));
  const flops = runOf.map((run) => flopsOf[run]!);
  const tail =
    headFlops +
    (mtp
      ? architecture.mtpDepth * (layerFlops(mtpLayer(architecture), hidden, { sequence }) + headFlops + 4 * hidden ** 2)
      : 0);
  const ends = partition(flops, stages, tail);
  return ends.map((end, i) => {
    const runs = architecture.layers.map(() => 0);
    for (let l = i === 0 ? 0 : ends[i - 1]; l! < end; l!++) runs[runOf[l!]!]!++;
    const last = i === stages - 1;
    return { runs, embedding: i === 0, head: last, mtp: last && mtp };
  });
}

/**
 * Ends of contiguous non-empty parts: least largest sum, then least sum of squares; the last part also carries `tail`. Of equals the one whose
 * last part begins first, and so on back.
 */
export function partition(flops: readonly number[], parts: number, tail: number): number[] {
  const n = flops.length;
  const until = new Float64Array(n + 1);
  flops.forEach((f, i) => (until[i + 1] = until[i]! + f));
  const cost = (from: number, to: number, part: number) => until[to]! - until[from]! + (part === parts - 1 ? tail : 0);
  const limit = leastLargest(cost, n, parts) * (1 + 1e-9);
  // squares[i]: least sum of squares of parts 0..p over the first i layers; from[p·(n+1) + i]: where the last of them begins.
  let squares = new Float64Array(n + 1).fill(Infinity);
  const from = new Int32Array(parts * (n + 1));
  for (let p = 0; p < parts; p++) {
    const next = new Float64Array(n + 1).fill(Infinity);
    for (let i = p + 1; i <= n - (parts - 1 - p); i++) {
      if (p === 0) {
        const own = cost(0, i, p);
        if (own <= limit) next[i] = own * own;
        continue;
      }
      // Beyond a fair share of the work, a longer last part only costs more, however evenly the others share the rest: then the search ends.
      const fair = cost(0, i, p) / (p + 1);
      for (let j = i - 1; j >= p; j--) {
        const own = cost(j, i, p);
        if (own > limit || (own >= fair && own * own + until[j]! ** 2 / p > next[i]! * (1 + 1e-9))) break;
        const total = own * own + squares[j]!;
        if (total <= next[i]! && total < Infinity) {
          next[i] = total;
          from[p * (n + 1) + i] = j;
        }
      }
    }
    squares = next;
  }
  const ends: number[] = [];
  for (let p = parts - 1, i = n; p >= 0; i = from[p * (n + 1) + i]!, p--) ends.unshift(i);
  return ends;
}

/** The least bound that contiguous non-empty parts can keep: halved down to the number itself, each guess tried by filling parts from the front. */
function leastLargest(cost: (from: number, to: number, part: number) => number, n: number, parts: number): number {
  const keeps = (bound: number): boolean => {
    let from = 0;
    for (let p = 0; p < parts; p++) {
      const most = n - (parts - 1 - p);
      let to = from;
      if (p === parts - 1) return n > from && cost(from, n, p) <= bound;
      while (to < most && cost(from, to + 1, p) <= bound) to++;
      if (to === from) return false;
      from = to;
    }
    return true;
  };
  let low = 0;
  let high = cost(0, n, parts - 1);
  while (true) {
    const middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return keeps(low) ? low : high;
    if (keeps(middle)) high = middle;
    else low = middle;
  }
}
