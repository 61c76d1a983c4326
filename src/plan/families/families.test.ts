import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { flopsPerToken, layerCount, parameterCount } from "../architecture.ts";
import { cacheBytes } from "../decode.ts";
import { planModel, planModelNames } from "../presets.ts";
import { questionArchitecture } from "../question.ts";
import { stageLayers } from "../stages.ts";
import { PLANNED_TYPES, plannedArchitecture } from "./index.ts";
import { PUBLISHED } from "./published.ts";

const counted: Record<string, { config: Record<string, unknown>; parameters: number }> = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/plan/counts.json", import.meta.url), "utf8"),
).models;

const named = (name: string) => questionArchitecture({ model: planModel(name).model, modelName: name });

describe("config.json of families that only the planner knows", () => {
  it.each(Object.keys(counted))("%s: transformers' own count, to the last parameter", (name) => {
    const { config, parameters } = counted[name]!;
    expect(parameterCount(plannedArchitecture(config)).total).toBe(parameters);
  });

  it("every published config is one that transformers counted", () => {
    for (const [name, { config }] of Object.entries(PUBLISHED)) expect(counted[name]?.config).toEqual(config);
  });

  it.each([
    // as published, in billions; makers count embedding and head (1), one of them (0) or neither (-1)
    ["gpt-oss-20b", 3.61, 0],
    ["gpt-oss-120b", 5.13, 0],
    ["mixtral-8x7b", 12.9, 1],
    ["mixtral-8x22b", 39.1, 1],
    ["glm-4.5-air", 12, -1],
    ["glm-4.5", 32, 0],
    ["llama-4-scout", 17.2, 1],
    ["minimax-m2", 10, -1],
    ["kimi-linear-48b-a3b", 3, 0],
    ["deepseek-v4-flash", 13, 0],
    ["deepseek-v4-pro", 49, 0],
    ["glm-5", 40, 0],
  ])("%s: %sB active", (name, active, withTable) => {
    const architecture = named(name);
    const table = withTable * architecture.vocab * architecture.hidden;
    expect(Math.abs((parameterCount(architecture).active + table) / 1e9 / active - 1)).toBeLessThan(0.04);
  });

  it("a window bounds attention's FLOPs and the cache, not what is below it", () => {
    const windowed = named("mistral-7b");
    const open = { ...windowed, layers: windowed.layers.map((run) => ({ ...run, attention: { ...run.attention } })) };
    for (const { attention } of open.layers) if (attention.kind === "gqa") delete attention.window;
    expect(flopsPerToken(windowed, { sequence: 4096 })).toEqual(flopsPerToken(open, { sequence: 4096 }));
    // beyond it, a token meets 4,096 keys: 32 layers · 2 products · 2 · 4096 wide · (S + 1)/2 − mean attended
    const S = 65_536;
    const saved = flopsPerToken(open, { sequence: S }).forward - flopsPerToken(windowed, { sequence: S }).forward;
    const meanKeys = (4096 * 4097) / 2 / S + (4096 * (S - 4096)) / S;
    expect(saved / (32 * 4 * 4096 * ((S + 1) / 2 - meanKeys))).toBeCloseTo(1, 9);
    expect(cacheBytes(windowed, 1, S)).toBe(cacheBytes(windowed, 1, 4096));
    expect(cacheBytes(open, 1, S)).toBe(16 * cacheBytes(open, 1, 4096));
  });

  it("Llama 4's chunks: a token meets those since the last multiple of 8,192, in three layers of four", () => {
    const scout = named("llama-4-scout");
    expect(scout.layers.map(({ count }) => count)).toEqual([36, 12]);
    const [chunked, open] = [8192, 10 * 8192].map((S) => flopsPerToken(scout, { sequence: S }).forward) as [
      number,
      number,
    ];
    const width = 2 * 40 * (128 + 128);
    expect((open - chunked) / (12 * width * ((10 * 8192 + 1) / 2 - (8192 + 1) / 2))).toBeCloseTo(1, 9);
  });

  it("DeepSeek-V4 attends to a window and to compressed keys: from 32K to 1M its attention grows by the compressed ones alone", () => {
    const flash = named("deepseek-v4-flash");
    const counts = flash.layers.map(({ count }) => count);
    expect(counts).toEqual([2, 21, 20]);
    const at = (sequence: number) => flopsPerToken(flash, { sequence }).forward;
    // keys in the mean: half the sequence ÷ 128 over 20 layers; the indexer sees half ÷ 4 over 21; the 512 picked are full long before
    const dense = 2 * 64 * 1024;
    const index = 2 * 64 * 129;
    const [short, long] = [2 ** 15, 2 ** 20];
    const mean = (S: number) => (S + 1) / 2;
    const picked = (S: number) => 512 - (2048 / 2 / S) * 512;
    const grown =
      20 * (dense / 128) * (mean(long) - mean(short)) +
      21 * (index / 4) * (mean(long) - mean(short)) +
      21 * dense * (picked(long) - picked(short));
    expect((at(long) - at(short)) / grown).toBeCloseTo(1, 2);
    expect(cacheBytes(flash, 1, 2 ** 20)).toBeLessThan(0.1 * cacheBytes(named("deepseek-v3"), 1, 2 ** 20));
  });

  it("a delta net's work and cache do not grow with the sequence", () => {
    const next = named("qwen3-next-80b-a3b");
    expect(next.layers.map(({ count }) => count)).toEqual([36, 12]);
    const grown = flopsPerToken(next, { sequence: 65_536 }).forward - flopsPerToken(next, { sequence: 4096 }).forward;
    expect(grown / (12 * 2 * 16 * 512 * ((65_536 - 4096) / 2))).toBeCloseTo(1, 9);
    expect((cacheBytes(next, 1, 65_536) - cacheBytes(next, 1, 4096)) / (12 * 2 * 2 * 256 * 2 * 61_440)).toBeCloseTo(
      1,
      9,
    );
  });

  it("kinds that take turns are dealt to stages in their order", () => {
    const oss = named("gpt-oss-20b");
    expect(oss.layers).toHaveLength(2);
    expect(layerCount(oss)).toBe(24);
    const stages = stageLayers(oss, 12);
    for (const { runs } of stages.slice(1, -1)) expect(runs.every((n) => n <= 2)).toBe(true);
    const sums = stages.reduce((sum, { runs }) => sum.map((n, i) => n + runs[i]!), [0, 0]);
    expect(sums).toEqual([12, 12]);
  });

  it("a model that also sees is planned by its text_config, and says what is left out", () => {
    const config = {
      model_type: "gemma3",
      text_config: counted["gemma-3-4b"]!.config,
      vision_config: { hidden_size: 1152 },
    };
    const architecture = plannedArchitecture(config);
    expect(parameterCount(architecture).total).toBe(counted["gemma-3-4b"]!.parameters);
    expect(architecture.without).toMatch(/vision/);
  });

  it("every fault of a file is told at once", () => {
    expect(() => plannedArchitecture({ model_type: "gpt_oss", num_hidden_layers: 0, head_dim: "x" })).toThrow(
      /3 faults[\s\S]*hidden_size: expected a positive whole number, got undefined[\s\S]*num_hidden_layers/,
    );
    expect(() => plannedArchitecture({ ...counted["opt-30b"]!.config, word_embed_proj_dim: 512 })).toThrow(
      /word_embed_proj_dim: expected hidden_size, 7168/,
    );
    expect(() => plannedArchitecture({ ...counted["mixtral-8x7b"]!.config, num_experts_per_tok: 9 })).toThrow(
      /at most the 8 experts, got 9/,
    );
    expect(() => plannedArchitecture({ ...counted["gpt-oss-20b"]!.config, layer_types: ["sliding"] })).toThrow(
      /layer_types: expected 24 entries/,
    );
  });

  it("an unknown architecture is told what can be asked instead", () => {
    const like = { ...counted["mistral-7b"]!.config, model_type: "mistrall" };
    expect(() => plannedArchitecture(like)).toThrow(
      /model_type: expected one of .*gpt_oss.*; the nearest name is mistral; with "model_type": "mistral" the same sizes can be asked as 7\.24B parameters/,
    );
    expect(() => plannedArchitecture({ model_type: "mamba" })).toThrow(/model_type: expected one of/);
    expect(PLANNED_TYPES).toContain("kimi_k2");
  });
});

it("every model of the library can be asked by its name", () => {
  const names = planModelNames();
  for (const name of ["llama-2-70b", "gpt3-175b", "pythia-12b", "glm-130b", "gpt-oss-120b", "kimi-k2"])
    expect(names).toContain(name);
  for (const name of names) {
    const architecture = named(name);
    expect(architecture.name).toBe(name);
    expect(parameterCount(architecture).total).toBeGreaterThan(1e7);
  }
});
