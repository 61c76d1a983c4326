/** Looks through a Countdown thought line by line: which facts are true, and whether what it accepted follows from what it did. */
import type { Score } from "../task.ts";
import { type Operator, type Step, stepsOf } from "./search.ts";

export interface Checked {
  /** Facts `a op b = c` anywhere in the thought, and those that are true. */
  facts: number;
  trueFacts: number;
  /** Lines that say what is left, and those that may say it: numbers that were given or an earlier line left, a step with two of them. */
  lines: number;
  soundLines: number;
  /** Tries that came to an end (`yes` or `no`), and those whose verdict is true. */
  tries: number;
  trueVerdicts: number;
  /** The first `yes` is a sound line, true, and at the target. */
  accepted: boolean;
  /** The first try that came to an end was at the target. */
  firstTryRight: boolean;
}

const LINE = /^\s*((?:\d{1,9} ){1,7}\d{1,9}): ?(\d{1,9})([-+*/])(\d{1,9})=(\d{1,9})( yes| no)?\s*$/;
const FACT = /(?<![\d.)*/+-]\s?)(\d{1,9})\s?([-+*/×÷−])\s?(\d{1,9})\s?=\s?(-?\d{1,9})(?![\d.])/g;
/** Only so much of a thought is looked at. */
const CHARS_MAX = 100_000;

const isTrue = (a: number, operator: string, b: number, c: number): boolean =>
  operator === "+"
    ? a + b === c
    : operator === "*" || operator === "×"
      ? a * b === c
      : operator === "/" || operator === "÷"
        ? b !== 0 && a === b * c
        : a - b === c;

const keyOf = (numbers: readonly number[]): string => [...numbers].sort((x, y) => x - y).join(" ");

export function checkWorking(numbers: readonly number[], target: number, thought: string): Checked {
  const text = thought.slice(0, CHARS_MAX);
  const checked: Checked = {
    facts: 0,
    trueFacts: 0,
    lines: 0,
    soundLines: 0,
    tries: 0,
    trueVerdicts: 0,
    accepted: false,
    firstTryRight: false,
  };
  for (const [, a, operator = "", b, c] of text.matchAll(FACT)) {
    checked.facts++;
    if (isTrue(Number(a), operator, Number(b), Number(c))) checked.trueFacts++;
  }
  const states = new Set([keyOf(numbers)]);
  let said = false;
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (!found) continue;
    const [, stated = "", a, operator, b, c, verdict] = found;
    const state = stated.split(" ").map(Number);
    const step: Step = { a: Number(a), b: Number(b), operator: operator as Operator, result: Number(c) };
    const left = leftBy(state, step);
    const sound = left !== undefined && states.has(keyOf(state));
    checked.lines++;
    if (sound) {
      checked.soundLines++;
      states.add(keyOf(left));
    }
    if (verdict === undefined) continue;
    const hit = step.result === target && state.length === 2;
    if (checked.tries === 0) checked.firstTryRight = sound && hit;
    checked.tries++;
    if ((verdict === " yes") === hit) checked.trueVerdicts++;
    if (verdict === " yes" && !said) {
      said = true;
      checked.accepted = sound && hit;
    }
  }
  return checked;
}

/** What a true step leaves of a state; undefined when it is false or uses what is not there. */
function leftBy(state: readonly number[], step: Step): number[] | undefined {
  const rest = [...state];
  for (const operand of [step.a, step.b]) {
    const at = rest.indexOf(operand);
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  const allowed = stepsOf(step.a, step.b).some(
    ({ a, operator, result }) => a === step.a && operator === step.operator && result === step.result,
  );
  return allowed || isTrue(step.a, step.operator, step.b, step.result) ? [...rest, step.result] : undefined;
}

/** How a model works and corrects itself, over scored replies. */
export interface SelfCorrection {
  /** Of all facts, lines and verdicts that are written: shares that are true, may be said, and are true. */
  trueFacts: number;
  soundLines: number;
  trueVerdicts: number;
  /** Share of replies in which a try came to an end. */
  tried: number;
  /** Shares of those: the first try was at the target; there was another try. */
  firstTryRight: number;
  retried: number;
  /** Of those whose first try was not at the target, the share whose answer is right: what going on searching is worth. */
  rightAfterWrong: number;
  /** Share of all replies whose answer is right without a second try: what is left where retries are forbidden. */
  withoutRetries: number;
}

/** From Countdown's scores, by their parts and facts. */
export function selfCorrection(scores: readonly Pick<Score, "parts" | "facts">[]): SelfCorrection {
  const fact = (score: Pick<Score, "facts">, name: string): number => score.facts?.[name] ?? 0;
  const isRight = ({ parts }: Pick<Score, "parts">): boolean => parts["answer"] === 1;
  const total = (name: string): number => scores.reduce((sum, score) => sum + fact(score, name), 0);
  const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  const tried = scores.filter((score) => fact(score, "tries") > 0);
  const wrongFirst = tried.filter((score) => fact(score, "firstTryRight") !== 1);
  return {
    trueFacts: ratio(total("trueFacts"), total("facts")),
    soundLines: ratio(total("soundLines"), total("lines")),
    trueVerdicts: ratio(total("trueVerdicts"), total("tries")),
    tried: ratio(tried.length, scores.length),
    firstTryRight: ratio(tried.length - wrongFirst.length, tried.length),
    retried: ratio(tried.filter((score) => fact(score, "retries") > 0).length, tried.length),
    rightAfterWrong: ratio(wrongFirst.filter(isRight).length, wrongFirst.length),
    withoutRetries: ratio(
      scores.filter((score) => isRight(score) && fact(score, "retries") === 0).length,
      scores.length,
    ),
  };
}
