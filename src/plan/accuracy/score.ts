/** The planner's errors on families of rows that no constant was fitted on, and the band made of them. */
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
  const at = q * (sorted.length - 1),
    low = Math.floor(at);
  return sorted[low]! + (at - low) * ((sorted[low + 1] ?? sorted[low]!) - sorted[low]!);
}

/**
 * The band that holds 80 % of what new sources publish: 10th and 90th percentile of measured over predicted, every family weighing the same (rows of one family
 * err together), moved outwards by half a row of the mean family as a sample this small asks for.
 */
export function bandOf(rows: { family: string; ratio: number }[]): { p10: number; p90: number } {
  const sizes = new Map<string, number>();
  for (const { family } of rows) sizes.set(family, (sizes.get(family) ?? 0) + 1);
  const sorted = rows
    .map(({ family, ratio }) => ({ ratio, weight: 1 / sizes.get(family)! / sizes.size }))
    .sort((a, b) => a.ratio - b.ratio);
  const tail = 0.1 - 0.5 / rows.length;
  const from = (list: typeof sorted) => {
    let sum = 0;
    for (const { ratio, weight } of list) if ((sum += weight) >= tail) return ratio;
    return list.at(-1)!.ratio;
  };
  return { p10: from(sorted), p90: from([...sorted].reverse()) };
}

/** Every family predicted from the others. `start` is a fit on all rows, from where each fit is a few steps. */
export function scoreFamilies(rows: Settled[], start: Constants): Scoreboard {
  const families = [...new Set(rows.map(({ row }) => row.family))];
  const constants = new Map<string, Constants>();
  for (const family of families)
    constants.set(
      family,
      fit(
        rows.filter(({ row }) => row.family !== family && !row.apart),
        { start, iterations: 4 },
      ),
    );
  const predicted = rows.map((settled) => {
    const seconds = predictSeconds(settled, constants.get(settled.row.family)!);
    return { settled, seconds, error: seconds / settled.row.stepSeconds - 1, inside: false };
  });
  const counted = predicted.filter(({ settled }) => !settled.row.apart);
  const ratio = (s: Scored) => 1 / (1 + s.error);
  const point = (s: Scored) => ({ family: s.settled.row.family, ratio: ratio(s) });
  for (const scored of predicted) {
    const { p10, p90 } = bandOf(counted.filter((s) => s.settled.row.family !== scored.settled.row.family).map(point));
    scored.inside = ratio(scored) >= p10 && ratio(scored) <= p90;
  }
  return {
    rows: predicted,
    constants,
    band: bandOf(counted.map(point)),
    wholeBand: bandOf(counted.filter(({ settled }) => settled.row.whole).map(point)),
    coverage: counted.filter(({ inside }) => inside).length / counted.length,
  };
}
