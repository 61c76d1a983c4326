/** The export rules' when and where, as options of several verbs give it and as text. */
import pc from "picocolors";
import { countryOf, type Verdict } from "../plan/rules/index.ts";

/** When, where and of whom the export rules are asked. */
export interface LawPlace {
  date: string;
  /** Destination, two letters. */
  to: string;
  /** Seat of the firm (of its ultimate parent), two letters; the destination where left out. */
  headquarters?: string;
}

/** The countries of `--to` (China where left out) and `--headquarters`. Throws UsageError with the nearest. */
export function placeOf(
  verb: string,
  { to = "CN", headquarters }: { to?: string; headquarters?: string },
  date: string,
): LawPlace {
  const place = { date, to: countryOf(to, `${verb}: --to`) };
  return headquarters === undefined
    ? place
    : { ...place, headquarters: countryOf(headquarters, `${verb}: --headquarters`) };
}

/** `CN`, or `SG for a firm seated in CN`. */
export const placeText = ({ to, headquarters = to }: LawPlace): string =>
  headquarters === to ? to : `${to} for a firm seated in ${headquarters}`;

/** How a verdict of the rules looks on the screen. */
export const VERDICT_COLOUR: Record<Verdict, (text: string) => string> = {
  free: pc.green,
  notify: pc.green,
  licence: pc.yellow,
  "case-by-case": pc.yellow,
  denial: pc.red,
  unknown: pc.dim,
};
