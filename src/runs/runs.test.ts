import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { CheckpointError } from "../errors.ts";
import { thisProcess } from "./process.ts";
import { type NumberedRecord, RunReader } from "./reader.ts";
import { parseRecord, removeRepeats } from "./records.ts";
import type { RunRecord, WriterInfo } from "./schema.ts";
import { RunWriter } from "./writer.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let runs = "";
let reader: RunReader;
beforeEach(() => {
  runs = join(temporary.dir, `runs-${count++}`);
  reader = new RunReader(runs);
});

const step = (n: number, loss = 1 / n): RunRecord => ({
  type: "step",
  step: n,
  steps: 10,
  tokens: n * 100,
  loss,
  tokensPerSecond: 50,
  etaSeconds: 10 - n,
});
const create = (id?: string, startedAt?: string) =>
  RunWriter.create(runs, { id, startedAt, recipeName: "nano", recipe: { lr: 1 } });
const logOf = (writer: RunWriter) => join(writer.dir, "log.jsonl");
const DEAD_PID = 4_999_999;
/** Pretends that the run's newest writer is another. */
const beat = (dir: string, over: Partial<WriterInfo>) =>
  writeFileSync(
    join(dir, "writer-9.json"),
    JSON.stringify({ ...thisProcess(), token: "t", at: Date.now(), beats: 0, released: false, ...over }),
  );

