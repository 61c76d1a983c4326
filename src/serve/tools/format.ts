/** What a format of tool calls is: how models write them, as data that reading, writing and grammars are made of. */

/**
 * The markup of calls: `open` (`begin` NAME `middle` ARGUMENTS `end`), with `between` from one to the next, `close`; `gap` parts it from text before. White
 * space is written as it stands, and read however much there is.
 */
export interface ToolFormat {
  readonly name: string;
  /** Parts of the markup that are tokens of their own in the models that were trained on it. */
  readonly marks: readonly string[];
  readonly gap: string;
  readonly open: string;
  readonly begin: string;
  readonly middle: string;
  readonly end: string;
  readonly between: string;
  readonly close: string;
  /** Where calls may begin that no token of their own opens: at a line's start, or only at the answer's. */
  readonly place: "line" | "start";
  /** Its templates write results by the calls that they wrote before: they are told that there were some. */
  readonly tracked?: true;
  /** Arguments are one JSON object, or one element for each of them. */
  readonly parameters?: ParameterMarkup;
}

/** Arguments one by one: `open` NAME `kind` true or false `middle` VALUE `close`. Texts stand as they are (`true`), everything else as JSON. */
export interface ParameterMarkup {
  readonly open: string;
  readonly kind: string;
  readonly middle: string;
  readonly close: string;
}

/** A function that a request offers. */
export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** JSON Schema of its arguments. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** What cannot be enforced of the schema is refused; else its arguments are any JSON object then. */
  readonly strict?: boolean;
}

/** A call that a model made: `arguments` is JSON, as it wrote them. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** Some of a call. A call's first piece has its id and name, its last one `done`; one that was cut off has none. */
export interface CallPiece {
  /** Which call of the answer, from 0 on. */
  index: number;
  id?: string;
  name?: string;
  /** More of its arguments, which are a JSON object when all have come. */
  arguments: string;
  done?: true;
}

/** Names that functions may have: no markup can be hidden in them. */
export const TOOL_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * A format in a model's tokens. In text that is read, a mark that was drawn as its token is one unit that no other text has (half of a UTF-16 pair), so
 * that it is told from text that spells it.
 */
export class Markup {
  /** Ids of marks that are tokens, with the unit that each is read as. */
  readonly units = new Map<number, string>();
  readonly #unitOf = new Map<string, string>();
  readonly #textOf = new Map<string, string>();

  constructor(
    readonly format: ToolFormat,
    idOf: (token: string) => number | undefined,
  ) {
    for (const [i, mark] of format.marks.entries()) {
      const id = idOf(mark);
      if (id === undefined) continue;
      const unit = String.fromCharCode(FIRST_UNIT + i);
      this.units.set(id, unit);
      this.#unitOf.set(mark, unit);
      this.#textOf.set(unit, mark);
    }
  }

  /** A piece of markup as it is read. */
  read(literal: string): string {
    let text = literal;
    for (const [mark, unit] of this.#unitOf) text = text.replaceAll(mark, unit);
    return text;
  }

  /** A piece of markup, or text that was read, with one character of `chars` for each mark that is a token. */
  standIns(text: string, chars: string): string {
    return this.read(text).replace(UNITS, (unit) => chars.charAt(unit.charCodeAt(0) - FIRST_UNIT));
  }

  /** Text that was read, with marks spelled out. */
  spelled(text: string): string {
    return text.replace(UNITS, (unit) => this.#textOf.get(unit) ?? unit);
  }
}

const FIRST_UNIT = 0xdc00;
/** Units on their own: what belongs to a pair is left. */
const UNITS = /(?<![\ud800-\udbff])[\udc00-\udcff]/g;

/** Whether a text holds a mark that was drawn as a token, and where. */
export const unitIn = (text: string): number => text.search(UNITS_ONCE);
const UNITS_ONCE = /(?<![\ud800-\udbff])[\udc00-\udcff]/;

/** Text that was read, without marks. */
export const withoutUnits = (text: string): string => text.replace(UNITS, "");
