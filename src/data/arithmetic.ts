/** Arithmetic problems made from a seed: the question, the working, the answer, and the check of somebody else's. */
import { mix, Random } from "./random.ts";
import {
  addWorking,
  compareWorking,
  divideWorking,
  multiplyWorking,
  subtractWorking,
  type Working,
} from "./working.ts";

/** `train` never holds a problem that `heldout` may ask: a fixed twentieth of all problems is reserved by hash. */
export type ArithmeticSplit = "train" | "heldout";

export type ArithmeticKind = "add" | "subtract" | "multiply" | "divide" | "compare" | "twoStep" | "story";

export interface ArithmeticProblem {
  kind: ArithmeticKind;
  /** What the user says. */
  question: string;
  /** The working, without the think marks. */
  thought: string;
  /** What the assistant says after it. */
  answer: string;
  /** The numbers a right answer must end with: one, or quotient and remainder. */
  expected: number[];
}

const RESERVED_SHARE = 20;
const reserved = (op: number, numbers: readonly number[]): boolean =>
  numbers.reduce((h, n) => mix(h, n), mix(op, 0xa51c)) % RESERVED_SHARE === 0;

/** Problem `index` of a deterministic, endless list of problems: the same seed, index and split give the same problem. */
export function arithmeticProblem(
  seed: number,
  index: number,
  split: ArithmeticSplit,
  only?: readonly ArithmeticKind[],
): ArithmeticProblem {
  const random = new Random(seed, index, split === "train" ? 1 : 2);
  for (;;) {
    const kind = drawKind(random);
    if (only !== undefined && !only.includes(kind)) continue;
    const draft = drafts[kind](random);
    if (draft.reserved === (split === "heldout")) return { kind, ...draft.problem };
  }
}

/** True if the numbers at the end of what the model says after its thought are the problem's; a thought without an end is no answer. Thousands commas are allowed. */
export function checkArithmetic(problem: ArithmeticProblem, answerText: string): boolean {
  const answer = answerText.split("</think>").at(-1)!;
  if (answer.includes("<think>")) return false;
  const numbers = (
    answer
      .replace(/(?<=\d),(?=\d{3}\b)/g, "")
      .replaceAll("−", "-")
      .match(/(?<![\d)] ?)-\d+|\d+/g) ?? []
  ).map(Number);
  const last = numbers.slice(-problem.expected.length);
  return last.length === problem.expected.length && last.every((n, i) => n === problem.expected[i]);
}

const SHARES: [ArithmeticKind, number][] = [
  ["add", 22],
  ["subtract", 23],
  ["multiply", 20],
  ["divide", 12],
  ["compare", 7],
  ["twoStep", 8],
  ["story", 8],
];

export const ARITHMETIC_KINDS: readonly ArithmeticKind[] = SHARES.map(([kind]) => kind);

function drawKind(random: Random): ArithmeticKind {
  let at = random.int(0, 99);
  for (const [kind, share] of SHARES) if ((at -= share) < 0) return kind;
  return "add";
}

interface Draft {
  reserved: boolean;
  problem: Omit<ArithmeticProblem, "kind">;
}

/** A number of `digits` digits; lengths, not values, are drawn evenly, so that short numbers are not rare. */
function numberOf(random: Random, digits: number): number {
  return digits === 1 ? random.int(0, 9) : random.int(10 ** (digits - 1), 10 ** digits - 1);
}

/** Hashes of problems that mean the same agree: a+b and b+a are both reserved or both not. */
const pair = (a: number, b: number): number[] => (a < b ? [a, b] : [b, a]);

