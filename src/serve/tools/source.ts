/** Text that comes in pieces, read by generators that pause where more is needed. */
import { overlap } from "../text.ts";
import { type Markup, unitIn } from "./format.ts";

/** Pauses until more has come; the value is what was found. */
export type Reading<T> = Generator<undefined, T, undefined>;

export class Source {
  /** What has come and was not taken. */
  buffer = "";
  /** No more comes. */
  ended = false;
  /** How much was taken. */
  taken = 0;

  constructor(readonly markup: Markup) {}

  /** Whether so much is there, or will be. */
  *need(count: number): Reading<boolean> {
    while (this.buffer.length < count && !this.ended) yield;
    return this.buffer.length >= count;
  }

  take(count: number): string {
    const text = this.buffer.slice(0, count);
    this.buffer = this.buffer.slice(count);
    this.taken += text.length;
    return text;
  }

  /**
   * Where a piece of markup ends that stands at a place of the buffer; -1: another text stands there. White space may be more or less than the markup has, but
   * for the inside of a word.
   */
  *match(literal: string, from: number): Reading<number> {
    let at = from;
    for (let i = 0; i < literal.length; ) {
      const c = literal.charAt(i);
      if (isSpace(c)) {
        i++;
        continue;
      }
      if (!(yield* this.need(at + 1))) return -1;
      const got = this.buffer.charAt(at);
      if (got === c) i++;
      else if (!isSpace(got) || (isWord(c) && isWord(literal.charAt(i - 1)))) return -1;
      at++;
    }
    return at;
  }

  /** Takes white space. */
  *skip(): Reading<void> {
    while (yield* this.need(1)) {
      const count = this.buffer.length - this.buffer.trimStart().length;
      this.take(count);
      if (this.buffer !== "") return;
    }
  }

  /** Takes text up to a piece of markup exactly as it is written, and that too; what comes before it is said as it comes. False: it never came. */
  *until(literal: string, say: (text: string) => void): Reading<boolean> {
    while (yield* this.need(1)) {
      const at = this.buffer.indexOf(literal);
      if (at >= 0) {
        say(this.markup.spelled(this.take(at)));
        this.take(literal.length);
        return true;
      }
      const keep = overlap(this.buffer, literal);
      say(this.markup.spelled(this.take(this.buffer.length - keep)));
      if (!(yield* this.need(keep + 1))) break;
    }
    // what is left may be half of the markup
    this.take(this.buffer.length);
    return false;
  }

  /** Takes a JSON object, which is said as it comes. False: it broke off, or a mark stood in it. */
  *object(say: (text: string) => void): Reading<boolean> {
    let depth = 0;
    let quoted = false;
    let escaped = false;
    while (yield* this.need(1)) {
      const stop = unitIn(this.buffer);
      const end = stop < 0 ? this.buffer.length : stop;
      let at = 0;
      for (; at < end; at++) {
        const c = this.buffer.charAt(at);
        if (escaped) escaped = false;
        else if (c === "\\") escaped = quoted;
        else if (c === '"') quoted = !quoted;
        else if (!quoted && (c === "{" || c === "[")) depth++;
        else if (!quoted && (c === "}" || c === "]") && --depth <= 0) {
          say(this.take(at + 1));
          return true;
        }
      }
      say(this.take(at));
      if (stop >= 0) return false;
    }
    return false;
  }
}

export const isSpace = (c: string): boolean => /^\s$/.test(c);
const isWord = (c: string): boolean => /^\w$/.test(c);
