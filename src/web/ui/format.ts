/** Numbers, times and bytes of the pages as text. */

/** 1234567 -> "1.23 M": at most three or so figures and a unit letter, as counts of parameters and tokens are read. */
export function short(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  for (const [limit, unit] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (size >= limit * 0.9995) return `${Number((value / limit).toPrecision(digits))} ${unit}`;
  }
  return String(Number(value.toPrecision(digits)));
}

/** Seconds -> "42 s", "3 min 20 s", "2 h 05 min", "4 d 3 h". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 86_400) return `${Math.floor(s / 3_600)} h ${String(Math.floor((s % 3_600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3_600)} h`;
}

/** Bytes -> "812 B", "3.4 kB", "17.8 MB", in decimal units. */
export function bytes(count: number): string {
  for (const [limit, unit] of [
    [1e9, "GB"],
    [1e6, "MB"],
    [1e3, "kB"],
  ] as const) {
    if (count >= limit * 0.9995) return `${Number((count / limit).toPrecision(3))} ${unit}`;
  }
  return `${count} B`;
}

/** Joules -> "12.3 kJ" below a watt-hour's reach, "1.23 kWh" above. */
export function energy(joules: number): string {
  if (!Number.isFinite(joules)) return "–";
  if (joules < 3_600) return `${Number(joules.toPrecision(3))} J`;
  const wh = joules / 3_600;
  return wh < 1_000 ? `${Number(wh.toPrecision(3))} Wh` : `${Number((wh / 1_000).toPrecision(3))} kWh`;
}

/** US dollars with as many decimals as small sums need: "$0.0042", "$1.25", "$5,576,000". */
export function dollars(usd: number): string {
  if (!Number.isFinite(usd)) return "–";
  if (usd !== 0 && Math.abs(usd) < 1)
    return `$${Number(usd.toPrecision(2)).toFixed(Math.min(8, Math.max(2, 1 - Math.floor(Math.log10(Math.abs(usd))))))}`;
  return `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** A number for a chart's value row: enough figures to tell two runs apart, no noise after them. */
export function figure(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  if (size >= 1_000) return Math.round(value).toLocaleString("en-US");
  return size >= 100 ? value.toFixed(1) : size >= 1 ? value.toFixed(3) : value.toFixed(4);
}

export function percent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(share !== 0 && Math.abs(share) < 0.1 ? 1 : 0)} %` : "–";
}

/** How long ago a moment was, for lists: "now", "5 min ago", "3 h ago", else the date. */
export function ago(then: number, now = Date.now()): string {
  const s = (now - then) / 1_000;
  if (!Number.isFinite(s)) return "–";
  if (s < 60) return "just now";
  if (s < 3_600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3_600)} h ago`;
  return new Date(then).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}
