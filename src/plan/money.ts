/** Money: owning machines, exchange rates, the lines from a final run to a programme. */
import { ConfigError } from "../errors.ts";
import { type Energy, energy } from "./energy.ts";
import { type Currency, exchangeRate } from "./prices.ts";
import type { Chip, Source } from "./types.ts";

const epochCost: Source = {
  title:
    "Cottier et al., The rising costs of training frontier AI models, arXiv:2405.21015 (server parts 15–22 %, interconnect 9–13 % of cost)",
  date: "2024-06-03",
  mark: "secondary",
  url: "https://arxiv.org/abs/2405.21015",
};
const epochSpend: Source = {
  title:
    "Epoch AI, Most of OpenAI's 2024 compute went to experiments (about $5B of research compute, about a tenth in final runs)",
  date: "2025-10-10",
  mark: "primary",
  url: "https://epoch.ai/data-insights/openai-compute-spend",
};
const epochFinal: Source = {
  title:
    "Epoch AI, Final training runs account for a minority of R&D compute spending (OpenAI, MiniMax, Z.ai: 10 to 30 %)",
  date: "2026-03",
  mark: "secondary",
  url: "https://epoch.ai/gradient-updates",
};
const linear: Source = {
  title: "Straight-line depreciation over four years, assumed",
  date: "2026-11",
  mark: "unconfirmed",
};
const upkeep: Source = {
  title: "One operator at $150,000 a year for 500 GPUs, assumed",
  date: "2026-11",
  mark: "unconfirmed",
};

/** Server and network beside the chip's price: middle shares of 18.5 % and 11 % of a cost of which chips are about half. */
const SERVER_SHARE = 0.185 / 0.5;
const NETWORK_SHARE = 0.11 / 0.5;
const YEARS = 4;
const STAFF_USD_PER_GPU_YEAR = 300;
const HOURS_PER_YEAR = 8766;

export interface OwnedQuestion {
  chip: Chip;
  gpus: number;
  gpuHours: number;
  /** Chip alone. */
  purchaseUsd: number;
  purchaseSources?: Source[];
  serverShare?: number;
  networkShare?: number;
  years?: number;
  /** Share of their life in which the machines do paid work; the rest is charged to it as well. */
  utilization?: number;
  country?: string;
  usdPerKwh?: number;
  pue?: number;
  staffUsdPerGpuYear?: number;
}

/** The cost of hours on machines one bought. Parts sum to `usd`. */
export interface Owned {
  usd: number;
  usdPerGpuHour: number;
  parts: { chips: number; servers: number; network: number; electricity: number; staff: number };
  /** What the machines cost when bought: the money one must have first. */
  capitalUsd: number;
  years: number;
  utilization: number;
  energy: Energy;
  sources: Source[];
}

/** Depreciation of chips, servers and network over their years, electricity with PUE, and operators. Throws ConfigError for a share outside (0, 1]. */
export function owned(question: OwnedQuestion): Owned {
  const { chip, gpus, gpuHours, purchaseUsd, years = YEARS, utilization = 0.9 } = question;
  if (!(utilization > 0 && utilization <= 1))
    throw new ConfigError(`owned: expected a utilization above 0 and up to 1, got ${utilization}`);
  if (!(years > 0)) throw new ConfigError(`owned: expected years above 0, got ${years}`);
  const hourly = purchaseUsd / (years * HOURS_PER_YEAR * utilization);
  const used = energy({ chip, gpuHours, country: question.country, pue: question.pue, usdPerKwh: question.usdPerKwh });
  const parts = {
    chips: hourly * gpuHours,
    servers: hourly * gpuHours * (question.serverShare ?? SERVER_SHARE),
    network: hourly * gpuHours * (question.networkShare ?? NETWORK_SHARE),
    electricity: used.usd,
    staff: ((question.staffUsdPerGpuYear ?? STAFF_USD_PER_GPU_YEAR) / (HOURS_PER_YEAR * utilization)) * gpuHours,
  };
  const usd = Object.values(parts).reduce((a, b) => a + b, 0);
  return {
    usd,
    usdPerGpuHour: usd / gpuHours,
    parts,
    capitalUsd:
      gpus * purchaseUsd * (1 + (question.serverShare ?? SERVER_SHARE) + (question.networkShare ?? NETWORK_SHARE)),
    years,
    utilization,
    energy: used,
    sources: [...(question.purchaseSources ?? []), epochCost, linear, upkeep, ...used.sources],
  };
}

/**
 * Research compute over the final runs it led to: final runs are 30 % to 10 % of it at OpenAI, MiniMax and Z.ai, which gives 3.3 to
 * 10; the middle is their geometric mean. It stands on three companies in three years, so it is a range and not a law.
 */
export const PROGRAMME_MULTIPLE = {
  low: 1 / 0.3,
  middle: Math.sqrt(1 / (0.3 * 0.1)),
  high: 10,
  sources: [epochSpend, epochFinal],
} as const;

/** The final run and the whole programme are two amounts of money and must never be shown as one. */
export interface Lines {
  /** What the hours of the named run cost, and nothing else. */
  finalRun: { usd: number; p10: number; p90: number };
  /** With experiments, ablations, failed and unreleased runs, by the stated multiple; data, salaries and offices are in neither. */
  programme: {
    usd: number;
    low: number;
    high: number;
    multiple: { low: number; middle: number; high: number };
    sources: Source[];
  };
}

/** Both lines. The programme's range is the multiple's on top of the run's own band; `multiple` fixes it where one knows better. */
export function lines(finalRun: { usd: number; p10: number; p90: number }, multiple?: number): Lines {
  if (multiple !== undefined && !(multiple >= 1))
    throw new ConfigError(`money: expected a programme of at least 1 final run, got ${multiple}`);
  const times =
    multiple === undefined ? PROGRAMME_MULTIPLE : { low: multiple, middle: multiple, high: multiple, sources: [] };
  return {
    finalRun,
    programme: {
      usd: finalRun.usd * times.middle,
      low: finalRun.p10 * times.low,
      high: finalRun.p90 * times.high,
      multiple: { low: times.low, middle: times.middle, high: times.high },
      sources: [...times.sources],
    },
  };
}

/** Units of a currency for a dollar, the newest known. */
export const PER_USD: Record<Currency, { perUsd: number; source: Source }> = {
  USD: exchangeRate("USD"),
  RMB: exchangeRate("RMB"),
  KRW: exchangeRate("KRW"),
};

/** A currency by its code; CNY is RMB. Throws ConfigError. */
export function parseCurrency(text: string): Currency {
  const code = text.toUpperCase() === "CNY" ? "RMB" : text.toUpperCase();
  if (code !== "USD" && code !== "RMB" && code !== "KRW")
    throw new ConfigError(`currency: expected USD, RMB or KRW, got ${text}`);
  return code;
}
