import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { heldOut, overlay, xOf } from "./curves.ts";
import { backoffMs } from "./live.ts";
import { addRecords, emptyLog, isRecord, type LogRecord, smooth } from "./log.ts";

const step = (n: number, loss = 10 - n): LogRecord => ({ type: "step", step: n, steps: 100, tokens: n * 8, loss });

describe("addRecords", () => {
  it("sorts records by kind", () => {
    const log = addRecords(emptyLog(), [
      step(1),
      { type: "load", step: 1, load: [[1, 1]], busiest: 1 },
      { type: "eval", step: 1, loss: 3 },
      { type: "sample", step: 1, prompt: "a", text: "b" },
      { type: "event", step: 1, level: "warn", message: "hot" },
      { type: "checkpoint", step: 1, path: "x" },
      step(2),
    ]);
    expect([log.steps.length, log.loads.length, log.evals.length, log.samples.length, log.notes.length]).toEqual([
      2, 1, 1, 1, 2,
    ]);
  });

  it("lets the steps of a resumed run replace those it gave up", () => {
    const log = addRecords(emptyLog(), [step(1), step(2), step(3), { type: "eval", step: 3, loss: 5 }, step(4)]);
    addRecords(log, [step(3, 7.5)]);
    expect(log.steps.map((s) => [s.step, s.loss])).toEqual([
      [1, 9],
      [2, 8],
      [3, 7.5],
    ]);
    addRecords(log, [{ type: "eval", step: 3, loss: 4 }, step(4, 7)]);
    expect(log.evals.map((e) => e.loss)).toEqual([4]);
    expect(log.steps.at(-1)).toMatchObject({ step: 4, loss: 7 });
  });

  it("comes to the same log when a stream sends its tail again", () => {
    const records: LogRecord[] = [];
    for (let n = 1; n <= 12; n++) {
      records.push(step(n));
      if (n % 3 === 0)
        records.push(
          { type: "eval", step: n, loss: n },
          { type: "sample", step: n, prompt: "p", text: "t" },
          { type: "sample", step: n, prompt: "q", text: "t" },
        );
      if (n % 4 === 0)
        records.push(
          { type: "event", step: n, level: "info", message: "m" },
          { type: "load", step: n, load: [[1]], busiest: 1 },
        );
    }
    const { version: _, ...whole } = addRecords(emptyLog(), records);
    fc.assert(
      fc.property(fc.nat(records.length), fc.nat(records.length), (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const log = addRecords(addRecords(emptyLog(), records.slice(0, to)), records.slice(from));
        const { version: __, ...again } = log;
        expect(again).toEqual(whole);
      }),
    );
  });

  it("forgets an end when the run goes on", () => {
    const log = addRecords(emptyLog(), [step(1), step(2), { type: "end", step: 2, reason: "stopped" }]);
    expect(log.end?.reason).toBe("stopped");
    expect(addRecords(log, [step(3)]).end).toBeNull();
    expect(addRecords(log, [{ type: "end", step: 3, reason: "done" }]).end?.reason).toBe("done");
  });

  it("passes over what is no record", () => {
    const junk = [
      null,
      1,
      "x",
      {},
      { type: "step" },
      { type: "step", step: "1", loss: 1 },
      { type: "load", step: 1, load: 3 },
      { type: "later", step: 1 },
      { error: { message: "gone" } },
    ];
    expect(junk.filter(isRecord)).toEqual([]);
    expect(addRecords(emptyLog(), junk)).toMatchObject({ steps: [], notes: [] });
  });
});

describe("smooth", () => {
  it("keeps a constant constant from its first value on", () => {
    for (const value of smooth(new Array(50).fill(3.25), 0.97)) expect(value).toBeCloseTo(3.25, 10);
  });

  it("is the debiased exponential mean", () => {
    // Weights of 1, 2, 4 at 0.5: (0.125·1 + 0.25·2 + 0.5·4) / 0.875.
    expect(smooth([1, 2, 4], 0.5)[2]).toBeCloseTo(3, 12);
    expect(smooth([1, 2, 4], 0)).toEqual([1, 2, 4]);
  });

  it("leaves gaps as gaps, and passes over them", () => {
    expect(smooth([1, null, NaN, undefined, 1], 0.9)).toEqual([1, null, null, null, 1]);
  });
});

describe("curves", () => {
  it("puts several runs on one x, each value at its own", () => {
    fc.assert(
      fc.property(fc.array(fc.uniqueArray(fc.nat(30), { maxLength: 12 }), { minLength: 1, maxLength: 4 }), (sets) => {
        const runs = sets.map((set, r) => ({ x: set.sort((a, b) => a - b), values: set.map((v) => v * 10 + r) }));
        const { x, columns } = overlay(runs);
        expect(x).toEqual([...new Set(sets.flat())].sort((a, b) => a - b));
        runs.forEach((run, r) => expect(x.filter((_, i) => columns[r]![i] !== null)).toEqual(run.x));
        columns.forEach((column, r) =>
          column.forEach((value, i) => value !== null && expect(value).toBe(x[i]! * 10 + r)),
        );
      }),
    );
  });

  it("puts held-out losses at their steps, and fills gaps of an axis with what came before", () => {
    const log = addRecords(emptyLog(), [
      step(10),
      step(20),
      step(30),
      { type: "eval", step: 15, loss: 5 },
      { type: "eval", step: 99, loss: 4 },
    ]);
    expect(heldOut(log)).toEqual([null, 5, 4]);
    expect(xOf(log.steps, "tokens")).toEqual([80, 160, 240]);
    expect(xOf(log.steps, "seconds")).toEqual([0, 0, 0]);
  });
});

it("waits longer after each failure, but never over 15 s", () => {
  expect([1, 2, 3, 4, 5, 9].map(backoffMs)).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
});
