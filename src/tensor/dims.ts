/** Axis lengths, numbers or symbols, with the arithmetic that shapes need. */
import { ShapeError } from "../errors.ts";

/**
 * One axis length: a number, or a symbol such as "B", a product "B*T" or "2*B*T", or a sum kept as one symbol "(S+T)".
 * Two axes are the same length exactly when their normal forms are equal.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

interface Product {
  coefficient: number;
  factors: string[];
}

const toDim = (text: string): Dim => (/^\d+$/.test(text) ? Number(text) : text);

/** A text cut at a separator that stands in no brackets. */
function cutAt(text: string, separator: "*" | "+"): Dim[] {
  const parts: Dim[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")") depth--;
    else if (text[i] === separator && depth === 0) {
      parts.push(toDim(text.slice(start, i)));
      start = i + 1;
    }
  }
  return [...parts, toDim(text.slice(start))];
}

/** The factors of a product, "2*B*(S+T)" -> 2, B and (S+T); of anything else itself. */
export const factorsOf = (dim: Dim): Dim[] => (typeof dim === "number" ? [dim] : cutAt(dim, "*"));

/** The summands of a sum kept as one symbol, "(S+T)" -> S and T; undefined of anything else. */
export function summandsOf(dim: Dim): Dim[] | undefined {
  if (typeof dim === "number" || !dim.startsWith("(") || factorsOf(dim).length > 1) return undefined;
  return cutAt(dim.slice(1, -1), "+");
}

function parse(dim: Dim): Product {
  const factors: string[] = [];
  let coefficient = 1;
  for (const factor of factorsOf(dim))
    if (typeof factor === "number") coefficient *= factor;
    else factors.push(factor);
  return { coefficient, factors: factors.sort() };
}

function format({ coefficient, factors }: Product): Dim {
  if (factors.length === 0 || coefficient === 0) return coefficient;
  return (coefficient === 1 ? factors : [String(coefficient), ...factors]).join("*");
}

/** Length of an axis that two axes are flattened into. */
export function dimMul(a: Dim, b: Dim): Dim {
  const x = parse(a);
  const y = parse(b);
  return format({ coefficient: x.coefficient * y.coefficient, factors: [...x.factors, ...y.factors].sort() });
}

/** Length of an axis that two axes are joined into. */
export function dimAdd(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  return `(${[a, b].map(String).sort().join("+")})`;
}

/** a / b, or undefined when b does not divide a symbolically. */
export function dimDiv(a: Dim, b: Dim): Dim | undefined {
  const x = parse(a);
  const y = parse(b);
  if (y.coefficient === 0 || x.coefficient % y.coefficient !== 0) return undefined;
  const factors = [...x.factors];
  for (const factor of y.factors) {
    const at = factors.indexOf(factor);
    if (at < 0) return undefined;
    factors.splice(at, 1);
  }
  return format({ coefficient: x.coefficient / y.coefficient, factors });
}

export const dimProduct = (shape: Shape): Dim => shape.reduce(dimMul, 1);

export const isStatic = (shape: Shape): shape is readonly number[] => shape.every((d) => typeof d === "number");

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

export const show = (shape: Shape): string => `[${shape.join(", ")}]`;

/** Numpy broadcasting of two shapes. */
export function broadcast(a: Shape, b: Shape, where: string): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    throw new ShapeError(`${where}: expected shapes that broadcast, got ${show(a)} and ${show(b)}`);
  });
}

/** Resolves a negative axis. */
export function axisOf(axis: number, rank: number, where: string): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank)
    throw new ShapeError(`${where}: expected an axis of a rank-${rank} tensor, got ${axis}`);
  return at;
}
