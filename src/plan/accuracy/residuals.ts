/** The planner's measured error, written by `npm run accuracy`. */

/**
 * Measured over predicted time of rows on whose family no constant was fitted: 10th and 90th percentile, families weighing the same.
 * A prediction times these is its 80 % band; `wholeRuns` are those judged by their GPU-hours.
 */
export const RESIDUALS = {
  p10: 0.864,
  p90: 1.157,
  wholeRuns: { p10: 0.864, p90: 1.157 },
  rows: 82,
  coverage: 0.805,
} as const;
