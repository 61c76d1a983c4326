/** Whether two answers are the same: by value, not by letters. */
import { exactly, type Point, roughly } from "./evaluate.ts";
import { type Answer, type Node, namesIn, parseAnswer } from "./parse.ts";
import { Budget, BudgetError, isEqual, type Rational, rational } from "./rational.ts";
import { LENGTH_MAX, plain, UnreadableError } from "./tokens.ts";

/** Of two that are not rational: digits in which they agree. */
const TOLERANCE = 1e-11;
const ABSOLUTE = 1e-13;

/**
 * Equal are 1/2, 0.5 and \frac12; 1,000 and 1000; x=3 and 3; {1,2} and 2,1; 2\sqrt2 and \sqrt8; (x+1)^2 and x^2+2x+1; 5 cm and 5, not 5 m.
 * 50\% is 0.5 and, where the other has no percent sign, 50. Nothing is the same as an empty answer. What cannot be read, or costs too
 * much to work out, is compared by its letters. Takes milliseconds, never throws, evaluates nothing as code.
 */
export function sameAnswer(a: string, b: string): boolean {
  const [left, right] = [folded(a), folded(b)];
  if (left === "" || right === "") return false;
  if (left === right) return true;
  try {
    return same(parseAnswer(a), parseAnswer(b), new Budget());
  } catch (error) {
    if (error instanceof UnreadableError || error instanceof BudgetError) return false;
    throw error;
  }
}

/** Letters that count: without case, space, boxes, `\text`, full stops; of a choice `(C)` the letter. */
function folded(text: string): string {
  if (text.length > LENGTH_MAX) return text.trim();
  let rest = plain(text).toLowerCase();
  for (let box = unboxed(rest); box !== undefined; box = unboxed(rest)) rest = box;
  return rest
    .replace(/\\text\{([^{}]*)\}/g, "$1")
    .replace(/\s+/g, "")
    .replace(/_\{(\w+)\}/g, "_$1")
    .replace(/\\leq(?:slant)?(?![a-z])|\\le(?![a-z])|≤/g, "<=")
    .replace(/\\geq(?:slant)?(?![a-z])|\\ge(?![a-z])|≥/g, ">=")
    .replace(/\\lt(?![a-z])/g, "<")
    .replace(/\\gt(?![a-z])/g, ">")
    .replace(/^\(([a-z])\)$/, "$1");
}

const unboxed = (text: string): string | undefined => /^\s*\\(?:boxed|fbox)\s*\{(.*)\}\s*$/s.exec(text)?.[1];

function same(a: Answer, b: Answer, budget: Budget): boolean {
  const [left, right] = [single(a), single(b)];
  if (left.kind === "value" && right.kind === "value") return sameValue(left, right, budget);
  if (left.kind === "equation" && left.left.kind === "name" && right.kind === "value")
    return sameValue({ kind: "value", value: left.right }, right, budget);
  if (right.kind === "equation" && left.kind === "value") return same(right, left, budget);
  if (left.kind === "equation" && right.kind === "equation") return sameEquation(left, right, budget);
  if (left.kind === "set" && right.kind === "set") return sameSet(left.items, right.items, budget);
  if (left.kind === "row" && right.kind === "row")
    return (
      left.open === right.open &&
      left.close === right.close &&
      left.items.length === right.items.length &&
      left.items.every((item, i) => same(item, right.items[i] as Answer, budget))
    );
  return false;
}

/** A set of one is what is in it. */
const single = (answer: Answer): Answer =>
  answer.kind === "set" && answer.items.length === 1 && answer.items[0] ? answer.items[0] : answer;

function sameSet(a: readonly Answer[], b: readonly Answer[], budget: Budget): boolean {
  const within = (items: readonly Answer[], all: readonly Answer[]): boolean =>
    items.every((item) => all.some((other) => same(item, other, budget)));
  return within(a, b) && within(b, a);
}

function sameValue(a: Answer & { kind: "value" }, b: Answer & { kind: "value" }, budget: Budget): boolean {
  if (a.unit !== undefined && b.unit !== undefined && a.unit !== b.unit) return false;
  if (sameNode(a.value, b.value, budget)) return true;
  if (a.percent === b.percent) return false;
  const hundredth = ({ value, percent }: typeof a): Node => (percent ? { kind: "percent", of: value } : value);
  return sameNode(hundredth(a), hundredth(b), budget);
}

/** Both say the same when left − right of one is a fixed multiple of the other's. */
function sameEquation(a: Answer & { kind: "equation" }, b: Answer & { kind: "equation" }, budget: Budget): boolean {
  const apart = ({ left, right }: typeof a): Node => ({ kind: "add", a: left, b: { kind: "neg", of: right } });
  const [one, other] = [apart(a), apart(b)];
  const names = new Set([...namesIn(one), ...namesIn(other)]);
  const ratios = points(names).map((point) => roughly(one, point, budget) / roughly(other, point, budget));
  const [first = Number.NaN] = ratios;
  return Number.isFinite(first) && first !== 0 && ratios.every((ratio) => isNear(ratio, first));
}

function sameNode(a: Node, b: Node, budget: Budget): boolean {
  const names = new Set([...namesIn(a), ...namesIn(b)]);
  let agreed = 0;
  for (const point of points(names)) {
    const [left, right] = [exactly(a, point, budget), exactly(b, point, budget)];
    if (left !== undefined && right !== undefined) {
      if (!isEqual(left, right)) return false;
      agreed++;
      continue;
    }
    const [x, y] = [roughly(a, point, budget), roughly(b, point, budget)];
    if (Number.isNaN(x) && Number.isNaN(y)) continue;
    if (!isNear(x, y)) return false;
    agreed++;
  }
  return agreed > 0;
}

const isNear = (x: number, y: number): boolean =>
  Number.isFinite(x) && Number.isFinite(y)
    ? Math.abs(x - y) <= TOLERANCE * Math.max(Math.abs(x), Math.abs(y)) + ABSOLUTE
    : x === y;

/** Numerators and denominators at which names are tried: whatever, but always the same. */
const TRIED = [
  [17, 7],
  [29, 11],
  [-13, 5],
  [41, 3],
  [5, 19],
] as const;

/** One point without names; else five, at which all names differ. The infinite is a name like any other. */
function points(names: ReadonlySet<string>): Point[] {
  if (names.size === 0) return [new Map()];
  const sorted = [...names].sort();
  return TRIED.map(
    ([n, d], t) =>
      new Map(
        sorted.map((name, i): [string, Rational] => [
          name,
          rational(BigInt(n + i * (3 + 2 * t)), BigInt(d), new Budget()),
        ]),
      ),
  );
}
