/** The band around an estimate of hours, and what it rests on. */
import { RESIDUALS } from "./accuracy/residuals.ts";
import type { Source } from "./types.ts";
import { type BandModel, type Trait, widthOf } from "./widths.ts";

export interface Band {
  /** Factors on an estimate: the truth lay between them for about 80 of 100 published rows whose family nothing was fitted on. */
  p10: number;
  p90: number;
  /** In a sentence: how often such bands held. */
  restsOn: string;
}

export const BAND_SOURCE: Source = {
  title: "Sumbi's error on published runs left out of its fit, docs/accuracy.md",
  date: "2026-11",
  mark: "derived",
};

const held = ({ inside, rows }: { inside: number; rows: number }): string => `${inside} of ${rows}`;
const [all] = RESIDUALS.slices;

/** What bands of the planner's rest on, to be said beside them. */
export const BAND_RESTS = `Ranges are 80 % bands: each published row was predicted without its family, and ${held(all)} lay inside`;

/** The band of a question with these traits, by the widths found on all rows unless others are given. */
export function bandOf(traits: readonly Trait[], bands: BandModel = RESIDUALS.bands): Band {
  const width = widthOf(traits, bands);
  const slices = RESIDUALS.slices.filter(({ trait }) => trait !== undefined && traits.includes(trait));
  return {
    p10: Math.exp(bands.low * width),
    p90: Math.exp(bands.high * width),
    restsOn: `${BAND_RESTS}${slices.map((slice) => `; ${slice.name} ${held(slice)}`).join("")}.`,
  };
}

/** What an audit's chance and bands rest on, to be said beside them. */
export const CHANCE_RESTS = `The chance is what the evidence tells apart, from one half; ranges held ${held(all)} published rows left out.`;
