export { countryName, countryOf, dayOf } from "./countries.ts";
export { dayBefore, LAWFUL, legality, legalOn, obtainable, spans, type Legality, type Question, type Span, type Verdict } from "./legality.ts";
export type { Letter } from "./letters.ts";
export type { Note } from "./notes.ts";
export type { Eccn, RuleTest } from "./paragraph.ts";
export { LAST_READ, VERSIONS, versionOn, type RuleVersion } from "./versions.ts";
