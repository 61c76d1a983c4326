/** Prices of chips for rent and for sale, and exchange rates, with sources and dates. */
import { ConfigError } from "../errors.ts";
import { CHIPS } from "./chips.ts";
import { SOURCES } from "./sources.ts";
import type { Chip, Source } from "./types.ts";

/** Who rents out: clouds of the very large, those that live on chips, what a lab reckons for its own. */
export type Provider = "hyperscaler" | "neocloud" | "marketplace" | "index" | "own";
export type Currency = "USD" | "RMB" | "KRW";

/** What an hour of one chip was let for, in the currency it was quoted in. */
export interface RentalPrice {
  chip: string;
  provider: Provider;
  /** YYYY-MM-DD, as exact as known. */
  date: string;
  currency: Currency;
  low: number;
  high: number;
  source: Source;
}

const mercatus: Source = {
  title: "Mercatus AI, cloud GPU prices",
  date: "2026-05",
  mark: "secondary",
  url: "https://www.mercatus-ai.com/blog/cloud-gpu-pricing",
};
const aimultiple: Source = {
  title: "AIMultiple, GPU rental index over 58 providers",
  date: "2026-05-20",
  mark: "secondary",
  url: "https://aimultiple.com/gpu-index",
};
const spheron: Source = {
  title: "Spheron, prices by chip",
  date: "2026-03-08",
  mark: "secondary",
  url: "https://www.spheron.network/blog/rtx-5090-vs-h100-vs-b200",
};
const lists: Source = {
  title: "price lists as gathered by compux.net, packet.ai and Mercatus",
  date: "2026",
  mark: "secondary",
};
const semianalysis: Source = { title: "SemiAnalysis, H100 rental index", date: "2026-03", mark: "secondary" };
const epoch: Source = {
  title: "Epoch AI, cloud prices of the H100 in March 2025",
  date: "2025-03",
  mark: "primary",
  url: "https://epoch.ai/",
};
const remembered: Source = { title: "usual prices, as remembered", date: "2026", mark: "unconfirmed" };

const usd = (
  chip: string,
  provider: Provider,
  date: string,
  low: number,
  high: number,
  source: Source,
): RentalPrice => ({ chip, provider, date, currency: "USD", low, high, source });
const rmb = (chip: string, price: number, mark: Source = SOURCES.ling): RentalPrice => ({
  chip,
  provider: "own",
  date: "2025-03",
  currency: "RMB",
  low: price,
  high: price,
  source: mark,
});
const byShape: Source = {
  ...SOURCES.ling,
  mark: "derived",
  title: `${SOURCES.ling.title}; the chip is told by its rates only`,
};

export const RENTAL_PRICES: readonly RentalPrice[] = [
  usd("a100-80", "marketplace", "2026-05", 0.8, 1.1, mercatus),
  usd("a100-80", "neocloud", "2026-05", 1.1, 1.5, mercatus),
  usd("a100-80", "hyperscaler", "2026-05", 1.5, 3, mercatus),
  usd("h100", "marketplace", "2026-05", 1.99, 2.5, mercatus),
  usd("h100", "neocloud", "2026-05", 2.5, 3.5, mercatus),
  usd("h100", "hyperscaler", "2026-05", 3.5, 6.9, lists),
  usd("h100", "index", "2026-05-20", 2.95, 2.95, aimultiple),
  usd("h100", "index", "2025-10", 1.7, 1.7, semianalysis),
  usd("h100", "index", "2026-03", 2.35, 2.35, semianalysis),
  usd("h100", "hyperscaler", "2025-03", 10, 12.29, epoch),
  usd("h100-pcie", "marketplace", "2026-03", 2.11, 2.11, spheron),
  usd("h200", "marketplace", "2026-05", 2.5, 3.5, mercatus),
  usd("h200", "neocloud", "2026-05", 3.5, 4.5, mercatus),
  usd("h200", "hyperscaler", "2026-05", 4.5, 10, lists),
  usd("b200", "neocloud", "2026", 3.75, 6.03, lists),
  usd("b200", "hyperscaler", "2026", 8, 14, lists),
  usd("gb200", "neocloud", "2026", 4.54, 4.54, lists),
  usd("h800", "own", "2024-12-27", 2, 2, {
    ...SOURCES.deepseekV3,
    title: `${SOURCES.deepseekV3.title}: $2 an hour, assumed by its authors`,
  }),
  rmb("h800", 27.5, byShape),
  rmb("a800", 10, byShape),
  rmb("h20", 5.64, byShape),
  rmb("ascend-910b", 7, {
    ...byShape,
    mark: "unconfirmed",
    title: `${SOURCES.ling.title}: 370 TFLOP/s with 64 GB, perhaps this chip`,
  }),
  usd("l40s", "neocloud", "2026", 0.8, 1.9, remembered),
  usd("rtx-4090", "marketplace", "2026", 0.3, 0.6, remembered),
  usd("rtx-5090", "marketplace", "2026", 0.5, 0.9, {
    ...spheron,
    title: `${spheron.title} ($0.76), and usual prices as remembered`,
  }),
  usd("mi300x", "neocloud", "2026", 1.7, 3, remembered),
];

