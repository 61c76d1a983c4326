/** The band around an estimate of hours, and what it rests on. */
import { RESIDUALS } from "./accuracy/residuals.ts";
import type { Source } from "./types.ts";

/** Factors on an estimate of hours: the truth lay between them for 80 of 100 of the published rows that the planner was made on (BAND_RESTS). */
export const HOURS_BAND: { p10: number; p90: number; source: Source } = {
  p10: RESIDUALS.p10,
  p90: RESIDUALS.p90,
  source: {
    title: "Sumbi's error on published runs left out of its fit, docs/accuracy.md",
    date: "2026-11",
    mark: "derived",
  },
};

/** What a band of the planner's rests on, to be said beside it. */
export const BAND_RESTS =
  "The band held 80 of 100 of the published rows that the planner was made on. Of rows that nobody had seen it held fewer; how many is being measured.";

/** What an audit's chance and bands rest on, to be said beside them. */
export const CHANCE_RESTS =
  "Chance and bands rest on rows known when the planner was made; of unseen rows bands held fewer (being measured).";
