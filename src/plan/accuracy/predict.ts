/** What the planner says of a published row of speed. */
import type { Constants } from "../constants.ts";
import { layoutProblem } from "../layouts.ts";
import { searchLayouts } from "../search.ts";
import { stepDetails, stepMemory, usableBytes } from "../step.ts";
import type { Job, Layout } from "../types.ts";
import type { Row } from "./rows.ts";

const RECOMPUTES = ["none", "selective", "full"] as const;

/** A row's layout: what the source fixes, the rest searched within memory. Where all but recomputation is known, the least that fits. */
export function layoutOf(row: Row, constants: Constants): Layout {
  const { job, fixed } = row;
  const known = Object.fromEntries(Object.entries(fixed).filter(([, v]) => v !== undefined)) as Partial<Layout>;
  const whole = (["dp", "tp", "cp", "pp", "vp", "ep", "zero", "microBatch"] as const).every(
    (key) => known[key] !== undefined,
  );
  if (!whole) return searchLayouts(job, known, { constants, runnersUp: 0 }).best.layout;
  if (known.recompute) return known as Layout;
  const all = RECOMPUTES.map((recompute) => ({ ...known, recompute }) as Layout);
  return (
    all.find(
      (layout) => layoutProblem(job, layout) === undefined && stepMemory(job, layout).total <= usableBytes(job),
    ) ?? all[1]!
  );
}

/** Rows with their layouts settled, so that a fit varies constants alone. */
export interface Settled {
  row: Row;
  layout: Layout;
}

export const settle = (rows: Row[], constants: Constants): Settled[] =>
  rows.map((row) => ({ row, layout: layoutOf(row, constants) }));

/** Predicted seconds of a step; of a whole run with what such runs lose. */
export function predictSeconds({ row, layout }: Settled, constants: Constants): number {
  const { stepSeconds } = stepDetails(row.job as Job, layout, constants).estimate;
  return row.whole === "run" ? stepSeconds / constants.wholeRunShare : stepSeconds;
}
