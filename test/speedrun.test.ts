import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sumbi-speedrun-"));
afterAll(() => rmSync(folder, { recursive: true }));
const out = join(folder, "run");

/** The speedrun in miniature; `until` ends it and all that it began, as kill -9 does. */
function speedrun(until: () => boolean = () => false): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", "scripts/speedrun.ts", "--small", "--out", out], {
    cwd: root,
    detached: true,
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const watch = setInterval(() => {
    if (until()) process.kill(-child.pid!, "SIGKILL");
  }, 100);
  return new Promise((done) =>
    child.on("close", (code) => {
      clearInterval(watch);
      done({ code, said });
    }),
  );
}

it.skipIf(process.env["SUMBI_TEST"] !== "full")(
  "the speedrun goes through all its stages, and on from where it was killed",
  async () => {
    const killed = await speedrun(() => existsSync(join(out, "base-countdown-3.json")));
    expect(killed.code).toBe(null);
    const { code, said } = await speedrun();
    expect(said).not.toContain("base: tokenizer");
    expect(code, said.slice(-2000)).toBe(0);
    const report = readFileSync(join(out, "report.md"), "utf8");
    for (const stage of ["base", "cold", "first", "samples", "sft", "final"]) expect(report).toContain(`| ${stage} |`);
    expect(report).toMatch(/final, countdown-3, \d+ problems/);
    expect(report).toMatch(/final, arithmetic: \d+ of 4 right/);
  },
  30 * 60_000,
);
