/** Words that may follow a number and are not part of its value. */

/** By their plain names; the first of a line stands for all. */
const NAMES = [
  "mm millimeter millimetre",
  "cm centimeter centimetre",
  "m meter metre",
  "km kilometer kilometre",
  "in inch inches",
  "ft foot feet",
  "yd yard",
  "mi mile",
  "mg milligram",
  "g gram",
  "kg kilogram",
  "lb pound lbs",
  "oz ounce",
  "ml milliliter millilitre mL",
  "l liter litre L",
  "s second sec",
  "min minute",
  "h hour hr",
  "day",
  "week",
  "month",
  "year",
  "dollar usd",
  "cent",
  "euro eur",
  "degree deg",
  "percent",
  "unit",
  "people person",
  "mph",
  "kmh",
];

const CANONICAL = new Map(
  NAMES.flatMap((line) => {
    const [first = "", ...others] = line.split(" ");
    return [first, ...others].map((name): [string, string] => [name.toLowerCase(), first]);
  }),
);

const singular = (word: string): string => CANONICAL.get(word) ?? CANONICAL.get(word.replace(/s$/, "")) ?? word;

/** Whether a bare word after a number is a unit: a known one of two letters or more, or any word too long for a product of variables. */
export const isUnitWord = (word: string): boolean =>
  !word.startsWith("\\") &&
  !NO_UNITS.has(word) &&
  (word.length > 3 || (word.length > 1 && CANONICAL.has(singular(word.toLowerCase()))));

const NO_UNITS = new Set(["sqrt", "arcsin", "arccos", "arctan"]);

/** One name for a unit however it is written; `square cm` and `cm^2` alike. */
export const unitOf = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[.]/g, "")
    .replace(/\b(square|sq) (\w+)/g, (_, __, word: string) => `${singular(word)}^2`)
    .replace(/\b(cubic|cu) (\w+)/g, (_, __, word: string) => `${singular(word)}^3`)
    .replace(/[a-z]+/g, (word) => singular(word))
    .replace(/\bper\b/g, "/")
    .replace(/\s*\/\s*/g, "/")
    .trim();
