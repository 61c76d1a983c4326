/** A regular expression of JavaScript's as a grammar: all of a text matches, or of a JSON string. What a grammar cannot say is refused. */
import { type AST, RegExpParser } from "@eslint-community/regexpp";
import { ALL, ASCII, both, type Characters, classOf, complement, jsonClassOf, union } from "./characters.ts";
import { StructureError } from "./error.ts";

const LONGEST = 4096;
const MOST_REPEATS = 1000;
const MOST_PARTS = 2000;

/** Those of ASCII: the separators U+2028 and U+2029 count as characters here. */
const LINE_ENDS: Characters = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
];
const DIGITS: Characters = [[0x30, 0x39]];
const WORDS: Characters = [...DIGITS, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const SPACES: Characters = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];

/**
 * The expression of a grammar for texts that match as a whole (`whole`), or that have a match in them, as JSON Schema's `pattern` means it. With `json` the text is
 * inside the quotes of a JSON string. Throws StructureError.
 */
export function regexGrammar(pattern: string, options: { json: boolean; whole: boolean }): string {
  if (pattern.length > LONGEST)
    throw new StructureError(`expected at most ${LONGEST} characters of an expression, got ${pattern.length}`);
  let parsed: AST.Pattern;
  try {
    parsed = new RegExpParser({ ecmaVersion: 2024 }).parsePattern(pattern, 0, pattern.length, { unicode: true });
  } catch (error) {
    throw new StructureError(`no regular expression: ${(error as Error).message.slice(0, 200)}`);
  }
  return new RegexGrammar(options.json).alternatives(parsed.alternatives, !options.whole);
}

class RegexGrammar {
  #parts = 0;

  constructor(readonly json: boolean) {}

  /** `open`: anything may stand before and after what is not held by ^ and $. */
  alternatives(alternatives: readonly AST.Alternative[], open: boolean): string {
    const any = `${this.#class(ALL)}*`;
    const all = alternatives.map(({ elements }) => {
      const [first, last] = [elements[0], elements.at(-1)];
      const start = first?.type === "Assertion" && first.kind === "start";
      const end = last?.type === "Assertion" && last.kind === "end" && (!start || elements.length > 1);
      const inner = elements.slice(start ? 1 : 0, end ? -1 : undefined).map((element) => this.#element(element));
      return [...(open && !start ? [any] : []), ...inner, ...(open && !end ? [any] : [])].join(" ") || '""';
    });
    return `(${all.join(" | ")})`;
  }

  #element(element: AST.Element): string {
    if (++this.#parts > MOST_PARTS) throw new StructureError(`expected at most ${MOST_PARTS} parts of an expression`);
    switch (element.type) {
      case "Character":
        return this.#class([[element.value, element.value]]);
      case "CharacterSet":
      case "CharacterClass":
        return this.#class(charactersOf(element));
      case "Group":
        return this.alternatives(element.alternatives, false);
      case "CapturingGroup":
        return this.alternatives(element.alternatives, false);
      case "Quantifier":
        return `${this.#element(element.element)}${repeat(element.min, element.max)}`;
      default:
        throw new StructureError(`"${element.raw.slice(0, 50)}" cannot be enforced; leave it out`);
    }
  }

  #class(set: Characters): string {
    const text = this.json ? jsonClassOf(set) : classOf(set);
    if (text === undefined) throw new StructureError("a class of characters that holds none");
    return text;
  }
}

/** How often, behind what is repeated. Throws StructureError beyond the bound. */
export function repeat(min: number, max: number): string {
  if (min > MOST_REPEATS || (max !== Infinity && max > MOST_REPEATS))
    throw new StructureError(
      `expected to be repeated at most ${MOST_REPEATS} times, got ${max === Infinity ? min : max}`,
    );
  if (min === 0 && max === Infinity) return "*";
  if (min === 1 && max === Infinity) return "+";
  if (min === 0 && max === 1) return "?";
  return max === Infinity ? `{${min},}` : `{${min},${max}}`;
}

function charactersOf(element: AST.CharacterSet | AST.CharacterClass): Characters {
  if (element.type === "CharacterClass") {
    const parts = element.elements.map((part): Characters => {
      if (part.type === "Character") return [[part.value, part.value]];
      if (part.type === "CharacterClassRange") return [[part.min.value, part.max.value]];
      if (part.type === "CharacterSet") return charactersOf(part);
      throw new StructureError(`"${part.raw.slice(0, 50)}" cannot be enforced; leave it out`);
    });
    return element.negate ? complement(union(...parts)) : union(...parts);
  }
  switch (element.kind) {
    case "any":
      return complement(LINE_ENDS);
    case "digit":
      return element.negate ? complement(DIGITS) : DIGITS;
    case "word":
      return element.negate ? complement(WORDS) : union(WORDS);
    case "space":
      // of what is beyond ASCII nothing: that it is none of those cannot be enforced
      return element.negate ? both(complement(SPACES), ASCII) : SPACES;
    default:
      throw new StructureError(`"${element.raw.slice(0, 50)}" cannot be enforced; leave it out`);
  }
}
