import type { Job, Source } from "./types.ts";

export interface HoursBand {
  /** Factors on the estimate: true hours lie between them 80 times in 100. */
  p10: number;
  p90: number;
  sources: Source[];
}

/** The band of an estimate. */
export function bandOf(_job: Job): HoursBand {
  return {
    p10: 0.8, p90: 1.25,
    sources: [{ title: "Sumbi's error on published runs, docs/accuracy.md", date: "2026-11", mark: "derived" }],
  };
}
