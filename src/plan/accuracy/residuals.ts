/** Measured over predicted hours of rows no constant was fitted on: 10th and 90th percentile. Written by `npm run accuracy`. */
export const RESIDUALS = { p10: 0.85, p90: 1.2 } as const;
