/** Chat templates in Jinja, run with bounds on time and size. */
import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { ConfigError, DataError } from "../errors.ts";

/*
 * A chat template comes from somebody else's folder, so it is run in bounds. @huggingface/jinja interprets it; every step passes
 * `evaluate`, where it is counted and what came of it is measured. What can grow by more than its operands in one step (range, join,
 * replace, split, slices, indent, tojson) is measured before.
 */

/** Longer sources are refused; the longest published one has 25 KB. */
const MAX_SOURCE_CHARS = 512 * 1024;
/** The library looks for blank space around blocks in a way that is quadratic in its length. */
const MAX_BLANK_CHARS = 2048;
/** As many as Jinja's own sandbox allows. */
const MAX_RANGE = 100_000;
const MAX_STEPS = 4_000_000;
/** Of any text or list on the way, written out, and of the whole output: so many, and so many times what the template is given, */
const FREE_CHARS = 2 ** 23;
const TIMES_GIVEN = 8;
/** but never more than these. */
const MAX_CHARS = 2 ** 25;
const MAX_MILLIS = 4_000;
/** Steps' worth of work between two looks at the clock. */
const CLOCK_EVERY = 1024;
/** What a list element or object entry counts beside its own characters: about its memory. */
const ENTRY_CHARS = 32;

/** What ended a template, in words. */
class Bound extends Error {}

const tooLong = (most: number): string => `it makes a text or list of more than ${most} characters`;

/** A Jinja chat template, parsed, that ends whatever it says: in steps, time and output. */
export class ChatTemplate {
  private readonly program: Node;

