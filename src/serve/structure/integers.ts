/** Whole numbers between bounds, as grammars over their digits. */

/** Digits of the largest numbers where there is no bound: all of them are exact. */
const MOST_DIGITS = 15;

/** All whole numbers from `min` to `max`, each written in one way. At most 10^15 − 1 in size. Undefined where there is none. */
export function integerGrammar(min = -Infinity, max = Infinity): string | undefined {
  const most = 10 ** MOST_DIGITS - 1;
  const [low, high] = [Math.max(-most, Math.ceil(min)), Math.min(most, Math.floor(max))];
  if (low > high) return undefined;
  const parts: string[] = [];
  if (low < 0) parts.push(`"-" (${naturals(Math.max(1, -high), -low)})`);
  if (high >= 0) parts.push(naturals(Math.max(0, low), high));
  return `(${parts.join(" | ")})`;
}

/** Numbers from `low` to `high`, 0 ≤ low ≤ high, without leading zeros. */
function naturals(low: number, high: number): string {
  const parts: string[] = [];
  for (let digits = String(low).length; digits <= String(high).length; digits++) {
    const from = digits === 1 ? 0 : 10 ** (digits - 1);
    const [a, b] = [Math.max(low, from), Math.min(high, 10 ** digits - 1)];
    if (a <= b) parts.push(sameLength(String(a), String(b)));
  }
  return parts.join(" | ");
}

const digit = (from: string, to: string): string => (from === to ? `"${from}"` : `[${from}-${to}]`);
const next = (d: string, by: number): string => String(Number(d) + by);

/** Numbers from `low` to `high`, both of so many digits. */
function sameLength(low: string, high: string): string {
  const [a = "", b = ""] = [low[0], high[0]];
  if (low.length === 1) return digit(a, b);
  const [restLow, restHigh] = [low.slice(1), high.slice(1)];
  const free = `[0-9]{${restLow.length}}`;
  const isFirst = /^0*$/.test(restLow);
  const isLast = /^9*$/.test(restHigh);
  if (a === b) return `"${a}" (${sameLength(restLow, restHigh)})`;
  const parts: string[] = [];
  const [from, to] = [isFirst ? a : next(a, 1), isLast ? b : next(b, -1)];
  if (!isFirst) parts.push(`"${a}" (${sameLength(restLow, "9".repeat(restLow.length))})`);
  if (from <= to) parts.push(`${digit(from, to)} ${free}`);
  if (!isLast) parts.push(`"${b}" (${sameLength("0".repeat(restHigh.length), restHigh)})`);
  return parts.join(" | ");
}

/**
 * All numbers from `min` to `max`, whole bounds, with up to 15 digits after the point and no exponent. `open`: the bound itself is left out. Undefined where
 * there is none.
 */
export function numberGrammar(
  min: { at: number; open: boolean } | undefined,
  max: { at: number; open: boolean } | undefined,
): string | undefined {
  if (min && max && (min.at > max.at || (min.at === max.at && (min.open || max.open)))) return undefined;
  const low = min ?? { at: -Infinity, open: false };
  const high = max ?? { at: Infinity, open: false };
  const parts: string[] = [];
  // numbers below zero are those above it with a sign
  const negative = between(
    { at: Math.max(0, -high.at), open: high.at < 0 ? high.open : true },
    { at: -low.at, open: low.open },
  );
  if (low.at < 0 && negative) parts.push(`"-" ${negative}`);
  const positive = between(low.at < 0 ? { at: 0, open: false } : low, high);
  if ((high.at > 0 || (high.at === 0 && !high.open)) && positive) parts.push(positive);
  return parts.length === 0 ? undefined : `(${parts.join(" | ")})`;
}

const FRACTION = '("." [0-9]{1,15})?';
/** Not nothing. */
const SOME_FRACTION = '"." "0"{0,14} [1-9] [0-9]{0,14}';

/** Numbers from low to high, 0 ≤ low. */
function between(low: { at: number; open: boolean }, high: { at: number; open: boolean }): string | undefined {
  const parts: string[] = [];
  // whole parts whose every fraction is inside
  const inside = integerGrammar(low.open ? low.at + 1 : low.at, high.at - 1);
  if (inside && (low.open ? low.at + 1 : low.at) <= high.at - 1) parts.push(`${inside} ${FRACTION}`);
  if (low.open && low.at < high.at) parts.push(`"${low.at}" ${SOME_FRACTION}`);
  if (!high.open && high.at !== Infinity && high.at >= low.at && !(low.open && low.at === high.at))
    parts.push(`"${high.at}" ("." "0"{1,15})?`);
  return parts.length === 0 ? undefined : `(${parts.join(" | ")})`;
}
