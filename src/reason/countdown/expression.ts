/** Countdown's arithmetic, read strictly: whole numbers, + - * /, brackets. */
import { Budget, BudgetError, over, plus, type Rational, rational, times, whole } from "../answers/rational.ts";

const LENGTH_MAX = 200;
const DEPTH_MAX = 20;

export interface Expression {
  /** The numbers in it, as often as they stand there. */
  numbers: number[];
  value: Rational;
}

/**
 * Reads `(25-7)*3`; × ÷ · − are allowed, signs before a number, points, leading zeros, `**` and `//` are not. Undefined for anything else, a
 * division by zero too. Fractions on the way are exact.
 */
export function readExpression(text: string): Expression | undefined {
  if (text.length > LENGTH_MAX) return undefined;
  const source = text.replace(/[×·]/g, "*").replace(/÷/g, "/").replace(/−/g, "-");
  const tokens = source.match(/\d+|[-+*/()]|\S/g) ?? [];
  const budget = new Budget();
  const numbers: number[] = [];
  let at = 0;
  let depth = 0;

  const primary = (): Rational | undefined => {
    const token = tokens[at++] ?? "";
    if (/^(0|[1-9]\d{0,8})$/.test(token)) {
      numbers.push(Number(token));
      return whole(Number(token));
    }
    if (token !== "(" || ++depth > DEPTH_MAX) return undefined;
    const inside = sum();
    depth--;
    return tokens[at++] === ")" ? inside : undefined;
  };
  const chain = (next: () => Rational | undefined, apply: Record<string, typeof plus>): Rational | undefined => {
    let value = next();
    for (let token = tokens[at]; value && token !== undefined && Object.hasOwn(apply, token); token = tokens[at]) {
      at++;
      const right = next();
      value = right && apply[token]?.(value, right, budget);
    }
    return value;
  };
  const product = (): Rational | undefined => chain(primary, { "*": times, "/": over });
  const minus: typeof plus = (a, b, within) => plus(a, rational(-b.n, b.d, within), within);
  const sum = (): Rational | undefined => chain(product, { "+": plus, "-": minus });

  try {
    const value = sum();
    return value && at === tokens.length ? { numbers, value } : undefined;
  } catch (error) {
    if (error instanceof BudgetError) return undefined;
    throw error;
  }
}

/** Whether the same numbers, each as often. */
export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  const sorted = (list: readonly number[]): string => [...list].sort((x, y) => x - y).join(" ");
  return a.length === b.length && sorted(a) === sorted(b);
}
