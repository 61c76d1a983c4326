/** A run's log as a page gets it: bounded however long it is, and of a short one all that counts. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { RunReader } from "./reader.ts";
import { removeRepeats } from "./records.ts";
import type { RunRecord } from "./schema.ts";
import { ThinLog } from "./thinLog.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let dir = "";
beforeEach(() => {
  dir = join(temporary.dir, "runs", `r${count++}`);
  mkdirSync(dir, { recursive: true });
});

const step = (n: number, loss = 1 / n): RunRecord => ({ type: "step", step: n, steps: 1e6, tokens: n, loss });
const append = (records: readonly RunRecord[]) =>
  writeFileSync(join(dir, "log.jsonl"), records.map((one) => `${JSON.stringify(one)}\n`).join(""), { flag: "a" });
const stepsOf = (log: readonly RunRecord[]) => log.flatMap((one) => (one.type === "step" ? [one.step] : []));

test("a short log is whole, but for what the run gave up", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ back: fc.nat(5), more: fc.nat(3), kinds: fc.nat(15) }), { maxLength: 12 }),
      async (parts) => {
        mkdirSync((dir = join(temporary.dir, "runs", `r${count++}`)), { recursive: true });
        const records: RunRecord[] = [];
        let at = 0;
        for (const [i, { back, more, kinds }] of parts.entries()) {
          at = Math.max(0, at - back);
          for (let n = 0; n <= more; n++) records.push(step(++at, i));
          if (kinds & 1) records.push({ type: "eval", step: at, loss: i });
          if (kinds & 2) records.push({ type: "load", step: at, load: [[1, i]], busiest: i });
          if (kinds & 4) records.push({ type: "sample", step: at, prompt: "p", text: `t${i}` });
          if (kinds & 8) records.push({ type: "end", step: at, reason: "stopped" });
        }
        append(records);
        const { log, lines, leftOut } = await new ThinLog(dir).view();
        const sorted = (all: readonly RunRecord[]) => all.map((one) => JSON.stringify(one)).sort();
        expect(sorted(log)).toEqual(sorted(removeRepeats(records)));
        expect([lines, leftOut]).toEqual([records.length, 0]);
      },
    ),
    { numRuns: 50 },
  );
});

test("of a long one evenly spread records are given, the first and the newest among them, and the rest is counted", async () => {
  const records = (from: number, to: number): RunRecord[] =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i).flatMap((n): RunRecord[] => [
      step(n),
      ...(n % 10 === 0 ? [{ type: "load" as const, step: n, load: [[1, 1]], busiest: 1 }] : []),
      ...(n % 20 === 0 ? [{ type: "sample" as const, step: n, prompt: "p", text: "t" }] : []),
    ]);
  append(records(1, 20_000));
  const thin = new ThinLog(dir);
  const first = await thin.view();
  append(records(20_001, 50_000));
  const [{ log, lines, leftOut }, again] = await Promise.all([thin.view(), thin.view()]);
  expect(again.lines).toBe(lines);
  expect(lines).toBe(50_000 + 5_000 + 2_500);
  expect(leftOut).toBe(lines - log.length);
  expect(first.log.length).toBeLessThan(6000);
  expect(log.length).toBeLessThan(6000);
  const steps = stepsOf(log);
  expect([steps[0], steps.at(-1)]).toEqual([1, 50_000]);
  expect(steps.length).toBeGreaterThan(1900);
  const gaps = steps.slice(1).map((n, i) => n - (steps[i] ?? 0));
  expect(Math.max(...gaps)).toBeLessThan(60);
  // the run goes back to its state, and on
  append([step(30_001), step(30_002)]);
  expect(stepsOf((await thin.view()).log).slice(-2)).toEqual([30_001, 30_002]);
});

test("a run of another beginning under the same name is read anew", async () => {
  const id = "again";
  dir = join(temporary.dir, "runs", id);
  mkdirSync(dir);
  const info = (startedAt: string) =>
    writeFileSync(join(dir, "run.json"), JSON.stringify({ startedAt, recipeName: "tiny", recipe: {} }));
  const reader = new RunReader(join(temporary.dir, "runs"));
  info("2026-01-01T00:00:00Z");
  append([step(1), step(2)]);
  expect(stepsOf((await reader.view(id)).log)).toEqual([1, 2]);
  info("2026-01-02T00:00:00Z");
  writeFileSync(join(dir, "log.jsonl"), "");
  append([step(3)]);
  expect(stepsOf((await reader.view(id)).log)).toEqual([3]);
});
