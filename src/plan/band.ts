import { RESIDUALS } from "./accuracy/residuals.ts";
import type { Source } from "./types.ts";

/** Factors on an estimate of hours: the truth lay between them for 80 of 100 published rows that no constant was fitted on. */
export const HOURS_BAND: { p10: number; p90: number; source: Source } = {
  p10: RESIDUALS.p10,
  p90: RESIDUALS.p90,
  source: { title: "Sumbi's error on published runs left out of its fit, docs/accuracy.md", date: "2026-11", mark: "derived" },
};
