/** The planner's errors on families of rows that no constant was fitted on, and the bands made of them. */
import type { Constants } from "../constants.ts";
import { type BandModel, type Trait, traitsOf, WIDTHS, widthOf } from "../widths.ts";
import { fit } from "./fit.ts";
import { predictSeconds, type Settled } from "./predict.ts";

/** A row predicted by constants that never saw its family. */
export interface Scored {
  settled: Settled;
  traits: Trait[];
  seconds: number;
  /** predicted / measured − 1. */
  error: number;
  /** The 80 % band that the other families' errors give: factors on the prediction. */
  band: { p10: number; p90: number };
  /** Whether the measured time lies within it. */
  inside: boolean;
}

export interface Scoreboard {
  rows: Scored[];
  /** Constants for each family, fitted on the others. */
  constants: Map<string, Constants>;
  /** The width of bands for each family, from the others. */
  bandsWithout: Map<string, BandModel>;
  /** The width of bands, from all counted rows. */
  bands: BandModel;
  /** Share of counted rows inside their band. */
  coverage: number;
  slices: Slice[];
}

/** Rows that have something in common, and how many lay inside their bands. */
export interface Slice {
  name: string;
  trait?: Trait;
  rows: number;
  inside: number;
}

export const median = (values: number[]): number => quantile(values, 0.5);

/** By linear interpolation between order statistics. */
export function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1),
    low = Math.floor(at);
  return sorted[low]! + (at - low) * ((sorted[low + 1] ?? sorted[low]!) - sorted[low]!);
}

/** An error: ln(measured / predicted), the row's traits and its family. */
export interface Miss {
  family: string;
  miss: number;
  traits: readonly Trait[];
}

/** Errors that one expects of a trait alone before any row, known to about the factor exp(WIDTH_DOUBT). */
const EXPECTED = { base: 0.08, mixture: 0.2, hopper: 0.07, later: 0.12, searched: 0.12, wholeRun: 0.1 } as const;
const WIDTH_DOUBT = 0.3;

/** Rows of one family err together: each family counts as the square root of its rows. */
function rowWeights(rows: readonly Miss[]): number[] {
  const sizes = new Map<string, number>();
  for (const { family } of rows) sizes.set(family, (sizes.get(family) ?? 0) + 1);
  return rows.map(({ family }) => 1 / Math.sqrt(sizes.get(family)!));
}

/**
 * How wide errors are by what is known of a question: what each trait brings adds to the base by its square, as independent errors do. By the likelihood of errors that fall
 * off exponentially on both sides, with a pull to what is expected; then the 10th and 90th percentile of errors in units of their width, moved outwards as a sample
 * this small asks for (0.9 ÷ the effective number of rows, as conformal prediction has it). Gauss-Newton in the logarithms; deterministic.
 */
export function bandModel(rows: readonly Miss[]): BandModel {
  const raw = rowWeights(rows);
  const sum = raw.reduce((a, b) => a + b, 0);
  const weights = raw.map((w) => (w * rows.length) / sum);
  const model: BandModel = { ...EXPECTED, low: 0, high: 0 };
  for (let iteration = 0; iteration < 400; iteration++) {
    const slope = new Map(WIDTHS.map((key) => [key, Math.log(model[key] / EXPECTED[key]) / WIDTH_DOUBT ** 2]));
    const bend = new Map(WIDTHS.map((key) => [key, 1 / WIDTH_DOUBT ** 2]));
    rows.forEach(({ miss, traits }, i) => {
      const width = widthOf(traits, model);
      const size = Math.abs(miss) / width;
      for (const key of ["base" as const, ...traits]) {
        const share = model[key] ** 2 / width ** 2;
        slope.set(key, slope.get(key)! + weights[i]! * (1 - size) * share);
        bend.set(key, bend.get(key)! + weights[i]! * Math.max(size, 0.5) * share ** 2);
      }
    });
    for (const key of WIDTHS) model[key] *= Math.exp((-0.3 * slope.get(key)!) / bend.get(key)!);
  }
  const effective = sum ** 2 / raw.reduce((a, w) => a + w * w, 0);
  const tail = Math.max(0, 0.1 - 0.9 / effective);
  const scaled = rows
    .map(({ miss, traits }, i) => ({ z: miss / widthOf(traits, model), weight: raw[i]! / sum }))
    .sort((a, b) => a.z - b.z);
  model.low = cut(scaled, tail);
  model.high = cut([...scaled].reverse(), tail);
  return model;
}

