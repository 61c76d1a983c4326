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

export interface Move {
  step: Step;
  /** The state that it leaves: its result behind the numbers that stay. */
  left: number[];
}

/** The steps from a state, pair by pair of its numbers. */
function movesByPair(state: readonly number[]): Move[][] {
  const pairs: Move[][] = [];
  for (let i = 0; i < state.length; i++)
    for (let j = i + 1; j < state.length; j++) {
      const rest = state.filter((_, k) => k !== i && k !== j);
      pairs.push(stepsOf(state[i]!, state[j]!).map((step) => ({ step, left: [...rest, step.result] })));
    }
  return pairs;
}

/** Each step from a state, with the state that it leaves. */
export const movesOf = (state: readonly number[]): Move[] => movesByPair(state).flat();

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

/** Results beyond this are put off: they seldom lead to a target of at most 100, and products of large numbers are hard at a glance. */
const LARGE = 150;
/** How often the nearest end is seen; else any is tried. */
const SEEN = 0.8;
/** Searches that are longer are drawn anew, by how many numbers; and so many times at most. */
const LINES_MAX: Record<number, number> = { 3: 14, 4: 20 };
const REDRAWS = 40;

/**
 * A search with backtracking that finds a way. Of three numbers every step is gone through, pair by pair in random order, large results last;
 * of what it leaves the end nearest to the target is looked at, mostly, and then it goes back to the beginning. So little is left open that a tiny
 * model does not lose its place: with two ends, or steps in any order, it did (docs/log.md). Of more numbers, up to `detours` wrong steps are
 * looked into for a step or two before one that leads to the target.
 */
export function searchTrace(
  numbers: readonly number[],
  target: number,
  random: Random,
  detours: number,
): Search | undefined {
  const way = findWay(numbers, target, random);
  if (!way) return undefined;
  const most = LINES_MAX[numbers.length] ?? Number.POSITIVE_INFINITY;
  let best: Search | undefined;
  for (let draw = 0; draw < REDRAWS && !(best && best.lines.length <= most); draw++) {
    const lines: string[] = [];
    const steps = explore(numbers, way, { target, random, detours, lines });
    if (steps && !(best && best.lines.length <= lines.length)) best = { lines, steps };
  }
  return best ?? { lines: linesOf(numbers, way), steps: way };
}

interface Searching {
  target: number;
  random: Random;
  detours: number;
  lines: string[];
}

function explore(state: readonly number[], way: readonly Step[], searching: Searching): Step[] | undefined {
  const { random, detours, lines } = searching;
  if (state.length === 2) return lookAt(state, searching);
  const moves = state.length === 3 ? shuffled(movesByPair(state), random).flat() : shuffled(movesOf(state), random);
  const isRight = ({ step }: { step: Step }): boolean => way[0] !== undefined && isStep(step, way[0]);
  const [small, large] = [
    moves.filter(({ step }) => step.result <= LARGE),
    moves.filter(({ step }) => step.result > LARGE),
  ];
  const chosen =
    state.length === 3
      ? [...small, ...large]
      : [
          ...small.filter((move) => !isRight(move)).slice(0, random.int(0, detours)),
          ...moves.filter(isRight).slice(0, 1),
        ];
  // off the way to the target one or two steps are enough to turn back
  for (const { step, left } of way.length === 0 ? chosen.slice(0, random.int(1, 2)) : chosen) {
    lines.push(lineOf(state, step));
    const rest = state.length > 3 && !isRight({ step }) ? [] : way.slice(1);
    const found = explore(left, rest, searching);
    if (found) return [step, ...found];
  }
  return undefined;
}

/** One end of two numbers: mostly the one nearest to the target. */
function lookAt(state: readonly number[], { target, random, lines }: Searching): Step[] | undefined {
  const ends = shuffled(movesOf(state), random).map(({ step }) => step);
  const away = (step: Step): number => Math.abs(step.result - target);
  const nearest = ends.reduce((best, end) => (away(end) < away(best) ? end : best));
  const step = random.chance(SEEN) ? nearest : (ends.find(({ result }) => result <= LARGE) ?? nearest);
  const hit = step.result === target;
  lines.push(lineOf(state, step, hit ? " yes" : " no"));
  return hit ? [step] : undefined;
}

/** A way written without a detour. */
function linesOf(numbers: readonly number[], way: readonly Step[]): string[] {
  let state = numbers;
  return way.map((step, i) => {
    const line = lineOf(state, step, i === way.length - 1 ? " yes" : "");
    state = movesOf(state).find((move) => isStep(move.step, step))?.left ?? [];
    return line;
  });
}

const isStep = (a: Step, b: Step): boolean => a.a === b.a && a.b === b.b && a.operator === b.operator;
