import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunReader } from "../../src/runs/index.ts";

const SUMBI = fileURLToPath(new URL("../../bin/sumbi.js", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "sumbi-resume-"));
const args = (runs: string, ...more: string[]) => [
  SUMBI,
  "train",
  "tiny",
  "--runs",
  join(dir, runs),
  "--out",
  join(dir, runs, "out"),
  "--no-web",
  "--json",
  ...more,
];
const SETTINGS = [
  "--set",
  "tokens=25600",
  "save.everySteps=6",
  "evaluate.everySteps=10",
  'data.paths=["builtin:smalltalk:400"]',
  "model.max_position_embeddings=1024",
];

/** Losses by step, as the log tells them after repeats are removed. */
async function losses(runs: string): Promise<number[]> {
  const reader = new RunReader(join(dir, runs));
  const [run] = await reader.list();
  const { log } = await reader.read(run!.id);
  return log.flatMap((record) => (record.type === "step" ? [record.loss] : []));
}

/** Starts a run and resolves when it has printed the step. */
function until(child: ChildProcess, step: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    let errors = "";
    child.stderr!.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    child.stdout!.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(`{"type":"step","step":${step},`)) resolve();
    });
    child.on("exit", (code) => reject(new Error(`ended with ${code} before step ${step}: ${errors}`)));
  });
}
const ended = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));

describe("sumbi train, killed and resumed", () => {
  beforeAll(async () => {
    await promisify(execFile)(process.execPath, args("whole", ...SETTINGS));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it("gives the same losses bit for bit after kill -9 at two moments", async () => {
    const expected = await losses("whole");
    expect(expected).toHaveLength(25);
    let child = spawn(process.execPath, args("killed", ...SETTINGS));
    await until(child, 4);
    child.kill("SIGKILL");
    child = spawn(process.execPath, args("killed", "--resume"));
    await until(child, 15);
    child.kill("SIGKILL");
    await promisify(execFile)(process.execPath, args("killed", "--resume"));
    expect(await losses("killed")).toEqual(expected);
    const weights = (runs: string) => readFileSync(join(dir, runs, "out", "model.safetensors"));
    expect(weights("killed").equals(weights("whole"))).toBe(true);
  });

  it("follows the committed loss curve", async () => {
    const curve = JSON.parse(readFileSync(new URL("tiny-curve.json", import.meta.url), "utf8")) as { losses: number[] };
    const measured = await losses("whole");
    expect(measured).toHaveLength(curve.losses.length);
    // Another processor sums in another order; over 25 steps that stays far below a hundredth.
    measured.forEach((loss, i) =>
      expect(Math.abs(loss / curve.losses[i]! - 1), `step ${i + 1}: ${loss} against ${curve.losses[i]}`).toBeLessThan(
        0.01,
      ),
    );
  });

  it("saves the model with the length that it was trained at, whatever the recipe hoped for", () => {
    const saved = (name: string) =>
      JSON.parse(readFileSync(join(dir, "whole", "out", name), "utf8")) as Record<string, unknown>;
    expect(saved("config.json")["max_position_embeddings"]).toBe(128);
    expect(saved("tokenizer_config.json")["model_max_length"]).toBe(128);
  });

  it("answers the recipe's samples at every evaluation", async () => {
    const reader = new RunReader(join(dir, "whole"));
    const { log } = await reader.read((await reader.list())[0]!.id);
    const samples = log.flatMap((record) => (record.type === "sample" ? [record] : []));
    expect(samples.map((s) => s.step)).toEqual([10, 20, 25]);
    expect(samples.every((s) => s.prompt === "What is 4 + 5?" && s.text.length > 0)).toBe(true);
  });

  it("on SIGINT saves, says how to go on and ends; and goes on from there", async () => {
    const child = spawn(process.execPath, args("stopped", ...SETTINGS));
    let errors = "";
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    await until(child, 9);
    child.kill("SIGINT");
    await ended(child);
    expect(errors).toMatch(/stopped; go on with: npx sumbi train tiny --resume \S+-tiny/);
    const { stdout } = await promisify(execFile)(process.execPath, args("stopped", "--resume"));
    const first = JSON.parse(stdout.split("\n").find((line) => line.includes('"type":"step"'))!) as { step: number };
    expect(first.step).toBeGreaterThan(9);
    expect(await losses("stopped")).toEqual(await losses("whole"));
  });

  it("refuses a wrong recipe before any work, with all its faults", async () => {
    writeFileSync(join(dir, "bad.jsonc"), '{ "name": "bad", // two faults\n "tokens": -1, "colour": "red" }');
    const failed = await promisify(execFile)(
      process.execPath,
      args("bad").map((a) => (a === "tiny" ? join(dir, "bad.jsonc") : a)),
    ).catch((e: { code: number; stderr: string }) => e);
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.stderr).toMatch(/bad\.jsonc: \d faults[\s\S]*tokens[\s\S]*colour/);
    writeFileSync(join(dir, "syntax.jsonc"), '{ "name": }');
    const broken = await promisify(execFile)(
      process.execPath,
      args("bad").map((a) => (a === "tiny" ? join(dir, "syntax.jsonc") : a)),
    ).catch((e: { code: number; stderr: string }) => e);
    expect(broken.stderr).toMatch(/syntax\.jsonc: not JSON:\s+1:11: ValueExpected/);
  });

  it("says before it starts when memory will not suffice", async () => {
    // As on a machine that has 410 MB left, whatever this one has.
    const small = ["--import", "data:text/javascript,process.availableMemory=()=>410e6"];
    const failed = await promisify(execFile)(process.execPath, [...small, ...args("huge")]).catch(
      (e: { code: number; stderr: string }) => e,
    );
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.stderr).toMatch(
      /expected about [\d.]+ MB of memory .* but 410\.0 MB are free\. Try --set microBatch=\d+/,
    );
  });
});
