/** Countdown: reach a target from a few numbers with + - * /, each used once. */
import type { Random } from "../../data/index.ts";
import { answerPart } from "../answers/index.ts";
import { type Draft, drawProblem, type Problem, type Reply, type Score, type Task } from "../task.ts";
import { partReply } from "../thought.ts";
import { countdownBaselines } from "./baselines.ts";
import { readExpression, sameNumbers } from "./expression.ts";
import { expressionOf, findWay, reachable, searchTrace } from "./search.ts";
import { kindsOf, type Shape, valueAt, wholeValueAt } from "./shapes.ts";
import { checkWorking, selfCorrection } from "./working.ts";

export interface CountdownData {
  numbers: number[];
  target: number;
}

/** Different numbers from 2 and targets from 10: else one value is reached by many fixed expressions at once (x*1 = x/1, small quotients). */
const NUMBERS = { least: 2, most: 50 };
const TARGETS = { least: 10, most: 100 };
/** Sets of numbers tried for one form of solution, by how many numbers: rare forms get their share of 3, of 4 there are enough. */
const TRIES = { 3: 1000, 4: 100 };
/** Wrong steps before the right one at each level of a cold start's search. */
const DETOURS = 2;

/**
 * The form of a solution is drawn first, evenly from all that differ in value (a+b+c is one of them), then numbers for which it comes out,
 * kept less often when other forms give the same: so no fixed expression is right in over 5 %. Splits are by the set of numbers, whatever the target, for
 * 3 and 4 numbers alike. Parts: `answer` (right), `form` (an expression that uses each number once), `sound` (right, every fact of the
 * thought is true, and the accepted try leads to the target). Fractions on the way are allowed in answers.
 */
export function countdown(count: 3 | 4): Task<CountdownData> {
  return {
    name: `countdown-${count}`,
    about: `reach a target from ${count} numbers with + - * /, each used once`,
    weights: { answer: 1, form: 0, sound: 0 },
    problem: (seed, split, index) => drawProblem("countdown", (random) => draft(random, count), seed, split, index),
    score,
    answer: (_, reply) => answerOf(reply) || undefined,
    same: (a, b) => a === b,
    solve({ data: { numbers, target } }, random, form) {
      if (form === "short")
        return { thought: "", answer: expressionOf(numbers, findWay(numbers, target, random) ?? []) };
      const search = searchTrace(numbers, target, random, DETOURS);
      return { thought: search?.lines.join("\n") ?? "", answer: expressionOf(numbers, search?.steps ?? []) };
    },
    baselines: (problems) => countdownBaselines(problems.map(({ data }) => data)),
    summary: (scores) => ({ ...selfCorrection(scores) }),
  };
}

const kinds = new Map<number, Shape[]>();

function draft(random: Random, count: 3 | 4): Draft<CountdownData> {
  const all = kinds.get(count) ?? kindsOf(count);
  kinds.set(count, all);
  for (;;) {
    const kind = random.pick(all);
    const numbers = new Array<number>(count).fill(0);
    for (let tries = 0; tries < TRIES[count]; tries++) {
      for (let i = 0; i < count; i++) numbers[i] = random.int(NUMBERS.least, NUMBERS.most);
      const sorted = numbers.toSorted((a, b) => b - a);
      const target = wholeValueAt(kind, sorted);
      if (!(target >= TARGETS.least && target <= TARGETS.most) || new Set(numbers).size < count) continue;
      const alike = all.filter((other) => Math.abs(valueAt(other, sorted) - target) < 1e-9).length;
      if (!random.chance(1 / alike)) continue;
      const ways = reachable(numbers);
      return {
        content: [sorted, target],
        group: sorted,
        prompt: [{ role: "user", content: `Make ${target} from ${numbers.join(" ")}.` }],
        reference: expressionOf(numbers, findWay(numbers, target, random) ?? []),
        data: { numbers, target },
        facts: { numbers: count, waysToTarget: ways.get(target) ?? 0, inReach: ways.size },
      };
    }
  }
}

/** The expression that a reply ends with: without a dollar, a full stop, or `= target` behind it. */
const saidBy = (reply: Reply): { expression: string; claimed: string | undefined } => {
  const said = answerPart(partReply(reply).answer)
    .answer.slice(-400)
    .replace(/\\times|\\cdot/g, "*")
    .replace(/\\div/g, "/")
    .replace(/[$.\s]+$|^[$\s]+/g, "");
  const [expression = "", claimed] = said.split("=");
  return { expression: expression.trim(), claimed: claimed?.trim() };
};

const answerOf = (reply: Reply): string => saidBy(reply).expression.replace(/\s/g, "");

function score({ data: { numbers, target } }: Problem<CountdownData>, reply: Reply): Score {
  const { expression, claimed } = saidBy(reply);
  const read = readExpression(expression);
  const form =
    read !== undefined && sameNumbers(read.numbers, numbers) && (claimed === undefined || claimed === `${target}`);
  const right = form && read.value.d === 1n && read.value.n === BigInt(target);
  const checked = checkWorking(numbers, target, partReply(reply).thought ?? "");
  const { facts, trueFacts, lines, soundLines, tries, trueVerdicts, accepted, firstTryRight } = checked;
  const sound = right && facts > 0 && trueFacts === facts && (tries === 0 || accepted);
  return {
    parts: { answer: right ? 1 : 0, form: form ? 1 : 0, sound: sound ? 1 : 0 },
    facts: {
      facts,
      trueFacts,
      lines,
      soundLines,
      tries,
      trueVerdicts,
      retries: Math.max(0, tries - 1),
      firstTryRight: firstTryRight ? 1 : 0,
    },
  };
}