/** Purchase of one chip or card in dollars, without server and network. */
export interface PurchasePrice {
  chip: string;
  low: number;
  high: number;
  source: Source;
}

const hardware: Source = {
  title: "Epoch AI, prices of hardware",
  date: "2025",
  mark: "primary",
  url: "https://epoch.ai/data/machine-learning-hardware",
};
export const PURCHASE_PRICES: readonly PurchasePrice[] = [
  { chip: "h100", low: 31_000, high: 36_000, source: hardware },
  { chip: "h200", low: 33_800, high: 33_800, source: hardware },
  { chip: "a100-80", low: 10_000, high: 17_000, source: remembered },
  { chip: "b200", low: 35_000, high: 50_000, source: remembered },
  { chip: "h20", low: 10_000, high: 15_000, source: remembered },
  { chip: "rtx-4090", low: 1_600, high: 2_500, source: remembered },
  { chip: "rtx-5090", low: 2_000, high: 3_500, source: remembered },
];

/** Units of a currency for a dollar, by date. */
export interface ExchangeRate {
  currency: Currency;
  date: string;
  perUsd: number;
  source: Source;
}

const fed: Source = {
  title: "Federal Reserve, G.5A, yearly averages",
  date: "2024-02-01",
  mark: "primary",
  url: "https://federalreserve.gov/releases/g5a/20240201",
};
const year = (date: string, yuan: number, won: number): ExchangeRate[] => [
  { currency: "RMB", date, perUsd: yuan, source: fed },
  { currency: "KRW", date, perUsd: won, source: fed },
];
const EXCHANGE_RATES: readonly ExchangeRate[] = [
  ...year("2020", 6.9042, 1180.56),
  ...year("2021", 6.4508, 1144.89),
  ...year("2022", 6.729, 1291.78),
  ...year("2023", 7.0809, 1306.76),
  {
    currency: "RMB",
    date: "2025-02-25",
    perUsd: 7.1726,
    source: {
      title: "Central parity of 2025-02-25, by Xinhua",
      date: "2025-02-25",
      mark: "secondary",
      url: "http://china.org.cn/china/Off_the_Wire/2025-02/25/content_117731713.htm",
    },
  },
  {
    currency: "KRW",
    date: "2025",
    perUsd: 1422.16,
    source: {
      title: "Yearly average of 2025, by KBS",
      date: "2025-12-30",
      mark: "secondary",
      url: "http://world.kbs.co.kr/service/news_view.htm?Seq_Code=198497&lang=e",
    },
  },
];

/** The rate nearest in time to a date (YYYY, YYYY-MM or YYYY-MM-DD); the newest without one. Throws ConfigError on an unreadable date. */
export function exchangeRate(currency: Currency, date?: string): ExchangeRate {
  if (currency === "USD") return { currency, date: date ?? "2026", perUsd: 1, source: SOURCES.derived };
  const rates = EXCHANGE_RATES.filter((rate) => rate.currency === currency);
  if (rates.length === 0) throw new ConfigError(`currency: expected USD, RMB or KRW, got ${currency}`);
  if (date === undefined) return rates.at(-1)!;
  const when = middle(date);
  return rates.reduce((best, rate) =>
    Math.abs(middle(rate.date) - when) < Math.abs(middle(best.date) - when) ? rate : best,
  );
}

export const toUsd = (amount: number, currency: Currency, date?: string): number =>
  amount / exchangeRate(currency, date).perUsd;
export const fromUsd = (amount: number, currency: Currency, date?: string): number =>
  amount * exchangeRate(currency, date).perUsd;

