import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { outputOf } from "../../test/support/cli.ts";
import { PRESETS } from "../model/presets.ts";
import type { AuditReport } from "../plan/audit/report.ts";
import { CHANCE_RESTS } from "../plan/band.ts";
import { register } from "./audit.ts";

const dir = mkdtempSync(join(tmpdir(), "sumbi-"));

const run = (...args: string[]): Promise<string> => outputOf([register], ["audit", ...args]);

const file = (name: string, content: unknown) => {
  const path = join(dir, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};

describe("sumbi audit", () => {
  it("says on one screen what V3's claim is worth", async () => {
    const out = await run("deepseek-v3");
    expect(out.trimEnd().split("\n").length).toBeLessThan(32);
    expect(out).toContain("◉ plausible, aggressive");
    expect(out).toMatch(/235,240 steps × 19.926 s × 2,048 = 2.667M GPU-h/);
    expect(out).toMatch(/true GPU-hours\s+\$?[\d.]+M … [\d.]+M … [\d.]+M/);
    expect(out).not.toMatch(/undefined|NaN|Infinity/);
    expect(out).toContain("H800 lawful in CN from 2023-03-01 to 2023-10-22");
    expect(out.replace(/\s+/g, " ")).toContain(CHANCE_RESTS);
  });

  const committed = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

  it("README's excerpt and V3's document are what it prints", async () => {
    const path = join(dir, "v3.md");
    expect(committed("README.md")).toContain(await run("deepseek-v3", "--markdown", path));
    expect(readFileSync(path, "utf8").replace(path, "docs/audit-deepseek-v3.md")).toBe(
      committed("docs/audit-deepseek-v3.md"),
    );
  });

  it("prints JSON, and writes the whole as a document, as R1's is", async () => {
    const path = join(dir, "r1.md");
    const report = JSON.parse(await run("deepseek-r1", "--json", "--markdown", path)) as AuditReport;
    expect(report.hours.stated).toBe(147_000);
    const text = readFileSync(path, "utf8");
    expect(text.replace(path, "docs/audit-deepseek-r1.md")).toBe(committed("docs/audit-deepseek-r1.md"));
    for (const part of [
      `sumbi audit deepseek-r1 --markdown ${path}`,
      "## What it leaves out",
      CHANCE_RESTS,
      "from 2023-03-01 to 2023-10-22",
    ])
      expect(text).toContain(part);
    expect(text).not.toMatch(/undefined|NaN|Infinity/);
  });

  it("reads a claim of ten lines beside the config it names", async () => {
    file("config.json", PRESETS["deepseek-llm-67b"]!.config);
    const claim = {
      name: "mine",
      who: "us",
      date: "2025-03-01",
      model: "./config.json",
      tokens: "2T",
      chip: "h800",
      batch: 4608,
      phases: [{ name: "all", gpuHours: "601.2K" }],
    };
    expect(await run(file("mine.json", claim))).toMatch(/67.4B parameters/);
    expect(await run(file("fast.json", { ...claim, phases: [{ name: "all", gpuHours: "150K" }] }))).toContain(
      "◉ does not add up",
    );
  });

  it("refuses what it cannot read, saying what came", async () => {
    await expect(run("no-such-claim")).rejects.toThrow("expected a claim's JSON file or one of deepseek-v3");
    await expect(run(dir)).rejects.toThrow("got the folder");
    await expect(run(file("broken.json", "{"))).rejects.toThrow("broken.json: expected JSON");
    await expect(
      run(
        file("lost.json", {
          name: "a",
          who: "b",
          date: "2025",
          model: "./gone.json",
          chip: "h800",
          phases: [{ name: "all", gpuHours: 1 }],
        }),
      ),
    ).rejects.toThrow("does not exist");
  });
});
