/** Reads an answer as people and models write it, in plain text or LaTeX. */
import { FUNCTIONS, LENGTH_MAX, plain, THOUSANDS, type Token, tokensOf, UnreadableError } from "./tokens.ts";
import { isUnitWord, unitOf } from "./units.ts";

/** An expression. Numbers keep their digits: what they are worth is worked out within a budget. */
export type Node =
  | { kind: "number"; digits: string; decimals: number; exponent: number }
  | { kind: "name"; name: string }
  | { kind: "neg" | "percent" | "factorial"; of: Node }
  | { kind: "add" | "mul" | "div" | "pow"; a: Node; b: Node }
  | { kind: "root"; degree: Node; of: Node }
  | { kind: "function"; name: string; of: Node };

/** A whole answer. `set`: any order; `row`: between brackets that count, `(` and `[`. */
export type Answer =
  | { kind: "value"; value: Node; unit?: string; percent?: boolean }
  | { kind: "set"; items: Answer[] }
  | { kind: "row"; open: string; close: string; items: Answer[] }
  | { kind: "equation"; left: Node; right: Node };

const DEPTH_MAX = 40;

export const CONSTANTS: Readonly<Record<string, number>> = { π: Math.PI, e: Math.E };

/** The names in an expression that are no constants. */
export function namesIn(node: Node, found = new Set<string>()): Set<string> {
  if (node.kind === "name") {
    if (!Object.hasOwn(CONSTANTS, node.name)) found.add(node.name);
  } else if ("a" in node) {
    namesIn(node.a, found);
    namesIn(node.b, found);
  } else if ("of" in node) {
    namesIn(node.of, found);
    if (node.kind === "root") namesIn(node.degree, found);
  }
  return found;
}

/** Whether a token is a word that a unit is made of; after a slash single letters are, too: km/h. */
const isWordy = (token: Token | undefined, anyLetter: boolean): token is Token =>
  token !== undefined &&
  !["and", "or"].includes(token.text) &&
  (token.kind === "text" || (token.kind === "word" && (anyLetter || isUnitWord(token.text))));

