import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { outputOf } from "../../test/support/cli.ts";
import { PRESETS } from "../model/presets.ts";
import { BAND_RESTS } from "../plan/band.ts";
import { register as registerCompare } from "./compare.ts";
import { register as registerPlan } from "./plan.ts";
import { byteRate, parseLayout, quantity, share } from "./quantities.ts";

const dir = mkdtempSync(join(tmpdir(), "sumbi-plan-"));

const run = (...args: string[]): Promise<string> => outputOf([registerPlan, registerCompare], args);
const json = async (...args: string[]) => JSON.parse(await run(...args, "--json"));

const small = [
  "plan",
  "llama-3.1-8b",
  "--tokens",
  "1T",
  "--chip",
  "h100",
  "--gpus",
  "64",
  "--batch",
  "512",
  "--schedule",
  "1f1b",
  "--layout",
  "tp=1,pp=1",
];
const v3 = [
  "plan",
  "deepseek-v3",
  "--tokens",
  "14.8T",
  "--chip",
  "h800",
  "--gpus",
  "2048",
  "--layout",
  "pp=16,ep=64,zero=1,tp=1",
];

describe("sumbi plan", () => {
  it("prints every key that is promised", async () => {
    const plan = await json(...v3);
    for (const key of [
      "gpuHours",
      "days",
      "usd",
      "stepSeconds",
      "tokensPerSecondPerGpu",
      "mfu",
      "flopsPerToken",
      "steps",
      "goodput",
    ])
      expect(plan[key], key).toBeGreaterThan(0);
    expect(Object.keys(plan.memoryBytes).sort()).toEqual([
      "activations",
      "buffers",
      "gradients",
      "optimizer",
      "total",
      "weights",
    ]);
    expect(plan.layout).toMatchObject({ dp: 128, tp: 1, pp: 16, ep: 64, zero: 1 });
    expect(plan.p10.gpuHours).toBeLessThan(plan.gpuHours);
    expect(plan.p90.usd).toBeGreaterThan(plan.usd);
    expect(plan.sources[0]).toMatchObject({
      title: expect.any(String),
      date: expect.stringMatching(/^\d{4}/),
      mark: expect.any(String),
    });
    expect(plan).toMatchObject({
      model: "deepseek-v3",
      chip: "h800",
      gpus: 2048,
      precision: "fp8",
      schedule: "dualpipe",
      usdPerGpuHour: 2,
    });
  });

  it("prints a screen with the answer first and sources last", async () => {
    const out = await run(...v3, "--serving", "--owned", "--purchase", "33500", "--country", "CN");
    expect(out).toMatch(
      /^deepseek-v3, 14.8T tokens on 2,048 × H800 SXM: \d.\d\dM GPU-hours, \d\d.\d days, \$\d.\d\dM\n/,
    );
    for (const part of [
      "final run",
      "whole programme",
      "on own machines",
      "grid of China",
      "bubble",
      "activations",
      "decode",
      "sources",
    ])
      expect(out).toContain(part);
    expect(out.indexOf("final run")).toBeLessThan(out.indexOf("step:"));
    expect(out).not.toMatch(/undefined|NaN/);
    expect(out.replace(/\s+/g, " ")).toContain(`what ranges are ${BAND_RESTS}`);
    expect(out).not.toContain("80 of 100 cases");
  });

  it("reads a config.json and other currencies", async () => {
    const file = join(dir, "config.json");
    writeFileSync(file, readFileSync(new URL("../../test/fixtures/parity/deepseek_v3/config.json", import.meta.url)));
    const plan = await json(
      "plan",
      file,
      "--tokens",
      "1B",
      "--gpus",
      "8",
      "--chip",
      "h100",
      "--sequence",
      "64",
      "--batch",
      "64",
      "--price",
      "14.3452",
      "--currency",
      "RMB",
    );
    expect(plan.gpus).toBe(8);
    expect(plan.usdPerGpuHour).toBeGreaterThan(1.5);
    expect(plan.usdPerGpuHour).toBeLessThan(2.5);
  });

  it("tells GPUs that stay idle before anything else", async () => {
    const lines = (await run(...small.map((word) => (word === "64" ? "66" : word)))).split("\n");
    expect(lines[1]).toMatch(/idle +2 of 66 GPUs, paid for all the same: 64 do as much/);
    expect(await run(...small)).not.toMatch(/ idle /);
  });

  it("draws the schedule", async () => {
    const trace = join(dir, "trace.json"),
      svg = join(dir, "timeline.svg");
    await run(
      "plan",
      "llama-3.1-8b",
      "--tokens",
      "1T",
      "--gpus",
      "64",
      "--batch",
      "512",
      "--schedule",
      "1f1b",
      "--layout",
      "tp=1,pp=4",
      "--trace",
      trace,
      "--timeline",
      svg,
    );
    const events = (JSON.parse(readFileSync(trace, "utf8")) as { traceEvents: { ph: string }[] }).traceEvents;
    expect(events.filter(({ ph }) => ph === "X").length).toBeGreaterThan(100);
    expect(readFileSync(svg, "utf8")).toMatch(/^<svg[\s\S]*<\/svg>\s*$/);
    await expect(run(...small, "--trace", trace)).rejects.toThrow("no pipeline to draw");
  });

  it("works phases out: a distill's only training is fine-tuning", async () => {
    const phases = await json("plan", "r1-distill-qwen-7b", "--gpus", "64", "--chip", "h800");
    expect(phases.phases.map(({ kind }: { kind: string }) => kind)).toEqual(["sft"]);
    expect(phases.gpuHours).toBeGreaterThan(100);
    expect(phases.gpuHours).toBeLessThan(5000);
  });

  it("answers bad questions by what is wrong and what is near", async () => {
    await expect(run("plan", "deepsek-v3")).rejects.toThrow("got deepsek-v3; nearest: deepseek-v3");
    await expect(run(...v3.slice(0, 4), "--chip", "h900")).rejects.toThrow("nearest: h100, h800");
    await expect(run("plan", "deepseek-v3", "--tokens", "14x")).rejects.toThrow(
      "--tokens: expected a positive number such as 14.8T",
    );
    await expect(run("plan", "deepseek-v3", "--layout", "pp=16,xp=3")).rejects.toThrow("got xp=3; nearest:");
    await expect(run("plan", "deepseek-v3", "--schedule", "gpipe")).rejects.toThrow("1f1b, interleaved");
    await expect(run("plan", "deepseek-v3", "--gpus", "8", "--days", "3")).rejects.toThrow("got both");
    await expect(run("plan", "deepseek-v3", "--gpus", "2.5")).rejects.toThrow(
      "--gpus: expected a positive whole number, got 2.5",
    );
    await expect(run("plan", "qwen3-8b", "--gpus", "64", "--chip", "a100", "--precision", "fp8")).rejects.toThrow(
      "does not compute in FP8",
    );
    await expect(run("plan", "deepseek-v3", "--chip", "h800", "--legal-on", "2024-06-01")).rejects.toThrow(
      /H800.*could not be had in CN.*could be: .*h20/,
    );
    await expect(run("plan", "deepseek-v3", "--to", "SG")).rejects.toThrow("expected --legal-on with the day");
    await expect(run("plan", "deepseek-v3", "--legal-on", "2025-06-01", "--headquarters", "Chnia")).rejects.toThrow(
      "plan: --headquarters: expected a country's two letters or its name",
    );
  });

  it("answers or refuses whatever numbers it is given", async () => {
    await expect(run(...small, "--tokens", "1e30")).rejects.toThrow("tokens: expected at most 1e18, got 1e+30");
    await expect(run(...small.slice(0, 6), "--gpus", "1e12")).rejects.toThrow(
      "gpus: expected at most 1,000,000, got 1000000000000",
    );
    await expect(run(...small, "--sequence", "1e9")).rejects.toThrow("sequence: expected at most 100,000,000");
    await expect(run(...small.slice(0, 6), "--gpus", "64", "--batch", "9007199254740991")).rejects.toThrow(
      "batch: expected at most 100,000,000",
    );
    await expect(run(...small.slice(0, 6), "--days", "1e300")).rejects.toThrow("days: expected at most 36,500");
    await expect(run(...small.slice(0, 6), "--gpus", "1048576", "--layout", "pp=1048576")).rejects.toThrow(
      "gpus: expected at most 1,000,000",
    );
    await expect(
      run(...v3.slice(0, 6), "--gpus", "65536", "--batch", "65536", "--schedule", "1f1b", "--layout", "pp=65536"),
    ).rejects.toThrow("pp: expected at most 61 stages");
  });

  it("plans 4,096 layers of 65,536 experts, but no more stages than can be played", async () => {
    const file = join(dir, "deep.json");
    writeFileSync(
      file,
      JSON.stringify({
        ...PRESETS["deepseek-v3"]!.config,
        num_hidden_layers: 4096,
        n_routed_experts: 65_536,
        n_group: 1,
        topk_group: 1,
        hidden_size: 64,
        intermediate_size: 64,
        moe_intermediate_size: 2,
        vocab_size: 1000,
        num_nextn_predict_layers: 0,
      }),
    );
    const ask = [
      "plan",
      file,
      "--tokens",
      "1T",
      "--chip",
      "h100",
      "--gpus",
      "4096",
      "--batch",
      "4096",
      "--schedule",
      "1f1b",
    ];
    const plan = await json(...ask, "--layout", "pp=64,tp=1,ep=64,microBatch=1,recompute=full");
    expect(plan.layout).toMatchObject({ pp: 64, ep: 64 });
    expect(plan.stepSeconds).toBeGreaterThan(0);
    await expect(run(...ask, "--layout", "pp=1024")).rejects.toThrow(
      "pp: expected at most 512 stages, got 1024 (pp 1024); the nearest that works is pp 512",
    );
  });

  it("draws no step of millions of events", async () => {
    const svg = join(dir, "long.svg");
    await expect(
      run(
        "plan",
        "llama-3.1-8b",
        "--tokens",
        "1T",
        "--gpus",
        "8",
        "--batch",
        "800000",
        "--schedule",
        "1f1b",
        "--layout",
        "tp=1,pp=4,microBatch=1",
        "--timeline",
        svg,
      ),
    ).rejects.toThrow(
      "a step of 400000 micro-batches over 4 stages has too many events to be drawn; the nearest that works is 50000 micro-batches",
    );
    expect(existsSync(svg)).toBe(false);
  });

  it("asks the export rules by day, place and seat", async () => {
    const ask = (chip: string, day: string, ...place: string[]) =>
      json(...small.map((word) => (word === "h100" ? chip : word)), "--legal-on", day, ...place);
    expect(await ask("h800", "2023-10-22")).toMatchObject({ chip: "h800" });
    await expect(ask("h800", "2023-10-23")).rejects.toThrow(
      /H800 SXM could not be had in CN on 2023-10-23 .*a letter to NVIDIA of 2023-10-23/,
    );
    expect(await ask("h20", "2025-06-01", "--to", "SG")).toMatchObject({ chip: "h20" });
    await expect(ask("h20", "2025-06-01", "--to", "SG", "--headquarters", "CN")).rejects.toThrow(
      /H20 could not be had in SG for a firm seated in CN on 2025-06-01.*a letter to NVIDIA of 2025-04-09/,
    );
  });
});

