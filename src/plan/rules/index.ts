/** The export rules of the United States, by date: whether a chip may go somewhere. */
export { allCountries, countryName, countryOf, dayOf } from "./countries.ts";
export {
  dayBefore,
  LAWFUL,
  type Legality,
  legality,
  legalOn,
  obtainable,
  type Question,
  type Span,
  spans,
  type Verdict,
} from "./legality.ts";
export type { Letter } from "./letters.ts";
export type { Note } from "./notes.ts";
export type { Eccn, RuleTest } from "./paragraph.ts";
export { LAST_READ, type RuleVersion, VERSIONS, versionOn } from "./versions.ts";