/** The value at which the weights so far reach `tail`. */
function cut(sorted: readonly { z: number; weight: number }[], tail: number): number {
  let sum = 0;
  for (const { z, weight } of sorted) if ((sum += weight) >= tail) return z;
  return sorted.at(-1)!.z;
}

/** What is known of a row before it is predicted. */
const rowTraits = ({ row }: Settled): Trait[] =>
  traitsOf(row.job, {
    layoutGiven: row.fixed.tp !== undefined && row.fixed.pp !== undefined,
    wholeRun: row.whole === "run",
  });

/** Every family predicted from the others. `start` is a fit on all rows, from where each fit is a few steps. */
export function scoreFamilies(rows: Settled[], start: Constants): Scoreboard {
  const constants = new Map<string, Constants>();
  for (const family of new Set(rows.map(({ row }) => row.family))) {
    const others = rows.filter(({ row }) => row.family !== family && !row.apart);
    const unseen = rows.every(({ row }) => row.family !== family || row.apart);
    constants.set(family, unseen ? start : fit(others, { start, iterations: 4 }));
  }
  const predicted = rows.map((settled) => {
    const seconds = predictSeconds(settled, constants.get(settled.row.family)!);
    const error = seconds / settled.row.stepSeconds - 1;
    const miss: Miss = { family: settled.row.family, miss: -Math.log1p(error), traits: rowTraits(settled) };
    return { settled, seconds, error, miss };
  });
  const misses = predicted.filter(({ settled }) => !settled.row.apart).map(({ miss }) => miss);
  const models = new Map(
    [...constants.keys()].map((family) => [family, bandModel(misses.filter((m) => m.family !== family))]),
  );
  const scored: Scored[] = predicted.map(({ settled, seconds, error, miss }) => {
    const model = models.get(miss.family)!;
    const z = miss.miss / widthOf(miss.traits, model);
    const band = {
      p10: Math.exp(model.low * widthOf(miss.traits, model)),
      p90: Math.exp(model.high * widthOf(miss.traits, model)),
    };
    return { settled, traits: [...miss.traits], seconds, error, band, inside: z >= model.low && z <= model.high };
  });
  const counted = scored.filter(({ settled }) => !settled.row.apart);
  return {
    rows: scored,
    constants,
    bandsWithout: models,
    bands: bandModel(misses),
    coverage: counted.filter(({ inside }) => inside).length / counted.length,
    slices: slicesOf(counted),
  };
}

/** Coverage of all rows and of those that share a trait, or lack it. */
function slicesOf(rows: Scored[]): Slice[] {
  const has = (trait: Trait) => (s: Scored) => s.traits.includes(trait);
  const slice = (name: string, holds: (s: Scored) => boolean, trait?: Trait): Slice => {
    const of = rows.filter(holds);
    return { name, ...(trait && { trait }), rows: of.length, inside: of.filter(({ inside }) => inside).length };
  };
  const lacks =
    (...traits: Trait[]) =>
    (s: Scored) =>
      traits.every((t) => !s.traits.includes(t));
  return [
    slice("all rows", () => true),
    slice("dense models", lacks("mixture")),
    slice("mixtures of experts", has("mixture"), "mixture"),
    slice("chips before Hopper", lacks("hopper", "later")),
    slice("Hopper", has("hopper"), "hopper"),
    slice("Blackwell", has("later"), "later"),
    slice("published layouts", lacks("searched")),
    slice("searched layouts", has("searched"), "searched"),
    slice("steady states", lacks("wholeRun")),
    slice("whole runs", has("wholeRun"), "wholeRun"),
    slice("rows that came after the time model", (s) => s.settled.row.later === true),
  ];
}
