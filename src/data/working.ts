/** Written-out working that a tiny transformer can learn. */

/**
 * Written-out working that a tiny transformer can learn: every line is one single-digit fact, all its operands stand
 * in the line itself, and every digit it copies stands at a fixed distance (numbers are padded with zeros to equal
 * length, lines of one kind have equal length, the column sums run from the right as the carries do).
 * See docs/decisions/031.
 */
export interface Working {
  lines: string[];
  /** The answer; quotient and remainder for a division. */
  result: number[];
}

const digitsOf = (n: number, length: number): number[] => [...String(n).padStart(length, "0")].map(Number);
const lengthOf = (...numbers: number[]): number => Math.max(...numbers.map((n) => String(n).length));

/** a + b for whole numbers from 0: `047+386`, `7+6+0=13 carry 1`, …, `=0433`. */
export function addWorking(a: number, b: number): Working {
  const length = lengthOf(a, b);
  return columnSum(digitsOf(a, length), digitsOf(b, length));
}

function columnSum(a: number[], b: number[]): Working {
  const lines = [`${a.join("")}+${b.join("")}`];
  const written: number[] = [];
  let carry = 0;
  for (let i = a.length - 1; i >= 0; i--) {
    const sum = a[i]! + b[i]! + carry;
    const next = sum >= 10 ? 1 : 0;
    lines.push(`${a[i]}+${b[i]}+${carry}=${next}${sum % 10} carry ${next}`);
    written.unshift(sum % 10);
    carry = next;
  }
  const text = [carry, ...written].join("");
  lines.push(`=${text}`);
  return { lines, result: [Number(text)] };
}

/**
 * a - b for whole numbers from 0. First the leading digits are compared until they differ, so that the smaller is
 * taken from the larger: `386-047`, `3>0`, `6-7-0 borrow 1 gives 9`, …, `=339`; a negative result is said as such.
 */
export function subtractWorking(a: number, b: number): Working {
  const length = lengthOf(a, b);
  const x = digitsOf(a, length);
  const y = digitsOf(b, length);
  const lines = [`${x.join("")}-${y.join("")}`, ...compareDigits(x, y)];
  if (a === b) return { lines: [...lines, "equal"], result: [0] };
  const negative = a < b;
  const [large, small] = negative ? [y, x] : [x, y];
  if (negative) lines.push(`negative ${large.join("")}-${small.join("")}`);
  const written: number[] = [];
  let borrow = 0;
  for (let i = length - 1; i >= 0; i--) {
    const difference = large[i]! - small[i]! - borrow;
    const next = difference < 0 ? 1 : 0;
    lines.push(`${large[i]}-${small[i]}-${borrow} borrow ${next} gives ${difference + 10 * next}`);
    written.unshift(difference + 10 * next);
    borrow = next;
  }
  lines.push(`=${negative ? "-" : ""}${written.join("")}`);
  return { lines, result: [a - b] };
}

/** `4=4`, `7=7`, `1<3`: from the left until a digit differs. */
function compareDigits(a: readonly number[], b: readonly number[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < a.length; i++) {
    lines.push(`${a[i]}${a[i] === b[i] ? "=" : a[i]! < b[i]! ? "<" : ">"}${b[i]}`);
    if (a[i] !== b[i]) break;
  }
  return lines;
}

/**
 * Which of two different numbers is the larger (or the smaller): what is asked and the padded pair, the digits up to the first difference,
 * the pair from small to large, and what was asked again: `larger of 4712 or 4731`, `4=4`, `7=7`, `1<3`, `4712<4731`, `larger 4731`.
 */
export function compareWorking(a: number, b: number, asked: "larger" | "smaller"): Working {
  const length = lengthOf(a, b);
  const x = digitsOf(a, length);
  const y = digitsOf(b, length);
  const [small, large] = a < b ? [a, b] : [b, a];
  const result = asked === "larger" ? large : small;
  return {
    lines: [
      `${asked} of ${x.join("")} or ${y.join("")}`,
      ...compareDigits(x, y),
      `${small}<${large}`,
      `${asked} ${result}`,
    ],
    result: [result],
  };
}

/**
 * a * b by partial products, the shorter number's digits from the right: `36*47` where that is how it was asked, `47*36`, then for each
 * digit `47*6`, `7*6=42 +0=42 carry 4`, …, `=282`; two partial products are added by columns, the second moved one place.
 */
export function multiplyWorking(a: number, b: number): Working {
  const [long, short] = lengthOf(b) > lengthOf(a) ? [b, a] : [a, b];
  const x = digitsOf(long, lengthOf(long));
  const y = digitsOf(short, lengthOf(short));
  const lines = [...(long === a ? [] : [`${a}*${b}`]), ...(y.length > 1 ? [`${long}*${short}`] : [])];
  const partials: number[][] = [];
  for (let j = y.length - 1; j >= 0; j--) {
    lines.push(`${long}*${y[j]}`);
    const written: number[] = [];
    let carry = 0;
    for (let i = x.length - 1; i >= 0; i--) {
      const product = x[i]! * y[j]! + carry;
      const next = Math.floor(product / 10);
      const plain = String(x[i]! * y[j]!).padStart(2, "0");
      lines.push(`${x[i]}*${y[j]}=${plain} +${carry}=${next}${product % 10} carry ${next}`);
      written.unshift(product % 10);
      carry = next;
    }
    written.unshift(carry);
    lines.push(`=${written.join("")}`);
    partials.push(written);
  }
  if (partials.length === 1) return { lines, result: [long * short] };
  let total = partials[0]!;
  for (let j = 1; j < partials.length; j++) {
    const shifted = [...partials[j]!, ...new Array<number>(j).fill(0)];
    while (total.length < shifted.length) total = [0, ...total];
    const sum = columnSum(total, shifted);
    lines.push(...sum.lines);
    total = digitsOf(sum.result[0]!, shifted.length);
  }
  return { lines, result: [long * short] };
}

/** a / b for one-digit b, long division from the left: `473/6`, `04/6 0*6=00 rem 4`, `47/6 7*6=42 rem 5`, …, `=078 rem 5`. */
export function divideWorking(a: number, b: number): Working {
  const lines = [`${a}/${b}`];
  const written: number[] = [];
  let rest = 0;
  for (const digit of digitsOf(a, lengthOf(a))) {
    const part = 10 * rest + digit;
    const times = Math.floor(part / b);
    written.push(times);
    lines.push(`${rest}${digit}/${b} ${times}*${b}=${String(times * b).padStart(2, "0")} rem ${part % b}`);
    rest = part % b;
  }
  lines.push(`=${written.join("")} rem ${rest}`);
  return { lines, result: [Math.floor(a / b), rest] };
}
