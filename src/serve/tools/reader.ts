/** Calls found in an answer while it is written: text in pieces in, text and pieces of calls out. */
import { newId } from "../ids.ts";
import { type CallPiece, type Markup, TOOL_NAME, type ToolFormat, unitIn, withoutUnits } from "./format.ts";
import { readParameters } from "./parameters.ts";
import { isSpace, type Reading, Source } from "./source.ts";

/** What came of some text: what is the answer's, and what is of calls. The text stands before the calls. */
export interface Read {
  text: string;
  calls: CallPiece[];
}

/** Where calls were opened, by their first mark, or where that is no token by all up to the first arguments. */
export interface Opening {
  /** So much of their markup stands there, as the format writes it, */
  begun: string;
  /** and this behind it. */
  tail: string;
}

/**
 * Reads the answer of a model that may call `names`. What is no call stays text: another function's name, markup that breaks off, tags in the midst of a
 * line or in a fenced block. Marks that are tokens are no text, wherever they stand.
 */
export class CallReader {
  /** Where the first calls were opened, as soon as they are. */
  opening: Opening | undefined;
  readonly #source: Source;
  readonly #run: Reading<void>;
  readonly #format: ToolFormat;
  readonly #heads: readonly string[];
  #out: Read = { text: "", calls: [] };
  /** White space that is dropped if calls follow. */
  #white = "";
  #line = "";
  #fenced = false;
  #begun = false;
  #calls = 0;
  #cut = false;
  /** Where calls stand in all that came. */
  readonly #spans: { from: number; to: number }[] = [];

  constructor(
    readonly markup: Markup,
    private readonly names: ReadonlySet<string>,
  ) {
    this.#format = markup.format;
    this.#source = new Source(markup);
    const { open, begin } = this.#format;
    const heads = [markup.read(open + begin), markup.read(begin)];
    // R1 forgets at times to open the whole
    this.#heads = unitIn(heads[1] ?? "") === 0 ? [...new Set(heads)] : heads.slice(0, 1);
    this.#run = this.#read();
  }

  push(piece: string): Read {
    this.#source.buffer += piece;
    return this.#go();
  }

  /** The end. `cut`: the answer was cut off, so half of a call's head is none of its text. */
  flush(cut: boolean): Read {
    this.#source.ended = true;
    this.#cut = cut;
    const out = this.#go();
    out.text += this.#white;
    this.#white = "";
    return out;
  }

  /** How much of what came may still be of calls, or not. */
  get held(): number {
    return this.#source.buffer.length + this.#white.length;
  }

  /** Whether what stands at a place, among all that came, is of calls. */
  isCall(offset: number): boolean {
    return this.#spans.some(({ from, to }) => offset >= from && offset < to);
  }

  #go(): Read {
    this.#run.next();
    const out = this.#out;
    this.#out = { text: "", calls: [] };
    return out;
  }

  *#read(): Reading<void> {
    while (yield* this.#source.need(1)) {
      const from = this.#source.taken - this.#white.length;
      const name = yield* this.#head();
      if (name === undefined) {
        // a whole character: half of a pair is taken for a mark
        this.#say((this.#source.buffer.codePointAt(0) ?? 0) > 0xffff ? 2 : 1);
        continue;
      }
      this.#white = "";
      const span = { from, to: Infinity };
      this.#spans.push(span);
      yield* this.#callsFrom(name);
      span.to = this.#source.taken;
    }
  }

  /** Takes the head of a call up to its arguments, if one stands here; gives its name. */
  *#head(): Reading<string | undefined> {
    const source = this.#source;
    for (const head of this.#heads) {
      if (source.buffer.charAt(0) !== head.charAt(0)) continue;
      const mark = unitIn(head);
      if (mark < 0 && !this.#maybeHere()) continue;
      if (mark >= 0) {
        const opened = yield* source.match(head.slice(0, mark + 1), 0);
        if (opened < 0) continue;
        const whole = this.#heads[0] ?? "";
        const begun = whole.slice(0, whole.length - head.length + mark + 1);
        this.opening ??= { begun, tail: source.buffer.slice(opened) };
      }
      const begun = yield* source.match(head, 0);
      const found = begun < 0 ? undefined : yield* this.#named(begun);
      if (found !== undefined) {
        source.take(found.at);
        if (mark < 0)
          this.opening ??= { begun: head + found.name + this.markup.read(this.#format.middle), tail: source.buffer };
        return found.name;
      }
      const told = mark >= 0 || source.buffer.startsWith(this.#format.marks[0] ?? "{{");
      if (told && source.ended && this.#cut) source.take(source.buffer.length);
    }
    return undefined;
  }

  /** A function's name that stands at a place of the buffer, and where its arguments begin. */
  *#named(from: number): Reading<{ name: string; at: number } | undefined> {
    const source = this.#source;
    let end = from;
    while ((yield* source.need(end + 1)) && TOOL_NAME.test(source.buffer.slice(from, end + 1))) end++;
    const name = source.buffer.slice(from, end);
    if (!this.names.has(name)) return undefined;
    let at = yield* source.match(this.markup.read(this.#format.middle), end);
    if (at < 0) return undefined;
    if (this.#format.parameters === undefined) {
      while ((yield* source.need(at + 1)) && isSpace(source.buffer.charAt(at))) at++;
      if (source.buffer.charAt(at) !== "{") return undefined;
    }
    return { name, at };
  }

  /** Takes a call from its arguments on, and those that follow. */
  *#callsFrom(first: string): Reading<void> {
    const source = this.#source;
    const { end, between, begin, close, parameters } = this.#format;
    const read = (literal: string): string => this.markup.read(literal);
    for (let name = first; ; ) {
      const index = this.#calls++;
      this.#out.calls.push({ index, id: newId("call", "_"), name, arguments: "" });
      const say = (text: string): void => {
        if (text !== "") this.#out.calls.push({ index, arguments: text });
      };
      const whole = yield* parameters ? readParameters(source, parameters, say) : source.object(say);
      if (!whole) return this.#dropRest();
      this.#out.calls.push({ index, arguments: "", done: true });
      const ended = yield* source.match(read(end), 0);
      if (ended < 0) return this.#dropRest();
      source.take(ended);
      yield* source.skip();
      const next = yield* source.match(read(between + begin), 0);
      const found = next < 0 ? undefined : yield* this.#named(next);
      if (found === undefined) break;
      source.take(found.at);
      name = found.name;
    }
    const closed = yield* source.match(read(close), 0);
    if (closed >= 0) source.take(closed);
    else this.#dropRest();
  }

  /** Markup that breaks off where the answer ends is no text. */
  #dropRest(): void {
    if (this.#source.ended) this.#source.take(this.#source.buffer.length);
  }

  /** Whether calls without a mark may begin here. */
  #maybeHere(): boolean {
    if (this.#format.place === "start") return !this.#begun;
    return this.#line.trim() === "" && !this.#fenced;
  }

  /** Takes text that is the answer's. */
  #say(count: number): void {
    const text = withoutUnits(this.#source.take(count));
    for (const c of text) {
      if (c === "\n") {
        if (this.#line.startsWith("```")) this.#fenced = !this.#fenced;
        this.#line = "";
      } else if (this.#line.length < LINE_CHARS && (this.#line !== "" || !isSpace(c))) this.#line += c;
    }
    if (text.trim() === "") this.#white += text;
    else {
      const shown = text.trimEnd();
      this.#out.text += this.#white + shown;
      this.#white = text.slice(shown.length);
      this.#begun = true;
    }
  }
}

/** As much of a line as says what it is. */
const LINE_CHARS = 8;
