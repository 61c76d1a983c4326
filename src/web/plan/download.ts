/** An answer as files: CSV, JSON, SVG. */
import type { Answer, Point } from "./messages.ts";

/** A name for files about an answer: "deepseek-v3-2048-h800". */
export const fileStem = (answer: Answer): string =>
  `${answer.result.model}-${answer.result.gpus}-${answer.result.chip}`
    .toLowerCase()
    .replace(/[^\w.]+/g, "-")
    .replace(/^-|-$/g, "");

const cell = (value: unknown): string => {
  const text = value === undefined || value === null ? "" : String(value);
  // A leading = + - or @ would be run as a formula by spreadsheets.
  const safe = /^[=+@-]/.test(text) && !/^-?[\d.]/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

export const csv = (rows: readonly (readonly unknown[])[]): string =>
  rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";

/** One row per plan: the answer, its runners-up, and the points of the plot. */
export function toCsv(answer: Answer, points: readonly Point[]): string {
  const { result } = answer;
  const head = [
    "what",
    "model",
    "chip",
    "gpus",
    "tokens",
    "gpuHours",
    "days",
    "usd",
    "usdP10",
    "usdP90",
    "stepSeconds",
    "mfu",
    "memoryBytes",
    "dp",
    "tp",
    "cp",
    "pp",
    "vp",
    "ep",
    "zero",
    "microBatch",
    "recompute",
    "schedule",
    "why",
  ];
  const layout = (l: typeof result.layout) => [l.dp, l.tp, l.cp, l.pp, l.vp, l.ep, l.zero, l.microBatch, l.recompute];
  const rows: unknown[][] = [
    [
      "answer",
      result.model,
      result.chip,
      result.gpus,
      result.tokens,
      result.gpuHours,
      result.days,
      result.usd,
      result.p10.usd,
      result.p90.usd,
      result.stepSeconds,
      result.mfu,
      result.memoryBytes.total,
      ...layout(result.layout),
      result.schedule,
      "",
    ],
  ];
  for (const runner of result.runnersUp) {
    const slower = 1 + runner.slower;
    const { step } = runner;
    rows.push([
      "runner-up",
      result.model,
      result.chip,
      result.gpus,
      result.tokens,
      result.gpuHours * slower,
      result.days * slower,
      result.usd * slower,
      "",
      "",
      step.stepSeconds,
      step.mfu,
      step.memoryBytes.total,
      ...layout(step.layout),
      step.schedule,
      runner.why,
    ]);
  }
  for (const point of points.filter((p) => p.kind !== "here"))
    rows.push([
      point.kind === "gpus" ? "other count" : "other chip",
      result.model,
      point.chip,
      point.gpus,
      result.tokens,
      point.days * 24 * point.gpus,
      point.days,
      point.usd,
      "",
      "",
      "",
      "",
      "",
      ...Array(9).fill(""),
      "",
      `${point.layout}. ${point.why}`,
    ]);
  return csv([head, ...rows]);
}
