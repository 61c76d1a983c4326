/** A run's records as curves: quantities, axes, smoothing, overlays. */
import { duration, figure, percent, short } from "../ui/format.ts";
import type { Curve } from "./Chart.tsx";
import { type RunLog, type StepRecord, smooth } from "./log.ts";

export type Axis = "step" | "tokens" | "seconds";
export const AXES: { axis: Axis; name: string; format: (v: number) => string }[] = [
  { axis: "step", name: "step", format: (v) => v.toLocaleString("en-US", { maximumFractionDigits: 0 }) },
  { axis: "tokens", name: "tokens", format: (v) => short(v) },
  { axis: "seconds", name: "time", format: (v) => duration(v) },
];

/** A quantity that is logged at every step, and how it is shown. */
export interface Quantity {
  key: keyof StepRecord;
  title: string;
  help: string;
  format: (v: number) => string;
  /** Noisy from step to step: shown smoothed, with the raw curve faint behind it. */
  noisy?: boolean;
  log?: boolean;
}

export const QUANTITIES: Quantity[] = [
  {
    key: "lr",
    title: "Learning rate",
    help: "The step size of the optimizer, by the recipe's schedule",
    format: figure,
  },
  {
    key: "gradNorm",
    title: "Gradient norm",
    help: "Length of the whole gradient before clipping; spikes tell of trouble",
    format: figure,
    noisy: true,
  },
  {
    key: "tokensPerSecond",
    title: "Tokens per second",
    help: "Tokens trained on per second",
    format: (v) => short(v),
    noisy: true,
  },
  {
    key: "gemmShare",
    title: "Share of GEMM peak",
    help: "Useful arithmetic against what this machine's f32 matrix product reached when measured; int8 may pass it",
    format: percent,
    noisy: true,
  },
  {
    key: "mtpLoss",
    title: "MTP loss",
    help: "Loss of predicting the token after the next (multi-token prediction)",
    format: figure,
    noisy: true,
  },
  {
    key: "balanceLoss",
    title: "Balance loss",
    help: "The small sequence-wise term that keeps experts evenly used",
    format: figure,
    noisy: true,
  },
  {
    key: "batch",
    title: "Batch",
    help: "Sequences per step",
    format: (v) => v.toLocaleString("en-US", { maximumFractionDigits: 1 }),
  },
];

/** The x of each step on an axis; missing values take the one before. */
export function xOf(steps: readonly StepRecord[], axis: Axis): number[] {
  let last = 0;
  return steps.map((s) => (last = s[axis] ?? last));
}

const column = (steps: readonly StepRecord[], key: keyof StepRecord): (number | null)[] =>
  steps.map((s) => (typeof s[key] === "number" && Number.isFinite(s[key]) ? (s[key] as number) : null));

/** Whether a run logged a quantity at all, and more than one value of it where a constant tells nothing. */
export function has(log: RunLog, key: keyof StepRecord): boolean {
  if (key !== "batch") return log.steps.some((s) => s[key] != null);
  return new Set(log.steps.map((s) => s.batch)).size > 1;
}

export function quantityCurves(log: RunLog, quantity: Quantity, weight: number, color: string): Curve[] {
  const values = column(log.steps, quantity.key);
  if (!quantity.noisy || weight === 0) return [{ name: "now", color, values }];
  return [
    { name: "raw", color, values, look: "faint" },
    { name: "now", color, values: smooth(values, weight) },
  ];
}

/** Held-out losses on the x of the steps: each at the first logged step that is not before it. */
export function heldOut(log: RunLog): (number | null)[] {
  const values: (number | null)[] = log.steps.map(() => null);
  let at = 0;
  for (const record of log.evals) {
    while (at < log.steps.length - 1 && log.steps[at]!.step < record.step) at++;
    if (log.steps.length > 0) values[at] = record.loss;
  }
  return values;
}

export function lossCurves(log: RunLog, weight: number, colors: readonly string[]): Curve[] {
  const key = has(log, "mainLoss") ? "mainLoss" : "loss";
  const values = column(log.steps, key);
  const curves: Curve[] = weight > 0 ? [{ name: "raw", color: colors[0]!, values, look: "faint" }] : [];
  curves.push({ name: "train", color: colors[0]!, values: smooth(values, weight) });
  if (log.evals.length > 0) curves.push({ name: "held-out", color: colors[1]!, values: heldOut(log), look: "dots" });
  return curves;
}

/** Several runs on one x: the union of theirs, each with gaps where it has no step there. */
export function overlay(runs: readonly { x: number[]; values: (number | null)[] }[]): {
  x: number[];
  columns: (number | null)[][];
} {
  const x = [...new Set(runs.flatMap((run) => run.x))].sort((a, b) => a - b);
  const place = new Map(x.map((v, i) => [v, i]));
  const columns = runs.map((run) => {
    const out: (number | null)[] = x.map(() => null);
    run.x.forEach((v, i) => (out[place.get(v)!] = run.values[i]!));
    return out;
  });
  return { x, columns };
}

export { column };
