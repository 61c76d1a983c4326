/** What the final run leaves out: experiments, people, machines; as ranges of money. */
import { owned, PROGRAMME_MULTIPLE } from "../money.ts";
import type { Chip, Source } from "../types.ts";
import { count, percent, trim, usd, whole } from "./figures.ts";
import type { AuditReport, Band, LeftOut, MoneyLine } from "./report.ts";
import type { Subject } from "./subject.ts";

/** How many times the final run's compute a whole programme took, where somebody measured or disclosed it. */
const MULTIPLES: { what: string; times: number; source: Source }[] = [
  {
    what: "OLMo (2024): development took half as much again as training",
    times: 1.5,
    source: {
      title: "Morrison et al., arXiv:2503.05804",
      date: "2025-03-03",
      mark: "primary",
      url: "https://arxiv.org/abs/2503.05804",
    },
  },
  {
    what: "MiniMax and Z.ai, upper end: final runs were 30 % of R&D compute",
    times: 1 / 0.3,
    source: PROGRAMME_MULTIPLE.sources[1],
  },
  {
    what: "Olmo 3: experiments and failed runs were 82.2 % of all compute",
    times: 1 / (1 - 0.822),
    source: {
      title: "Morrison et al., arXiv:2605.01158",
      date: "2026-05",
      mark: "secondary",
      url: "https://arxiv.org/abs/2605.01158",
    },
  },
  { what: "OpenAI 2024: $0.5B of final runs in $5B of R&D compute", times: 10, source: PROGRAMME_MULTIPLE.sources[0] },
];

/** Staff's share of what a frontier model's development cost. */
const STAFF = { from: 0.29, to: 0.49 };
const STAFF_SOURCE: Source = {
  title: "Epoch AI, How much does it cost to train frontier AI models: R&D staff 29 to 49 %",
  date: "2024-06",
  mark: "primary",
  url: "https://epoch.ai/blog/how-much-does-it-cost-to-train-frontier-ai-models",
};

/** Rental of the chip, low to high; the claim's own price is the middle where it states one. */
export interface RentalBand {
  from: number;
  to: number;
  sources: Source[];
}

/** Purchase price of a chip, and whose it is where its own is not known. */
export interface PurchaseBand {
  low: number;
  usd: number;
  high: number;
  whose: string;
  sources: Source[];
}

const Z = 1.2816;

/** Quantiles of a function of independent uniforms, by an additive sequence (no randomness, same answer every time). */
export function quantiles(dimensions: number, value: (u: number[]) => number, points = 4001): Band {
  let root = 2;
  for (let i = 0; i < 60; i++) root = (1 + root) ** (1 / (dimensions + 1));
  const alpha = Array.from({ length: dimensions }, (_, i) => root ** -(i + 1) % 1);
  const values = Float64Array.from({ length: points }, (_, n) =>
    value(alpha.map((a) => (0.5 + (n + 1) * a) % 1)),
  ).sort();
  const at = (share: number) => values[Math.min(points - 1, Math.floor(share * points))]!;
  return { p10: at(0.1), p50: at(0.5), p90: at(0.9) };
}

/** The standard normal's quantile, from a table of 1,024 halvings of the cumulative distribution: good to 1e-3 between 0.1 and 99.9 %. */
export function normalQuantile(p: number): number {
  table ??= Array.from({ length: SLOTS + 1 }, (_, i) => halve(Math.min(Math.max(i / SLOTS, 1e-4), 1 - 1e-4)));
  const at = Math.min(Math.max(p, 0), 1) * SLOTS;
  const i = Math.min(Math.floor(at), SLOTS - 1);
  return table[i]! + (at - i) * (table[i + 1]! - table[i]!);
}
const SLOTS = 1024;
let table: number[] | undefined;

function halve(p: number): number {
  let low = -6,
    high = 6;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Abramowitz and Stegun 7.1.26, good to 1.5e-7. */
function normalCdf(x: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
  const erf =
    1 -
    ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) *
      t *
      Math.exp(-(x * x) / 2);
  return x < 0 ? 0.5 - erf / 2 : 0.5 + erf / 2;
}

