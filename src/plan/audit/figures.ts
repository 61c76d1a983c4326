/** Numbers and grades as an audit writes them. */
import { inUnits, trim } from "../../format.ts";

export { trim } from "../../format.ts";

import { GRADES, type Grade } from "./report.ts";

/** `2.788M`, `14.8T`, `147K`: counts with about four figures. */
export function count(n: number, figures = 4): string {
  const large = inUnits(n, (value) => trim(value, figures), 1e4);
  return large ?? (Math.abs(n) >= 1000 ? Math.round(n).toLocaleString("en-US") : trim(n, figures));
}

/** `$5.576M`. */
export const usd = (n: number, figures = 4): string => (Number.isFinite(n) ? `$${count(n, figures)}` : "–");

/** `38.9 %`. */
export const percent = (share: number, digits = 1): string => `${(share * 100).toFixed(digits)} %`;

/** `+0.1 %`, `−12 %`. */
export const signed = (share: number, digits = 1): string =>
  `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(Math.abs(share) >= 0.1 ? 0 : digits)} %`;

/** Whole number with separators. */
export const whole = (n: number): string => Math.round(n).toLocaleString("en-US");

export const worse = (a: Grade, b: Grade): Grade => (GRADES.indexOf(a) >= GRADES.indexOf(b) ? a : b);

/** First grade whose limit holds `value`: limits ascend, the rest is broken (or `last`). */
export function gradeUpTo(value: number, limits: Partial<Record<Grade, number>>, last: Grade = "broken"): Grade {
  for (const grade of GRADES) if (limits[grade] !== undefined && value <= limits[grade]) return grade;
  return last;
}
