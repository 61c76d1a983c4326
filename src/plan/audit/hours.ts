/** How far a claim's hours can be believed: independent estimates combined. */
import type { Band, Check, Grade } from "./report.ts";
import { GRADES } from "./report.ts";

/** An estimate that owes nothing to the claim's own hours: expected hours ÷ stated hours, and its spread as a log-normal's sigma. */
export interface Estimate {
  name: string;
  ratio: number;
  sigma: number;
}

/**
 * Chance that a claim's hours are as stated before anything is compared, by how well its own sums fit: from that of a reader who knows nothing of the makers to that of one
 * who trusts figures that fit. The first is reported, since then the chance is what the evidence itself can tell apart.
 */
export const PRIORS: Record<Grade, readonly [number, number]> = {
  ok: [0.5, 0.85],
  aggressive: [0.5, 0.75],
  unshown: [0.3, 0.5],
  broken: [0.1, 0.2],
};
/** "As stated" allows for rounding and for what a meter misses. */
const STATED_SIGMA = 0.04;
/** Otherwise the truth may be anything from a little less (but no less than physics allows) to five times as much, by order of magnitude. */
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

export interface Believed {
  /** Hours as stated, as the claim counts them, and how many of them the planner would add for lost time that the claim leaves out (1: none). */
  stated: number;
  lost: number;
  /** How well the claim's own sums fit. */
  sums: Grade;
  estimates: Estimate[];
  /** Nothing below this share of the stated hours: what kernels or the chips' peak need. */
  floor?: number;
}

/**
 * Probability of the true hours: a mixture of "as stated" and "anything up to five times", weighed by independent estimates, nothing below the floor. Bands are of hours, by
 * the lower prior; `asStated` is the first part's weight, by the lower and by the higher prior.
 */
export function believe({
  stated,
  lost,
  sums,
  estimates,
  floor = 0,
}: Believed): Band & { asStated: number; trusting: number } {
  const evidence = combine(estimates);
  const shift = Math.log(lost);
  const least = Math.max(floor, OTHER.from);
  const [from, to] = [Math.log(least), Math.log(least * (OTHER.to / OTHER.from))];
  const start = Math.log(Math.max(floor, 0.5)),
    end = Math.max(Math.log(8), to);
  // Against the likeliest of these hours: evidence far from all of them would leave nothing but zeros.
  const nearest = evidence ? Math.min(end, Math.max(start, evidence.mean)) : 0;
  const xs: number[] = [];
  const as: number[] = [];
  const other: number[] = [];
  for (let x = start; x <= end; x += STEP) {
    const seen = evidence ? timesAsLikely(x, nearest, evidence) : 1;
    xs.push(x);
    as.push((normal(x, shift, STATED_SIGMA) * seen) / Math.sqrt(2 * Math.PI));
    other.push(x >= from && x <= to ? seen / (to - from) : 0);
  }
  const total = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const [honest, else_] = [total(as), total(other)];
  const chance = (prior: number) => (honest > 0 ? (prior * honest) / (prior * honest + (1 - prior) * else_) : 0);
  const [prior, trusting] = PRIORS[sums];
  const at = (share: number) => {
    const whole = prior * honest + (1 - prior) * else_;
    let run = 0;
    for (let i = 0; i < xs.length; i++)
      if ((run += prior * as[i]! + (1 - prior) * other[i]!) >= share * whole) return stated * Math.exp(xs[i]!);
    return stated * Math.exp(xs.at(-1)!);
  };
  return { p10: at(0.1), p50: at(0.5), p90: at(0.9), asStated: chance(prior), trusting: chance(trusting) };
}

/** Likelihood of the estimates if the hours were `factor` times as many, over that if they are as stated. */
export function likelihoodOfFactor(factor: number, estimates: Estimate[]): number {
  const evidence = combine(estimates);
  if (!evidence) return 1;
  return timesAsLikely(Math.log(factor), 0, evidence);
}

/** Sums of money alone: a wrong price or a rounded product says nothing of the hours. */
export const isOfMoney = ({ id }: Pick<Check, "id">): boolean => id === "price" || id === "dollars-sum";

/** Worst grade of the checks that concern the claim's own sums of hours. */
export function worstOf(checks: Check[], kinds: Check["kind"][]): Grade {
  return checks
    .filter((check) => kinds.includes(check.kind) && check.grade !== "unknown" && !isOfMoney(check))
    .reduce<Grade>(
      (worst, { grade }) => (GRADES.indexOf(grade as Grade) > GRADES.indexOf(worst) ? (grade as Grade) : worst),
      "ok",
    );
}
