/** Which share of a text is written in a language's script. */
import { ConfigError } from "../errors.ts";

/** Scripts that a language is written in besides the one that Unicode gives it first. */
const SCRIPTS: Readonly<Record<string, readonly string[]>> = {
  Jpan: ["Han", "Hiragana", "Katakana"],
  Kore: ["Hangul", "Han"],
  Hans: ["Han"],
  Hant: ["Han"],
};
const NAMES: Readonly<Record<string, string>> = {
  Latn: "Latin",
  Cyrl: "Cyrillic",
  Arab: "Arabic",
  Hebr: "Hebrew",
  Grek: "Greek",
  Deva: "Devanagari",
  Thai: "Thai",
  Beng: "Bengali",
  Taml: "Tamil",
  Telu: "Telugu",
  Geor: "Georgian",
  Armn: "Armenian",
};
/** Written without spaces: each sign is as much as a word. */
const UNSPACED = /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Thai}/u;

const patterns = new Map<string, RegExp>();

function patternOf(language: string): RegExp {
  const known = patterns.get(language);
  if (known) return known;
  let script: string | undefined;
  try {
    script = new Intl.Locale(language).maximize().script;
  } catch {
    script = undefined;
  }
  const scripts = SCRIPTS[script ?? ""] ?? [NAMES[script ?? ""]];
  if (scripts[0] === undefined)
    throw new ConfigError(`rewards: expected a language by its letters (en, zh, ko, ja, ru, …), got ${language}`);
  const pattern = new RegExp(`^[${scripts.map((name) => `\\p{Script=${name}}`).join("")}\\p{M}'’-]+$`, "u");
  patterns.set(language, pattern);
  return pattern;
}

/**
 * Words in the language's script ÷ all words; formulas, code, numbers and marks are no words. 1 for a text without words. R1's reward against
 * mixed languages, by scripts: it tells Chinese from English, not English from German. Throws ConfigError for an unknown language.
 */
export function languageShare(text: string, language: string): number {
  const pattern = patternOf(language);
  const words =
    text
      .replace(/<\/?(?:think|answer)>|```[^`]*```|\$[^$]*\$|\\[A-Za-z]+/g, " ")
      .match(/[\p{L}\p{M}'’-]*\p{L}[\p{L}\p{M}'’-]*/gu) ?? [];
  const units = words.flatMap((word) => (UNSPACED.test(word) ? [...word] : [word]));
  if (units.length === 0) return 1;
  return units.filter((unit) => pattern.test(unit)).length / units.length;
}
