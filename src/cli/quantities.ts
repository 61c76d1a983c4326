/** Option values read from text: amounts with a unit letter, shares, rates, ports, layouts. */
import { UsageError } from "../errors.ts";
import { type Layout, nearest } from "../plan/index.ts";

const SIZE: Record<string, number> = { "": 1, k: 1e3, m: 1e6, b: 1e9, g: 1e9, t: 1e12 };

/** `14.8T`, `5.6M`, `300B`, `2e12`, `15,360`: a positive number. Throws UsageError naming the option. */
export function quantity(text: string, option: string): number {
  const found = /^\$?\s*(\d[\d_,]*(?:\.\d+)?|\.\d+)(e[+-]?\d+)?\s*([kmbgt]?)$/i.exec(text.trim());
  const number = found
    ? Number(`${found[1]!.replaceAll(/[_,]/g, "")}${found[2] ?? ""}`) * SIZE[found[3]!.toLowerCase()]!
    : NaN;
  if (Number.isFinite(number) && number > 0) return number;
  throw new UsageError(`${option}: expected a positive number such as 14.8T, 300B, 5.6M or 2e12, got ${text}`);
}

/** A quantity that must be a whole number. */
export function wholeQuantity(text: string, option: string): number {
  const number = quantity(text, option);
  if (Number.isSafeInteger(number)) return number;
  throw new UsageError(`${option}: expected a positive whole number, got ${text}`);
}

/** Reads a number within bounds, or a whole one; for an option's parser. */
export const numberBetween =
  (option: string, least: number, most: number, kind: "whole" | "any" = "whole") =>
  (text: string): number => {
    const number = Number(text);
    const fits = number >= least && number <= most && (kind === "any" || Number.isInteger(number));
    if (text.trim() !== "" && fits) return number;
    throw new UsageError(
      `${option}: expected a ${kind === "any" ? "" : "whole "}number from ${least} to ${most}, got ${text}`,
    );
  };

/** A port to listen on, 0 for any free one. */
export function portNumber(text: string, option = "--port"): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new UsageError(`${option}: expected a number from 0 to 65535, got ${text}`);
}

/** `0.97` or `97%`: a share above 0 and up to 1. */
export function share(text: string, option: string): number {
  const found = /^(\d*\.?\d+)\s*(%?)$/.exec(text.trim());
  const number = found ? Number(found[1]) / (found[2] ? 100 : 1) : NaN;
  if (number > 0 && number <= 1) return number;
  throw new UsageError(`${option}: expected a share such as 0.97 or 97%, got ${text}`);
}

/** `50`, `50GB` (a second) or `400Gb`: bytes per second. */
export function byteRate(text: string, option: string): number {
  const found = /^(\d*\.?\d+)\s*(GB|Gb)?(?:\/s)?$/.exec(text.trim());
  if (found && Number(found[1]) > 0) return (Number(found[1]) * 1e9) / (found[2] === "Gb" ? 8 : 1);
  throw new UsageError(`${option}: expected a rate such as 50GB or 400Gb a second, got ${text}`);
}

const KEYS: Record<string, keyof Layout> = {
  dp: "dp",
  tp: "tp",
  cp: "cp",
  pp: "pp",
  vp: "vp",
  ep: "ep",
  zero: "zero",
  microbatch: "microBatch",
  mbs: "microBatch",
  recompute: "recompute",
};
const RECOMPUTES = ["none", "selective", "full"] as const;

/** `pp=16,ep=64,zero=1,recompute=selective`: what of a layout is fixed. */
export function parseLayout(text: string, option = "--layout"): Partial<Layout> {
  const layout: Partial<Layout> = {};
  for (const part of text
    .split(",")
    .map((p) => p.trim())
    .filter((p) => p !== "")) {
    const [name, value, more] = part.split("=").map((p) => p.trim());
    const key = Object.hasOwn(KEYS, (name ?? "").toLowerCase()) ? KEYS[name!.toLowerCase()] : undefined;
    if (!key || more !== undefined)
      throw new UsageError(
        `${option}: expected dp, tp, cp, pp, vp, ep, zero, microBatch or recompute, each with =, got ${part}; nearest: ${nearest(name ?? "", Object.keys(KEYS))[0]}=`,
      );
    if (key === "recompute") {
      const redo = RECOMPUTES.find((r) => r === value);
      if (!redo)
        throw new UsageError(`${option}: recompute: expected none, selective or full, got ${value ?? "nothing"}`);
      layout.recompute = redo;
      continue;
    }
    const number = Number(value);
    if (
      value === undefined ||
      value === "" ||
      !Number.isSafeInteger(number) ||
      number < (key === "zero" ? 0 : 1) ||
      (key === "zero" && number > 3)
    )
      throw new UsageError(
        `${option}: ${key}: expected ${key === "zero" ? "0, 1, 2 or 3" : "a positive whole number"}, got ${value ?? "nothing"}`,
      );
    (layout as Record<string, number>)[key] = number;
  }
  return layout;
}
