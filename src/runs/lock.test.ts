import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { CheckpointError } from "../errors.ts";
import { lockTimes, RunLock } from "./lock.ts";
import { livenessOf, thisProcess } from "./process.ts";
import { RunReader } from "./reader.ts";
import type { WriterInfo } from "./schema.ts";
import { RunWriter } from "./writer.ts";

const temporary = temporaryFolder();
let count = 0;
let dir = "";
const children: ChildProcess[] = [];
beforeEach(() => mkdirSync((dir = join(temporary.dir, `runs-${count++}`, "r")), { recursive: true }));
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => temporary[Symbol.dispose]());

const times = lockTimes(10);
const DEAD_PID = 4_999_999;
const elsewhere = { host: "elsewhere.example", boot: "another boot" };
const write = (number: number, over: Partial<WriterInfo>) =>
  writeFileSync(
    join(dir, `writer-${number}.json`),
    JSON.stringify({ ...thisProcess(), token: "t", at: Date.now(), beats: 0, released: false, ...over }),
  );
const acquire = () => RunLock.acquire(dir, { times });

describe("RunLock", () => {
  test("goes to one at a time, and numbers never come again", async () => {
    const first = await acquire();
    expect(first).toMatchObject({ number: 1, tookOver: false });
    await expect(acquire()).rejects.toThrow(
      `${dir}: expected a run that nobody writes, but process ${process.pid} writes it`,
    );
    first.check();
    first.release();
    const second = await acquire();
    expect(second.number).toBe(2);
    expect(readdirSync(dir)).toEqual(["writer-2.json"]);
    expect(() => first.check()).toThrow(CheckpointError);
    second.release();
  });

  test("of many at once exactly one has it", async () => {
    const settled = await Promise.allSettled(Array.from({ length: 20 }, acquire));
    const held = settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(held).toHaveLength(1);
    held[0]?.check();
    held[0]?.release();
    for (const result of settled)
      if (result.status === "rejected") expect(result.reason).toBeInstanceOf(CheckpointError);
  });

  test.each([
    ["a dead process", { pid: DEAD_PID }],
    ["another program that got the number of a dead process", { pid: process.ppid, started: "1" }],
    ["a process that let go", { pid: process.ppid, released: true }],
  ])("is taken at once from %s", async (_, over) => {
    // Where start times cannot be read, a living process of that number is only known by its silence.
    if ("started" in over && thisProcess().started === "") return;
    write(3, over);
    const lock = await acquire();
    expect(lock).toMatchObject({ number: 4, tookOver: false });
    lock.release();
  });

  test.each([
    ["a living process", { pid: process.ppid, started: "" }, /process \d+ writes it\. Wait for it, or end it/],
    [
      "a living process whose clock was set back",
      { pid: process.ppid, started: "", at: Date.now() + 1e8 },
      /process \d+ writes it/,
    ],
    [
      "another machine",
      elsewhere,
      /process \d+ on elsewhere\.example wrote it \d+s ago\. If it is gone for good, try again in \d/,
    ],
    ["a machine of the same name", { boot: "another boot" }, new RegExp(`process \\d+ on ${hostname()} wrote it`)],
  ])("is not taken from %s that gave a sign of life just now", async (_, over, message) => {
    write(1, over);
    await expect(RunLock.acquire(dir)).rejects.toThrow(message);
    expect(readdirSync(dir)).toEqual(["writer-1.json"]);
  });

  test.each([
    ["long silent", -1e6],
    ["of a clock far ahead", 1e9],
  ])("of another machine, %s, is taken after a watch; not when signs of life come during it", async (_, offsetMs) => {
    write(1, { ...elsewhere, at: Date.now() + offsetMs });
    const began = performance.now();
    const lock = await acquire();
    expect(performance.now() - began).toBeGreaterThanOrEqual(times.watchMs);
    expect(lock).toMatchObject({ number: 2, tookOver: true });
    lock.release();
    let beats = 0;
    write(3, { ...elsewhere, at: Date.now() + offsetMs });
    const timer = setInterval(() => write(3, { ...elsewhere, at: Date.now() + offsetMs, beats: ++beats }), 2);
    await expect(RunLock.acquire(dir, { times: lockTimes(200) })).rejects.toThrow(
      /still gives signs of life: its clock is not this machine's/,
    );
    clearInterval(timer);
  });

  test("a damaged file holds the run while it is fresh", async () => {
    for (const text of ["", "{", "null", '{"pid":"x"}', '{"pid":-1,"token":"a"}']) {
      writeFileSync(join(dir, "writer-1.json"), text);
      await expect(RunLock.acquire(dir)).rejects.toThrow(/a process that has not said which .* wrote it \d+s ago/);
      expect(await new RunReader(join(dir, "..")).list()).toEqual([]);
    }
    utimesSync(join(dir, "writer-1.json"), new Date(1e12), new Date(1e12));
    const lock = await acquire();
    expect(lock).toMatchObject({ number: 2, tookOver: true });
    lock.release();
  });

  test("says so when it was lost: taken over, removed, replaced, or the folder moved", async () => {
    const lost = async (how: () => void, message: RegExp) => {
      const lock = await acquire();
      lock.check();
      how();
      expect(() => lock.check()).toThrow(message);
      // It stays lost, whatever comes after.
      await delay(3 * times.heartbeatMs);
      expect(() => lock.check()).toThrow(message);
      lock.release();
    };
    await lost(
      () => write(2, { ...elsewhere, at: 0 }),
      /was taken over by process \d+ on elsewhere\.example while this one was silent\. This process stops here and writes nothing more/,
    );
    rmSync(join(dir, "writer-2.json"));
    rmSync(join(dir, "writer-1.json"), { force: true });
    await lost(() => rmSync(join(dir, "writer-1.json")), /writer-1\.json is gone or another's/);
    rmSync(join(dir, "writer-1.json"), { force: true });
    await lost(() => write(1, { token: "other" }), /writer-1\.json is gone or another's/);
    rmSync(join(dir, "writer-1.json"));
    await lost(() => renameSync(dir, `${dir}-moved`), /it was moved or removed/);
    expect(readdirSync(join(dir, ".."))).toEqual(["r-moved"]);
  });

  test("gives signs of life", async () => {
    const lock = await acquire();
    const beats = () => (JSON.parse(readFileSync(join(dir, "writer-1.json"), "utf8")) as WriterInfo).beats;
    const before = beats();
    while (beats() < before + 2) await delay(times.heartbeatMs);
    lock.release();
    expect(JSON.parse(readFileSync(join(dir, "writer-1.json"), "utf8"))).toMatchObject({
      released: true,
      pid: process.pid,
    });
  });
});

const room = (file: string) => JSON.stringify(pathToFileURL(fileURLToPath(new URL(file, import.meta.url))).href);
function start(script: string, heartbeatMs: number): { child: ChildProcess; said: () => string } {
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, SUMBI_HEARTBEAT_MS: String(heartbeatMs) },
  });
  children.push(child);
  let said = "";
  child.stdout?.on("data", (text) => (said += text));
  return { child, said: () => said };
}

