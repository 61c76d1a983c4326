/** Layouts of a job: how many GPUs they take, whether they are possible, how they are written. */
import { layerCount } from "./architecture.ts";
import { type Asked, RefusedError } from "./refusal.ts";
import { shapeProblem } from "./schedule/index.ts";
import { stageCount } from "./stages.ts";
import type { Job, Layout } from "./types.ts";

/** Nothing spread: what a layout is where nobody says more. */
export const UNSPREAD: Layout = {
  dp: 1,
  tp: 1,
  cp: 1,
  pp: 1,
  vp: 1,
  ep: 1,
  zero: 1,
  microBatch: 1,
  recompute: "none",
};

export const layoutGpus = ({ dp, tp, cp, pp }: Layout): number => dp * tp * cp * pp;

/** "dp 128 · pp 16 · ep 64 · ZeRO-1 · micro-batch 1": what is 1 is left out. */
export function layoutText(layout: Layout): string {
  const sizes = (["dp", "tp", "cp", "pp", "vp", "ep"] as const)
    .filter((key) => layout[key] > 1)
    .map((key) => `${key} ${layout[key]}`);
  const redo = layout.recompute === "none" ? [] : [`${layout.recompute} recomputation`];
  return [
    ...sizes,
    ...(layout.zero > 0 ? [`ZeRO-${layout.zero}`] : []),
    `micro-batch ${layout.microBatch}`,
    ...redo,
  ].join(" · ");
}

/** Divisors of n up to `most`, rising. */
export function divisors(n: number, most = n): number[] {
  const low: number[] = [],
    high: number[] = [];
  for (let d = 1; d * d <= n && d <= most; d++)
    if (n % d === 0) {
      low.push(d);
      if (d * d !== n && n / d <= most) high.push(n / d);
    }
  return [...low, ...high.reverse()];
}

/** Nobody asks for a larger part of a layout; what is near is looked for up to here. */
const MOST_PARTS = 2 ** 20;
/** A model is cut into at most so many stages: the schedule is played event by event, and no published run has had more than a quarter of this. */
export const MOST_STAGES = 512;

const nearestOf = (values: number[], to: number): string => {
  const below = values.filter((v) => v < to).at(-1),
    above = values.find((v) => v > to);
  const both = [below, above].filter((v) => v !== undefined);
  return both.length === 2
    ? `the nearest that work are ${both[0]} and ${both[1]}`
    : `the nearest that works is ${both[0] ?? 1}`;
};
const nearestDivisor = (n: number, to: number): string => nearestOf(divisors(n, MOST_PARTS), to);

/** What is wrong with a layout. It is put into words only when asked: looking for what is near takes longer than judging. */
interface LayoutFault {
  about: readonly Asked[];
  says: () => string;
}

/** Why a layout cannot run a job, with the nearest that can; undefined where it can. Memory is another question. */
export const layoutProblem = (job: Job, layout: Layout): string | undefined => faultOf(job, layout)?.says();

/** The same as an error to throw, which knows what it is about. */
export function layoutRefusal(job: Job, layout: Layout): RefusedError | undefined {
  const fault = faultOf(job, layout);
  return fault && new RefusedError(fault.says(), fault.about);
}

/** Whether a layout can run a job: what a search asks of thousands, without looking for what is near. */
export const layoutRuns = (job: Job, layout: Layout): boolean => faultOf(job, layout) === undefined;

const fault = (about: readonly Asked[], says: () => string): LayoutFault => ({ about, says });

