/** Whether a chip could be exported somewhere on a day, and why. */
import { CHIP_FACTS } from "../chips.ts";
import type { ChipFacts, Source } from "../types.ts";
import {
  COUNTRY_GROUPS,
  countryName,
  countryOf,
  dayOf,
  generalEmbargo,
  inScopeSince2023,
  isChina,
  isEmbargoedForArms,
  isMacau,
} from "./countries.ts";
import { LETTER_DAYS, type Letter, lettersFor } from "./letters.ts";
import { type Note, notesFor } from "./notes.ts";
import { atLeast, type Eccn, measure, paragraphOf, type RuleTest } from "./paragraph.ts";
import { LAW, type RuleVersion, VERSIONS, versionOn } from "./versions.ts";

export type Verdict = "free" | "notify" | "licence" | "case-by-case" | "denial" | "unknown";

export interface Question {
  chip: ChipFacts;
  /** YYYY-MM-DD. */
  date: string;
  /** Destination, two letters. */
  to: string;
  /** Seat of the firm (of its ultimate parent); default the destination. */
  headquarters?: string;
}

export interface Legality {
  chip: string;
  date: string;
  to: string;
  headquarters: string;
  rule: RuleVersion;
  /** Paragraph by the published rules; "none" is below all lines. */
  eccn: Eccn;
  /** By the published rules alone; letters stand apart. */
  licence: "none" | "required" | "exception" | "unknown";
  exception?: "NAC" | "ACA";
  /** How an application is reviewed, where one is needed or may be made. */
  review?: { policy: "denial" | "case-by-case" | "approval" | "unknown"; says: string; source: Source };
  /** US import duty on chips that pass through the US. */
  tariff?: { rate: number; says: string; source: Source };
  letters: Letter[];
  tests: RuleTest[];
  /** All of the above together. */
  verdict: Verdict;
  /** The verdict's reason, one sentence with its numbers. */
  says: string;
  notes: Note[];
  sources: Source[];
}

/** What US export rules say of a chip for a destination and a firm's seat on a day. Not legal advice. Throws UsageError on bad days and countries. */
export function legality({ chip, date: day, to: destination, headquarters: seat = destination }: Question): Legality {
  const date = dayOf(day);
  const to = countryOf(destination, "destination");
  const headquarters = countryOf(seat, "headquarters");
  const rule = versionOn(date);
  const { eccn, tests } = paragraphOf(chip, rule);
  const letters = lettersFor(chip, date, to, headquarters);
  const notes = notesFor(chip, date, to, headquarters, eccn);
  const base = { chip: chip.id, date, to, headquarters, rule, eccn, letters, tests, notes };
  const tariff = tariffOn(chip, date, to);
  const done = (rest: Pick<Legality, "licence" | "verdict" | "says"> & Partial<Legality>): Legality => {
    const answer = { ...base, ...(tariff ? { tariff } : {}), ...rest };
    const cited = [
      rule.source,
      ...tests.map(({ source }) => source),
      ...letters.map(({ source }) => source),
      ...notes.map(({ source }) => source),
      ...(answer.review ? [answer.review.source] : []),
      ...(tariff ? [tariff.source] : []),
      COUNTRY_GROUPS,
      ...chip.sources,
    ];
    return {
      ...answer,
      sources: cited.filter((source, i) => cited.findIndex(({ title }) => title === source.title) === i),
    };
  };
  const scope = scopeOf(rule, date, to, headquarters);
  const quoted = reason(tests);

  if (to === "US") return done({ licence: "none", verdict: "free", says: "no export: the chip stays in the US" });
  if (generalEmbargo(to, date) || generalEmbargo(headquarters, date)) {
    const policy = { policy: "denial" as const, says: "general embargo", source: COUNTRY_GROUPS };
    return done({
      licence: "required",
      review: policy,
      verdict: "denial",
      says: `${countryName(generalEmbargo(to, date) ? to : headquarters)} is under a general embargo, whatever the chip`,
    });
  }
  if (chip.origin !== "US" && isEmbargoedForArms(chip.origin)) return done(chineseChip(chip, date, to, eccn, quoted));

  const letter = letters.find(({ decides, holds }) => decides && holds === true);
  if (!scope || eccn === "none") {
    const why =
      rule.id === "before"
        ? `no rule on advanced chips before 2022-10-21`
        : !scope
          ? `${countryName(to)} is outside the rule's destinations`
          : `not caught: ${quoted}`;
    if (letter)
      return done({
        licence: "none",
        verdict: "licence",
        says: `no licence by the published rules (${why}), but by a letter to ${letter.to} of ${letter.from}, which binds its exports: ${letter.says}`,
      });
    const reported = letters.map(({ says }) => `; left out, as unpublished: ${says}`).join("");
    return done({ licence: "none", verdict: "free", says: `${why}${reported}` });
  }
  if (eccn === "unknown") return done({ licence: "unknown", verdict: "unknown", says: `cannot be told: ${quoted}` });

  const review = reviewOf(chip, rule, to, headquarters);
  const exception = exceptionFor(chip, eccn, rule, to, headquarters);
  if (exception) {
    const { name, notice } = exception;
    return done({
      licence: "exception",
      exception: name,
      review,
      verdict: letter ? "licence" : notice ? "notify" : "free",
      says: `${eccn} (${quoted}); exception ${name} ${chip.datacenter ? "for chips of 3A090.b" : "for what is not made for data centres"}, ${notice ? "with notice to BIS 25 days before, who may object" : "without notice"}${letter ? `; but a letter to ${letter.to} asks a licence` : ""}`,
    });
  }
  const verdict: Verdict = review.policy === "approval" ? "licence" : review.policy;
  return done({ licence: "required", review, verdict, says: `${eccn}: ${quoted}; ${review.says}` });
}

