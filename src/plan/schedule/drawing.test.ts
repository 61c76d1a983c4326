import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import type { ScheduleInput } from "../types.ts";
import { simulate, timeline, timelineSvg, toTrace } from "./index.ts";

const input: ScheduleInput = {
  schedule: "dualpipe",
  pp: 4,
  vp: 1,
  microBatches: 10,
  sendSeconds: 0.001,
  stages: Array.from({ length: 4 }, () => ({
    forward: 0.01,
    backwardInput: 0.012,
    backwardWeight: 0.008,
    pair: 0.026,
  })),
};
const result = simulate(input);

describe("toTrace", () => {
  it("gives Perfetto a named thread per rank and every event in microseconds", () => {
    const trace = JSON.parse(JSON.stringify(toTrace(result, { pipeline: "V3", ranks: ["first"] }))) as ReturnType<
      typeof toTrace
    >;
    const spans = trace.traceEvents.filter((event) => event.ph === "X");
    expect(spans).toHaveLength(result.events.length);
    expect(spans[0]).toMatchObject({ name: "F 0", cat: "F", pid: 0, tid: 0, ts: 0, args: { stage: 0, microBatch: 0 } });
    expect(spans[0]!.dur).toBeCloseTo(10_000, 6);
    expect(Math.max(...spans.map((event) => event.ts! + event.dur!))).toBeCloseTo(result.seconds * 1e6, 3);
    const pair = spans.find((event) => event.cat === "FB")!;
    expect(pair.name).toBe(`F ${pair.args.microBatch} & B ${pair.args.backwardMicroBatch}`);
    expect(trace.traceEvents.filter((event) => event.name === "thread_name").map((event) => event.args.name)).toEqual([
      "first",
      "rank 1",
      "rank 2",
      "rank 3",
    ]);
    expect(trace.traceEvents[0]).toMatchObject({ name: "process_name", args: { name: "V3" } });
  });
});

describe("timeline", () => {
  it("draws time to scale, a row a rank", () => {
    const drawing = timeline(result, { width: 1056, labelWidth: 56, rowHeight: 20 });
    expect(drawing.rects).toHaveLength(result.events.length);
    const area = drawing.rects.reduce((sum, rect) => sum + rect.width, 0);
    expect(area / (1000 * 4)).toBeCloseTo(1 - result.bubble, 9);
    expect(Math.max(...drawing.rects.map((rect) => rect.x + rect.width))).toBeCloseTo(1056, 6);
    expect(drawing.rects.every((rect) => rect.y === rect.rank * 20 + 1)).toBe(true);
    expect(drawing.ticks[0]).toMatchObject({ x: 56, label: "0 ms" });
    expect(drawing.rects[0]!.title).toBe("F 0, stage 0, rank 0: 0 ms to 10 ms");
  });

  it("cuts a window out", () => {
    const drawing = timeline(result, { width: 200, labelWidth: 0, from: 0.1, to: 0.12 });
    expect(drawing.rects.length).toBeGreaterThan(0);
    expect(drawing.rects.length).toBeLessThan(result.events.length / 4);
    for (const rect of drawing.rects) {
      expect(rect.x).toBeGreaterThanOrEqual(-1e-9);
      expect(rect.x + rect.width).toBeLessThanOrEqual(200 + 1e-9);
    }
  });

  it("survives a step of no time", () => {
    const still = simulate({
      ...input,
      sendSeconds: 0,
      stages: input.stages.map(() => ({ forward: 0, backwardInput: 0, backwardWeight: 0, pair: 0 })),
    });
    expect([still.seconds, still.bubble]).toEqual([0, 0]);
    expect(timelineSvg(still)).not.toContain("NaN");
  });
});

describe("timelineSvg", () => {
  const svg = timelineSvg(result, { width: 900, title: "4 ranks <DualPipe> & more" });
  it("is well-formed, with a legend of the kinds that occur", () => {
    const { document } = new JSDOM(svg, { contentType: "image/svg+xml" }).window;
    expect(document.documentElement.tagName).toBe("svg");
    expect(document.querySelector("title")!.textContent).toBe("4 ranks <DualPipe> & more");
    const texts = [...document.querySelectorAll("text")].map((text) => text.textContent);
    for (const name of [
      "forward",
      "backward",
      "backward, inputs",
      "backward, weights",
      "forward & backward",
      "rank 3",
      `idle ${(result.bubble * 100).toFixed(1)} %`,
    ])
      expect(texts).toContain(name);
    expect(document.querySelectorAll("path")).toHaveLength(5);
    const boxes = [...document.querySelectorAll("path")].reduce(
      (sum, path) => sum + path.getAttribute("d")!.split("M").length - 1,
      0,
    );
    expect(boxes).toBe(result.events.length);
    const oneKind = timelineSvg(simulate({ ...input, schedule: "1f1b" }));
    expect(oneKind).not.toContain("forward &amp; backward");
  });
});
