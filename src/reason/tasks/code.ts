/** Small functions to write in JavaScript, tested by running them. */
import type { Random } from "../../data/index.ts";
import { type Draft, drawProblem, type Problem, type Task } from "../task.ts";
import { partReply } from "../thought.ts";
import { ask } from "./answerTask.ts";
import { type Case, CodeRunner, codeIn } from "./codeRunner.ts";

/** One kind of function; `k` is a number in what is asked. */
interface Kind {
  text: string;
  /** The body of `f(list)` or `f(text)`, `K` where the number stands. */
  body: string;
  of: "list" | "text";
  run(input: never, k: number): unknown;
}

const list = (text: string, body: string, run: (list: number[], k: number) => unknown): Kind => ({
  text,
  body,
  of: "list",
  run,
});
const text = (said: string, body: string, run: (text: string, k: number) => unknown): Kind => ({
  text: said,
  body,
  of: "text",
  run,
});

const KINDS: readonly Kind[] = [
  list(
    "the sum of all numbers greater than K",
    "return list.filter((n) => n > K).reduce((a, b) => a + b, 0);",
    (l, k) => l.filter((n) => n > k).reduce((a, b) => a + b, 0),
  ),
  list(
    "how many numbers are smaller than K",
    "return list.filter((n) => n < K).length;",
    (l, k) => l.filter((n) => n < k).length,
  ),
  list("the list with K added to each number", "return list.map((n) => n + K);", (l, k) => l.map((n) => n + k)),
  list("the list with each number multiplied by K", "return list.map((n) => n * K);", (l, k) => l.map((n) => n * k)),
  list("the largest number, or K if the list is empty", "return list.length > 0 ? Math.max(...list) : K;", (l, k) =>
    l.length > 0 ? Math.max(...l) : k,
  ),
  list("the numbers that K divides", "return list.filter((n) => n % K === 0);", (l, k) => l.filter((n) => n % k === 0)),
  list("the position of the first K, or -1", "return list.indexOf(K);", (l, k) => l.indexOf(k)),
  list(
    "the list sorted upwards, without numbers over K",
    "return list.filter((n) => n <= K).sort((a, b) => a - b);",
    (l, k) => l.filter((n) => n <= k).sort((a, b) => a - b),
  ),
  list("the list backwards, with K at its end", "return [...list.reverse(), K];", (l, k) => [...[...l].reverse(), k]),
  list(
    "the remainder of the sum of all numbers divided by K",
    "return list.reduce((a, b) => a + b, 0) % K;",
    (l, k) => l.reduce((a, b) => a + b, 0) % k,
  ),
  list("whether some number equals K", "return list.includes(K);", (l, k) => l.includes(k)),
  list(
    "the list in pieces of K numbers, the last may be shorter",
    "const out = []; for (let i = 0; i < list.length; i += K) out.push(list.slice(i, i + K)); return out;",
    (l, k) => Array.from({ length: Math.ceil(l.length / k) }, (_, i) => l.slice(i * k, i * k + k)),
  ),
  text("the text repeated K times", "return text.repeat(K);", (t, k) => t.repeat(k)),
  text("the first K characters, backwards", 'return [...text.slice(0, K)].reverse().join("");', (t, k) =>
    [...t.slice(0, k)].reverse().join(""),
  ),
  text(
    "the words with at least K letters, as a list",
    'return text.split(" ").filter((word) => word.length >= K);',
    (t, k) => t.split(" ").filter((word) => word.length >= k),
  ),
  text(
    "how many times each letter appears, as an object, only those that appear at least K times, without spaces",
    'const n = {}; for (const c of text) if (c !== " ") n[c] = (n[c] ?? 0) + 1; return Object.fromEntries(Object.entries(n).filter(([, m]) => m >= K));',
    (t, k) =>
      Object.fromEntries(
        [...new Set(t.replaceAll(" ", ""))]
          .map((c): [string, number] => [c, t.split(c).length - 1])
          .filter(([, n]) => n >= k),
      ),
  ),
];

const WORDS = "sea diver shell wave island breath stone wind net moon tide boat salt deep pearl".split(" ");
const CASES = 6;
const SHOWN = 2;

interface CodeData {
  cases: Case[];
}

function draft(random: Random): Draft<CodeData> {
  const kind = random.int(0, KINDS.length - 1);
  const { text, body, of, run } = KINDS[kind]!;
  const k = random.int(1, of === "text" ? 6 : 30);
  const input = (): number[] | string =>
    of === "list"
      ? Array.from({ length: random.int(0, 8) }, () => (random.chance(0.2) ? k * random.int(1, 3) : random.int(0, 40)))
      : Array.from({ length: random.int(1, 5) }, () => random.pick(WORDS)).join(" ");
  const cases = Array.from({ length: CASES }, (): Case => {
    const given = input();
    return { args: [given], result: run(structuredClone(given) as never, k) };
  });
  const shown = cases
    .slice(0, SHOWN)
    .map(({ args, result }) => `f(${JSON.stringify(args[0])}) is ${JSON.stringify(result)}`);
  return {
    content: [kind, k, cases],
    group: [kind, k],
    prompt: ask(
      `Write a JavaScript function f(${of}) that returns ${text.replaceAll(/\bK\b/g, `${k}`)}. For example, ${shown.join("; ")}.`,
    ),
    reference: `function f(${of}) { ${body.replaceAll(/\bK\b/g, `${k}`)} }`,
    data: { cases },
    facts: { kind },
  };
}

/** Parts: `answer` (all six cases, of which two were shown), `tests` (share of them). Splits are by what is asked and its number. */
export function code(): Task<CodeData> {
  const runner = new CodeRunner();
  return {
    name: "code",
    about: "small JavaScript functions, run against six cases",
    weights: { answer: 1, tests: 0 },
    problem: (seed, split, index) => drawProblem("code", draft, seed, split, index),
    async score({ data: { cases } }: Problem<CodeData>, reply) {
      const source = codeIn(partReply(reply).answer);
      if (source === "") return { parts: { answer: 0, tests: 0 } };
      const { passed } = await runner.run(source, "f", cases);
      return { parts: { answer: passed === cases.length ? 1 : 0, tests: passed / cases.length } };
    },
    answer: (_, reply) => codeIn(partReply(reply).answer) || undefined,
    same: (a, b) => a === b,
    solve: ({ reference }, _, form) => ({
      thought: form === "long" ? "One function that does just that." : "",
      answer: `\`\`\`js\n${reference}\n\`\`\``,
    }),
    close: () => runner.close(),
  };
}