describe("RunWriter", () => {
  test("writes run.json and one JSON object per line", async () => {
    const writer = await RunWriter.create(runs, {
      recipeName: "my recipe/1",
      recipe: { lr: 3e-4 },
      out: "models/x",
      parameters: { total: 5, active: 2 },
    });
    expect(writer.id).toMatch(/^\d{8}-\d{6}-my-recipe-1$/);
    expect(JSON.parse(readFileSync(join(writer.dir, "run.json"), "utf8"))).toEqual({
      recipeName: "my recipe/1",
      recipe: { lr: 3e-4 },
      recipeHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      out: "models/x",
      parameters: { total: 5, active: 2 },
      id: writer.id,
      startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    writer.write(step(1));
    writer.write({ type: "sample", step: 1, prompt: "a\n", text: "\u2028" });
    expect(
      readFileSync(logOf(writer), "utf8")
        .split("\n")
        .map((line) => (line ? JSON.parse(line) : line)),
    ).toEqual([step(1), { type: "sample", step: 1, prompt: "a\n", text: "\u2028" }, ""]);
    await writer.close();
    await writer.close();
    expect(() => writer.write(step(2))).toThrow(/closed/);
    expect(readdirSync(writer.dir).sort()).toEqual(["log.jsonl", "run.json", "writer-1.json"]);
  });

  test("names runs apart, and refuses a given id that is taken or is no name", async () => {
    const at = "2026-11-23T19:00:00.000Z";
    const ids = [];
    for (let i = 0; i < 3; i++) {
      const writer = await create(undefined, at);
      ids.push(writer.id);
      await writer.close();
    }
    expect(ids).toEqual(["20261123-190000-nano", "20261123-190000-nano-2", "20261123-190000-nano-3"]);
    await expect(create(ids[0])).rejects.toThrow(/the run exists already/);
    for (const id of ["", "..", "../x", "a/b", "a\\b", ".hidden", "x".repeat(200)]) {
      await expect(create(id)).rejects.toThrow(CheckpointError);
      await expect(reader.read(id)).rejects.toThrow(/expected a run id/);
      await expect(RunWriter.resume(runs, id)).rejects.toThrow(/expected a run id/);
    }
  });

  test("resume cuts off a half-written last line, however the log was cut", async () => {
    const writer = await create("r");
    const records = [step(1), { type: "sample", step: 1, prompt: "é", text: "숨비".repeat(30_000) } as const, step(2)];
    for (const record of records) writer.write(record);
    await writer.close();
    const whole = readFileSync(logOf(writer));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.nat(whole.length), fc.integer({ min: whole.length - 150, max: whole.length })),
        async (length) => {
          writeFileSync(logOf(writer), whole.subarray(0, length));
          const lines = whole.subarray(0, length).toString("latin1").split("\n").length - 1;
          const again = await RunWriter.resume(runs, "r");
          again.write(step(3));
          await again.close();
          expect((await reader.read("r")).log).toEqual([...records.slice(0, lines), step(3)]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("a run that a living process writes is not resumed by another; a dead one's is", async () => {
    const writer = await create("r");
    await writer.close();
    beat(writer.dir, { pid: process.ppid, started: "" });
    await expect(RunWriter.resume(runs, "r")).rejects.toThrow(`process ${process.ppid} writes it`);
    beat(writer.dir, { pid: DEAD_PID });
    await (await RunWriter.resume(runs, "r")).close();
    await expect(RunWriter.resume(runs, "gone")).rejects.toThrow(CheckpointError);
  });

  test("kill -9 loses no line that was written", async () => {
    const room = pathToFileURL(fileURLToPath(new URL("./writer.ts", import.meta.url))).href;
    const script = `
      const { RunWriter } = await import(${JSON.stringify(room)});
      const writer = await RunWriter.create(process.argv[1], { id: "r", recipeName: "nano", recipe: {} });
      for (let step = 1; ; step++) {
        writer.write({ type: "step", step, steps: 1e9, tokens: step, loss: 1 });
        if (step % 50 === 0) await new Promise((resolve) => process.stdout.write(step + "\\n", resolve));
      }`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script, runs], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (text) => (said += text));
    await once(child.stdout, "data");
    expect((await reader.summary("r")).status).toBe("running");
    child.kill("SIGKILL");
    expect(await once(child, "close")).toEqual([null, "SIGKILL"]);
    const acknowledged = Number(said.trimEnd().split("\n").at(-1));
    expect(acknowledged).toBeGreaterThan(0);
    const { log } = await reader.read("r");
    expect(log.length).toBeGreaterThanOrEqual(acknowledged);
    expect(log.map((record) => record.step)).toEqual(log.map((_, i) => i + 1));
    expect((await reader.summary("r")).status).toBe("stale");
  });
});

describe("records", () => {
  test("a later record replaces the earlier of its type and step, in its place", () => {
    const evaluation = (n: number, loss: number): RunRecord => ({ type: "eval", step: n, loss });
    const event = (n: number, message: string): RunRecord => ({ type: "event", step: n, level: "info", message });
    expect(
      removeRepeats([
        step(1, 9),
        step(2, 8),
        evaluation(2, 7),
        event(2, "a"),
        event(2, "b"),
        step(3, 6),
        step(2, 88),
        evaluation(2, 77),
        event(2, "b"),
        step(3, 66),
        step(4, 5),
      ]),
    ).toEqual([step(1, 9), step(2, 88), evaluation(2, 77), event(2, "a"), event(2, "b"), step(3, 66), step(4, 5)]);
  });

  test("a step that comes again takes with it what was measured after it; what happened stays", () => {
    const warn: RunRecord = { type: "event", step: 4, level: "warn", message: "rolled back" };
    const past: RunRecord[] = [
      step(1),
      step(2),
      step(3),
      step(4),
      { type: "eval", step: 4, loss: 9 },
      { type: "sample", step: 4, prompt: "p", text: "t" },
      { type: "load", step: 4, load: [[1]], busiest: 1 },
      warn,
    ];
    expect(removeRepeats([...past, step(2, 22)])).toEqual([step(1), step(2, 22), warn]);
    expect(removeRepeats([...past, step(2, 22), step(3, 33), step(2, 222)])).toEqual([step(1), step(2, 222), warn]);
    // Back and forth many times over: still linear.
    const waves = Array.from({ length: 200_000 }, (_, i) => step(i < 100_000 ? i + 1 : 200_000 - i));
    expect(removeRepeats(waves)).toEqual([step(1)]);
  });

  test("an end is dropped when the run went on, and comes last", () => {
    const end = (reason: "done" | "stopped"): RunRecord => ({ type: "end", step: 2, reason });
    expect(removeRepeats([step(1), end("stopped"), step(2)])).toEqual([step(1), step(2)]);
    expect(removeRepeats([step(1), end("stopped"), step(2), end("done")])).toEqual([step(1), step(2), end("done")]);
  });

  test("damaged lines and lines of later versions are no records", () => {
    for (const line of [
      "",
      "{",
      "null",
      "7",
      "[]",
      '{"type":"step"}',
      '{"type":"hologram","step":1}',
      '{"type":"step","step":"1"}',
      '{"type":"step","step":1,"steps":2,"tokens":3,"loss":"x"}',
      '{"type":"step","step":-3,"steps":2,"tokens":3,"loss":1}',
      '{"type":"step","step":1,"steps":2,"tokens":3,"loss":1e999}',
      '{"type":"load","step":1,"load":"x","busiest":1}',
      '{"type":"event","step":1,"level":"info","message":{}}',
      "[".repeat(100_000),
    ])
      expect(parseRecord(line)).toBeUndefined();
    // an exception for each of a million damaged lines would take seconds
    const parse = vi.spyOn(JSON, "parse");
    for (const line of ["x", '"{"', "[{}]", "{", "}{", '{"type":"end"']) expect(parseRecord(line)).toBeUndefined();
    expect(parse).not.toHaveBeenCalled();
    parse.mockRestore();
    expect(parseRecord('{"type":"end","step":3,"reason":"done"}')).toEqual({ type: "end", step: 3, reason: "done" });
    expect(parseRecord('{"type":"step","step":1,"steps":2,"tokens":3,"loss":4,"gradNorm":null}')).toEqual({
      type: "step",
      step: 1,
      steps: 2,
      tokens: 3,
      loss: 4,
    });
  });
});

describe("RunReader", () => {
  test("an empty or missing folder has no runs; folders without a run.json are none", async () => {
    expect(await reader.list()).toEqual([]);
    mkdirSync(join(runs, "empty"), { recursive: true });
    writeFiles(runs, { "file.txt": "" });
    expect(await reader.list()).toEqual([]);
    await expect(reader.read("nothing")).rejects.toThrow(/nothing: no such run/);
  });

  test("lists runs newest first with their latest figures", async () => {
    const first = await create("first", "2026-01-01T00:00:00.000Z");
    const second = await create("second", "2026-01-02T00:00:00.000Z");
    first.write(step(1));
    expect(await reader.list()).toMatchObject([
      { id: "second", status: "running", step: 0, steps: 0, loss: null, evalLoss: null },
      {
        id: "first",
        recipeName: "nano",
        status: "running",
        step: 1,
        steps: 10,
        loss: 1,
        evalLoss: null,
        tokensPerSecond: 50,
        etaSeconds: 9,
      },
    ]);
    first.write(step(2));
    first.write({ type: "eval", step: 2, loss: 0.25, tokens: 5 });
    first.write({ type: "end", step: 2, reason: "stopped" });
    expect(await reader.summary("first")).toMatchObject({
      status: "stopped",
      step: 2,
      loss: 0.5,
      evalLoss: 0.25,
      etaSeconds: null,
    });
    first.write(step(3));
    expect(await reader.summary("first")).toMatchObject({ status: "running", step: 3 });
    await first.close();
    await second.close();
    expect((await reader.list()).map(({ status }) => status)).toEqual(["stale", "stale"]);
  });

  test.each([
    ["no heartbeat", undefined, "stale"],
    ["a living process, beating", [{}, 0], "running"],
    ["a living process, long silent: stuck, or another program got its number", [{}, 700_000], "stale"],
    [
      "another program under the number of a dead process",
      [{ started: "1" }, 0],
      thisProcess().started ? "stale" : "running",
    ],
    ["a dead process that beat just now", [{ pid: DEAD_PID }, 0], "stale"],
    ["another machine, beating", [{ pid: DEAD_PID, host: "elsewhere.example" }, 10_000], "running"],
    ["another machine, silent", [{ host: "elsewhere.example" }, 100_000], "stale"],
    ["another machine, its clock far ahead, not seen to beat", [{ host: "elsewhere.example" }, -1e9], "stale"],
    ["a process that let go", [{ released: true }, 0], "stale"],
  ] as const)("status with %s", async (_, heartbeat, status) => {
    const writer = await create("r");
    writer.write(step(1));
    await writer.close();
    if (heartbeat) beat(writer.dir, { ...heartbeat[0], at: Date.now() - heartbeat[1] });
    expect((await reader.summary("r")).status).toBe(status);
  });

  test("another machine that is seen to beat runs, whatever its clock says", async () => {
    await (await create("r")).close();
    const dir = join(runs, "r");
    const host = "elsewhere.example";
    for (const offsetMs of [1e9, -1e9]) {
      beat(dir, { host, at: Date.now() + offsetMs, token: `${offsetMs}` });
      expect((await new RunReader(runs).summary("r")).status).toBe("stale");
      await reader.summary("r");
      beat(dir, { host, at: Date.now() + offsetMs + 5000, token: `${offsetMs}`, beats: 1 });
      expect((await reader.summary("r")).status).toBe("running");
    }
  });

  test("read gives run.json and the records, repeats removed", async () => {
    const writer = await create("r");
    for (const record of [step(1), step(2, 5), step(2, 6)]) writer.write(record);
    appendFileSync(logOf(writer), 'damaged\n{"type":"step","st');
    const { run, log, lines } = await reader.read("r");
    expect(run).toMatchObject({ id: "r", recipe: { lr: 1 } });
    expect(log).toEqual([step(1), step(2, 6)]);
    expect(lines).toBe(4);
    await writer.close();
  });

  test("follow tells new lines as they come, from any line on, past a resume, to the end", async () => {
    const writer = await create("r");
    for (let n = 1; n <= 3; n++) writer.write(step(n));
    const seen: NumberedRecord[] = [];
    const following = (async () => {
      for await (const numbered of reader.follow("r", { after: 1, stopAtEnd: true, pollMs: 5 })) seen.push(numbered);
    })();
    const until = async (n: number) => {
      while (seen.length < n) await new Promise((resolve) => setTimeout(resolve, 2));
    };
    await until(2);
    appendFileSync(logOf(writer), '{"type":"step","step":4,"steps":10,"tok');
    await writer.close();
    await new Promise((resolve) => setTimeout(resolve, 30));
    const again = await RunWriter.resume(runs, "r");
    again.write(step(3, 33));
    await until(3);
    again.write({ type: "end", step: 3, reason: "done" });
    await following;
    await again.close();
    expect(seen).toEqual([
      { line: 2, record: step(2) },
      { line: 3, record: step(3) },
      { line: 4, record: step(3, 33) },
      { line: 5, record: { type: "end", step: 3, reason: "done" } },
    ]);
  });

  test("follow reads a long log only as its records are taken", async () => {
    const writer = await create("r");
    await writer.close();
    const lines = 10_000;
    const text = (late: number): string =>
      Array.from({ length: lines }, (_, n) => `${JSON.stringify(step(n + 1, n < lines / 2 ? 1 : late))}\n`).join("");
    writeFileSync(logOf(writer), text(2));
    const losses: unknown[] = [];
    for await (const { line, record } of reader.follow("r", { pollMs: 60_000 })) {
      if (line === 1) writeFileSync(logOf(writer), text(3));
      losses.push(record.type === "step" && record.loss);
      if (line === lines) break;
    }
    expect(losses).toEqual(Array.from({ length: lines }, (_, n) => (n < lines / 2 ? 1 : 3)));
  });

  test("follow stops when told to", async () => {
    const writer = await create("r");
    writer.write(step(1));
    writer.write({ type: "end", step: 1, reason: "done" });
    await writer.close();
    const controller = new AbortController();
    const lines: number[] = [];
    for await (const { line } of reader.follow("r", { signal: controller.signal, pollMs: 60_000 })) {
      lines.push(line);
      if (line === 2) setTimeout(() => controller.abort(), 5);
    }
    expect(lines).toEqual([1, 2]);
    await expect(reader.follow("gone").next()).rejects.toThrow(/no such run/);
  });
});
