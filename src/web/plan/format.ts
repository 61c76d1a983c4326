/** Numbers of the planner's pages as text. */
import type { Layout, Runner } from "../../plan/index.ts";

/** 19.926 -> "19.9 s", 0.0121 -> "12.1 ms". */
export function seconds(s: number): string {
  if (!Number.isFinite(s)) return "–";
  if (s === 0) return "0 s";
  const size = Math.abs(s);
  if (size < 1e-3) return `${Number((s * 1e6).toPrecision(3))} µs`;
  if (size < 1) return `${Number((s * 1e3).toPrecision(3))} ms`;
  return `${Number(s.toPrecision(3))} s`;
}

/** Bytes in units of 1e9, as data sheets of HBM count them. */
export function gigabytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return "–";
  const gb = bytes / 1e9;
  return gb >= 100 ? `${Math.round(gb).toLocaleString("en-US")} GB` : `${Number(gb.toPrecision(3))} GB`;
}

/** 2788000 -> "2.788 M": counts with `figures` figures. */
export function count(value: number, figures = 4): string {
  if (!Number.isFinite(value)) return "–";
  for (const [limit, unit] of [
    [1e12, "T"],
    [1e9, "B"],
    [1e6, "M"],
    [1e4, "K"],
  ] as const)
    if (Math.abs(value) >= limit)
      return `${Number((value / (unit === "K" ? 1e3 : limit)).toPrecision(figures))} ${unit}`;
  return value >= 1_000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(figures)));
}

export const days = (value: number): string => {
  if (!Number.isFinite(value)) return "–";
  if (value < 1 / 24) return `${Number((value * 1440).toPrecision(2))} min`;
  if (value < 1) return `${Number((value * 24).toPrecision(2))} h`;
  return value < 1_000 ? `${Number(value.toPrecision(3))} d` : `${Number((value / 365.25).toPrecision(3))} years`;
};

export interface Money {
  id: string;
  /** Units of the currency for one US dollar. */
  perUsd: number;
}

const SIGNS: Record<string, string> = { USD: "$", RMB: "¥", CNY: "¥", KRW: "₩", EUR: "€" };

/** A sum in a currency: "$5.576 M", "¥40 M". */
export function money(usd: number, currency: Money, figures = 4): string {
  if (!Number.isFinite(usd)) return "–";
  const value = usd * currency.perUsd;
  const sign = SIGNS[currency.id] ?? `${currency.id} `;
  if (Math.abs(value) < 1e4)
    return `${sign}${value < 100 ? Number(value.toPrecision(3)) : Math.round(value).toLocaleString("en-US")}`;
  return `${sign}${count(value, figures)}`;
}

/** "PP16 · EP64 · DP128 · ZeRO-1": what is spread, and nothing that is not. */
export function layoutText(layout: Layout): string {
  const parts = [
    layout.tp > 1 && `TP${layout.tp}`,
    layout.cp > 1 && `CP${layout.cp}`,
    layout.pp > 1 && `PP${layout.pp}${layout.vp > 1 ? `×${layout.vp}` : ""}`,
    layout.ep > 1 && `EP${layout.ep}`,
    layout.dp > 1 && `DP${layout.dp}`,
    layout.zero > 0 && `ZeRO-${layout.zero}`,
    `micro-batch ${layout.microBatch}`,
    layout.recompute === "none" ? "no recomputation" : `${layout.recompute} recomputation`,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** A runner-up's reason as a sentence, for places where the layout stands beside it. */
export const reasonText = ({ reason }: Pick<Runner, "reason">): string =>
  reason.charAt(0).toUpperCase() + reason.slice(1);
