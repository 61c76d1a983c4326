/** The same question answered with its working or at a glance: parity, sums, products. */

// The working is laid out so that a tiny model can learn it: a fixed number of operands, each restated where it is used, question and working
// advancing by the same stride, one digit a token (docs/decisions/080).
import { multiplyWorking, type Random } from "../../data/index.ts";
import type { Task } from "../task.ts";
import { answerTask, ask } from "./answerTask.ts";

const draw = (random: Random, count: number, low: number, high: number): number[] =>
  Array.from({ length: count }, () => random.int(low, high));
const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const total = (numbers: readonly number[]): number => numbers.reduce((sum, n) => sum + n, 0);
/** The sums of the first, the first two, … */
const running = (numbers: readonly number[]): number[] => numbers.map((_, i) => total(numbers.slice(0, i + 1)));

/**
 * Whether the ones among n bits are odd. Working: the parity before the first bit and after each, `0110` -> `00100`: without that first 0 a
 * tiny model learned every step but the first (docs/log.md).
 */
export const parity = (n: number): Task<number[]> =>
  answerTask({
    name: `parity-${n}`,
    about: `whether the number of ones among ${n} bits is odd (1) or even (0)`,
    draft(random) {
      const bits = draw(random, n, 0, 1);
      return {
        content: bits,
        prompt: ask(`Parity of ${bits.join("")}`),
        reference: `${total(bits) % 2}`,
        data: bits,
        facts: { bits: n, ones: total(bits) },
      };
    },
    working: (bits) => [0, ...running(bits).map((sum) => sum % 2)].join(""),
  });

/** The last digit of a sum of k digits. Working: 0, then each digit and the last digit so far: `7+5+9` -> `0 77 52 91` without the blanks. */
export const lastDigit = (k: number): Task<number[]> =>
  answerTask({
    name: `last-digit-${k}`,
    about: `the last digit of a sum of ${k} digits`,
    draft(random) {
      const digits = draw(random, k, 0, 9);
      return {
        content: digits,
        group: ascending(digits),
        prompt: ask(`Last digit of ${digits.join("+")}`),
        reference: `${total(digits) % 10}`,
        data: digits,
        facts: { digits: k },
      };
    },
    working: (digits) => {
      const sums = running(digits);
      return `0${digits.map((digit, i) => `${digit}${sums[i]! % 10}`).join("")}`;
    },
  });

/** Operands are written with so many digits that one and its plus are as long as a block of the working. */
const SUM_DIGITS = 4;

/** A sum of k two-digit numbers. Working: 000, then each number and the sum so far in three digits: `0047+0038` -> `000 47047 38085` without the blanks. */
export const sum = (k: number): Task<number[]> =>
  answerTask({
    name: `sum-${k}`,
    about: `the sum of ${k} two-digit numbers`,
    draft(random) {
      const numbers = draw(random, k, 10, 99);
      return {
        content: numbers,
        group: ascending(numbers),
        prompt: ask(`Sum of ${numbers.map((n) => `${n}`.padStart(SUM_DIGITS, "0")).join("+")}`),
        reference: `${total(numbers)}`,
        data: numbers,
        facts: { numbers: k },
      };
    },
    working: (numbers) => {
      const sums = running(numbers);
      return `000${numbers.map((n, i) => `${n}${`${sums[i]}`.padStart(3, "0")}`).join("")}`;
    },
  });

/** A product of a number of x digits and one of y. Working: partial products digit by digit, as in builtin:arithmetic. */
export const product = (x: number, y: number): Task<number[]> =>
  answerTask({
    name: `product-${x}x${y}`,
    family: "product",
    about: `the product of a number of ${x} and one of ${y} digits`,
    draft(random) {
      const digits = (count: number): number => random.int(count === 1 ? 2 : 10 ** (count - 1), 10 ** count - 1);
      const pair = [digits(x), digits(y)];
      return {
        content: pair,
        group: ascending(pair),
        prompt: ask(`${pair[0]}*${pair[1]}`),
        reference: `${pair[0]! * pair[1]!}`,
        data: pair,
        facts: { digits: x + y },
      };
    },
    working: ([a = 0, b = 0]) => multiplyWorking(a, b).lines.join("\n"),
  });