/** Middle of a date's span, in years. */
function middle(date: string): number {
  const match = /^(\d{4})(?:-(\d\d))?(?:-(\d\d))?$/.exec(date);
  if (!match) throw new ConfigError(`date: expected YYYY, YYYY-MM or YYYY-MM-DD, got ${date}`);
  const [, y, m, d] = match;
  return Number(y) + (m === undefined ? 0.5 : (Number(m) - 1 + (d === undefined ? 0.5 : Number(d) / 31)) / 12);
}

/** A price to plan with and the band round it, in dollars. */
export interface Rate {
  usdPerGpuHour: number;
  low: number;
  high: number;
  sources: Source[];
  /** How the default was chosen. */
  says: string;
}

const ORDER: readonly Provider[] = ["own", "neocloud", "index", "marketplace", "hyperscaler"];
/** A chip without a price costs by its BF16 rate what an H100 costs, within this factor. */
const GUESS = 2;

/**
 * An hour of a chip in dollars. Default: what its maker's lab reckons where that is published (H800: $2), else the geometric middle of chip clouds'
 * prices; the band spans all that was found near the date. Without any price, by the H100's dollars per BF16 FLOP, with a band of ×÷2.
 */
export function rentalRate(chip: Chip, options: { provider?: Provider; date?: string } = {}): Rate {
  const all = RENTAL_PRICES.filter((price) => price.chip === chip.id);
  const wanted = options.provider === undefined ? all : all.filter(({ provider }) => provider === options.provider);
  if (all.length > 0 && wanted.length === 0)
    throw new ConfigError(
      `prices: no ${options.provider} price of ${chip.name} is known; known: ${[...new Set(all.map(({ provider }) => provider))].join(", ")}`,
    );
  const near = nearDate(wanted, options.date);
  if (near.length === 0) {
    const h100 = rentalRate(CHIPS.h100!, { ...(options.date ? { date: options.date } : {}) });
    const usdPerGpuHour = (h100.usdPerGpuHour * chip.bf16FlopsPerSec) / CHIPS.h100!.bf16FlopsPerSec;
    return {
      usdPerGpuHour,
      low: usdPerGpuHour / GUESS,
      high: usdPerGpuHour * GUESS,
      sources: [
        { title: `no price of ${chip.name} known: the H100's per BF16 FLOP`, date: "2026-11", mark: "unconfirmed" },
        ...h100.sources,
      ],
      says: `guessed from the H100's price per BF16 FLOP, within a factor of ${GUESS}`,
    };
  }
  const provider = ORDER.find((candidate) => near.some((price) => price.provider === candidate))!;
  const dollars = near.map((price) => ({
    ...price,
    low: toUsd(price.low, price.currency, price.date),
    high: toUsd(price.high, price.currency, price.date),
  }));
  const first = dollars.filter((price) => price.provider === provider);
  const anchor = first.find(({ currency }) => currency === "USD") ?? first[0]!;
  const low = Math.min(...dollars.map((price) => price.low));
  const high = Math.max(...dollars.map((price) => price.high));
  return {
    usdPerGpuHour: Math.sqrt(anchor.low * anchor.high),
    low,
    high,
    sources: [anchor, ...dollars.filter((price) => price !== anchor)]
      .map(({ source }) => source)
      .filter((source, i, list) => list.findIndex(({ title }) => title === source.title) === i),
    says: `${provider === "own" ? "a lab's own reckoning" : `middle of ${provider} prices`} of ${anchor.date}${anchor.currency === "USD" ? "" : `, quoted in ${anchor.currency}`}`,
  };
}

/** Prices within a year of the date; without one, or with none so near, all of those closest in time. */
function nearDate(prices: RentalPrice[], date: string | undefined): RentalPrice[] {
  if (prices.length === 0) return [];
  const when = date === undefined ? Math.max(...prices.map((price) => middle(price.date))) : middle(date);
  const nearest = Math.min(...prices.map((price) => Math.abs(middle(price.date) - when)));
  return prices.filter((price) => Math.abs(middle(price.date) - when) <= Math.max(nearest, 1));
}

/** A chip's purchase price in dollars, if one is known. */
export function purchasePrice(chip: Chip): { usd: number; low: number; high: number; sources: Source[] } | undefined {
  const price = PURCHASE_PRICES.find(({ chip: id }) => id === chip.id);
  return price && { usd: Math.sqrt(price.low * price.high), low: price.low, high: price.high, sources: [price.source] };
}