describe("sumbi compare", () => {
  it("asks one question of many chips, with what the rules say", async () => {
    const answer = await json(
      "compare",
      "llama-3.1-8b",
      "--tokens",
      "1T",
      "--gpus",
      "64",
      "--batch",
      "512",
      "--schedule",
      "1f1b",
      "--chips",
      "h800,h20,910b,4090",
      "--date",
      "2023-06-01",
    );
    expect(answer.chips).toHaveLength(4);
    const by = Object.fromEntries(answer.chips.map((row: { chip: string }) => [row.chip, row]));
    expect(by.h800.legality.verdict).toBe("free");
    expect(by.h20.days).toBeGreaterThan(3 * by.h800.days);
    const costs = answer.chips.map(({ usd }: { usd?: number }) => usd ?? Infinity);
    expect([...costs].sort((a, b) => a - b)).toEqual(costs);
    for (const row of answer.chips) expect(row.problem ?? row.memoryBytes).toBeTruthy();
    expect(answer.warnings).toContain(BAND_RESTS);
  });

  it("asks the rules by day and seat", async () => {
    const verdicts = async (...place: string[]) => {
      const { chips } = (await json(
        "compare",
        "llama-3.1-8b",
        "--tokens",
        "1T",
        "--gpus",
        "8",
        "--chips",
        "h800,h20",
        ...place,
      )) as { chips: { chip: string; legality: { verdict: string } }[] };
      return Object.fromEntries(chips.map(({ chip, legality: { verdict } }) => [chip, verdict]));
    };
    expect(await verdicts("--date", "2023-11-01")).toMatchObject({ h800: "licence" });
    expect(await verdicts("--date", "2025-06-01", "--to", "SG")).toEqual({ h800: "free", h20: "free" });
    expect(await verdicts("--date", "2025-06-01", "--to", "SG", "--headquarters", "CN")).toEqual({
      h800: "denial",
      h20: "licence",
    });
  });

  it("keeps chips that cannot do it, with the reason", async () => {
    const answer = await json("compare", "deepseek-v3", "--gpus", "64", "--chips", "h800,l20");
    for (const { problem } of answer.chips) expect(problem).toMatch(/states of deepseek-v3 alone/);
    expect(answer.warnings).toContain("None of these chips can do it.");
    await expect(run("compare", "deepseek-v3", "--chips", " ")).rejects.toThrow("got none");
  });
});

