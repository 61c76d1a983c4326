/** Energy and carbon of a run, by the grid of a country. */
import { ConfigError } from "../errors.ts";
import type { Chip, Source } from "./types.ts";

const owid: Source = {
  title: "Our World in Data, carbon intensity of electricity generation (Ember and Energy Institute), 2023",
  date: "2024",
  mark: "secondary",
  url: "https://ourworldindata.org/grapher/carbon-intensity-electricity",
};
const ember: Source = {
  title: "Ember by Statista, emission intensity of electricity generation, 2023",
  date: "2024-07-03",
  mark: "secondary",
  url: "https://www.statista.com/statistics/943137/global-emissions-intensity-power-sector-by-country/",
};
const rememberedGrid: Source = {
  title: "Carbon intensity of electricity, about 2023, remembered",
  date: "2023",
  mark: "unconfirmed",
};
const euPrices: Source = {
  title: "Prometheus Group, The kilowatt divide (industrial prices of 2024: EU €0.20, China €0.08, US €0.075)",
  date: "2025",
  mark: "secondary",
  url: "https://prometheusgroup.xyz/the-kilowatt-divide-how-geology-policy-and-history-shape-what-you-pay",
};
const rememberedPrice: Source = {
  title: "Industrial electricity price, about 2024, remembered",
  date: "2024",
  mark: "unconfirmed",
};

export interface Grid {
  country: string;
  gramsCo2PerKwh: number;
  usdPerKwh: number;
  sources: Source[];
}

/** Grids by ISO country code; "world" is the mean. Industrial prices in dollars at €1 = $1.08. */
export const GRIDS: Record<string, Grid> = {
  CN: { country: "China", gramsCo2PerKwh: 582, usdPerKwh: 0.086, sources: [owid, euPrices] },
  US: { country: "United States", gramsCo2PerKwh: 369, usdPerKwh: 0.081, sources: [rememberedGrid, euPrices] },
  KR: { country: "South Korea", gramsCo2PerKwh: 431, usdPerKwh: 0.13, sources: [rememberedGrid, rememberedPrice] },
  JP: { country: "Japan", gramsCo2PerKwh: 485, usdPerKwh: 0.16, sources: [rememberedGrid, rememberedPrice] },
  TW: { country: "Taiwan", gramsCo2PerKwh: 642, usdPerKwh: 0.13, sources: [rememberedGrid, rememberedPrice] },
  SG: { country: "Singapore", gramsCo2PerKwh: 471, usdPerKwh: 0.18, sources: [rememberedGrid, rememberedPrice] },
  IN: { country: "India", gramsCo2PerKwh: 713, usdPerKwh: 0.1, sources: [owid, rememberedPrice] },
  FR: { country: "France", gramsCo2PerKwh: 56, usdPerKwh: 0.185, sources: [owid, euPrices] },
  DE: { country: "Germany", gramsCo2PerKwh: 381, usdPerKwh: 0.19, sources: [owid, euPrices] },
  GB: { country: "United Kingdom", gramsCo2PerKwh: 238, usdPerKwh: 0.28, sources: [rememberedGrid, rememberedPrice] },
  NO: { country: "Norway", gramsCo2PerKwh: 30, usdPerKwh: 0.07, sources: [ember, rememberedPrice] },
  FI: { country: "Finland", gramsCo2PerKwh: 79, usdPerKwh: 0.1, sources: [owid, euPrices] },
  CA: { country: "Canada", gramsCo2PerKwh: 170, usdPerKwh: 0.08, sources: [owid, rememberedPrice] },
  AU: { country: "Australia", gramsCo2PerKwh: 549, usdPerKwh: 0.13, sources: [owid, rememberedPrice] },
  BR: { country: "Brazil", gramsCo2PerKwh: 98, usdPerKwh: 0.12, sources: [owid, rememberedPrice] },
  world: { country: "the world", gramsCo2PerKwh: 481, usdPerKwh: 0.12, sources: [ember, rememberedPrice] },
};

/** The grid of a country code, or of "world". Throws ConfigError listing those known. */
export function gridOf(country: string): Grid {
  const key = country.toLowerCase() === "world" ? "world" : country.toUpperCase();
  if (!Object.hasOwn(GRIDS, key))
    throw new ConfigError(`energy: expected one of ${Object.keys(GRIDS).join(", ")}, got ${country}`);
  return GRIDS[key]!;
}

const dgx: Source = {
  title: "NVIDIA DGX H100 data sheet: 10.2 kW at most for eight GPUs of 700 W, remembered",
  date: "2023",
  mark: "unconfirmed",
};
const draw: Source = {
  title: "Mean draw of a training GPU over its TDP, assumed",
  date: "2026-11",
  mark: "unconfirmed",
};
const pue: Source = {
  title: "Power usage effectiveness of a new large hall, assumed; the world's mean is nearer 1.5",
  date: "2026-11",
  mark: "unconfirmed",
};

/** What a GPU's server and its share of the network draw beside it, over its own: 10.2 kW / (8 · 700 W) − 1. */
const SERVER_WATTS_SHARE = 10_200 / 5600 - 1;
/** Training draws this share of the nameplate, averaged over steps. */
const MEAN_DRAW = 0.8;
export const PUE = 1.2;

export interface EnergyQuestion {
  chip: Chip;
  gpuHours: number;
  /** ISO code; default: where the chip's buyers in this question sit, else "world". */
  country?: string;
  pue?: number;
  meanDraw?: number;
  usdPerKwh?: number;
}

export interface Energy {
  kwh: number;
  co2Tonnes: number;
  usd: number;
  /** Mean power at the meter for each GPU. */
  wattsPerGpu: number;
  country: string;
  pue: number;
  usdPerKwh: number;
  gramsCo2PerKwh: number;
  sources: Source[];
}

/** Electricity at the meter for GPU-hours: (chip + server share) × mean draw × PUE, its price and what the grid emits for it. */
export function energy(question: EnergyQuestion): Energy {
  const grid = gridOf(question.country ?? "world");
  const usage = question.pue ?? PUE;
  const wattsPerGpu = question.chip.watts * (1 + SERVER_WATTS_SHARE) * (question.meanDraw ?? MEAN_DRAW) * usage;
  const kwh = (wattsPerGpu * question.gpuHours) / 1000;
  const usdPerKwh = question.usdPerKwh ?? grid.usdPerKwh;
  return {
    kwh,
    co2Tonnes: (kwh * grid.gramsCo2PerKwh) / 1e6,
    usd: kwh * usdPerKwh,
    wattsPerGpu,
    country: grid.country,
    pue: usage,
    usdPerKwh,
    gramsCo2PerKwh: grid.gramsCo2PerKwh,
    sources: [...grid.sources, dgx, draw, ...(question.pue === undefined ? [pue] : [])],
  };
}
