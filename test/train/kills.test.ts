// A training of the built program that is killed some twenty times, at seeded moments, and resumed each time, is the training that never was interrupted.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { RunReader } from "../../src/runs/index.ts";
import { randomOf } from "../fuzz/random.ts";

const FULL = process.env["SUMBI_TEST"] === "full";
const SUMBI = fileURLToPath(new URL("../../bin/sumbi.js", import.meta.url));
const STEPS = 60;
const KILLS = 20;
const SETTINGS = [
  "--set",
  `tokens=${STEPS * 1024}`,
  "save.everySteps=2",
  "evaluate.everySteps=7",
  'data.paths=["builtin:smalltalk:400"]',
];
const dir = mkdtempSync(join(tmpdir(), "sumbi-kills-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** When to kill: so many ms after the start, or after a step was printed. */
interface Moment {
  step?: number;
  ms: number;
}

/** Trains, or goes on where there is a run; resolves with the exit status, null when it was killed. */
async function train(name: string, kill?: Moment): Promise<number | null> {
  const runs = join(dir, name, "runs");
  const begun = (await new RunReader(runs).list()).length > 0;
  const out = join(dir, name, "out");
  const args = [
    "train",
    "tiny",
    "--no-web",
    "--json",
    "--runs",
    runs,
    "--out",
    out,
    ...(begun ? ["--resume"] : SETTINGS),
  ];
  const temporary = join(dir, name, "tmp");
  mkdirSync(temporary, { recursive: true });
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [SUMBI, ...args], { env: { ...process.env, TMPDIR: temporary } });
    let errors = "";
    let due: ReturnType<typeof setTimeout> | undefined;
    const killSoon = () => {
      if (kill) due ??= setTimeout(() => child.kill("SIGKILL"), kill.ms);
    };
    if (kill?.step === undefined) killSoon();
    let rest = "";
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const record = JSON.parse(line) as { type: string; step: number };
        if (record.type === "step" && record.step >= (kill?.step ?? Infinity)) killSoon();
      }
    });
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    child.on("close", (code, signal) => {
      clearTimeout(due);
      if (code === 0 || signal === "SIGKILL") resolve(code);
      else reject(new Error(`ended with ${code}: ${errors}`));
    });
  });
}

async function losses(name: string): Promise<number[]> {
  const reader = new RunReader(join(dir, name, "runs"));
  const list = await reader.list();
  expect(list).toMatchObject([{ status: "done", skippedLines: 0 }]);
  const { log } = await reader.read(list[0]?.id ?? "");
  return log.flatMap((record) => (record.type === "step" ? [record.loss] : []));
}

test.runIf(FULL)(
  "kill -9 at twenty moments changes no bit of losses and weights, and leaves nothing behind",
  async () => {
    expect(await train("whole")).toBe(0);
    const random = randomOf("kills");
    let killed = 0;
    for (let i = 0; i < KILLS; i++) {
      const early: Moment = { ms: random.below(1500) };
      const later: Moment = {
        step: 1 + Math.floor((i * (STEPS - 6)) / KILLS) + random.below(4),
        ms: random.below(120),
      };
      if ((await train("killed", i % 3 === 0 ? early : later)) === null) killed++;
    }
    expect(killed).toBe(KILLS);
    expect(await train("killed")).toBe(0);
    const expected = await losses("whole");
    expect(expected).toHaveLength(STEPS);
    expect(await losses("killed")).toEqual(expected);
    const weights = (name: string) => readFileSync(join(dir, name, "out", "model.safetensors"));
    expect(weights("killed").equals(weights("whole"))).toBe(true);
    expect(readdirSync(join(dir, "killed", "tmp"))).toEqual([]);
    const left = readdirSync(join(dir, "killed"), { recursive: true }).filter((path) =>
      /sumbi-tmp|\.tmp/.test(String(path)),
    );
    expect(left).toEqual([]);
  },
);
