/** The normalizers and pre-tokenizers of tokenizer.json, as Hugging Face's own run them. */
import { ConfigError } from "../errors.ts";
import { BYTE_CHARS } from "./byteLevel.ts";
import { ReplaceNormalizer, SplitPreTokenizer } from "./library.ts";

/*
 * The `normalizer` and `pre_tokenizer` of tokenizer.json as Hugging Face's tokenizers (Rust) runs them. Expressions are translated from
 * Oniguruma by @huggingface/tokenizers; the fixed rules are here, since that library's use JavaScript's \s and \d, which are not Unicode's.
 */

/** One cut: a piece -> the pieces it falls into. */
export type Stage = (piece: string) => string[];

interface Rule {
  type?: unknown;
  [option: string]: unknown;
}

/** The longest that is published has about 500. */
const MAX_EXPRESSION_CHARS = 16_384;
/** Rules nested deeper, or more of them, are no tokenizer's. */
const MAX_RULES = 64;

/** The rules in the order they are applied, sequences opened. `parts` names where a Sequence keeps its own. */
function flatten(rule: unknown, where: string, parts: string, out: Rule[] = []): Rule[] {
  if (rule === null || rule === undefined) return out;
  if (typeof rule !== "object" || Array.isArray(rule))
    throw new ConfigError(`tokenizer.json: ${where}: expected an object, got ${JSON.stringify(rule)?.slice(0, 60)}`);
  const own = (rule as Rule)[parts];
  if ((rule as Rule).type !== "Sequence") out.push(rule as Rule);
  else if (Array.isArray(own)) for (const part of own) flatten(part, where, parts, out);
  else throw new ConfigError(`tokenizer.json: ${where}.${parts}: expected a list`);
  if (out.length > MAX_RULES) throw new ConfigError(`tokenizer.json: ${where}: expected at most ${MAX_RULES} rules`);
  return out;
}

function unknown(where: string, known: object, rule: Rule): ConfigError {
  const got = JSON.stringify(rule.type ?? null).slice(0, 60);
  return new ConfigError(
    `tokenizer.json: ${where}: expected ${["Sequence", ...Object.keys(known)].join(", ")}; got ${got}`,
  );
}

