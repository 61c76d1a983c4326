/** The forms that an expression over a few numbers can have. */
import type { Operator } from "./search.ts";

/** An expression over places of a list of numbers. */
export type Shape = number | { operator: Operator; left: Shape; right: Shape };
const OPERATORS: readonly Operator[] = ["+", "-", "*", "/"];
const LETTERS = "abcdefgh";

/** All expressions that use places 0 … n−1 once each: shapes, operators and orders, each as often as a random draw takes it. */
export function shapesOf(n: number): Shape[] {
  const over = (places: readonly number[]): Shape[] => {
    if (places.length === 1) return [places[0]!];
    const all: Shape[] = [];
    for (let cut = 1; cut < places.length; cut++)
      for (const left of over(places.slice(0, cut)))
        for (const right of over(places.slice(cut)))
          for (const operator of OPERATORS) all.push({ operator, left, right });
    return all;
  };
  return orders(Array.from({ length: n }, (_, i) => i)).flatMap(over);
}

function orders(places: readonly number[]): number[][] {
  if (places.length <= 1) return [[...places]];
  return places.flatMap((place, i) => orders(places.filter((_, j) => j !== i)).map((rest) => [place, ...rest]));
}

const applied = (operator: Operator, a: number, b: number): number =>
  operator === "+" ? a + b : operator === "-" ? a - b : operator === "*" ? a * b : a / b;

export const valueAt = (shape: Shape, numbers: readonly number[]): number =>
  typeof shape === "number"
    ? numbers[shape]!
    : applied(shape.operator, valueAt(shape.left, numbers), valueAt(shape.right, numbers));

export const textOf = (shape: Shape): string =>
  typeof shape === "number" ? LETTERS[shape]! : `(${textOf(shape.left)}${shape.operator}${textOf(shape.right)})`;

/** Where two forms that always give the same are told from two that differ. */
const PROBES = [
  [89.3, 41.7, 17.9, 7.3],
  [97.1, 53.9, 13.3, 5.7],
] as const;

/** The forms that differ in value, over numbers from the largest down: a+b+c is one, in whatever order it is written. */
export function kindsOf(n: number): Shape[] {
  const seen = new Map<string, Shape>();
  for (const shape of shapesOf(n)) {
    const key = PROBES.map((probe) => valueAt(shape, probe).toPrecision(10)).join(" ");
    if (!seen.has(key)) seen.set(key, shape);
  }
  return [...seen.values()];
}

/** What a form gives when every step on the way is whole and over 0, as in `stepsOf`; NaN when one is not. */
export function wholeValueAt(shape: Shape, numbers: readonly number[]): number {
  if (typeof shape === "number") return numbers[shape]!;
  const value = applied(shape.operator, wholeValueAt(shape.left, numbers), wholeValueAt(shape.right, numbers));
  return Number.isInteger(value) && value > 0 ? value : Number.NaN;
}