function faultOf(job: Job, layout: Layout): LayoutFault | undefined {
  const { architecture, cluster } = job;
  for (const key of ["dp", "tp", "cp", "pp", "vp", "ep", "microBatch"] as const) {
    const value = layout[key];
    if (!Number.isSafeInteger(value) || value < 1)
      return fault(
        [key],
        () =>
          `layout: ${key}: expected a whole number of 1 or more, got ${value}; the nearest is ${Math.max(1, Math.round(value) || 1)}`,
      );
  }
  const { dp, tp, cp, pp, vp, ep, microBatch } = layout;
  const gpus = layoutGpus(layout);
  if (gpus > cluster.gpus)
    return fault(["dp", "tp", "cp", "pp", "gpus"], () => {
      const fit = Math.floor(cluster.gpus / (tp * cp * pp));
      const instead = fit > 0 ? `dp ${fit} fits` : `tp · cp · pp alone is ${tp * cp * pp}`;
      return `layout: expected dp · tp · cp · pp of at most the ${cluster.gpus} GPUs, got ${dp} · ${tp} · ${cp} · ${pp} = ${gpus}; ${instead}`;
    });
  if (job.batch % (dp * microBatch) !== 0)
    return fault(["batch", "dp", "microBatch"], () => {
      const rows = dp * microBatch;
      const below = Math.floor(job.batch / rows) * rows,
        above = below + rows;
      const fitting = divisors(job.batch, MOST_PARTS)
        .filter((d) => d % microBatch === 0)
        .map((d) => d / microBatch);
      const dps = fitting.length > 0 ? ` (or dp: ${nearestOf(fitting, dp)})` : "";
      return `batch: expected a multiple of dp · micro-batch = ${dp} · ${microBatch} = ${rows}, got ${job.batch}; ${below > 0 ? `the nearest that work are ${below} and ${above}` : `the nearest that works is ${above}`}${dps}`;
    });
  if (job.sequence % (cp * (job.sequenceParallel === false ? 1 : tp)) !== 0)
    return fault(
      ["sequence", "cp", "tp"],
      () =>
        `sequence: expected a multiple of cp · tp = ${cp * tp}, got ${job.sequence}; the nearest that works is ${Math.ceil(job.sequence / (cp * tp)) * cp * tp}`,
    );
  for (const { attention, ffn } of architecture.layers) {
    if (attention.heads % tp !== 0)
      return fault(
        ["tp"],
        () =>
          `layout: tp: expected a divisor of the ${attention.heads} heads of ${architecture.name}, got ${tp}; ${nearestDivisor(attention.heads, tp)}`,
      );
    const width = ffn.kind === "dense" ? ffn.width : Math.max(ffn.width * ffn.shared, tp);
    if (width % tp !== 0)
      return fault(
        ["tp"],
        () =>
          `layout: tp: expected a divisor of the feed-forward width ${width} of ${architecture.name}, got ${tp}; ${nearestDivisor(width, tp)}`,
      );
    if (ffn.kind === "moe" && ffn.experts % ep !== 0)
      return fault(
        ["ep"],
        () =>
          `layout: ep: expected a divisor of the ${ffn.experts} experts of ${architecture.name}, got ${ep}; ${nearestDivisor(ffn.experts, ep)}`,
      );
  }
  if (ep > 1 && !architecture.layers.some(({ ffn }) => ffn.kind === "moe"))
    return fault(
      ["ep"],
      () => `layout: ep: expected 1, since ${architecture.name} has no experts, got ${ep}; the nearest that works is 1`,
    );
  if ((dp * cp * tp) % ep !== 0)
    return fault(
      ["ep"],
      () =>
        `layout: ep: expected a divisor of dp · cp · tp = ${dp * cp * tp}, got ${ep}; ${nearestDivisor(dp * cp * tp, ep)}`,
    );
  const stages = stageCount(job.schedule, pp, vp),
    layers = layerCount(architecture),
    most = Math.min(layers, MOST_STAGES);
  if (stages > most)
    return fault(["pp", "vp"], () => {
      const what =
        stages > layers
          ? `at most ${layers} stages, one a layer of ${architecture.name}`
          : `at most ${MOST_STAGES} stages`;
      return `layout: pp: expected ${what}, got ${stages} (pp ${pp}${vp > 1 ? ` · vp ${vp}` : ""}); the nearest that works is pp ${Math.max(1, Math.floor(most / (stages / pp)))}`;
    });
  const problem = shapeProblem({ schedule: job.schedule, pp, vp, microBatches: job.batch / (dp * microBatch) });
  return problem === undefined ? undefined : fault(["schedule", "pp", "vp", "batch"], () => problem);
}