const drafts: Record<ArithmeticKind, (random: Random) => Draft> = {
  add(random) {
    const a = numberOf(random, random.int(1, 4));
    const b = numberOf(random, random.int(1, 4));
    const working = addWorking(a, b);
    return {
      reserved: reserved(1, pair(a, b)),
      problem: {
        question: ask(random, `${a} + ${b}`, [`${a} plus ${b}`, `the sum of ${a} and ${b}`]),
        ...say(`${a} + ${b}`, working),
      },
    };
  },
  subtract(random) {
    let a = numberOf(random, random.int(1, 4));
    let b = numberOf(random, random.int(1, 4));
    if (a < b && random.chance(0.75)) [a, b] = [b, a];
    const working = subtractWorking(a, b);
    return {
      reserved: reserved(2, [a, b]),
      problem: {
        question: ask(random, `${a} - ${b}`, [`${a} minus ${b}`, `${a} take away ${b}`]),
        ...say(`${a} - ${b}`, working),
      },
    };
  },
  multiply(random) {
    const [long, short] = random.pick([
      [1, 1],
      [2, 1],
      [2, 1],
      [3, 1],
      [3, 1],
      [2, 2],
      [2, 2],
      [2, 2],
    ] as const);
    let a = numberOf(random, long);
    let b = numberOf(random, short);
    if (random.chance(0.3)) [a, b] = [b, a];
    const working = multiplyWorking(a, b);
    const sign = random.pick(["*", "*", "×", "x"]);
    return {
      reserved: reserved(3, pair(a, b)),
      problem: {
        question: ask(random, `${a} ${sign} ${b}`, [
          `${a} times ${b}`,
          `the product of ${a} and ${b}`,
          `${a} multiplied by ${b}`,
        ]),
        ...say(`${a} * ${b}`, working),
      },
    };
  },
  divide(random) {
    const b = random.int(2, 9);
    const a = numberOf(random, random.pick([1, 2, 2, 3, 3, 3, 4]));
    const working = divideWorking(a, b);
    const [quotient, rest] = working.result;
    const answer = `${a} / ${b} = ${quotient}, remainder ${rest}.`;
    const question = ask(random, `${a} ${random.pick(["/", "/", "÷"])} ${b}`, [`${a} divided by ${b}`]);
    return {
      reserved: reserved(4, [a, b]),
      problem: { question, thought: working.lines.join("\n"), answer, expected: working.result },
    };
  },
  compare(random) {
    const digits = random.int(1, 4);
    const a = numberOf(random, digits);
    let b = numberOf(random, random.chance(0.8) ? digits : random.int(1, 4));
    if (digits > 1 && random.chance(0.5)) b = Math.max(0, a + random.int(-9, 9));
    if (b === a) b = a + 1;
    const larger = random.chance(0.6);
    const word = larger ? random.pick(["larger", "bigger", "greater"]) : random.pick(["smaller", "less"]);
    const working = compareWorking(a, b, larger ? "larger" : "smaller");
    const [result] = working.result;
    const question = random.pick([
      `Which is ${word}, ${a} or ${b}?`,
      `Which number is ${word}: ${a} or ${b}?`,
      `What is ${word}, ${a} or ${b}?`,
      `which is ${word} ${a} or ${b}`,
    ]);
    return {
      reserved: reserved(5, pair(a, b)),
      problem: {
        question,
        thought: working.lines.join("\n"),
        answer: `The ${word === "less" ? "smaller" : word} number is ${result}.`,
        expected: working.result,
      },
    };
  },
  twoStep(random) {
    const a = numberOf(random, random.int(1, 2));
    const b = numberOf(random, random.int(1, 2));
    const c = numberOf(random, random.int(1, 2));
    const form = random.int(0, 3);
    if (form === 3) {
      const d = random.int(2, 9);
      const first = multiplyWorking(a, d);
      const second = addWorking(first.result[0]!, c);
      return {
        reserved: reserved(9, [a, d, c]),
        problem: {
          question: ask(random, `${a} * ${d} + ${c}`, []),
          ...say(`${a} * ${d} + ${c}`, { lines: [...first.lines, ...second.lines], result: second.result }),
        },
      };
    }
    const first = form === 2 ? subtractWorking(Math.max(a, b), Math.min(a, b)) : addWorking(a, b);
    const left = form === 2 ? `${Math.max(a, b)} - ${Math.min(a, b)}` : `${a} + ${b}`;
    const minus = form === 1 && first.result[0]! >= c;
    const second = minus ? subtractWorking(first.result[0]!, c) : addWorking(first.result[0]!, c);
    const text = `${left} ${minus ? "-" : "+"} ${c}`;
    return {
      reserved: reserved(6 + form, [a, b, c]),
      problem: {
        question: ask(random, text, []),
        ...say(text, { lines: [...first.lines, ...second.lines], result: second.result }),
      },
    };
  },
  story(random) {
    const name = random.pick(["Anna", "Ben", "Mina", "Tom", "Yuna", "Sam", "Lena", "Joon", "Maria", "Ali"]);
    const thing = random.pick(["apples", "books", "shells", "coins", "stamps", "pears", "cards", "stones"]);
    let a = numberOf(random, random.int(1, 3));
    let b = numberOf(random, random.int(1, 3));
    if (random.chance(0.5)) {
      const working = addWorking(a, b);
      const more = random.pick([`buys ${b} more`, `finds ${b} more`, `gets ${b} more`]);
      return {
        reserved: reserved(1, pair(a, b)),
        problem: {
          question: `${name} has ${a} ${thing} and ${more}. How many ${thing} does ${name} have now?`,
          thought: working.lines.join("\n"),
          answer: `${name} has ${working.result[0]} ${thing}. ${a} + ${b} = ${working.result[0]}.`,
          expected: working.result,
        },
      };
    }
    if (a < b) [a, b] = [b, a];
    const working = subtractWorking(a, b);
    const less = random.pick([`gives away ${b}`, `loses ${b}`, `sells ${b}`]);
    return {
      reserved: reserved(2, [a, b]),
      problem: {
        question: `${name} has ${a} ${thing} and ${less}. How many ${thing} are left?`,
        thought: working.lines.join("\n"),
        answer: `${name} has ${working.result[0]} ${thing} left. ${a} - ${b} = ${working.result[0]}.`,
        expected: working.result,
      },
    };
  },
};

/** One of many ways to ask for `expression`; `inWords` are other ways to name it. */
function ask(random: Random, expression: string, inWords: readonly string[]): string {
  const compact = random.chance(0.25) ? expression.replaceAll(" ", "") : expression;
  const what = inWords.length > 0 && random.chance(0.3) ? random.pick(inWords) : compact;
  return random.pick([
    `What is ${what}?`,
    `What is ${what}?`,
    `what is ${what}`,
    `What's ${what}?`,
    `Compute ${what}.`,
    `Calculate ${what}.`,
    `calculate ${what}`,
    `How much is ${what}?`,
    `how much is ${what}?`,
    `Please work out ${what}.`,
    `Can you compute ${what}?`,
    `Can you tell me what ${what} is?`,
    `Solve ${what}.`,
    `Tell me ${what}.`,
    `${compact} = ?`,
    `${compact}=`,
    compact,
    `${compact}?`,
  ]);
}

function say(expression: string, working: Working): { thought: string; answer: string; expected: number[] } {
  return {
    thought: working.lines.join("\n"),
    answer: `${expression} = ${working.result[0]}.`,
    expected: working.result,
  };
}
