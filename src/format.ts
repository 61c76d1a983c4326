/** Numbers for people: durations, counts, sizes. */

/** `1h 02m`, `3m 05s`, `12s`: time left or spent, for people. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "?";
  const s = Math.round(seconds);
  if (s >= 3600) return `${Math.floor(s / 3600)}h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}m`;
  if (s >= 60) return `${Math.floor(s / 60)}m ${String(s % 60).padStart(2, "0")}s`;
  return `${s}s`;
}

const UNITS = [
  ["T", 1e12],
  ["B", 1e9],
  ["M", 1e6],
  ["K", 1e3],
] as const;

/** A large number in the largest unit that it fills, written by `digits`: 2.788 and M. Undefined for one below `thousands`. */
export function inUnits(n: number, digits: (value: number) => string, thousands = 1e3): string | undefined {
  const found = UNITS.find(([unit, size]) => Math.abs(n) >= (unit === "K" ? thousands : size));
  return found && `${digits(n / found[1])}${found[0]}`;
}

/** A number cut to so many figures, without trailing zeros. */
export const trim = (n: number, figures = 3): string => String(Number(n.toPrecision(figures)));

/** `671.0B`, `24.1M`, `9.6K`: counts, for people. */
export const count = (n: number): string =>
  inUnits(n, (value) => value.toFixed(1)) ?? String(Math.round(n * 100) / 100);

/** `1 text`, `2.5K texts`. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** `1.5 GB`, decimal units. */
export function bytes(n: number): string {
  for (const [unit, size] of [
    ["TB", 1e12],
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ] as const)
    if (n >= size) return `${(n / size).toFixed(1)} ${unit}`;
  return `${n} B`;
}

/** `$0.0042`; what is no number is no money: `–`. */
export const dollars = (usd: number): string => (Number.isFinite(usd) ? `$${usd.toFixed(4)}` : "–");

/** `6.4M parameters, 2.1M active per token, + 1.9M in MTP modules`: how a model's size is told everywhere. */
export function parametersInWords({ total, active, mtp = 0 }: { total: number; active: number; mtp?: number }): string {
  return `${count(total)} parameters, ${count(active)} active per token${mtp > 0 ? `, + ${count(mtp)} in MTP modules` : ""}`;
}