/** A value between a band's 10th and 90th percentile and beyond, log-normal on either side of its median. */
const draw = (band: Band, u: number): number => {
  const z = normalQuantile(u);
  const side = z < 0 ? Math.log(band.p50 / band.p10) : Math.log(band.p90 / band.p50);
  return band.p50 * Math.exp((z / Z) * side);
};

/**
 * Three lines that are never one: the final run at a rental price, the whole programme (experiments, failed runs, staff),
 * and what the cluster costs to own, which is another way to pay and not an addition.
 */
export function costs(
  subject: Subject,
  hours: Band,
  rental: RentalBand,
  purchase: PurchaseBand | undefined,
  statedUsd: number | undefined,
): AuditReport["money"] {
  const { claim, chip } = subject;
  const middle = claim.usdPerGpuHour ?? Math.sqrt(rental.from * rental.to);
  const price: Band = {
    p10: Math.min(rental.from, middle * 0.85),
    p50: middle,
    p90: Math.max(rental.to, middle * 1.15),
  };
  const multiple: Band = { p10: PROGRAMME_MULTIPLE.low, p50: PROGRAMME_MULTIPLE.middle, p90: PROGRAMME_MULTIPLE.high };
  const base = claim.standsOn.reduce((a, { gpuHours }) => a + (gpuHours ?? 0), 0);
  const final = quantiles(2, ([h, p]) => draw(hours, h!) * draw(price, p!));
  const whole_ = quantiles(
    4,
    ([h, p, m, s]) =>
      ((draw(hours, h!) + base) * draw(price, p!) * draw(multiple, m!)) /
      (1 - (STAFF.from + s! * (STAFF.to - STAFF.from))),
  );
  const finalRun: MoneyLine = {
    what: "the run itself",
    usd: final,
    how: `${count(hours.p10, 3)} to ${count(hours.p90, 3)} GPU-hours at $${trim(price.p10)} to $${trim(price.p90)}`,
    sources: rental.sources,
  };
  const programme: MoneyLine = {
    what: "the whole programme",
    usd: whole_,
    how: `the run${base > 0 ? ` and what it stands on (${count(base)} hours)` : ""}, × ${trim(multiple.p10, 2)} to ${trim(multiple.p90, 2)} for experiments and failed runs, and staff at ${percent(STAFF.from, 0)} to ${percent(STAFF.to, 0)} of the whole`,
    sources: [...MULTIPLES.map(({ source }) => source), STAFF_SOURCE],
  };
  return {
    stated: statedUsd,
    finalRun,
    programme,
    ownership: claim.gpus && purchase ? ownership(chip, claim.gpus, hours.p50, purchase) : undefined,
    multiples: MULTIPLES,
  };
}

function ownership(chip: Chip, gpus: number, gpuHours: number, price: PurchaseBand): MoneyLine {
  const at = (purchaseUsd: number) => owned({ chip, gpus, gpuHours, purchaseUsd, purchaseSources: price.sources });
  const middle = at(price.usd);
  return {
    what: `buying ${whole(gpus)} ${chip.name}`,
    usd: { p10: at(price.low).capitalUsd, p50: middle.capitalUsd, p90: at(price.high).capitalUsd },
    how: `${usd(price.low)} to ${usd(price.high)} a chip${price.whose === chip.name ? "" : ` (the ${price.whose}'s price)`} with servers and network; over ${middle.years} years of use an hour then costs $${trim(middle.usdPerGpuHour)}, the run ${usd(middle.usd, 3)}`,
    sources: middle.sources,
  };
}

/** What no sum of the claim contains, whether or not it says so. */
export function leftOut({ claim }: Subject): LeftOut[] {
  const stands = claim.standsOn.map(
    ({ what, gpuHours, usd: money }) =>
      `${what}${gpuHours ? `: ${count(gpuHours)} GPU-hours` : ""}${money ? `, ${usd(money)}` : ""}`,
  );
  const unsaid = (what: string): LeftOut => ({ what, said: false });
  return [
    ...stands.map(unsaid),
    ...claim.excludes.map((what) => ({ what, said: true })),
    ...["failed and restarted runs", "data", "staff", "buying the hardware (its hours are priced as rented)"].map(
      unsaid,
    ),
  ];
}