describe("with processes of their own", () => {
  test.runIf(process.env["SUMBI_TEST"] === "full")(
    "never two inside: four processes take and leave a run by turns",
    async () => {
      const journal = join(dir, "..", "journal");
      const script = `
      import { appendFileSync } from "node:fs";
      const { RunLock } = await import(${room("./lock.ts")});
      for (let done = 0; done < 15; ) {
        let lock;
        try { lock = await RunLock.acquire(${JSON.stringify(dir)}); } catch (error) { if (error.name !== "CheckpointError") throw error; continue; }
        appendFileSync(${JSON.stringify(journal)}, process.pid + " in\\n");
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
        lock.check();
        appendFileSync(${JSON.stringify(journal)}, process.pid + " out\\n");
        lock.release();
        done++;
      }`;
      const codes = await Promise.all(
        Array.from({ length: 4 }, async () => (await once(start(script, 5_000).child, "close"))[0] as number),
      );
      expect(codes).toEqual([0, 0, 0, 0]);
      const lines = readFileSync(journal, "utf8").trimEnd().split("\n");
      expect(lines).toHaveLength(120);
      for (let i = 0; i < lines.length; i += 2)
        expect([lines[i], lines[i + 1]]).toEqual([lines[i], lines[i]?.replace("in", "out")]);
    },
  );

  test.skipIf(process.platform === "win32")(
    "Ctrl-Z, resumed elsewhere, fg: the first stops and writes nothing more",
    async () => {
      const runs = join(dir, "..", "stopped");
      const heartbeatMs = 25;
      const { child, said } = start(
        `const { RunWriter } = await import(${room("./writer.ts")});
       const writer = await RunWriter.create(${JSON.stringify(runs)}, { id: "r", recipeName: "nano", recipe: {} });
       try {
         for (let step = 1; ; step++) {
           writer.write({ type: "step", step, steps: 1e9, tokens: step, loss: 1 });
           if (step % 20 === 0) await new Promise((resolve) => process.stdout.write(step + "\\n", resolve));
         }
       } catch (error) {
         await writer.close();
         process.stdout.write("ended: " + error.message);
         process.exitCode = 7;
       }`,
        heartbeatMs,
      );
      while (!said()) await delay(20);
      await expect(RunWriter.resume(runs, "r")).rejects.toThrow(`process ${child.pid} writes it`);
      child.kill("SIGSTOP");
      const stopped = (): boolean =>
        thisProcess().started === "" ||
        livenessOf({ ...thisProcess(), pid: child.pid ?? 0, started: "" }) === "stopped";
      while (!stopped()) await delay(5);
      await expect(RunWriter.resume(runs, "r")).rejects.toThrow(
        thisProcess().started ? /is stopped \(Ctrl-Z\)\. Go on with it \(fg\), or end it \(kill -9/ : /writes it/,
      );
      const { localSilenceMs } = lockTimes(heartbeatMs);
      await delay(localSilenceMs + 100);
      process.env["SUMBI_HEARTBEAT_MS"] = String(heartbeatMs);
      const writer = await RunWriter.resume(runs, "r").finally(() => delete process.env["SUMBI_HEARTBEAT_MS"]);
      const reader = new RunReader(runs);
      const before = (await reader.read("r")).log.length;
      writer.write({ type: "step", step: 1_000_000, steps: 1e9, tokens: 1, loss: 2 });
      const closed = once(child, "close");
      child.kill("SIGCONT");
      expect(await closed).toEqual([7, null]);
      expect(said()).toMatch(
        new RegExp(`ended: .*was taken over by process ${process.pid} on .* while this one was silent`),
      );
      writer.write({ type: "step", step: 1_000_001, steps: 1e9, tokens: 1, loss: 2 });
      await writer.close();
      const { log } = await reader.read("r");
      expect(log.slice(before).map(({ step }) => step)).toEqual([1_000_000, 1_000_001]);
    },
  );

  test("a log that was taken over is another file: what a sleeper still has open is read by nobody", async () => {
    const runs = join(dir, "..", "renewed");
    const first = await RunWriter.create(runs, { id: "r", recipeName: "nano", recipe: {} });
    first.write({ type: "step", step: 1, steps: 9, tokens: 1, loss: 1 });
    const path = join(runs, "r", "log.jsonl");
    const fd = (first as unknown as { fd: number }).fd;
    dir = join(runs, "r");
    write(2, { ...elsewhere, at: 0 });
    process.env["SUMBI_HEARTBEAT_MS"] = "10";
    const second = await RunWriter.resume(runs, "r").finally(() => delete process.env["SUMBI_HEARTBEAT_MS"]);
    appendFileSync(fd, '{"type":"step","step":2,"steps":9,"tokens":2,"loss":666}\n');
    second.write({ type: "step", step: 2, steps: 9, tokens: 2, loss: 0.5 });
    await second.close();
    expect(readFileSync(path, "utf8")).toBe(
      '{"type":"step","step":1,"steps":9,"tokens":1,"loss":1}\n{"type":"step","step":2,"steps":9,"tokens":2,"loss":0.5}\n',
    );
    expect(readdirSync(dir).sort()).toEqual(["log.jsonl", "run.json", "writer-3.json"]);
    await first.close();
  });
});
