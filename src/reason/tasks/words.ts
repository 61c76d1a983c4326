/** Number word problems, from templates. */
import type { Random } from "../../data/index.ts";
import type { Draft, Task } from "../task.ts";
import { answerTask, ask } from "./answerTask.ts";
import { NAMES, THINGS, WORD_TEMPLATES, type WordTemplate } from "./wordTemplates.ts";

export interface WordData {
  /** `12*3=36`, one a step. */
  lines: string[];
}

/** The steps of a template with its numbers; undefined when one is not whole and over 0, or larger than four digits. */
function solved(
  template: WordTemplate,
  numbers: Readonly<Record<string, number>>,
): { lines: string[]; answer: number } | undefined {
  const known: Record<string, number> = { ...numbers };
  const lines: string[] = [];
  let answer = 0;
  for (const [i, [left, operator, right]] of template.steps.entries()) {
    const [a, b] = [left, right].map((name) => known[name] ?? Number(name)) as [number, number];
    answer = operator === "+" ? a + b : operator === "-" ? a - b : operator === "*" ? a * b : a / b;
    if (!Number.isInteger(answer) || answer <= 0 || answer > 9999) return undefined;
    known["pqr"[i]!] = answer;
    lines.push(`${a}${operator}${b}=${answer}`);
  }
  return { lines, answer };
}

function draft(random: Random): Draft<WordData> {
  const kind = random.int(0, WORD_TEMPLATES.length - 1);
  const template = WORD_TEMPLATES[kind]!;
  for (;;) {
    const numbers = Object.fromEntries(
      Object.entries(template.numbers).map(([name, [low, high]]) => [name, random.int(low, high)]),
    );
    const found = solved(template, numbers);
    if (!found) continue;
    const name = random.pick(NAMES);
    const other = random.pick(NAMES.filter((one) => one !== name));
    const slots: Record<string, string | number> = { ...numbers, name, other, things: random.pick(THINGS) };
    const text = template.text.replace(/\{(\w+)\}/g, (_, slot: string) => `${slots[slot]}`);
    return {
      content: text,
      group: [kind, numbers],
      prompt: ask(text),
      reference: `${found.answer}`,
      data: { lines: found.lines },
      facts: { template: kind, steps: found.lines.length },
    };
  }
}

/** 30 kinds of one to three steps. The same numbers in the same kind are one group, whoever has what. */
export const words = (): Task<WordData> =>
  answerTask({
    name: "words",
    about: "number word problems of one to three steps",
    draft,
    working: ({ lines }) => lines.join("\n"),
  });
