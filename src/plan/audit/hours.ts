/** How far a claim's hours can be believed: independent estimates combined. */
import type { Band, Check, Grade } from "./report.ts";
import { GRADES } from "./report.ts";

/** An estimate that owes nothing to the claim's own hours: expected hours ÷ stated hours, and its spread as a log-normal's sigma. */
export interface Estimate {
  name: string;
  ratio: number;
  sigma: number;
}

/** Chance that a claim's hours are as stated before anything is compared, by how well its own sums fit. */
export const PRIOR: Record<Grade, number> = { ok: 0.85, aggressive: 0.75, unshown: 0.5, broken: 0.2 };
/** "As stated" allows for rounding and for what a meter misses. */
const STATED_SIGMA = 0.04;
/** Lost time that a claim with none in it leaves out: half of the tenth that others at most lose. */
const LOST = 1.05;
/** Otherwise the truth may be anything from a little less to five times as much, by order of magnitude. */
const OTHER = { from: 0.9, to: 5 };
/** Error that all estimates share: they all take public speeds for what is possible, on the same chips, by the same FLOP count. */
const COMMON_SIGMA = 0.2;
const STEP = 0.002;

/** Estimates as one: weighted by certainty, the shared error kept. Undefined without any. */
export function combine(estimates: Estimate[]): { mean: number; sigma: number } | undefined {
  if (estimates.length === 0) return undefined;
  const weight = estimates.reduce((a, { sigma }) => a + sigma ** -2, 0);
  const mean = estimates.reduce((a, { ratio, sigma }) => a + Math.log(ratio) * sigma ** -2, 0) / weight;
  return { mean, sigma: Math.sqrt(1 / weight + COMMON_SIGMA ** 2) };
}

const normal = (x: number, mean: number, sigma: number) => Math.exp(-0.5 * ((x - mean) / sigma) ** 2) / sigma;

/** How many times as likely the evidence is at x as at y; of logarithms, so that two impossible ones still compare. */
const timesAsLikely = (x: number, y: number, { mean, sigma }: { mean: number; sigma: number }): number =>
  Math.exp(Math.min(700, 0.5 * (((y - mean) / sigma) ** 2 - ((x - mean) / sigma) ** 2)));

/**
 * Probability of the true hours: a mixture of "as stated" and "anything up to five times", weighed by independent estimates;
 * nothing below `floor` × stated (what the published kernels need). Bands are of hours; `asStated` is the first part's weight.
 */
export function believe(
  stated: number,
  sums: Grade,
  lostTimeMissing: boolean,
  estimates: Estimate[],
  floor = 0,
): Band & { asStated: number } {
  const evidence = combine(estimates);
  const shift = lostTimeMissing ? Math.log(LOST) : 0;
  const [from, to] = [Math.log(OTHER.from), Math.log(OTHER.to)];
  const xs: number[] = [];
  const mass: number[] = [];
  let honest = 0;
  let sum = 0;
  // Against the likeliest of these hours: evidence far from all of them would leave nothing but zeros.
  const nearest = evidence ? Math.min(Math.log(8), Math.max(Math.log(Math.max(floor, 0.5)), evidence.mean)) : 0;
  for (let x = Math.log(0.5); x <= Math.log(8); x += STEP) {
    if (x < Math.log(Math.max(floor, 1e-9))) continue;
    const seen = evidence ? timesAsLikely(x, nearest, evidence) : 1;
    const as = (PRIOR[sums] * normal(x, shift, STATED_SIGMA) * seen) / Math.sqrt(2 * Math.PI);
    const other = x >= from && x <= to ? ((1 - PRIOR[sums]) / (to - from)) * seen : 0;
    honest += as;
    sum += as + other;
    xs.push(x);
    mass.push(as + other);
  }
  if (sum === 0) return { p10: stated * floor, p50: stated * floor, p90: stated * floor, asStated: 0 };
  const at = (share: number) => {
    let run = 0;
    for (let i = 0; i < xs.length; i++) if ((run += mass[i]!) >= share * sum) return stated * Math.exp(xs[i]!);
    return stated * Math.exp(xs.at(-1)!);
  };
  return { p10: at(0.1), p50: at(0.5), p90: at(0.9), asStated: honest / sum };
}

/** Likelihood of the estimates if the hours were `factor` times as many, over that if they are as stated. */
export function likelihoodOfFactor(factor: number, estimates: Estimate[]): number {
  const evidence = combine(estimates);
  if (!evidence) return 1;
  return timesAsLikely(Math.log(factor), 0, evidence);
}

/** Worst grade of the checks that concern the claim's own sums. */
export function worstOf(checks: Check[], kinds: Check["kind"][]): Grade {
  return checks
    .filter(({ kind, grade }) => kinds.includes(kind) && grade !== "unknown")
    .reduce<Grade>(
      (worst, { grade }) => (GRADES.indexOf(grade as Grade) > GRADES.indexOf(worst) ? (grade as Grade) : worst),
      "ok",
    );
}
