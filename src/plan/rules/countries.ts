/** Countries and the groups that the export rules put them in. */
import { UsageError } from "../../errors.ts";
import { nearest } from "../nearest.ts";
import type { Source } from "../types.ts";

/** Country groups of 15 CFR 740, supplement 1: A columns as in a copy of June 2026, D columns as remembered. */
export const COUNTRY_GROUPS: Source = {
  title: "15 CFR 740, supplement 1, country groups (D columns as remembered)",
  date: "2026-06-20",
  mark: "unconfirmed",
};

const set = (codes: string) => new Set(codes.split(" "));
/** Allies (A:5 or A:6): not counted to D:1, D:4 and D:5 by the rules on chips. */
const ALLIES = set(
  "AL AR AU AT BE BG CA HR CY CZ DK EE FI FR DE GR HU IS IN IE IL IT JP KR LV LT LU MT MX NL NZ NO PL PT RO SG SK SI ZA ES SE CH TW TR UA GB US",
);
const D1 = set("AM AZ BY MM KH CN GE IQ KZ KP KG LA LY MO MD MN RU TJ TM UZ VE VN YE");
const D4 = set("BH CN EG IR IQ IL JO KP KW LB LY MO OM PK QA RU SA SY AE VE YE");
const D5 = set("AF BY MM KH CF CN CD CU CY ER HT IR IQ KP LB LY NI RU SO SS SD SY VE ZW");

/** Hong Kong is China to the rules since the end of 2020. */
const asRuled = (code: string) => (code === "HK" ? "CN" : code);

const isAlly = (code: string): boolean => ALLIES.has(code);
export const isChina = (code: string): boolean => asRuled(code) === "CN";
export const isMacau = (code: string): boolean => code === "MO";
/** Under an arms embargo, or Macau: the strictest set, by seat as well as by destination. */
export const isEmbargoedForArms = (code: string): boolean => !isAlly(code) && (D5.has(asRuled(code)) || isMacau(code));
/** Of national security or missile concern: D:1 or D:4. */
const isOfConcern = (code: string): boolean => !isAlly(code) && (D1.has(asRuled(code)) || D4.has(asRuled(code)));

const MIDDLE_EAST = set("AE BH EG IQ JO KW LB OM QA SA YE");
export const isMiddleEast = (code: string): boolean => MIDDLE_EAST.has(code);
/** What the rules on chips look at since October 2023: those destinations, and firms of the strictest ones' seats wherever they are. */
export const inScopeSince2023 = (to: string, headquarters: string): boolean =>
  isEmbargoedForArms(to) || isOfConcern(to) || isEmbargoedForArms(headquarters);

/** Countries to which nearly everything needs a licence, with the day since when. */
export function generalEmbargo(code: string, date: string): boolean {
  return set("CU IR KP SY").has(code) || (set("RU BY").has(code) && date >= "2022-02-24");
}

let names: Map<string, string> | undefined;

/** Two-letter codes with their English names. */
function countries(): Map<string, string> {
  if (names) return names;
  const display = new Intl.DisplayNames(["en"], { type: "region", fallback: "none" });
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  const not = set("EU EZ UN XA XB ZZ QO XK AN BU CS DD FX NT SU TP VD YD YU ZR UK");
  names = new Map();
  for (const a of letters)
    for (const b of letters) {
      const name = not.has(a + b) ? undefined : display.of(a + b);
      if (name !== undefined && name !== a + b) names.set(a + b, name);
    }
  return names;
}

const COMMON: Record<string, string> = {
  uk: "GB",
  usa: "US",
  prc: "CN",
  uae: "AE",
  "hong kong": "HK",
  macau: "MO",
  macao: "MO",
  turkey: "TR",
  burma: "MM",
  korea: "KR",
  "south korea": "KR",
  "north korea": "KP",
  "united states of america": "US",
  britain: "GB",
  emirates: "AE",
  saudi: "SA",
};

/** A country's two letters from its code or its English name, in any case. Throws UsageError with the nearest. */
export function countryOf(text: string, where = "country"): string {
  const known = countries();
  const upper = text.trim().toUpperCase();
  if (known.has(upper)) return upper;
  const lower = text.trim().toLowerCase();
  if (Object.hasOwn(COMMON, lower)) return COMMON[lower]!;
  for (const [code, name] of known) if (name.toLowerCase() === lower) return code;
  const byName = lower.length > 3;
  const close = byName
    ? nearest(lower, [...known.values()]).slice(0, 3)
    : nearest(
        upper,
        [...known.keys()].filter((code) => code[0] === upper[0] || code[1] === upper[1]),
      )
        .slice(0, 3)
        .map((code) => `${code} (${known.get(code)})`);
  throw new UsageError(
    `${where}: expected a country's two letters or its name, got ${JSON.stringify(text)}; nearest: ${close.join(", ")}`,
  );
}

/** Every country by its English name, in that order. */
export const allCountries = (): { code: string; name: string }[] =>
  [...countries()].map(([code, name]) => ({ code, name })).sort((a, b) => a.name.localeCompare(b.name, "en"));

export function countryName(code: string): string {
  return countries().get(code) ?? code;
}

/** A day as YYYY-MM-DD. Throws UsageError that shows the day meant where one can be guessed. */
export function dayOf(text: string, where = "date"): string {
  const given = text.trim();
  const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(given);
  if (match && real(given)) return given;
  throw new UsageError(`${where}: expected a day as YYYY-MM-DD, got ${JSON.stringify(text)}; nearest: ${guess(given)}`);
}

const real = (day: string): boolean => {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
};

function guess(given: string): string {
  const pad = (n: string) => n.padStart(2, "0");
  const [a, b, c] = given.split(/[^0-9]+/).filter((part) => part !== "");
  const candidates: string[] = [];
  if (a?.length === 8 && b === undefined) candidates.push(`${a.slice(0, 4)}-${a.slice(4, 6)}-${a.slice(6)}`);
  if (a?.length === 4)
    candidates.push(`${a}-${pad(b ?? "1")}-${pad(c ?? "1")}`, `${a}-${pad(b ?? "1")}-28`, `${a}-01-01`);
  if (c?.length === 4) candidates.push(`${c}-${pad(b!)}-${pad(a!)}`, `${c}-${pad(a!)}-${pad(b!)}`);
  return candidates.find(real) ?? "2023-11-17";
}
