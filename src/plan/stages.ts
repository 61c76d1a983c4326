import { ConfigError } from "../errors.ts";
import { layerCount, layerFlops, mtpLayer, type Architecture } from "./architecture.ts";
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
export const stageCount = (schedule: ScheduleName, pp: number, vp: number): number => (schedule === "dualpipev" ? 2 * pp : pp * vp);

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
export function stageLayers(architecture: Architecture, stages: number, { sequence = 4096, mtp = false }: SplitOptions = {}): Stage[] {
  const layers = layerCount(architecture);
  if (stages > layers)
    throw new ConfigError(`pipeline: expected at most ${layers} stages, one a layer of ${architecture.name}, came ${stages}`);
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
  const attended = (sequence + 1) / 2;
  const headFlops = 2 * hidden * vocab;
  const runOf: number[] = [];
  const flops: number[] = [];
  architecture.layers.forEach((run, r) => {
    for (let i = 0; i < run.count; i++) {
      runOf.push(r);
      flops.push(layerFlops(run, hidden, attended));
    }
  });
  const tail = headFlops + (mtp ? architecture.mtpDepth * (layerFlops(mtpLayer(architecture), hidden, attended) + headFlops + 4 * hidden ** 2) : 0);
  const ends = partition(flops, stages, tail);
  return ends.map((end, i) => {
    const runs = architecture.layers.map(() => 0);
    for (let l = i === 0 ? 0 : ends[i - 1]; l < end; l++) runs[runOf[l]]++;
    const last = i === stages - 1;
    return { runs, embedding: i === 0, head: last, mtp: last && mtp };
  });
}

/** Ends of contiguous non-empty parts: least largest sum, then least sum of squares; the last part also carries `tail`. */
function partition(flops: number[], parts: number, tail: number): number[] {
  const n = flops.length;
  const until = [0];
  for (const f of flops) until.push(until.at(-1)! + f);
  const cost = (from: number, to: number, part: number) => until[to] - until[from] + (part === parts - 1 ? tail : 0);
  // worst[p][i]: least possible largest sum of parts 0..p over the first i layers
  const worst = Array.from({ length: parts }, () => new Float64Array(n + 1).fill(Infinity));
  for (let p = 0; p < parts; p++)
    for (let i = p + 1; i <= n - (parts - 1 - p); i++)
      if (p === 0) worst[p][i] = cost(0, i, p);
      else for (let j = p; j < i; j++) worst[p][i] = Math.min(worst[p][i], Math.max(worst[p - 1][j], cost(j, i, p)));
  const limit = worst[parts - 1][n] * (1 + 1e-9);
  const squares = Array.from({ length: parts }, () => new Float64Array(n + 1).fill(Infinity));
  const from = Array.from({ length: parts }, () => new Int32Array(n + 1));
  for (let p = 0; p < parts; p++)
    for (let i = p + 1; i <= n - (parts - 1 - p); i++)
      for (let j = p === 0 ? 0 : p; j < (p === 0 ? 1 : i); j++) {
        const own = cost(j, i, p);
        if (own > limit) continue;
        const total = own * own + (p === 0 ? 0 : squares[p - 1][j]);
        if (total < squares[p][i]) {
          squares[p][i] = total;
          from[p][i] = j;
        }
      }
  const ends: number[] = [];
  for (let p = parts - 1, i = n; p >= 0; i = from[p][i], p--) ends.unshift(i);
  return ends;
}
