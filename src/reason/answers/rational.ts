/** Exact fractions of whole numbers of any size, within a budget of work. */

/** What a calculation would cost more than it may. */
export class BudgetError extends Error {}

/** Bits of a numerator or denominator: about 600 digits. */
const BITS_MAX = 2048;
/** Bits worked on in one comparison, all operations together: some tens of milliseconds at most. */
const WORK_MAX = 400_000;
const EXPONENT_MAX = 1000n;

/** Counts work, so that whatever somebody wrote ends soon. */
export class Budget {
  #work = 0;

  /** Throws BudgetError for a number that is too long, or when all together was too much. */
  spend(...numbers: bigint[]): void {
    for (const number of numbers) {
      const bits = bitsOf(number);
      if (bits > BITS_MAX) throw new BudgetError("a number is too long");
      if ((this.#work += bits + 16) > WORK_MAX) throw new BudgetError("too much to calculate");
    }
  }
}

/** At least the bits that a number has, and at most 4 more. */
const bitsOf = (number: bigint): number => number.toString(16).length * 4;

const gcd = (a: bigint, b: bigint): bigint => {
  let [x, y] = [a < 0n ? -a : a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
};

/** n / d in lowest terms, d > 0. */
export interface Rational {
  readonly n: bigint;
  readonly d: bigint;
}

export const rational = (n: bigint, d: bigint, budget: Budget): Rational => {
  budget.spend(n, d);
  if (d === 0n) throw new BudgetError("divided by zero");
  if (d === 1n) return { n, d };
  const common = gcd(n, d < 0n ? -d : d) * (d < 0n ? -1n : 1n);
  return { n: n / common, d: d / common };
};

export const whole = (n: number | bigint): Rational => ({ n: BigInt(n), d: 1n });

export const plus = (a: Rational, b: Rational, budget: Budget): Rational =>
  rational(a.n * b.d + b.n * a.d, a.d * b.d, budget);
export const times = (a: Rational, b: Rational, budget: Budget): Rational => rational(a.n * b.n, a.d * b.d, budget);
export const over = (a: Rational, b: Rational, budget: Budget): Rational => rational(a.n * b.d, a.d * b.n, budget);
export const negative = (a: Rational): Rational => ({ n: -a.n, d: a.d });
export const isEqual = (a: Rational, b: Rational): boolean => a.n === b.n && a.d === b.d;

/** a^b where that is rational: whole exponents up to 1,000, and roots that come out even; undefined where it is not. */
export function power(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  const size = b.n < 0n ? -b.n : b.n;
  if (size > EXPONENT_MAX) {
    if (a.d === 1n && (a.n === 1n || a.n === 0n) && b.n > 0n) return a;
    throw new BudgetError("an exponent is too large");
  }
  const root = b.d === 1n ? a : rootOf(a, b.d);
  if (root === undefined) return undefined;
  const bits = Math.max(bitsOf(root.n), bitsOf(root.d)) * Number(size);
  if (bits > BITS_MAX * 2) throw new BudgetError("a power is too large");
  const raised = { n: root.n ** size, d: root.d ** size };
  budget.spend(raised.n, raised.d);
  if (b.n >= 0n) return raised;
  if (raised.n === 0n) throw new BudgetError("divided by zero");
  return raised.n < 0n ? { n: -raised.d, d: -raised.n } : { n: raised.d, d: raised.n };
}

/** The real root where it is rational. */
function rootOf({ n, d }: Rational, degree: bigint): Rational | undefined {
  if (degree > 64n || (n < 0n && degree % 2n === 0n)) return undefined;
  const top = wholeRoot(n < 0n ? -n : n, degree);
  const bottom = wholeRoot(d, degree);
  return top === undefined || bottom === undefined ? undefined : { n: n < 0n ? -top : top, d: bottom };
}

function wholeRoot(n: bigint, degree: bigint): bigint | undefined {
  let low = 0n;
  let high = 1n << BigInt(Math.ceil(bitsOf(n) / Number(degree)) + 1);
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (middle ** degree <= n) low = middle;
    else high = middle - 1n;
  }
  return low ** degree === n ? low : undefined;
}

/** n! for whole n up to 200. */
export function factorial(a: Rational, budget: Budget): Rational {
  if (a.d !== 1n || a.n < 0n || a.n > 200n) throw new BudgetError("a factorial is too large");
  let product = 1n;
  for (let i = 2n; i <= a.n; i++) product *= i;
  budget.spend(product);
  return whole(product);
}

/** The nearest double, also of long numerators and denominators. */
export function toDouble({ n, d }: Rational): number {
  const shift = Math.max(0, Math.min(bitsOf(n < 0n ? -n : n), bitsOf(d)) - 1000);
  return Number(n >> BigInt(shift)) / Number(d >> BigInt(shift));
}
