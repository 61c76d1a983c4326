/** Least squares: the planner's constants fitted to published rows, within their bounds. */
import { BOUNDS, CONSTANT_NAMES, type ConstantName, type Constants } from "../constants.ts";
import { predictSeconds, type Settled } from "./predict.ts";

export interface FitOptions {
  /** Start, and what is kept of constants that are not `vary`. */
  start: Constants;
  vary?: readonly ConstantName[];
  /** Default 6. */
  iterations?: number;
}

/** Strength of the pull to the prior: as much as a residual of 4 % for a quarter of the range. */
const PRIOR = 0.04;
/** Residuals count by their square up to here, beyond by their size. */
const HUBER = 0.15;

/** ln(predicted / measured). */
const residualOf = (settled: Settled, constants: Constants): number =>
  Math.log(predictSeconds(settled, constants) / settled.row.stepSeconds);

/**
 * Constants that explain the rows: least squares of log errors, robust against single rows, every family counting as the square root of its rows, with a pull to
 * what physics expects and never out of its bounds. Gauss-Newton by differences in the logarithms of the constants; deterministic.
 */
export function fit(rows: Settled[], { start, vary = CONSTANT_NAMES, iterations = 6 }: FitOptions): Constants {
  const sizes = new Map<string, number>();
  for (const { row } of rows) sizes.set(row.family, (sizes.get(row.family) ?? 0) + 1);
  const weights = rows.map(({ row }) => Math.sqrt(1 / Math.sqrt(sizes.get(row.family)!)));
  const residuals = (c: Constants) => rows.map((r) => residualOf(r, c));
  const loss = (r: number[], c: Constants) => {
    let sum = 0;
    r.forEach((v, i) => (sum += weights[i]! ** 2 * (Math.abs(v) <= HUBER ? v * v : HUBER * (2 * Math.abs(v) - HUBER))));
    for (const name of vary) sum += pull(name, c[name]) ** 2;
    return sum;
  };
  let at = { ...start },
    r = residuals(at),
    best = loss(r, at);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const step = 0.02;
    const columns = vary.map((name) => {
      const up = at[name] * (1 + step) <= BOUNDS[name].high;
      const h = up ? Math.log(1 + step) : -Math.log(1 + step);
      const moved = residuals({ ...at, [name]: at[name] * Math.exp(h) });
      return moved.map((v, i) => (v - r[i]!) / h);
    });
    const n = vary.length;
    const normal = Array.from({ length: n }, () => new Float64Array(n)),
      right = new Float64Array(n);
    rows.forEach((_, i) => {
      const w = weights[i]! ** 2 * Math.min(1, HUBER / Math.max(1e-12, Math.abs(r[i]!)));
      for (let a = 0; a < n; a++) {
        right[a]! -= w * columns[a]![i]! * r[i]!;
        for (let b = 0; b < n; b++) normal[a]![b]! += w * columns[a]![i]! * columns[b]![i]!;
      }
    });
    vary.forEach((name, a) => {
      const slope = pullSlope(name);
      normal[a]![a]! += slope * slope;
      right[a]! -= slope * pull(name, at[name]);
    });
    // Constants at a bound that want to go beyond stay; the others are solved without them.
    const free = vary.map((_, a) => a);
    let delta = solve(normal, right, free);
    for (let again = 0; again < n; again++) {
      const stuck = free.filter((a) => {
        const { low, high } = BOUNDS[vary[a]!];
        const value = at[vary[a]!];
        return (value >= high * 0.9999 && delta[a]! > 0) || (value <= low * 1.0001 && delta[a]! < 0);
      });
      if (stuck.length === 0) break;
      for (const a of stuck) free.splice(free.indexOf(a), 1);
      delta = solve(normal, right, free);
    }
    let moved = false;
    for (let scale = 1; scale > 0.05; scale /= 2) {
      const next = { ...at };
      vary.forEach((name, a) => {
        const { low, high } = BOUNDS[name];
        next[name] = Math.min(
          high,
          Math.max(low, at[name] * Math.exp(Math.max(-0.5, Math.min(0.5, delta[a]! * scale)))),
        );
      });
      const nextR = residuals(next),
        nextLoss = loss(nextR, next);
      if (nextLoss < best) {
        moved = best - nextLoss > 1e-5 * best;
        at = next;
        r = nextR;
        best = nextLoss;
        break;
      }
    }
    if (!moved) break;
  }
  return at;
}

const pullSlope = (name: ConstantName): number => PRIOR / (Math.log(BOUNDS[name].high / BOUNDS[name].low) / 4);
const pull = (name: ConstantName, value: number): number => pullSlope(name) * Math.log(value / BOUNDS[name].prior);

/** Solves normal·x = right over the indices `free`, 0 elsewhere. */
function solve(normal: Float64Array[], right: Float64Array, free: number[]): Float64Array {
  const n = free.length;
  const m = free.map((a) => [...free.map((b) => normal[a]![b]!), right[a]!]);
  for (let c = 0; c < n; c++) {
    let p = c;
    for (let i = c + 1; i < n; i++) if (Math.abs(m[i]![c]!) > Math.abs(m[p]![c]!)) p = i;
    [m[c], m[p]] = [m[p]!, m[c]!];
    for (let i = 0; i < n; i++) {
      if (i === c) continue;
      const f = m[i]![c]! / m[c]![c]!;
      for (let j = c; j <= n; j++) m[i]![j]! -= f * m[c]![j]!;
    }
  }
  const x = new Float64Array(right.length);
  free.forEach((a, i) => (x[a] = m[i]![n]! / m[i]![i]!));
  return x;
}