describe("quantities", () => {
  it("are read as people write them", () => {
    expect(quantity("14.8T", "x")).toBe(14.8e12);
    expect(quantity("$5.6M", "x")).toBe(5.6e6);
    expect(quantity("2e12", "x")).toBe(2e12);
    expect(quantity("15,360", "x")).toBe(15_360);
    expect(share("97%", "x")).toBeCloseTo(0.97);
    expect(byteRate("400Gb", "x")).toBe(50e9);
    expect(byteRate("50GB", "x")).toBe(50e9);
    expect(parseLayout("pp=16, ep=64,mbs=2,recompute=full")).toEqual({
      pp: 16,
      ep: 64,
      microBatch: 2,
      recompute: "full",
    });
    for (const bad of ["", "T", "-3", "0", "1e400", "1.2.3", "12Q"])
      expect(() => quantity(bad, "--x"), bad).toThrow("--x: expected a positive number");
    for (const bad of ["0", "1.2", "120%", "x"]) expect(() => share(bad, "--x"), bad).toThrow("--x: expected a share");
    expect(() => parseLayout("pp=0")).toThrow("pp: expected a positive whole number, got 0");
    expect(() => parseLayout("zero=4")).toThrow("zero: expected 0, 1, 2 or 3, got 4");
  });
});