/** Reads one answer. Throws UnreadableError. */
export function parseAnswer(text: string): Answer {
  if (text.length > LENGTH_MAX) throw new UnreadableError("too long");
  let source = plain(text);
  // one word is a word, not a product of letters
  if (/^[A-Za-z]{2,}$/.test(source)) throw new UnreadableError("a word");
  if (!/[([]|\\\{|^\{/.test(source)) source = source.replace(THOUSANDS, (n) => n.replaceAll(",", ""));
  const parser = new Parser(tokensOf(source));
  return parser.answer();
}

class Parser {
  #at = 0;
  #depth = 0;

  constructor(readonly tokens: readonly Token[]) {}

  answer(): Answer {
    const items = this.#list();
    if (this.#at < this.tokens.length) throw new UnreadableError(`unexpected ${this.#peek()?.text}`);
    const [only] = items;
    if (only === undefined) throw new UnreadableError("empty");
    return items.length === 1 ? only : { kind: "set", items };
  }

  #peek(ahead = 0): Token | undefined {
    return this.tokens[this.#at + ahead];
  }

  #is(...texts: string[]): boolean {
    const token = this.#peek();
    return token?.kind === "sign" && texts.includes(token.text);
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #expect(...texts: string[]): string {
    if (!this.#is(...texts)) throw new UnreadableError(`expected ${texts.join(" or ")}`);
    return this.tokens[this.#at++]!.text;
  }

  #deeper<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new UnreadableError("too deep");
    const result = read();
    this.#depth--;
    return result;
  }

  /** Answers between commas, semicolons, `and`, `or`, ∪. */
  #list(): Answer[] {
    const items: Answer[] = [];
    do items.push(...this.#item());
    while (this.#take(",") || this.#take(";") || this.#take("∪") || this.#takeWord("and", "or"));
    return items;
  }

  #takeWord(...words: string[]): boolean {
    const token = this.#peek();
    if (token === undefined || token.kind === "number" || !words.includes(token.text)) return false;
    this.#at++;
    return true;
  }

  /** One answer; two for a ±. */
  #item(): Answer[] {
    return this.#deeper(() => {
      const boxed = this.#is("\\boxed", "\\fbox");
      if (boxed && this.#peek(1)?.text === "{") {
        this.#at += 2;
        const items = this.#list();
        this.#expect("}");
        return items;
      }
      // x ∈ [1, 2) is [1, 2)
      if (this.#peek()?.kind === "word" && this.#peek(1)?.text === "∈") this.#at += 2;
      const group = this.#group();
      if (group) return [group];
      if (!this.#plusMinus()) return [this.#value()];
      const start = this.#at;
      return [1, -1].map((sign) => {
        this.#at = start;
        this.#sign = sign;
        return this.#value();
      });
    });
  }

  /** What ± means now. */
  #sign = 1;

  #plusMinus(): boolean {
    for (let i = this.#at; i < this.tokens.length; i++) {
      const { kind, text } = this.tokens[i]!;
      if (kind !== "sign") continue;
      if (text === "±") return true;
      if ([",", ";", "∪"].includes(text)) return false;
    }
    return false;
  }

  /** A set, or a row of two or more between brackets; undefined, and nothing read, where brackets only group. */
  #group(): Answer | undefined {
    if (!this.#is("{", "\\{", "(", "[")) return undefined;
    const start = this.#at;
    const open = this.tokens[this.#at++]!.text;
    const isSet = open === "{" || open === "\\{";
    if (isSet && (this.#take("}") || this.#take("\\}"))) return { kind: "set", items: [] };
    const comma = this.#commaInside();
    if (!comma && open !== "\\{") {
      this.#at = start;
      return undefined;
    }
    const items = this.#list();
    if (isSet) {
      this.#expect("}", "\\}");
      return { kind: "set", items };
    }
    return { kind: "row", open, close: this.#expect(")", "]"), items };
  }

  /** Whether a comma stands in the bracket just opened, not in one within it. */
  #commaInside(): boolean {
    let depth = 0;
    for (let i = this.#at; i < this.tokens.length; i++) {
      const { kind, text } = this.tokens[i]!;
      if (kind !== "sign") continue;
      if (["(", "[", "{", "\\{"].includes(text)) depth++;
      else if ([")", "]", "}", "\\}"].includes(text) && --depth < 0) return false;
      else if ((text === "," || text === ";") && depth === 0) return true;
    }
    return false;
  }

  #value(): Answer {
    const money = this.#take("$");
    const value = this.#sum();
    if (this.#take("=")) {
      const right = this.#sum();
      const unit = this.#unit();
      // x = 3 is what x is; y = 2x + 1 is a rule
      if (value.kind === "name" && namesIn(right).size === 0) return { kind: "value", value: right, ...unit };
      return { kind: "equation", left: value, right };
    }
    const unit = this.#unit();
    if (unit.unit === "percent") return { kind: "value", value, percent: true };
    if (value.kind === "percent") return { kind: "value", value: value.of, percent: true, ...unit };
    return { kind: "value", value, ...(money ? { unit: "dollar" } : {}), ...unit };
  }

  /** Words after a value, with powers and one `/`: cm^2, km/h. */
  #unit(): { unit?: string } {
    let unit = "";
    for (let token = this.#peek(); isWordy(token, unit.endsWith("/")); token = this.#peek()) {
      unit += ` ${token.text.replace(/^\\/, "")}`;
      this.#at++;
      if (this.#take("^")) {
        const braced = this.#take("{");
        unit += `^${this.#peek()?.text}`;
        this.#at++;
        if (braced) this.#expect("}");
      }
      if (this.#take("/")) unit += "/";
    }
    return unit === "" ? {} : { unit: unitOf(unit) };
  }

  #sum(): Node {
    return this.#deeper(() => {
      let value = this.#product();
      for (;;) {
        if (this.#take("+")) value = { kind: "add", a: value, b: this.#product() };
        else if (this.#take("-")) value = { kind: "add", a: value, b: { kind: "neg", of: this.#product() } };
        else if (this.#take("±")) {
          const b = this.#product();
          value = { kind: "add", a: value, b: this.#sign > 0 ? b : { kind: "neg", of: b } };
        } else return value;
      }
    });
  }

  #product(): Node {
    let value = this.#signed();
    for (;;) {
      if (this.#take("*")) value = { kind: "mul", a: value, b: this.#signed() };
      else if (this.#is("/") && this.#peek(1)?.kind !== "text") {
        this.#at++;
        value = { kind: "div", a: value, b: this.#signed() };
      } else if (isWhole(value) && this.#fractionAhead()) value = mixed(value, this.#fraction());
      else if (this.#isFactor()) {
        const b = this.#powered();
        const isMixed = isWhole(value) && b.kind === "div" && b.a.kind === "number" && b.b.kind === "number";
        value = isMixed ? mixed(value, b) : { kind: "mul", a: value, b };
      } else return value;
    }
  }

  /** Whether a factor begins here without a sign before it: 2x, 3\sqrt2, (x+1)(x-1). Two numbers side by side are none. */
  #isFactor(): boolean {
    const token = this.#peek();
    if (token?.kind === "word") return !isUnitWord(token.text) && !["and", "or"].includes(token.text);
    return token?.kind === "sign" && ["(", "{", "\\frac", "\\binom", "\\sqrt", "√", "π", "∞"].includes(token.text);
  }

  /** `1/2` after a whole number and a space: 3 1/2. */
  #fractionAhead(): boolean {
    const [top, slash, bottom] = [0, 1, 2].map((ahead) => this.#peek(ahead));
    return (
      top?.spaced === true &&
      slash?.text === "/" &&
      [top, bottom].every((token) => token?.kind === "number" && /^\d+$/.test(token.text))
    );
  }

  #fraction(): Node {
    const a = this.#primary();
    this.#expect("/");
    return { kind: "div", a, b: this.#primary() };
  }

  #signed(): Node {
    return this.#deeper(() => {
      if (this.#take("-")) return { kind: "neg", of: this.#signed() };
      if (this.#take("+")) return this.#signed();
      if (this.#take("±")) {
        const of = this.#signed();
        return this.#sign > 0 ? of : { kind: "neg", of };
      }
      return this.#powered();
    });
  }

  #powered(): Node {
    return this.#deeper(() => {
      let value = this.#primary();
      for (;;) {
        if (this.#take("^")) value = { kind: "pow", a: value, b: this.#exponent() };
        else if (this.#take("!")) value = { kind: "factorial", of: value };
        else if (this.#take("%") || this.#take("\\%")) value = { kind: "percent", of: value };
        else return value;
      }
    });
  }

  /** Powers of powers go from the right. Without braces the whole number counts, as in plain text: x^23. */
  #exponent(): Node {
    return this.#deeper(() => {
      if (this.#take("-")) return { kind: "neg", of: this.#exponent() };
      const base = this.#primary();
      return this.#take("^") ? { kind: "pow", a: base, b: this.#exponent() } : base;
    });
  }

  #primary(): Node {
    const token = this.#peek();
    if (token === undefined) throw new UnreadableError("ends too soon");
    this.#at++;
    if (token.kind === "number") return this.#number(token.text);
    if (token.kind === "word") return this.#word(token.text);
    if (token.kind === "text") throw new UnreadableError("words");
    switch (token.text) {
      case "(":
      case "[":
      case "{": {
        const inside = this.#sum();
        this.#expect({ "(": ")", "[": "]", "{": "}" }[token.text]);
        return inside;
      }
      case "\\frac":
        return { kind: "div", a: this.#primary(), b: this.#primary() };
      case "\\binom": {
        const [n, k] = [this.#primary(), this.#primary()];
        const rest: Node = { kind: "factorial", of: { kind: "add", a: n, b: { kind: "neg", of: k } } };
        const below: Node = { kind: "mul", a: { kind: "factorial", of: k }, b: rest };
        return { kind: "div", a: { kind: "factorial", of: n }, b: below };
      }
      case "|": {
        const of = this.#sum();
        this.#expect("|");
        return { kind: "function", name: "abs", of };
      }
      case "\\sqrt":
      case "√": {
        let degree: Node = { kind: "number", digits: "2", decimals: 0, exponent: 0 };
        if (token.text === "\\sqrt" && this.#take("[")) {
          degree = this.#sum();
          this.#expect("]");
        }
        return { kind: "root", degree, of: this.#primary() };
      }
      case "\\boxed":
      case "\\fbox":
        return this.#primary();
      case "π":
      case "∞":
        return { kind: "name", name: token.text };
      default:
        throw new UnreadableError(`unexpected ${token.text}`);
    }
  }

  #number(text: string): Node {
    const [digits = "", decimals = ""] = text.split(".");
    let exponent = 0;
    // 1e5, as programs write it
    const e = this.#peek();
    const next = this.#peek(1);
    if (e?.kind === "word" && /^e$/i.test(e.text) && !e.spaced) {
      const minus = next?.kind === "sign" && next.text === "-";
      const power = minus ? this.#peek(2) : next;
      if (power?.kind === "number" && /^\d{1,3}$/.test(power.text)) {
        exponent = Number(power.text) * (minus ? -1 : 1);
        this.#at += minus ? 3 : 2;
      }
    }
    return { kind: "number", digits: digits + decimals, decimals: decimals.length, exponent };
  }

  /** A function with what it is of, a name with its index, or letters side by side as a product. */
  #word(word: string): Node {
    const name = word.replace(/^\\/, "");
    if (FUNCTIONS.has(name)) return { kind: "function", name, of: this.#powered() };
    if (name === "pi") return { kind: "name", name: "π" };
    if (name === "sqrt") {
      const two: Node = { kind: "number", digits: "2", decimals: 0, exponent: 0 };
      return { kind: "root", degree: two, of: this.#primary() };
    }
    if (word.startsWith("\\")) return { kind: "name", name };
    if (word.length > 3) throw new UnreadableError("words");
    const letters = [...word].map((letter): Node => ({ kind: "name", name: letter }));
    const last = letters.at(-1);
    if (this.#take("_") && last?.kind === "name") {
      const braced = this.#take("{");
      last.name += `_${this.tokens[this.#at++]?.text}`;
      if (braced) this.#expect("}");
    }
    // ab^2 is a·b²
    return letters.reduceRight((b, a) => ({ kind: "mul", a, b: this.#raised(b) }), this.#raised(letters.pop()!));
  }

  #raised(base: Node): Node {
    return this.#take("^") ? { kind: "pow", a: base, b: this.#exponent() } : base;
  }
}

const isWhole = (node: Node): boolean =>
  node.kind === "number" ? node.decimals === 0 && node.exponent === 0 : node.kind === "neg" && isWhole(node.of);

/** 3\frac12 is 3 + 1/2, -3\frac12 is -(3 + 1/2). */
const mixed = (whole: Node, fraction: Node): Node =>
  whole.kind === "neg" ? { kind: "neg", of: mixed(whole.of, fraction) } : { kind: "add", a: whole, b: fraction };