const PRE_TOKENIZERS: Record<string, (rule: Rule) => Stage> = {
  Split: (rule) => {
    const pattern = expression(rule, "pre_tokenizer", SplitPreTokenizer);
    return cutting(pattern, behaviorOf(rule.behavior), rule.invert === true);
  },
  ByteLevel: (rule) => {
    const words = rule.use_regex === false ? undefined : cutting(GPT2_WORDS, "Isolated", false);
    return (piece) => {
      const text = rule.add_prefix_space === true && !piece.startsWith(" ") ? ` ${piece}` : piece;
      return (words === undefined ? [text] : words(text)).map(byteText);
    };
  },
  Digits: (rule) => cutting(/\p{N}/gu, rule.individual_digits === true ? "Isolated" : "Contiguous", false),
  Punctuation: (rule) => cutting(/[!-/:-@[-`{-~\p{P}]/gu, behaviorOf(rule.behavior ?? "Isolated"), false),
  Whitespace: () =>
    cutting(
      /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
      "Removed",
      true,
    ),
  WhitespaceSplit: () => cutting(/\p{White_Space}/gu, "Removed", false),
};

/** GPT-2's expression, in which \s is Unicode's White_Space. */
const GPT2_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The stages of a `pre_tokenizer`; none for null. Throws ConfigError naming what is not understood. */
export const stagesOf = (rule: unknown): Stage[] =>
  flatten(rule, "pre_tokenizer", "pretokenizers").map((part) => {
    const make = Object.hasOwn(PRE_TOKENIZERS, String(part.type)) ? PRE_TOKENIZERS[String(part.type)] : undefined;
    if (make === undefined) throw unknown("pre_tokenizer", PRE_TOKENIZERS, part);
    return make(part);
  });

const NORMALIZERS: Record<string, (rule: Rule) => (text: string) => string> = {
  NFC: () => (text) => text.normalize("NFC"),
  NFD: () => (text) => text.normalize("NFD"),
  NFKC: () => (text) => text.normalize("NFKC"),
  NFKD: () => (text) => text.normalize("NFKD"),
  // one character at a time: no final sigma
  Lowercase: () => (text) => text.replace(/\p{Changes_When_Lowercased}/gu, (char) => char.toLowerCase()),
  Strip: (rule) => (text) => {
    const from = rule.strip_left === true ? text.search(/\P{White_Space}/u) : 0;
    if (from < 0) return "";
    return rule.strip_right === true ? (/^.*\P{White_Space}/su.exec(text.slice(from))?.[0] ?? "") : text.slice(from);
  },
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ""),
  Prepend: (rule) => (text) => (text === "" ? "" : String(rule.prepend) + text),
  Replace: (rule) => {
    const pattern = expression(rule, "normalizer", ReplaceNormalizer);
    const content = String(rule.content ?? "");
    return (text) => text.replace(pattern, () => content);
  },
};

/** What a `normalizer` does to a text; undefined when it does nothing. Throws ConfigError naming what is not understood. */
export function normalizerOf(rule: unknown): ((text: string) => string) | undefined {
  const steps = flatten(rule, "normalizer", "normalizers").map((part) => {
    const make = Object.hasOwn(NORMALIZERS, String(part.type)) ? NORMALIZERS[String(part.type)] : undefined;
    if (make === undefined) throw unknown("normalizer", NORMALIZERS, part);
    return make(part);
  });
  return steps.length === 0 ? undefined : (text) => steps.reduce((done, step) => step(done), text);
}

/** The `pattern` of a rule as the library translates it; compiled, so that what cannot be is told at once. */
function expression(rule: Rule, where: string, Translate: new (rule: object) => { pattern: RegExp | null }): RegExp {
  const { Regex, String: text } = (rule.pattern ?? {}) as { Regex?: unknown; String?: unknown };
  if (typeof (Regex ?? text) !== "string")
    throw new ConfigError(
      `tokenizer.json: ${where}.pattern: expected {Regex} or {String}, got ${JSON.stringify(rule.pattern ?? null).slice(0, 60)}`,
    );
  const { length } = (Regex ?? text) as string;
  if (length > MAX_EXPRESSION_CHARS)
    throw new ConfigError(
      `tokenizer.json: ${where}.pattern: expected at most ${MAX_EXPRESSION_CHARS} characters, got ${length}`,
    );
  try {
    const { pattern } = new Translate({
      ...rule,
      invert: false,
      pattern: typeof Regex === "string" ? { Regex: folded(Regex) } : { String: text },
    });
    if (!(pattern instanceof RegExp)) throw new Error("it could not be translated");
    for (const sample of ["a", "\u4e00"]) sample.search(pattern);
    return pattern;
  } catch (error) {
    throw new ConfigError(
      `tokenizer.json: ${where}: the tokenizer cannot be built: the expression cannot be used: ${(error as Error).message.slice(0, 200)}`,
      { cause: error },
    );
  }
}

/** An expression in which groups that ignore case take ſ for s and the Kelvin sign for k; the library folds ASCII alone. */
const folded = (source: string): string =>
  source.replace(
    /\(\?i:[^()[\]\\]*\)/g,
    (group) => `(?i:${group.slice(4).replace(/s/gi, "[s\u017f]").replace(/k/gi, "[k\u212a]")}`,
  );

const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
type Behavior = (typeof BEHAVIORS)[number];

function behaviorOf(name: unknown): Behavior {
  const behavior = BEHAVIORS.find((known) => known === name);
  if (behavior === undefined)
    throw new ConfigError(
      `tokenizer.json: pre_tokenizer.behavior: expected ${BEHAVIORS.join(", ")}; got ${JSON.stringify(name ?? null)?.slice(0, 60)}`,
    );
  return behavior;
}

function isolated(text: string, pattern: RegExp): string[] {
  const pieces: string[] = [];
  let done = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > done) pieces.push(text.slice(done, match.index));
    if (match[0] !== "") pieces.push(match[0]);
    done = match.index + match[0].length;
  }
  if (done < text.length) pieces.push(text.slice(done));
  return pieces;
}

/** Cuts at the matches of a pattern, as `NormalizedString::split` does; `invert` takes what lies between them as the matches. */
function cutting(pattern: RegExp, behavior: Behavior, invert: boolean): Stage {
  if (behavior === "Isolated") return (text) => isolated(text, pattern);
  return (text) => {
    const pieces: string[] = [];
    /** Whether the last piece given out, or removed, was a match. */
    let before: boolean | undefined;
    /** A match that waits for the piece it is merged with. */
    let waiting = "";
    const give = (piece: string, matched: boolean): void => {
      const match = matched !== invert;
      const last = pieces.length - 1;
      if (behavior === "Removed") {
        if (!match) pieces.push(piece);
      } else if (behavior === "Contiguous") {
        if (before === match) pieces[last] += piece;
        else pieces.push(piece);
      } else if (behavior === "MergedWithPrevious") {
        if (match && before === false) pieces[last] += piece;
        else pieces.push(piece);
      } else if (match) {
        if (waiting !== "") pieces.push(waiting);
        waiting = piece;
      } else {
        pieces.push(waiting + piece);
        waiting = "";
      }
      before = match;
    };
    let done = 0;
    for (const match of text.matchAll(pattern)) {
      if (match.index > done) give(text.slice(done, match.index), false);
      give(match[0], true);
      done = match.index + match[0].length;
    }
    if (done < text.length) give(text.slice(done), false);
    if (waiting !== "") pieces.push(waiting);
    return pieces.includes("") ? pieces.filter((piece) => piece !== "") : pieces;
  };
}

const utf8 = new TextEncoder();

/** A text in the byte alphabet. */
function byteText(text: string): string {
  let out = "";
  for (const byte of utf8.encode(text)) out += BYTE_CHARS[byte] ?? "";
  return out;
}
