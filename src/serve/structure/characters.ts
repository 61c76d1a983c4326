/** Sets of characters, and how they are written in a grammar: as they are, or as they stand in a JSON string. */
import { StructureError } from "./error.ts";

/** Ranges of code points, first and last, ascending and apart. */
export type Characters = readonly (readonly [first: number, last: number])[];

const LAST = 0x10ffff;
/** No text has them: halves of UTF-16 pairs. */
const HALVES: Characters = [[0xd800, 0xdfff]];

/** All that is in any of them. */
export function union(...sets: readonly Characters[]): Characters {
  const out: [number, number][] = [];
  for (const [first, last] of sets.flat().toSorted((a, b) => a[0] - b[0])) {
    const end = out.at(-1);
    if (end && first <= end[1] + 1) end[1] = Math.max(end[1], last);
    else out.push([first, last]);
  }
  return out;
}

/** All that is not in it. */
export function complement(set: Characters): Characters {
  const out: [number, number][] = [];
  let next = 0;
  for (const [first, last] of union(set, HALVES)) {
    if (first > next) out.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= LAST) out.push([next, LAST]);
  return out;
}

export const without = (set: Characters, other: Characters): Characters => complement(union(complement(set), other));

export const both = (a: Characters, b: Characters): Characters => complement(union(complement(a), complement(b)));

export const ALL: Characters = complement([]);

const escaped = (code: number): string => `\\U${code.toString(16).padStart(8, "0")}`;

export const ASCII: Characters = [[0, 0x7f]];
/** Single characters beyond ASCII that a class may name. */
const MOST_NAMED = 64;

/**
 * A character of the set, in a grammar: undefined where there is none. XGrammar's classes are right for ASCII, and for all that is beyond it together; a few
 * characters beyond it are written one by one. Throws StructureError for other sets, or with `narrow` takes of them what is ASCII.
 */
export function classOf(set: Characters, options: { narrow?: boolean } = {}): string | undefined {
  const plain = both(set, ASCII);
  const beyond = without(set, ASCII);
  if (same(union(plain, beyond, ASCII), ALL)) return `[^${rangesOf(without(ASCII, plain))}]`;
  const named = beyond.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  if (named > MOST_NAMED && !options.narrow)
    throw new StructureError(
      `of characters beyond ASCII, expected all, or at most ${MOST_NAMED}, in a class, got ${named}`,
    );
  const ways = plain.length === 0 ? [] : [`[${rangesOf(plain)}]`];
  if (named <= MOST_NAMED)
    for (const [first, last] of beyond)
      for (let code = first; code <= last; code++) ways.push(literal(String.fromCodePoint(code)));
  return ways.length < 2 ? ways[0] : `(${ways.join(" | ")})`;
}

const same = (a: Characters, b: Characters): boolean => a.flat().join() === b.flat().join();
const rangesOf = (set: Characters): string =>
  set.map(([first, last]) => (first === last ? escaped(first) : `${escaped(first)}-${escaped(last)}`)).join("");

/** As strings of a grammar write them; what has no short form stands in a class, since digits behind an escape would be taken for its own. */
const IN_STRINGS: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** A text, in a grammar. */
export function literal(text: string): string {
  const parts: string[] = [];
  let open = "";
  for (const c of text) {
    const code = c.codePointAt(0) ?? 0;
    const plain = IN_STRINGS[c] ?? (code > 0x1f && code !== 0x7f ? c : undefined);
    if (plain !== undefined) {
      open += plain;
      continue;
    }
    if (open !== "") parts.push(`"${open}"`);
    open = "";
    parts.push(`[${escaped(code)}]`);
  }
  if (open !== "" || parts.length === 0) parts.push(`"${open}"`);
  return parts.join(" ");
}

const CONTROLS: Characters = [[0, 0x1f]];
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NEEDS_ESCAPE = union(CONTROLS, [
  [QUOTE, QUOTE],
  [BACKSLASH, BACKSLASH],
]);

const SHORT: Readonly<Record<number, string>> = { 8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 34: '"', 92: "\\" };

/** A code point as it stands in a JSON string: in one way only, as JSON.stringify writes it. */
export function jsonCharacter(code: number): string {
  if (code > 0x1f && code !== QUOTE && code !== BACKSLASH) return String.fromCodePoint(code);
  const short = SHORT[code];
  return short === undefined ? `\\u${code.toString(16).padStart(4, "0")}` : `\\${short}`;
}

/** A character of the set as it stands in a JSON string, in a grammar. */
export function jsonClassOf(set: Characters, options: { narrow?: boolean } = {}): string | undefined {
  const plain = classOf(without(set, NEEDS_ESCAPE), options);
  const special: string[] = [];
  for (const [first, last] of both(set, NEEDS_ESCAPE))
    for (let code = first; code <= last; code++) special.push(literal(jsonCharacter(code)));
  const all = [...(plain === undefined ? [] : [plain]), ...special];
  return all.length === 0 ? undefined : all.length === 1 ? all[0] : `(${all.join(" | ")})`;
}

/** A text as it stands in a JSON string, without the quotes, in a grammar. */
export const jsonLiteral = (text: string): string =>
  literal(Array.from(text, (c) => jsonCharacter(c.codePointAt(0) ?? 0)).join(""));
