/** Damaged and hostile files in a runs folder: told by name, never a TypeError, and never in the way of the other runs. */
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { CheckpointError } from "../errors.ts";
import { LINE_BYTES_MAX, LineTail } from "./lineTail.ts";
import { RunReader } from "./reader.ts";
import type { RunRecord } from "./schema.ts";
import { RunWriter } from "./writer.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let runs = "";
const step = (n: number): RunRecord => ({ type: "step", step: n, steps: 10, tokens: n * 100, loss: 1 / n });

/** A folder with one good run, and `bad`, whose files the tests damage. */
beforeEach(async () => {
  runs = join(temporary.dir, `runs-${count++}`);
  for (const id of ["good", "bad"]) {
    const writer = await RunWriter.create(runs, {
      id,
      startedAt: "2026-01-01T00:00:00.000Z",
      recipeName: "nano",
      recipe: { lr: 1 },
      parameters: { total: 2, active: 1 },
    });
    for (let n = 1; n <= 5; n++) writer.write(step(n));
    writer.write({ type: "end", step: 5, reason: "done" });
    await writer.close();
  }
});
const bad = (file: string) => join(runs, "bad", file);

/** Whatever `bad` holds: the good run is listed, `bad` too, and what is wrong is a CheckpointError. */
async function survives(): Promise<void> {
  const reader = new RunReader(runs);
  const list = await reader.list();
  expect(list.find(({ id }) => id === "good")).toMatchObject({ status: "done", step: 5 });
  const listed = list.find(({ id }) => id === "bad");
  expect(listed).toBeDefined();
  if (listed?.status === "unreadable")
    expect(listed.problem).toMatch(/bad\/(run\.json|log\.jsonl|writer-1\.json)|bad\\/);
  await reader.read("bad").catch((error: unknown) => expect(error).toBeInstanceOf(CheckpointError));
}

describe("run.json", () => {
  test.each([
    ["{", /run\.json: expected JSON/],
    ["", /run\.json: expected JSON/],
    ["null", /run\.json: expected a JSON object/],
    ["{}", /run\.json: startedAt: .*; recipeName: .*; recipe: /],
    ['{"startedAt":"yesterday","recipeName":"n","recipe":{}}', /run\.json: startedAt: /],
    ['{"startedAt":"2026-01-01T00:00:00Z","recipeName":{},"recipe":{}}', /run\.json: recipeName: /],
    ['{"startedAt":"2026-01-01T00:00:00Z","recipeName":"n","recipe":null}', /run\.json: recipe: /],
    [
      '{"startedAt":"2026-01-01T00:00:00Z","recipeName":"n","recipe":{},"parameters":{"total":-1,"active":"x"}}',
      /run\.json: parameters\.total: .*; parameters\.active: /,
    ],
    ['{"startedAt":"2026-01-01T00:00:00Z","recipeName":"n","recipe":{},"machine":7}', /run\.json: machine: /],
    [
      `{"startedAt":"2026-01-01T00:00:00Z","recipeName":"n","recipe":${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}}`,
      /run\.json: /,
    ],
  ])("%s is told by file and field", async (text, message) => {
    writeFileSync(bad("run.json"), text);
    await survives();
    const [good, listed] = await new RunReader(runs).list();
    expect(good).toMatchObject({ id: "good" });
    expect(listed).toMatchObject({ id: "bad", status: "unreadable", problem: expect.stringMatching(message) });
    await expect(RunWriter.resume(runs, "bad")).rejects.toThrow(message);
  });

  test("a folder, a link to nowhere or a file of 20 MB in its place", async () => {
    rmSync(bad("run.json"));
    mkdirSync(bad("run.json"));
    await survives();
    rmSync(bad("run.json"), { recursive: true });
    writeFileSync(bad("run.json"), " ".repeat(20 << 20));
    await survives();
    rmSync(bad("run.json"));
    symlinkSync("nowhere", bad("run.json"));
    expect((await new RunReader(runs).list()).map(({ id }) => id)).toEqual(["good"]);
  });

  test("any JSON in place of any field", async () => {
    const whole = JSON.parse(readFileSync(bad("run.json"), "utf8")) as Record<string, unknown>;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...Object.keys(whole)), fc.jsonValue(), async (key, value) => {
        writeFileSync(bad("run.json"), JSON.stringify({ ...whole, [key]: value }));
        await survives();
      }),
      { numRuns: 60 },
    );
  });
});

