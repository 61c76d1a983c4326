/** Added tokens found in a text before anything is cut or merged. */
import type { CheckedAddedToken } from "./check.ts";

/** A token of a vocabulary that is looked for in the text itself, before anything is cut or merged. */
export type AddedToken = CheckedAddedToken;

/**
 * Whether a token steers the model (ends a turn, opens a thought, calls a tool) rather than writing text: every special one,
 * and of the others those that look like a mark, as `<think>` or `[TOOL_CALLS]`. Letters and runs of spaces, which some
 * vocabularies add too (ö, two spaces), are text.
 */
export const isControl = (token: { content: string; special: boolean }): boolean =>
  token.special || /^[<[{].*[>\]}]$/su.test(token.content.trim());

/** Finds given texts in others: leftmost first, of those the longest, as Hugging Face's tokenizers does. */
export class Matcher {
  readonly size: number;
  private readonly byText: ReadonlyMap<string, AddedToken>;
  /** First UTF-16 unit of a text -> the lengths that texts with it have, longest first. */
  private readonly lengths = new Map<number, number[]>();
  private readonly first: RegExp;

  /** Of two with one text the later counts. */
  constructor(entries: Iterable<readonly [text: string, token: AddedToken]>) {
    this.byText = new Map(entries);
    this.size = this.byText.size;
    const lengths = new Map<number, Set<number>>();
    for (const text of this.byText.keys()) {
      const unit = text.charCodeAt(0);
      const known = lengths.get(unit);
      if (known === undefined) lengths.set(unit, new Set([text.length]));
      else known.add(text.length);
    }
    for (const [unit, known] of lengths)
      this.lengths.set(
        unit,
        [...known].sort((a, b) => b - a),
      );
    const units = [...lengths.keys()].map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`);
    this.first = new RegExp(`[${units.join("")}]`, "g");
  }

  has(text: string): boolean {
    return this.byText.has(text);
  }

  /** The longest text that begins at a place, and where it ends. */
  at(text: string, place: number): { token: AddedToken; end: number } | undefined {
    for (const length of this.lengths.get(text.charCodeAt(place)) ?? []) {
      const token = this.byText.get(text.slice(place, place + length));
      if (token !== undefined) return { token, end: place + length };
    }
    return undefined;
  }

  /** The next place, from one on, at which a text may begin; -1 when there is none. */
  candidate(text: string, from: number): number {
    this.first.lastIndex = from;
    return this.size === 0 ? -1 : (this.first.exec(text)?.index ?? -1);
  }

  /** The text in order: tokens, with the space they take along, and the stretches between them. */
  cut(text: string): (string | AddedToken)[] {
    const parts: (string | AddedToken)[] = [];
    let done = 0;
    for (let place = this.candidate(text, 0); place >= 0; ) {
      const match = this.at(text, place);
      if (match !== undefined && !(match.token.single_word && !standsAlone(text, place, match.end))) {
        let start = place;
        if (match.token.lstrip) while (start > done && WHITE.test(text.charAt(start - 1))) start--;
        if (start > done) parts.push(text.slice(done, start));
        parts.push(match.token);
        done = match.end;
        if (match.token.rstrip) while (done < text.length && WHITE.test(text.charAt(done))) done++;
      }
      // the search goes on where the match itself ended, whatever space it took along
      place = this.candidate(text, match?.end ?? place + 1);
    }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  }
}

/** Unicode's White_Space; JavaScript's own idea of space has U+FEFF and lacks U+0085. */
const WHITE = /\p{White_Space}/u;
const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

function standsAlone(text: string, start: number, end: number): boolean {
  // two units hold any character
  return !WORD_BEFORE.test(text.slice(Math.max(0, start - 2), start)) && !WORD_AFTER.test(text.slice(end, end + 2));
}