  /** Throws ConfigError for what is no template. */
  constructor(readonly source: string) {
    try {
      if (source.length > MAX_SOURCE_CHARS)
        throw new Bound(`expected at most ${MAX_SOURCE_CHARS} characters, got ${source.length}`);
      const blank = source.search(new RegExp(`\\s{${MAX_BLANK_CHARS}}`));
      if (blank >= 0)
        throw new Bound(
          `expected at most ${MAX_BLANK_CHARS - 1} spaces and line ends in a row, got more from character ${blank + 1} on; take some out`,
        );
      this.program = new Template(source).parsed as Node;
    } catch (error) {
      throw new ConfigError(`tokenizer_config.json: the chat_template cannot be parsed: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }

  /**
   * Throws DataError when the template refuses the variables, or does not end within its bounds. `shield` covers what the template
   * itself puts together of covered texts, as `content.replace('x', '')` may.
   */
  render(variables: Readonly<Record<string, unknown>>, shield?: TextShield): string {
    try {
      const scope = new Environment();
      for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) scope.set(name, value);
      const interpreter = new BoundedInterpreter(scope, shield, Object.keys(variables));
      return String(interpreter.evaluate(this.program, scope).value);
    } catch (error) {
      const bound =
        error instanceof Bound
          ? error.message
          : error instanceof RangeError && /string length/.test(error.message)
            ? tooLong(MAX_CHARS)
            : undefined;
      if (bound !== undefined) throw new DataError(`chat template: ended, since ${bound}`, { cause: error });
      throw new DataError(`chat template: these messages cannot be rendered: ${reasonOf(error)}`, { cause: error });
    }
  }
}

/** Counts whole marks in a text, and covers them. */
export interface TextShield {
  count(text: string): number;
  cover(text: string, options: { inside: true }): string;
}

const reasonOf = (error: unknown): string =>
  error instanceof RangeError && /call stack/.test(error.message)
    ? "it is nested too deeply"
    : (error as Error).message.slice(0, 400);

/** What is used here of the library's syntax tree, values and scopes; it exports their types in a form that TypeScript cannot find. */
interface Node {
  type: string;
  [part: string]: any;
}

interface Value {
  type: string;
  value: unknown;
}

interface Scope {
  parent?: Scope;
  variables: Map<string, Value>;
}

const Base = Interpreter as unknown as new (scope: Scope) => { evaluate(node: Node | undefined, scope: Scope): Value };

/** Characters of a value written out, the values in it, and how deep they lie; `fixed` unless a namespace is among them. */
interface Size {
  chars: number;
  entries: number;
  depth: number;
  fixed: boolean;
}

const SMALL: Size = { chars: ENTRY_CHARS, entries: 1, depth: 0, fixed: true };
const ENDLESS: Size = { chars: Infinity, entries: Infinity, depth: Infinity, fixed: false };

/** The type of a node that is a value already, in the place of the expression that it came of. */
const HELD = "Held";

class BoundedInterpreter extends Base {
  private readonly started = performance.now();
  private readonly sizes = new WeakMap<Value, Size>();
  private steps = 0;
  private untilClock = CLOCK_EVERY;

  private readonly mostChars: number;

  /** `given` are the names in the scope that hold what the template is given. */
  constructor(
    scope: Scope,
    private readonly shield: TextShield | undefined,
    given: readonly string[],
  ) {
    super(scope);
    const chars = given.reduce((sum, name) => sum + this.sizeOf(lookUp(name, scope)).chars, 0);
    this.mostChars = Math.min(MAX_CHARS, FREE_CHARS + TIMES_GIVEN * chars);
  }

  override evaluate(node: Node | undefined, scope: Scope): Value {
    if (node === undefined) return UNDEFINED;
    if (node.type === HELD) return node.held as Value;
    if (++this.steps > MAX_STEPS) throw new Bound(`it took more than ${MAX_STEPS} steps`);
    // the first of an empty list is nothing at all
    const value =
      (node.type === "Identifier" ? lookUp(node.value as string, scope) : this.compute(node, scope)) ?? UNDEFINED;
    this.allow(this.sizeOf(value).chars);
    return value;
  }

  private compute(node: Node, scope: Scope): Value | undefined {
    const measured = this.measured(node, scope);
    const value = super.evaluate(measured, scope);
    if (measured === node || this.shield === undefined || typeof value?.value !== "string") return value;
    // marks that no part has were made by joining them, or by taking out what stood between
    const marks = (part: Node): number => this.marksIn((part.held ?? part.value?.held) as Value | undefined);
    const args: Node[] = measured.args ?? measured.filter?.args ?? [];
    if (
      args.some((arg) => marks(arg) > 0) ||
      this.shield.count(value.value) <= marks(measured.operand ?? measured.callee?.object ?? measured.object)
    )
      return value;
    return new (value.constructor as new (text: string) => Value)(this.shield.cover(value.value, { inside: true }));
  }

  private marksIn(value: Value | undefined): number {
    const inner = value?.value;
    if (typeof inner === "string") return this.shield?.count(inner) ?? 0;
    if (Array.isArray(inner)) return inner.reduce((sum: number, part: Value) => sum + this.marksIn(part), 0);
    return inner instanceof Map ? this.marksIn({ type: "", value: [...inner.values()] }) : 0;
  }

  /** Counts work by the characters it makes, and refuses too many. */
  private allow(chars: number): void {
    if (!(chars <= this.mostChars)) throw new Bound(tooLong(this.mostChars));
    this.untilClock -= 1 + chars / 64;
    if (this.untilClock > 0) return;
    this.untilClock = CLOCK_EVERY;
    if (performance.now() - this.started > MAX_MILLIS) throw new Bound(`it ran longer than ${MAX_MILLIS / 1000} s`);
  }

  /** The node with its operands evaluated, if it is one that can grow and what will come of it is not too long. */
  private measured(node: Node, scope: Scope): Node {
    const held = (part: Node): Node => ({ type: HELD, held: this.evaluate(part, scope) });
    const heldArguments = (args: readonly Node[]): Node[] =>
      args.map((arg) =>
        arg.type === "KeywordArgumentExpression"
          ? { ...arg, value: held(arg.value) }
          : arg.type.endsWith("SpreadExpression")
            ? { ...arg, argument: held(arg.argument) }
            : held(arg),
      );
    if (node.type === "FilterExpression" || node.type === "FilterStatement") {
      const called = node.filter.type === "CallExpression";
      const name = String(called ? node.filter.callee.value : node.filter.value);
      if (!GROWING.has(name)) return node;
      const operand = held(node.type === "FilterStatement" ? { type: "Program", body: node.body } : node.operand);
      const args = called ? heldArguments(node.filter.args) : [];
      this.allow(grown(name, operand.held, this.sizeOf(operand.held), args));
      return { ...node, type: "FilterExpression", operand, filter: called ? { ...node.filter, args } : node.filter };
    }
    if (
      node.type === "CallExpression" &&
      node.callee.type === "MemberExpression" &&
      GROWING.has(String(node.callee.property.value))
    ) {
      const object = held(node.callee.object);
      const args = heldArguments(node.args);
      this.allow(grown(String(node.callee.property.value), object.held, this.sizeOf(object.held), args));
      return { ...node, callee: { ...node.callee, object }, args };
    }
    if (node.type === "MemberExpression" && node.property.type === "SliceExpression") {
      const object = held(node.object);
      this.allow(this.sizeOf(object.held).entries * ENTRY_CHARS);
      return { ...node, object };
    }
    return node;
  }

  /** Lists and objects are measured once, parts that they share as often as they would be written. */
  private sizeOf(value: Value, open: Map<Value, Size> = new Map()): Size {
    const inner = value.value;
    if (typeof inner === "string") return { chars: inner.length, entries: inner.length, depth: 0, fixed: true };
    if (typeof inner !== "object" || inner === null) return SMALL;
    const known = this.sizes.get(value) ?? open.get(value);
    if (known !== undefined) return known;
    // while it is being measured: what holds itself has no end
    open.set(value, ENDLESS);
    const size = { ...SMALL, fixed: value.type !== "NamespaceValue" };
    const add = (part: Value, keyChars: number): void => {
      const { chars, entries, depth, fixed } = this.sizeOf(part, open);
      size.chars += ENTRY_CHARS + keyChars + chars;
      size.entries += typeof part.value === "string" ? 1 : entries;
      size.depth = Math.max(size.depth, depth + 1);
      size.fixed &&= fixed;
    };
    if (inner instanceof Map) for (const [key, part] of inner as Map<string, Value>) add(part, key.length);
    else if (Array.isArray(inner)) for (const part of inner as Value[]) add(part, 0);
    open.set(value, size);
    if (size.fixed) this.sizes.set(value, size);
    return size;
  }
}

const GROWING = new Set(["join", "replace", "split", "indent", "tojson"]);

/** About the most characters that come of a filter or method. */
function grown(name: string, operand: Value, size: Size, args: readonly Node[]): number {
  const values = args.map((arg): unknown => ((arg.held ?? arg.value?.held) as Value | undefined)?.value);
  const texts = values.filter((value) => typeof value === "string");
  const numbers = values.filter((value) => typeof value === "number");
  const longest = Math.max(0, ...texts.map((text) => text.length));
  const text = typeof operand.value === "string" ? operand.value : "";
  if (name === "join") return size.chars + size.entries * (longest + (text === "" ? 0 : ENTRY_CHARS));
  if (name === "replace") return size.chars + occurrences(text, texts[0] ?? "") * (texts[1] ?? "").length;
  if (name === "split")
    return size.chars + (texts.length > 0 ? occurrences(text, texts[0] ?? "") : text.length / 2) * ENTRY_CHARS;
  const width = Math.max(4, ...numbers);
  if (name === "indent") return size.chars + (occurrences(text, "\n") + 1) * width;
  return size.chars + (numbers.length > 0 ? size.entries * (size.depth + 1) * width : 0) + size.entries * longest;
}

function occurrences(text: string, part: string): number {
  if (part === "") return text.length + 1;
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

const UNDEFINED: Value = new Environment().lookupVariable("undefined");

/** As the library's, without an exception for each name that is not there. */
function lookUp(name: string, scope: Scope): Value {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    const value = at.variables.get(name);
    if (value !== undefined) return value;
  }
  return UNDEFINED;
}

const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  range: (first: number, second?: number, step = 1): number[] => {
    const [start, stop] = typeof second === "number" ? [first, second] : [0, first];
    const count = Math.ceil((stop - start) / step);
    if (!Number.isInteger(start) || !Number.isInteger(stop) || !Number.isInteger(step) || step === 0)
      throw new Error("range() takes whole numbers, and no step of 0");
    if (count > MAX_RANGE) throw new Bound(`it loops over a range of more than ${MAX_RANGE}`);
    return Array.from({ length: Math.max(0, count) }, (_, i) => start + i * step);
  },
  strftime_now: (format: unknown) => timeText(new Date(), String(format)),
};

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/** Python's strftime in the C locale, as far as templates use it; other directives stay as they are. */
function timeText(date: Date, format: string): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const month = MONTHS[date.getMonth()] ?? "";
  const day = DAYS[date.getDay()] ?? "";
  const parts: Record<string, string> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? "AM" : "PM",
    "%": "%",
  };
  return format.replace(/%(.)/gs, (all, name: string) => parts[name] ?? all);
}
