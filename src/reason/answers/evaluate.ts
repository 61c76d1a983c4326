/** What an expression is worth: exactly where it is rational, as a double where it is not. */
import { CONSTANTS, type Node } from "./parse.ts";
import {
  type Budget,
  BudgetError,
  factorial,
  negative,
  over,
  plus,
  power,
  type Rational,
  rational,
  times,
  toDouble,
  whole,
} from "./rational.ts";

/** What the names stand for. */
export type Point = ReadonlyMap<string, Rational>;

const REAL_FUNCTIONS: Readonly<Record<string, (x: number) => number>> = {
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  cot: (x) => 1 / Math.tan(x),
  sec: (x) => 1 / Math.cos(x),
  csc: (x) => 1 / Math.sin(x),
  abs: Math.abs,
  arcsin: Math.asin,
  arccos: Math.acos,
  arctan: Math.atan,
  ln: Math.log,
  log: Math.log10,
  exp: Math.exp,
};

/** Exactly, or undefined where it is not rational. Throws BudgetError. */
export function exactly(node: Node, point: Point, budget: Budget): Rational | undefined {
  budget.spend(1n);
  switch (node.kind) {
    case "number":
      return numberOf(node, budget);
    case "name":
      return point.get(node.name);
    case "function":
      return undefined;
    case "root": {
      const [of, degree] = [exactly(node.of, point, budget), exactly(node.degree, point, budget)];
      return of && degree && degree.n !== 0n ? power(of, over(whole(1), degree, budget), budget) : undefined;
    }
    case "neg":
    case "percent":
    case "factorial": {
      const of = exactly(node.of, point, budget);
      if (of === undefined) return undefined;
      if (node.kind === "neg") return negative(of);
      return node.kind === "percent" ? over(of, whole(100), budget) : factorial(of, budget);
    }
  }
  const [a, b] = [exactly(node.a, point, budget), exactly(node.b, point, budget)];
  if (a === undefined || b === undefined) return undefined;
  return { add: plus, mul: times, div: over, pow: power }[node.kind](a, b, budget);
}

function numberOf({ digits, decimals, exponent }: Node & { kind: "number" }, budget: Budget): Rational {
  const places = exponent - decimals;
  const scale = 10n ** BigInt(Math.abs(places));
  budget.spend(scale);
  const n = BigInt(digits);
  return places < 0 ? rational(n, scale, budget) : whole(n * scale);
}

/** As a double; NaN where it is not real. Throws BudgetError. */
export function roughly(node: Node, point: Point, budget: Budget): number {
  const exact = exactWithin(node, point, budget);
  if (exact !== undefined) return toDouble(exact);
  switch (node.kind) {
    case "name":
      return CONSTANTS[node.name] ?? Number.NaN;
    case "function":
      return REAL_FUNCTIONS[node.name]?.(roughly(node.of, point, budget)) ?? Number.NaN;
    case "root": {
      const [of, degree] = [roughly(node.of, point, budget), roughly(node.degree, point, budget)];
      return of < 0 && Math.abs(degree % 2) === 1 ? -((-of) ** (1 / degree)) : of ** (1 / degree);
    }
    case "neg":
      return -roughly(node.of, point, budget);
    case "percent":
      return roughly(node.of, point, budget) / 100;
    case "factorial":
    case "number":
      throw new BudgetError("not a whole number");
  }
  const [a, b] = [roughly(node.a, point, budget), roughly(node.b, point, budget)];
  return { add: a + b, mul: a * b, div: a / b, pow: a ** b }[node.kind];
}

/** Leaves are looked at exactly; anything with parts is built from them, so that no part is worked out twice. */
const exactWithin = (node: Node, point: Point, budget: Budget): Rational | undefined =>
  node.kind === "number" || node.kind === "name" || node.kind === "factorial"
    ? exactly(node, point, budget)
    : (budget.spend(1n), undefined);
