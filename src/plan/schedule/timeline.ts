/** A played schedule as a drawing, in SVG. */
import type { ScheduleEvent, ScheduleResult } from "../types.ts";
import { eventName } from "./trace.ts";

export interface TimelineOptions {
  /** Of the whole drawing, in pixels. */
  width?: number;
  rowHeight?: number;
  /** Room for the ranks' names at the left. */
  labelWidth?: number;
  /** Part of the step to show, in seconds; all of it unless given. */
  from?: number;
  to?: number;
}

export interface TimelineRect {
  x: number;
  y: number;
  width: number;
  height: number;
  kind: ScheduleEvent["kind"];
  rank: number;
  /** The micro-batch, or "" where it has no room. */
  text: string;
  /** For hovering: what, which stage, from when to when. */
  title: string;
}

export interface Timeline {
  width: number;
  height: number;
  rects: TimelineRect[];
  rows: { rank: number; label: string; x: number; y: number; width: number; height: number }[];
  ticks: { x: number; y: number; label: string }[];
}

/** Kinds of work with their names and colours (Okabe and Ito's, apart under the common colour blindnesses; dark text reads on all of them). */
export const KIND_STYLE: Record<ScheduleEvent["kind"], { name: string; fill: string }> = {
  F: { name: "forward", fill: "#56b4e9" },
  B: { name: "backward, inputs", fill: "#f0c35a" },
  BW: { name: "backward", fill: "#e69f00" },
  W: { name: "backward, weights", fill: "#2fb58c" },
  FB: { name: "forward & backward", fill: "#cc79a7" },
};

const AXIS_HEIGHT = 20,
  GAP = 2,
  TEXT_MIN_WIDTH = 13,
  CHARACTER_WIDTH = 6;

/** The step laid out in pixels: a row a rank, time to the right. Events outside `from` to `to` are left out, those across it cut. */
export function timeline(result: ScheduleResult, options: TimelineOptions = {}): Timeline {
  const { width = 960, rowHeight = 20, labelWidth = 56, from = 0 } = options;
  const to = options.to ?? result.seconds;
  const plot = Math.max(1, width - labelWidth);
  const scale = to > from ? plot / (to - from) : 0;
  const rects: TimelineRect[] = [];
  for (const event of result.events) {
    const start = Math.max(event.start, from),
      end = Math.min(event.end, to);
    if (end <= start) continue;
    const x = labelWidth + (start - from) * scale,
      w = (end - start) * scale;
    const text = event.backward ? `${event.microBatch}·${event.backward.microBatch}` : String(event.microBatch);
    rects.push({
      x,
      y: event.rank * rowHeight + GAP / 2,
      width: w,
      height: rowHeight - GAP,
      kind: event.kind,
      rank: event.rank,
      text: w >= TEXT_MIN_WIDTH && w >= text.length * CHARACTER_WIDTH + 3 ? text : "",
      title: titleOf(event),
    });
  }
  const rows = result.ranks.map((_, rank) => ({
    rank,
    label: `rank ${rank}`,
    x: labelWidth,
    y: rank * rowHeight + GAP / 2,
    width: plot,
    height: rowHeight - GAP,
  }));
  const bottom = rows.length * rowHeight;
  const ticks = tickTimes(from, to, Math.max(2, Math.floor(plot / 110))).map((time) => ({
    x: labelWidth + (time - from) * scale,
    y: bottom,
    label: secondsText(time, to),
  }));
  return { width, height: bottom + AXIS_HEIGHT, rects, rows, ticks };
}

