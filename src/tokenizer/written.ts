/** Messages in parts, kept out of a chat template's way: it is given a stand-in, and what it makes around that is kept. */
import type { Shield } from "./shield.ts";

/**
 * A part of a message: text as people write it, text whose control tokens are such, or ids that a model drew. Last, `instead`: what a template writes after
 * the message itself, from one text to another, which is left out.
 */
export type WrittenPart =
  | { text: string }
  | { markup: string }
  | { ids: readonly number[] }
  | { instead: readonly [from: string, to: string] };

/** Where messages stand in what a template makes: each is one code point that occurs nowhere else. */
export class WrittenPlaces {
  private readonly places = new Map<string, readonly WrittenPart[]>();

  constructor(private readonly shield: Shield) {}

  /** What the template is given in place of a message. */
  standInFor(parts: readonly WrittenPart[]): string {
    const place = this.shield.unused();
    this.places.set(place, parts);
    return place;
  }

  /** A rendered text with the messages in their places: covered text, and ids between. */
  cut(rendered: string): (string | number[])[] {
    if (this.places.size === 0) return [rendered];
    const out: (string | number[])[] = [""];
    const add = (text: string): void => {
      if (typeof out.at(-1) === "string") out.push(`${out.pop() as string}${text}`);
      else out.push(text);
    };
    let leave = (piece: string): string => piece;
    for (const piece of rendered.split(new RegExp(`([${[...this.places.keys()].join("")}])`, "u"))) {
      const parts = this.places.get(piece);
      if (parts === undefined) {
        add(leave(piece));
        leave = (next) => next;
      } else
        for (const part of parts)
          if ("ids" in part) out.push([...part.ids]);
          else if ("instead" in part) leave = (next) => without(next, part.instead);
          else add("text" in part ? this.shield.cover(part.text) : part.markup);
    }
    return out;
  }
}

/** A text without what stands from one text to the end of another at its beginning. */
function without(text: string, [from, to]: readonly [string, string]): string {
  const end = text.trimStart().startsWith(from) ? text.indexOf(to) : -1;
  return end < 0 ? text : text.slice(end + to.length);
}