/** The tests that decided, as text: those that hold, else those left open, else where each was missed. */
function reason(tests: RuleTest[]): string {
  const held = tests.filter(({ holds }) => holds === true);
  if (held.length > 0) return held.map(({ rule, says }) => `${rule}: ${says}`).join("; ");
  const open = tests.filter(({ holds }) => holds === "unknown");
  return (open.length > 0 ? open : tests).map(({ rule, missed }) => `${rule}: ${missed.join(", ")}`).join("; ");
}

/** Whether the rule looks at this destination or seat at all. */
function scopeOf({ id }: RuleVersion, date: string, to: string, headquarters: string): boolean {
  if (id === "before") return false;
  if (id === "2022") return isChina(to) || (isMacau(to) && date >= "2023-01-17");
  return inScopeSince2023(to, headquarters);
}

function exceptionFor(
  chip: ChipFacts,
  eccn: Eccn,
  { id }: RuleVersion,
  to: string,
  headquarters: string,
): { name: "NAC" | "ACA"; notice: boolean } | undefined {
  if (id === "2022" || (eccn === "3A090.a" && chip.datacenter)) return undefined;
  const strict = isEmbargoedForArms(to) || isEmbargoedForArms(headquarters);
  if (id === "2023") return { name: "NAC", notice: strict };
  return strict ? { name: "NAC", notice: true } : { name: "ACA", notice: false };
}

function reviewOf(
  chip: ChipFacts,
  { id, source }: RuleVersion,
  to: string,
  headquarters: string,
): NonNullable<Legality["review"]> {
  const strict = isEmbargoedForArms(to) || isEmbargoedForArms(headquarters);
  if (id === "2022") return { policy: "denial", says: "reviewed with a presumption of denial", source };
  if (!strict)
    return {
      policy: "approval",
      says: "licence needed, reviewed with a presumption of approval",
      source: { ...source, mark: "unconfirmed" },
    };
  if (id === "2026" && (isChina(to) || isMacau(to))) {
    const m = measure(chip);
    const tpp = atLeast("TPP", m.tpp, 21_000);
    const dram = atLeast("DRAM", m.dramGBps, 6500, " GB/s");
    const quoted = `${tpp.says} and ${dram.says}`;
    if (tpp.holds === true || dram.holds === true)
      return { policy: "denial", says: `presumption of denial, since ${quoted}`, source };
    if (tpp.holds === "unknown" || dram.holds === "unknown")
      return { policy: "unknown", says: `review unknown: ${quoted}`, source };
    return {
      policy: "case-by-case",
      source,
      says: `case by case for exports from the US, since ${quoted}, if sold in the US too and certified (supply, foundries, half of the US volume at most, security, a test in the US)`,
    };
  }
  return {
    policy: "denial",
    says: "reviewed with a presumption of denial",
    source: id === "2026" ? LAW.october2023 : source,
  };
}

/** Chips made in a country under these rules: no export inside it, but the prohibition on dealing with what was made against the rules. */
function chineseChip(
  chip: ChipFacts,
  date: string,
  to: string,
  eccn: Eccn,
  quoted: string,
): Pick<Legality, "licence" | "verdict" | "says"> & Partial<Legality> {
  const home = isChina(chip.origin) ? isChina(to) || isMacau(to) : to === chip.origin;
  if (date >= "2025-05-13" && eccn !== "none") {
    if (eccn === "unknown")
      return {
        licence: "unknown",
        verdict: "unknown",
        says: `whether it is 3A090 cannot be told (${quoted}), and so whether General Prohibition 10 is presumed to bind`,
      };
    const named = /^ascend-910[bcd]/.test(chip.id);
    return {
      licence: "required",
      verdict: "licence",
      review: { policy: "unknown", says: "authorisation by BIS", source: LAW.ascend2025 },
      says: `General Prohibition 10 is presumed to bind, ${named ? `which names the ${chip.name}` : "as for every 3A090 chip of this origin"}: using it needs an authorisation by US law (${quoted}); China rejects this`,
    };
  }
  if (home) return { licence: "none", verdict: "free", says: "made and sold inside the country: no export" };
  if (eccn === "none")
    return {
      licence: "none",
      verdict: "free",
      says: versionOn(date).id === "before" ? "no rule on advanced chips before 2022-10-21" : `not caught: ${quoted}`,
    };
  return {
    licence: "unknown",
    verdict: "unknown",
    says: "whether US rules reach this foreign-made chip is not published",
  };
}