/** The timeline as a standalone SVG file with legend, readable on light and dark grounds; also to be put into a page. A path per kind keeps long steps small. */
export function timelineSvg(result: ScheduleResult, options: TimelineOptions & { title?: string } = {}): string {
  const layout = timeline(result, options);
  const legendHeight = 24,
    titleHeight = options.title ? 22 : 0,
    top = legendHeight + titleHeight;
  const parts: string[] = [];
  const kinds = (Object.keys(KIND_STYLE) as ScheduleEvent["kind"][]).filter((kind) =>
    layout.rects.some((rect) => rect.kind === kind),
  );
  // Presentation attributes work everywhere; the style only sharpens text on a dark ground, and a page that forbids inline styles loses nothing else.
  parts.push(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${px(layout.width)} ${px(layout.height + top)}" width="${px(layout.width)}" height="${px(layout.height + top)}" role="img" font-family="system-ui, sans-serif" font-size="11">`,
    `<title>${escapeXml(options.title ?? "Pipeline schedule")}</title>`,
    `<style>.pipeline-ink{fill:#333}@media(prefers-color-scheme:dark){.pipeline-ink{fill:#ddd}}</style>`,
  );
  if (options.title)
    parts.push(
      `<text class="pipeline-ink" fill="#777e87" x="0" y="15" font-size="14">${escapeXml(options.title)}</text>`,
    );
  let x = 0;
  for (const [name, fill] of [
    ...kinds.map((kind) => [KIND_STYLE[kind].name, KIND_STYLE[kind].fill] as const),
    [`idle ${(result.bubble * 100).toFixed(1)} %`, ""] as const,
  ]) {
    const box = fill ? `fill="${fill}"` : `fill="#888" fill-opacity="0.15"`;
    parts.push(
      `<rect x="${px(x)}" y="${titleHeight + 4}" width="12" height="12" ${box}/><text class="pipeline-ink" fill="#777e87" x="${px(x + 16)}" y="${titleHeight + 14}">${escapeXml(name)}</text>`,
    );
    x += 30 + name.length * 6.2;
  }
  parts.push(`<g transform="translate(0 ${top})">`);
  for (const row of layout.rows) {
    parts.push(
      `<rect fill="#888" fill-opacity="0.15" x="${px(row.x)}" y="${px(row.y)}" width="${px(row.width)}" height="${px(row.height)}"/>`,
    );
    parts.push(
      `<text class="pipeline-ink" fill="#777e87" x="${px(row.x - 6)}" y="${px(row.y + row.height / 2 + 4)}" text-anchor="end">${escapeXml(row.label)}</text>`,
    );
  }
  for (const kind of kinds) {
    const path = layout.rects
      .filter((rect) => rect.kind === kind)
      .map(
        (rect) =>
          `M${px(rect.x)} ${px(rect.y)}h${px(Math.max(0.1, rect.width - 0.5))}v${px(rect.height)}h${px(-Math.max(0.1, rect.width - 0.5))}z`,
      );
    parts.push(`<path fill="${KIND_STYLE[kind].fill}" d="${path.join("")}"/>`);
  }
  const texts = layout.rects
    .filter((rect) => rect.text !== "")
    .map(
      (rect) =>
        `<text x="${px(rect.x + rect.width / 2)}" y="${px(rect.y + rect.height / 2 + 3.5)}">${rect.text}</text>`,
    );
  if (texts.length > 0) parts.push(`<g fill="#111" text-anchor="middle" font-size="10">${texts.join("")}</g>`);
  for (const tick of layout.ticks)
    parts.push(
      `<text class="pipeline-ink" fill="#777e87" x="${px(tick.x)}" y="${px(tick.y + 14)}" text-anchor="${tick.x > layout.width - 40 ? "end" : "start"}">${tick.label}</text>`,
    );
  parts.push("</g></svg>");
  return parts.join("\n");
}

function titleOf(event: ScheduleEvent): string {
  const where = event.backward ? `stages ${event.stage} and ${event.backward.stage}` : `stage ${event.stage}`;
  return `${eventName(event)}, ${where}, rank ${event.rank}: ${secondsText(event.start, event.end)} to ${secondsText(event.end, event.end)}`;
}

/** Round times between two ends, about `count` of them. */
function tickTimes(from: number, to: number, count: number): number[] {
  const rough = (to - from) / count;
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const times: number[] = [];
  for (let i = Math.ceil(from / step); i * step <= to; i++) times.push(i * step);
  return times;
}

function secondsText(seconds: number, scale: number): string {
  if (scale >= 2) return `${trim(seconds.toFixed(2))} s`;
  if (scale >= 2e-3) return `${trim((seconds * 1e3).toFixed(1))} ms`;
  return `${trim((seconds * 1e6).toFixed(0))} µs`;
}

/** Without zeros after the point. */
function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function px(value: number): string {
  return trim(value.toFixed(2));
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
}
