// What benchmarks and figures write over: their own earlier results, nobody else's files.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { resultFile } from "../bench/result.ts";

const dir = mkdtempSync(join(tmpdir(), "sumbi-result-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("a benchmark's result replaces an earlier one of the same, nothing else unless told", () => {
  const path = join(dir, "result.json");
  resultFile(path, "speed")({ ms: 3 });
  resultFile(path, "speed")({ ms: 2 });
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ what: "speed", ms: 2 });
  expect(() => resultFile(path, "memory")).toThrow(/expected no file, or an earlier result of "memory".*--overwrite/);
  for (const text of ["notes", "null", "[]", '{"speed":1}']) {
    writeFileSync(path, text);
    expect(() => resultFile(path, "speed")).toThrow(/--overwrite/);
  }
  expect(readFileSync(path, "utf8")).toBe('{"speed":1}');
  resultFile(path, "speed", true)({ ms: 1 });
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ what: "speed", ms: 1 });
});

test("a figure replaces an earlier one of its kind, nothing else unless told", () => {
  const out = join(dir, "figure.svg");
  const steps = [1, 2, 3].map((step) => JSON.stringify({ type: "step", step, mainLoss: 4 - step }));
  const loads = [1, 2].map((step) => JSON.stringify({ type: "load", step, busiest: 1 + step }));
  writeFileSync(join(dir, "log.jsonl"), [...steps, ...loads].join("\n"));
  const script = fileURLToPath(new URL("../scripts/plot.mjs", import.meta.url));
  const plot = (kind: string, ...more: string[]) =>
    spawnSync(process.execPath, [script, kind, out, dir, ...more], { encoding: "utf8" });
  writeFileSync(out, "<svg>mine</svg>");
  expect(plot("loss")).toMatchObject({ status: 2, stderr: expect.stringContaining("--overwrite") as string });
  expect(readFileSync(out, "utf8")).toBe("<svg>mine</svg>");
  expect(plot("loss", "--overwrite").status).toBe(0);
  expect(plot("loss").status).toBe(0);
  expect(plot("busiest").status).toBe(2);
  expect(readFileSync(out, "utf8")).toContain("loss, nats per token");
});