describe("log.jsonl", () => {
  test("lines that are no records are counted, and the others read", async () => {
    const lines = [
      '{"type":"step","step":6,"steps":10,"tokens":1,"loss":"x"}',
      "nonsense",
      '{"type":"step","step":-3,"steps":10,"tokens":1,"loss":1}',
      '{"type":"hologram","step":6}',
    ];
    writeFileSync(bad("log.jsonl"), `${JSON.stringify(step(1))}\n${lines.join("\n")}\n${JSON.stringify(step(2))}\n`);
    const reader = new RunReader(runs);
    expect(await reader.summary("bad")).toMatchObject({ step: 2, loss: 0.5, skippedLines: 4 });
    expect(await reader.read("bad")).toMatchObject({ log: [step(1), step(2)], lines: 6 });
    // Nothing new: nothing counted twice.
    expect(await reader.summary("bad")).toMatchObject({ skippedLines: 4 });
  });

  test("a line of 150 MB is passed over in one pass, and so is one without an end", async () => {
    const fd = openSync(bad("log.jsonl"), "w");
    writeSync(fd, `${JSON.stringify(step(1))}\n{"type":"sample","step":1,"text":"`);
    const block = "a".repeat(1 << 20);
    for (let i = 0; i < 150; i++) writeSync(fd, block);
    writeSync(fd, `"}\n${JSON.stringify(step(2))}\n`);
    for (let i = 0; i < 150; i++) writeSync(fd, block);
    closeSync(fd);
    const reader = new RunReader(runs);
    expect(await reader.summary("bad")).toMatchObject({ step: 2, skippedLines: 1 });
    const tail = new LineTail(bad("log.jsonl"));
    const lengths: (number | undefined)[] = [];
    for (let i = 0; i < 300; i++) await tail.read((line) => lengths.push(line?.length));
    expect(lengths).toEqual([JSON.stringify(step(1)).length, undefined, JSON.stringify(step(2)).length]);
  });

  test("lines of every length about the limit and about the size of a read", async () => {
    const lengths = [0, 1, LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 3, 2 * LINE_BYTES_MAX, 5];
    writeFileSync(bad("log.jsonl"), lengths.map((n) => `${"é".repeat(n >> 1)}${n % 2 ? "x" : ""}\n`).join(""));
    const seen: (number | undefined)[] = [];
    await new LineTail(bad("log.jsonl")).read((line) =>
      seen.push(line === undefined ? undefined : Buffer.byteLength(line)),
    );
    expect(seen).toEqual(lengths.map((n) => (n > LINE_BYTES_MAX ? undefined : n)));
  });

  test("a writer does not write what a reader would pass over", async () => {
    const writer = await RunWriter.resume(runs, "bad");
    writer.write({ type: "sample", step: 6, prompt: "p", text: "x".repeat(LINE_BYTES_MAX) });
    await writer.close();
    const { log } = await new RunReader(runs).read("bad");
    expect(log.at(-1)).toMatchObject({
      type: "event",
      level: "warn",
      message: expect.stringMatching(/a record \(sample\) of \d+ bytes was left out/),
    });
  });

  test("a folder in its place", async () => {
    rmSync(bad("log.jsonl"));
    mkdirSync(bad("log.jsonl"));
    await survives();
    expect(await new RunReader(runs).list()).toMatchObject([{ id: "good" }, { id: "bad", status: "unreadable" }]);
  });
});

test("one flipped bit anywhere in a run's files", async () => {
  const copy = join(temporary.dir, "whole");
  cpSync(join(runs, "bad"), copy, { recursive: true });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("run.json", "log.jsonl", "writer-1.json"),
      fc.nat(),
      fc.nat(7),
      async (file, at, bit) => {
        const bytes = readFileSync(join(copy, file));
        const index = at % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
        writeFileSync(bad(file), bytes);
        await survives();
        cpSync(copy, join(runs, "bad"), { recursive: true });
      },
    ),
    { numRuns: 150 },
  );
});
