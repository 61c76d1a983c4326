/** People's text kept apart from a chat template's control tokens. */
import { DataError } from "../errors.ts";
import { Matcher } from "./added.ts";
import { END_THINK, THINK } from "./special.ts";

/*
 * A template writes people's text between its own control tokens. So that nothing in that text can become one, one character of each
 * control token that it spells is replaced by a stand-in, a code point that occurs nowhere else; after rendering the control tokens
 * that are left are the template's, and the stand-ins become what they stood for again. Lengths stay as they are.
 */

/** Code points without a meaning: 32 noncharacters, then the private areas. */
const POOL: readonly (readonly [first: number, last: number])[] = [
  [0xfdd0, 0xfdef],
  [0xe000, 0xf8ff],
  [0xf0000, 0xffffd],
  [0x100000, 0x10fffd],
];
const IN_POOL = /[\u{fdd0}-\u{fdef}\u{e000}-\u{f8ff}\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}]/gu;
/** A character as JSON and templates may write it. */
const ESCAPED = /\\u([0-9a-f]{4})/gi;

/** The texts of all control tokens, ready to be looked for, whole and in part. */
export class Marks {
  readonly matcher: Matcher;
  readonly longest: number;
  private readonly sorted: string[];
  private readonly reversed: string[];

  constructor(tokens: Iterable<string>) {
    const texts = [...new Set([...tokens, THINK, END_THINK])];
    this.matcher = new Matcher(
      texts.map((content) => [
        content,
        { id: -1, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
      ]),
    );
    this.longest = texts.reduce((most, text) => Math.max(most, text.length), 0);
    this.sorted = texts.toSorted(byUnits);
    this.reversed = texts.map(backwards).sort(byUnits);
  }

  /** Whether a text ends with the beginning of a mark. */
  begunAtEnd(text: string): boolean {
    return endBegins(this.sorted, text.slice(-this.longest));
  }

  /** Whether a text begins with the end of a mark. */
  endedAtStart(text: string): boolean {
    return endBegins(this.reversed, backwards(text.slice(0, this.longest)));
  }
}

const byUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const backwards = (text: string): string => text.split("").reverse().join("");

/** Whether what `text` ends with is what one of the sorted texts begins with. */
function endBegins(sorted: readonly string[], text: string): boolean {
  for (let length = 1; length <= text.length; length++) {
    const end = text.slice(text.length - length);
    let low = 0;
    for (let high = sorted.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] ?? "") < end) low = middle + 1;
      else high = middle;
    }
    if (sorted[low]?.startsWith(end)) return true;
  }
  return false;
}

/** Covers the texts of one conversation and uncovers what a template made of them. */
export class Shield {
  private readonly standIns = new Map<string, string>();
  private readonly stoodFor = new Map<string, string>();
  private readonly taken = new Set<string>();
  private area = 0;
  private next = POOL[0]?.[0] ?? 0;

  /** `inputs` are all texts that the rendered one can be made of: no stand-in may occur in them. */
  constructor(
    private readonly marks: Marks,
    inputs: Iterable<string>,
  ) {
    for (const text of inputs) {
      for (const [char] of text.matchAll(IN_POOL)) this.taken.add(char);
      for (const [, hex = ""] of text.matchAll(ESCAPED)) this.taken.add(String.fromCharCode(parseInt(hex, 16)));
    }
  }

  /** How many marks a text holds. */
  count(text: string): number {
    return this.marks.matcher.cut(text).reduce((sum, part) => sum + (typeof part === "string" ? 0 : 1), 0);
  }

  /**
   * People's text without any mark, also when the template trims it and puts more text at its ends. `inside: true` looks at
   * whole marks only, for names that templates make their own marks of (`'<|' + role + '|>'`).
   */
  cover(text: string, options: { inside?: boolean } = {}): string {
    const { matcher } = this.marks;
    const places = new Set<number>();
    for (let place = matcher.candidate(text, 0); place >= 0; place = matcher.candidate(text, place + 1)) {
      // a mark that begins at a stand-in is none any more
      const match = places.has(place) ? undefined : matcher.at(text, place);
      if (match === undefined) continue;
      const second = after(text, place);
      if (second < match.end) places.add(second);
      if (second === match.end || matcher.has(text.slice(place, second))) places.add(place);
    }
    if (!options.inside)
      for (const [from, to] of [
        [0, text.length],
        [text.length - text.trimStart().length, text.trimEnd().length],
      ] as const) {
        if (from >= to) continue;
        const part = text.slice(from, to);
        if (this.marks.endedAtStart(part)) places.add(from);
        if (this.marks.begunAtEnd(part)) places.add(before(text, to));
      }
    if (places.size === 0) return text;
    let covered = "";
    let done = 0;
    for (const place of [...places].sort((a, b) => a - b)) {
      const end = after(text, place);
      covered += text.slice(done, place) + this.standIn(text.slice(place, end));
      done = end;
    }
    return covered + text.slice(done);
  }

  /** An assistant's text, of which one thought at the beginning, `<think>…</think>`, keeps its tags: it wrote them. */
  coverAnswer(text: string): string {
    const open = text.length - text.trimStart().length;
    const thought = open + THINK.length;
    const close = text.startsWith(THINK, open) ? text.indexOf(END_THINK, thought) : -1;
    if (close < 0) return this.cover(text);
    return (
      text.slice(0, thought) +
      this.cover(text.slice(thought, close)) +
      END_THINK +
      this.cover(text.slice(close + END_THINK.length))
    );
  }

  /** The text with what the stand-ins stood for, also where JSON wrote them as \uXXXX. */
  uncover(text: string): string {
    if (this.stoodFor.size === 0) return text;
    return text
      .replace(IN_POOL, (char) => this.stoodFor.get(char) ?? char)
      .replace(ESCAPED, (all, hex: string) => this.stoodFor.get(String.fromCharCode(parseInt(hex, 16))) ?? all);
  }

  private standIn(char: string): string {
    const known = this.standIns.get(char);
    if (known !== undefined) return known;
    const free = this.unused();
    this.standIns.set(char, free);
    this.stoodFor.set(free, char);
    return free;
  }

  /** A code point that occurs nowhere, and stands for nothing yet. */
  unused(): string {
    for (; this.area < POOL.length; this.next = POOL[++this.area]?.[0] ?? 0)
      for (; this.next <= (POOL[this.area]?.[1] ?? -1); ) {
        const free = String.fromCodePoint(this.next++);
        if (!this.taken.has(free)) return free;
      }
    throw new DataError("chat template: expected texts that leave one code point of the private areas unused");
  }
}

/** Where the character at a place ends. */
const after = (text: string, place: number): number => place + ((text.codePointAt(place) ?? 0) > 0xffff ? 2 : 1);

/** Where the character that ends at a place begins. */
const before = (text: string, place: number): number =>
  place >= 2 && (text.codePointAt(place - 2) ?? 0) > 0xffff ? place - 2 : place - 1;