const BANDS = [
  { tpp: [14_000, 17_500], dram: [4500, 5000] },
  { tpp: [20_800, 21_100], dram: [5800, 6200] },
] as const;

function tariffOn(chip: ChipFacts, date: string, to: string): Legality["tariff"] {
  if (date < "2026-01-15" || to === "US") return undefined;
  const { tpp, dramGBps: dram } = measure(chip);
  if (tpp === undefined || dram === undefined) return undefined;
  const band = BANDS.find(
    (lines) => tpp > lines.tpp[0] && tpp < lines.tpp[1] && dram > lines.dram[0] && dram < lines.dram[1],
  );
  if (!band) return undefined;
  const show = (n: number) => n.toLocaleString("en-US", { maximumFractionDigits: 0 });
  return {
    rate: 0.25,
    source: LAW.tariff2026,
    says: `25 % on import to the US, through which exports to China must pass: TPP ${show(tpp)} in ${show(band.tpp[0])} to ${show(band.tpp[1])} and DRAM ${show(dram)} GB/s in ${show(band.dram[0])} to ${show(band.dram[1])}`,
  };
}

/** Verdicts that count as "could be had lawfully": no licence asked, or a notice that was not objected to. */
export const LAWFUL: readonly Verdict[] = ["free", "notify"];

/**
 * Chips of the table that were out by that day and could be had then without a licence (free, or by a notice). Licences, also those likely to be
 * granted, and chips that cannot be judged do not count. What a firm bought earlier is its own: see `spans` and `obtainable`.
 */
export function legalOn(
  date: string,
  to: string,
  headquarters?: string,
  chips: ChipFacts[] = Object.values(CHIP_FACTS),
): ChipFacts[] {
  const day = dayOf(date);
  return chips.filter(
    (chip) => chip.released <= day && LAWFUL.includes(legality({ chip, date: day, to, headquarters }).verdict),
  );
}

/** Days on which an answer can change. */
const TURNS = [
  ...new Set([...VERSIONS.slice(1).map(({ from }) => from), ...LETTER_DAYS, "2022-02-24", "2023-01-17", "2025-05-13"]),
].sort();

export interface Span {
  from: string;
  /** First day on which it no longer holds. */
  until?: string;
  legality: Legality;
}

/** A chip's verdicts from its release on, one span for each stretch of one verdict. */
export function spans(chip: ChipFacts, to: string, headquarters?: string): Span[] {
  const released = `${chip.released}-01-01`.slice(0, chip.released.length === 4 ? 10 : undefined);
  const start =
    chip.released.length === 7 ? `${chip.released}-01` : chip.released.length === 4 ? released : chip.released;
  const result: Span[] = [];
  for (const from of [start, ...TURNS.filter((turn) => turn > start)]) {
    const answer = legality({ chip, date: from, to, headquarters });
    const last = result.at(-1);
    if (last?.legality.verdict === answer.verdict) continue;
    if (last) last.until = from;
    result.push({ from, legality: answer });
  }
  return result;
}

/** Whether a chip could ever be had lawfully somewhere before a day, when, and what ended it. */
export function obtainable(
  chip: ChipFacts,
  to: string,
  before: string,
  headquarters?: string,
): {
  known: boolean;
  ever: boolean;
  from?: string;
  until?: string;
  ended?: string;
  short: string;
  sources: Source[];
} {
  const day = dayOf(before);
  const passed = spans(chip, to, headquarters).filter(({ from }) => from < day);
  const lawful = passed.filter(({ legality: { verdict } }) => LAWFUL.includes(verdict));
  const [first, last] = [lawful[0], lawful.at(-1)];
  if (first === undefined || last === undefined) {
    const known = !passed.some(({ legality: { verdict } }) => verdict === "unknown");
    return {
      known,
      ever: false,
      short: passed.length === 0 ? "not yet released" : `never before ${day}`,
      sources: lawOf(passed),
    };
  }
  const { from } = first;
  const ending = passed.find((span) => span.from === last.until);
  if (last.until === undefined || ending === undefined)
    return { known: true, ever: true, from, short: `since ${from}`, sources: lawOf(lawful) };
  const until = dayBefore(last.until);
  const letter = ending.legality.letters.find(({ decides, from: sent }) => decides && sent === last.until);
  const { rule, review } = ending.legality;
  const ended = letter
    ? `a letter to ${letter.to} of ${letter.from}`
    : rule.from === last.until || !review
      ? `the ${rule.title}`
      : review.source.title;
  return {
    known: true,
    ever: true,
    from,
    until,
    ended,
    short: `from ${from} to ${until}`,
    sources: lawOf([...lawful, ending]),
  };
}

/** The rules and letters that spans rest on, each once. */
function lawOf(rows: Span[]): Source[] {
  const sources = rows.flatMap(({ legality: answer }) => [
    answer.rule.source,
    ...answer.letters.map(({ source }) => source),
  ]);
  return sources.filter((source, i) => sources.findIndex(({ title }) => title === source.title) === i);
}

export const dayBefore = (day: string): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) - 86_400_000).toISOString().slice(0, 10);
