/** Counts from nothing to absurd, in models, questions, claims and recipes: every verb answers or refuses, in bounded memory, never with NaN. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const FULL = process.env.SUMBI_TEST === "full";
const CHILD = fileURLToPath(new URL("support/countsFuzz.ts", import.meta.url));
const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** A case that takes longer than this has hung; on an idle machine the slowest take some seconds. */
const SILENCE_MS = 240_000;
const HEAP_MB = 1024;

const folder = mkdtempSync(join(tmpdir(), "sumbi-counts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs so many cases in a process of its own; the lines it said. Ends it where it falls silent. */
async function cases(seed: number, count: number): Promise<string[]> {
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP_MB}`, "--import", "tsx", CHILD, folder, String(seed), String(count)],
    { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "",
    faults = "";
  let silence: NodeJS.Timeout | undefined;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => child.kill("SIGKILL"), SILENCE_MS);
  };
  heard();
  child.stdout.on("data", (bytes: Buffer) => {
    said += String(bytes);
    heard();
  });
  child.stderr.on("data", (bytes: Buffer) => void (faults += String(bytes)));
  const status = await new Promise<string>((resolve) =>
    child.on("close", (code, signal) => resolve(String(signal ?? code))),
  );
  clearTimeout(silence);
  const lines = said.trimEnd().split("\n");
  if (lines.at(-1) !== "finished")
    throw new Error(
      `seed ${seed}: ended by ${status} after ${lines.filter((line) => line.startsWith("ended")).length} cases\n${lines.slice(-2).join("\n").slice(0, 4000)}\n${faults.slice(-2000)}`,
    );
  return lines;
}

describe("counts from nothing to absurd", () => {
  const runs = FULL ? Array.from({ length: 20 }, (_, i) => ({ seed: 1000 + i, count: 100 })) : [{ seed: 4, count: 20 }];
  it.each(runs)(
    "$count cases of seed $seed",
    async ({ seed, count }) => {
      const lines = await cases(seed, count);
      const wrong = lines.flatMap((line, i) =>
        line.startsWith("threw") ? [`${lines[i - 1]?.slice(0, 3000)}\n${line}`] : [],
      );
      expect(wrong).toEqual([]);
      const ends = lines.filter((line) => line.startsWith("ended"));
      expect(ends).toHaveLength(count);
      // The cases are worth something: some are answered, some refused.
      expect(ends.filter((line) => line.startsWith("ended 0")).length).toBeGreaterThan(count / 10);
      expect(ends.filter((line) => /^ended (1|2|refused)/.test(line)).length).toBeGreaterThan(count / 10);
    },
    FULL ? 3_600_000 : 600_000,
  );
});
