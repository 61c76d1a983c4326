/** Reading JSON that somebody else wrote: how deep it may be, and how much may stand in it, is checked before it is parsed. */

/** Deeper than any file or request that people write; less deep than what overflows a recursive reader's stack. */
export const JSON_DEPTH = 128;

export interface JsonBounds {
  depth?: number;
  /** Most lists, objects and values in them together: what takes memory when it is parsed. */
  values?: number;
  /** Most keys in all objects together. */
  keys?: number;
}

/** JSON that passes a bound. `bound` names which. */
export class JsonBoundError extends Error {
  constructor(
    readonly bound: keyof JsonBounds,
    readonly most: number,
  ) {
    super(bound === "depth" ? `nested deeper than ${most} levels` : `more than ${most} ${bound}`);
  }
}

const QUOTE = 34,
  STAR = 42,
  COMMA = 44,
  SLASH = 47,
  COLON = 58,
  OPEN_LIST = 91,
  BACKSLASH = 92,
  CLOSE_LIST = 93,
  OPEN_OBJECT = 123,
  CLOSE_OBJECT = 125,
  LINE_FEED = 10;

/** Where the walk stands: between tokens, in a text, behind its backslash, behind a slash, in a comment of a line or a block, behind its star. */
const BETWEEN = 0,
  TEXT = 1,
  ESCAPE = 2,
  AFTER_SLASH = 3,
  LINE = 4,
  BLOCK = 5,
  AFTER_STAR = 6;

/**
 * Walks over JSON, with or without comments, as its UTF-8 bytes come and throws JsonBoundError as soon as a bound is passed.
 * It does not say whether the bytes are JSON: what it lets through is parsed after.
 */
export class JsonScan {
  #place = BETWEEN;
  #depth = 0;
  #values = 0;
  #keys = 0;

  constructor(readonly bounds: JsonBounds = {}) {}

  push(bytes: Uint8Array): void {
    let place = this.#place;
    for (let i = 0; i < bytes.length; i++) {
      const c = bytes[i] as number;
      if (place === TEXT) {
        if (c === QUOTE) place = BETWEEN;
        else if (c === BACKSLASH) place = ESCAPE;
      } else if (place === ESCAPE) place = TEXT;
      else if (place === LINE) {
        if (c === LINE_FEED) place = BETWEEN;
      } else if (place === BLOCK) {
        if (c === STAR) place = AFTER_STAR;
      } else if (place === AFTER_STAR) {
        if (c !== STAR) place = c === SLASH ? BETWEEN : BLOCK;
      } else if (place === AFTER_SLASH && (c === SLASH || c === STAR)) place = c === SLASH ? LINE : BLOCK;
      else {
        place = c === QUOTE ? TEXT : c === SLASH ? AFTER_SLASH : BETWEEN;
        if (place === BETWEEN) this.#structure(c);
      }
    }
    this.#place = place;
  }

  #structure(c: number): void {
    const { depth = JSON_DEPTH, values = Infinity, keys = Infinity } = this.bounds;
    if (c === OPEN_LIST || c === OPEN_OBJECT) {
      if (++this.#depth > depth) throw new JsonBoundError("depth", depth);
      if (++this.#values > values) throw new JsonBoundError("values", values);
    } else if (c === CLOSE_LIST || c === CLOSE_OBJECT) this.#depth--;
    else if (c === COMMA) {
      if (++this.#values > values) throw new JsonBoundError("values", values);
    } else if (c === COLON && ++this.#keys > keys) throw new JsonBoundError("keys", keys);
  }
}

/** Throws JsonBoundError for text nested deeper than `JSON_DEPTH`; for readers that parse by themselves, such as that of comments. */
export function checkJsonDepth(text: string): void {
  new JsonScan().push(new TextEncoder().encode(text));
}

/** `JSON.parse` for what others wrote: an Error whose message says what is wrong, also for JSON that is nested too deeply. */
export function parseJson(text: string): unknown {
  checkJsonDepth(text);
  return JSON.parse(text) as unknown;
}

/** Whether a value is a JSON object. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const MOST_ITEMS = 20;
const MOST_LEVELS = 8;

/** The beginning of a value's JSON, for messages: of long texts, long lists and deep nests only the first `chars`, items and levels are looked at. */
export function briefJson(value: unknown, chars = 100, levels = MOST_LEVELS): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, chars + 1));
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? String(value);
  if (levels === 0) return "…";
  const parts: string[] = [];
  if (Array.isArray(value)) {
    for (const item of value.slice(0, MOST_ITEMS))
      parts.push(item === undefined ? "null" : briefJson(item, chars, levels - 1));
    return `[${parts.join(",")}${value.length > MOST_ITEMS ? ",…" : ""}]`;
  }
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    if (!Object.hasOwn(value, key) || item === undefined) continue;
    if (parts.length === MOST_ITEMS) {
      parts.push("…");
      break;
    }
    parts.push(`${briefJson(key, chars)}:${briefJson(item, chars, levels - 1)}`);
  }
  return `{${parts.join(",")}}`;
}
