/** What can be reached from a set of numbers, and a search written out step by step. */
import type { Random } from "../../data/index.ts";

export type Operator = "+" | "-" | "*" | "/";

/** One step: a op b = result, whole and not negative. */
export interface Step {
  a: number;
  b: number;
  operator: Operator;
  result: number;
}

/** The steps that two numbers allow: the larger first, differences over 0, divisions that come out even. */
export function stepsOf(x: number, y: number): Step[] {
  const [a, b] = x >= y ? [x, y] : [y, x];
  const steps: Step[] = [
    { a, b, operator: "+", result: a + b },
    { a, b, operator: "*", result: a * b },
  ];
  if (a > b) steps.push({ a, b, operator: "-", result: a - b });
  if (b > 0 && a % b === 0) steps.push({ a, b, operator: "/", result: a / b });
  return steps;
}

/** Each step from a state, with the state that it leaves: its result behind the numbers that stay. */
export function movesOf(state: readonly number[]): { step: Step; left: number[] }[] {
  const moves: { step: Step; left: number[] }[] = [];
  for (let i = 0; i < state.length; i++)
    for (let j = i + 1; j < state.length; j++) {
      const rest = state.filter((_, k) => k !== i && k !== j);
      for (const step of stepsOf(state[i]!, state[j]!)) moves.push({ step, left: [...rest, step.result] });
    }
  return moves;
}

/** Every value that uses all numbers, each once, with the number of ways to it. */
export function reachable(numbers: readonly number[]): Map<number, number> {
  const ways = new Map<number, number>();
  const walk = (state: readonly number[]): void => {
    if (state.length === 1) ways.set(state[0]!, (ways.get(state[0]!) ?? 0) + 1);
    else for (const { left } of movesOf(state)) walk(left);
  };
  walk(numbers);
  return ways;
}

/** One way to the target, of all by chance; undefined when there is none. */
export function findWay(numbers: readonly number[], target: number, random: Random): Step[] | undefined {
  const walk = (state: readonly number[]): Step[] | undefined => {
    if (state.length === 1) return state[0] === target ? [] : undefined;
    for (const { step, left } of shuffled(movesOf(state), random)) {
      const rest = walk(left);
      if (rest) return [step, ...rest];
    }
    return undefined;
  };
  return walk(numbers);
}

function shuffled<T>(list: T[], random: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.int(0, i);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

/** The expression that steps make: `(25-7)*3`, with no bracket more than needed. */
export function expressionOf(numbers: readonly number[], steps: readonly Step[]): string {
  let parts = numbers.map((value) => ({ value, text: String(value), rank: 3 }));
  for (const { a, b, operator, result } of steps) {
    const [left, right] = [a, b].map((value) => {
      const at = parts.findIndex((part) => part.value === value);
      const [part] = parts.splice(at, 1);
      return part ?? { value, text: String(value), rank: 3 };
    }) as [(typeof parts)[number], (typeof parts)[number]];
    const rank = operator === "+" || operator === "-" ? 1 : 2;
    const before = left.rank < rank ? `(${left.text})` : left.text;
    const after =
      right.rank < rank || (right.rank === rank && "-/".includes(operator)) ? `(${right.text})` : right.text;
    parts = [...parts, { value: result, text: `${before}${operator}${after}`, rank }];
  }
  return parts[0]?.text ?? "";
}

/** How a search is written: each line says what is left, does one step with it, and at the end of a try says whether it is the target. */
export const lineOf = (state: readonly number[], { a, b, operator, result }: Step, verdict = ""): string =>
  `${state.join(" ")}: ${a}${operator}${b}=${result}${verdict}`;

export interface Search {
  lines: string[];
  steps: Step[];
}

/**
 * A search with backtracking that finds a way: depth first, up to `detours` wrong steps before the right one at every level, each looked
 * into in the same manner. A wrong step from which the target is reached after all ends the search there.
 */
export function searchTrace(
  numbers: readonly number[],
  target: number,
  random: Random,
  detours: number,
): Search | undefined {
  const way = findWay(numbers, target, random);
  if (!way) return undefined;
  const lines: string[] = [];

  const explore = (
    state: readonly number[],
    right: Step | undefined,
    rest: readonly Step[],
    most: number,
  ): Step[] | undefined => {
    const moves = shuffled(movesOf(state), random);
    const isRight = ({ step }: { step: Step }): boolean => right !== undefined && isStep(step, right);
    const wrong = moves.filter((move) => !isRight(move)).slice(0, random.int(0, most));
    const last = state.length === 2;
    for (const { step, left } of [...wrong, ...moves.filter(isRight).slice(0, 1)]) {
      const hit = last && step.result === target;
      lines.push(lineOf(state, step, last ? (hit ? " yes" : " no") : ""));
      if (hit) return [step];
      if (last) continue;
      const onWay = isRight({ step });
      // what is not on the way gets at least one look
      const found = explore(left, onWay ? rest[0] : undefined, rest.slice(1), onWay ? detours : Math.max(1, most - 1));
      if (found) return [step, ...found];
    }
    return undefined;
  };
  const [first, ...rest] = way;
  const steps = explore(numbers, first, rest, detours);
  return steps && { lines, steps };
}

const isStep = (a: Step, b: Step): boolean => a.a === b.a && a.b === b.b && a.operator === b.operator;
