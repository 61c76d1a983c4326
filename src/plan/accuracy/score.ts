import type { Constants } from "../constants.ts";
import { fit } from "./fit.ts";
import { predictSeconds, type Settled } from "./predict.ts";

/** A row predicted by constants that never saw its family. */
export interface Scored {
  settled: Settled;
  seconds: number;
  /** predicted / measured − 1. */
  error: number;
  /** Within the 80 % band that the other families' errors give. */
  inside: boolean;
}

export interface Scoreboard {
  rows: Scored[];
  /** Constants for each family, fitted on the others. */
  constants: Map<string, Constants>;
  /** Measured over predicted, 10th and 90th percentile over all counted rows; and over whole runs. */
  band: { p10: number; p90: number };
  wholeBand: { p10: number; p90: number };
  /** Share of counted rows inside their band. */
  coverage: number;
}

export const median = (values: number[]): number => quantile(values, 0.5);

/** By linear interpolation between order statistics. */
export function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1), low = Math.floor(at);
  return sorted[low]! + (at - low) * ((sorted[low + 1] ?? sorted[low]!) - sorted[low]!);
}

/** 80 % of errors as those of the n others say: quantiles a little further out than 10 and 90 %, so that a new one falls inside in 80 of 100 cases. */
export function bandOf(ratios: number[]): { p10: number; p90: number } {
  const n = ratios.length, out = 0.1 * (1 - 1 / (n + 1)) - 0.5 / (n + 1);
  return { p10: quantile(ratios, Math.max(0, out)), p90: quantile(ratios, Math.min(1, 1 - out)) };
}

/** Every family predicted from the others. `start` is a fit on all rows, from where each fit is a few steps. */
export function scoreFamilies(rows: Settled[], start: Constants): Scoreboard {
  const families = [...new Set(rows.map(({ row }) => row.family))];
  const constants = new Map<string, Constants>();
  for (const family of families) constants.set(family, fit(rows.filter(({ row }) => row.family !== family && !row.apart), { start, iterations: 4 }));
  const predicted = rows.map((settled) => {
    const seconds = predictSeconds(settled, constants.get(settled.row.family)!);
    return { settled, seconds, error: seconds / settled.row.stepSeconds - 1, inside: false };
  });
  const counted = predicted.filter(({ settled }) => !settled.row.apart);
  const ratio = (s: Scored) => 1 / (1 + s.error);
  for (const scored of predicted) {
    const { p10, p90 } = bandOf(counted.filter((s) => s.settled.row.family !== scored.settled.row.family).map(ratio));
    scored.inside = ratio(scored) >= p10 && ratio(scored) <= p90;
  }
  return {
    rows: predicted, constants,
    band: bandOf(counted.map(ratio)),
    wholeBand: bandOf(counted.filter(({ settled }) => settled.row.whole).map(ratio)),
    coverage: counted.filter(({ inside }) => inside).length / counted.length,
  };
}
