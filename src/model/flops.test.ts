import { describe, expect, it } from "vitest";
import { type ModelConfig, parseConfig } from "./config.ts";
import {
  cacheBytesPerToken,
  countParameters,
  flopsPerDecodedToken,
  flopsPerToken,
  summarizeParameters,
  weightBytes,
} from "./flops.ts";
import { PRESETS, presetConfig } from "./presets.ts";

/** A model small enough to do by hand: attention 16 + 2 × 8 + 16. */
const TIED = {
  model_type: "llama",
  vocab_size: 7,
  hidden_size: 4,
  intermediate_size: 6,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
};
const billions = (n: number, digits = 1) => (n / 1e9).toFixed(digits);

describe("countParameters", () => {
  // totals and active parameters as published: arXiv:2412.19437, 2405.04434, 2401.02954, model cards
  it.each([
    ["deepseek-v3", "671.0", "36.6"],
    ["deepseek-v3.2", "671.9", "37.5"],
    ["deepseek-v2", "235.7", "20.9"],
    ["deepseek-v2-lite", "15.7", "2.5"],
    ["deepseek-moe-16b", "16.4", "2.6"],
    ["deepseek-llm-67b", "67.4", "66.6"],
    ["moonlight-16b-a3b", "16.0", "2.6"],
    ["kimi-k2", "1026.4", "31.7"],
    ["llama-3.1-8b", "8.0", "7.5"],
    ["llama-3.1-70b", "70.6", "69.5"],
    ["llama-3.1-405b", "405.9", "403.8"],
    ["qwen2.5-1.5b", "1.5", "1.5"],
    ["qwen3-8b", "8.2", "7.6"],
    ["qwen3-30b-a3b", "30.5", "3.0"],
    ["qwen3-235b-a22b", "235.1", "21.6"],
    ["r1-distill-qwen-1.5b", "1.8", "1.5"],
    ["r1-distill-qwen-7b", "7.6", "7.1"],
    ["r1-distill-qwen-32b", "32.8", "32.0"],
  ])("%s has %sB, %sB active", (name, total, active) => {
    const count = countParameters(presetConfig(name));
    expect([billions(count.total), billions(count.active)]).toEqual([total, active]);
  });

  it("is exact where checkpoints' metadata is: bytes in model.safetensors.index.json divided by two", () => {
    expect(countParameters(presetConfig("deepseek-v2-lite")).total).toBe(15_706_484_224);
    expect(countParameters(presetConfig("llama-3.1-8b")).total).toBe(8_030_261_248);
    expect(countParameters(presetConfig("qwen2.5-1.5b")).total).toBe(1_543_714_304);
    expect(countParameters(presetConfig("qwen3-30b-a3b")).total).toBe(30_532_122_624);
  });

  it("never says that more is active than there is", () => {
    for (const name of Object.keys(PRESETS)) {
      const config = presetConfig(name);
      for (const tie_word_embeddings of [false, true]) {
        const { total, active, parts } = countParameters({ ...config, tie_word_embeddings });
        expect(active).toBeLessThanOrEqual(total);
        expect(parts.reduce((sum, part) => sum + part.active, 0)).toBe(active);
      }
    }
    const tied = parseConfig({ ...TIED, tie_word_embeddings: true });
    expect(summarizeParameters(tied)).toEqual({
      total: 7 * 4 + 48 + 3 * 4 * 6 + 3 * 4,
      active: 7 * 4 + 48 + 3 * 4 * 6 + 3 * 4,
      mtp: 0,
    });
    const both = flopsPerToken(tied, { sequence: 8 }).forward;
    expect(both).toBe(flopsPerToken(parseConfig(TIED), { sequence: 8 }).forward);
  });

  it("adds V3's MTP module: 11.6B of its own", () => {
    const config = presetConfig("deepseek-v3");
    const own = countParameters(config, { mtp: true }).total - countParameters(config).total;
    expect(billions(own)).toBe("11.6");
    expect(weightBytes(config, 1, { mtp: true })).toBe(countParameters(config, { mtp: true }).total);
  });
});

describe("flopsPerToken", () => {
  const within = (value: number, gigaflops: number) =>
    expect(Math.abs(value / 1e9 / gigaflops - 1)).toBeLessThan(0.005);
  it("is DeepSeek-V3's 249.7 GFLOP per trained token, 260 with MTP (arXiv:2505.09343; Megatron-Bridge)", () => {
    const config = presetConfig("deepseek-v3");
    within(flopsPerToken(config, { sequence: 4096 }).training, 249.7);
    within(flopsPerToken(config, { sequence: 4096, mtp: true }).training, 260.3);
  });
  it("is Llama-3.1-405B's 2,521 GFLOP at 8,192 (Megatron-Bridge)", () => {
    within(flopsPerToken(presetConfig("llama-3.1-405b"), { sequence: 8192 }).training, 2521);
  });
  it("counts every product of a model small enough to do by hand", () => {
    const config = parseConfig({
      model_type: "llama",
      vocab_size: 7,
      hidden_size: 4,
      intermediate_size: 6,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      mlp_bias: true,
    });
    const weights = 4 * 4 + 2 * (4 * 2) + 4 * 4 + 3 * 4 * 6 + 7 * 4;
    const scores = (attended: number) => 2 * 2 * (2 + 2) * attended;
    expect(flopsPerToken(config, { sequence: 3 }).forward).toBe(2 * weights + scores(2));
    expect(flopsPerToken(config, { sequence: 3, causal: false }).forward).toBe(2 * weights + scores(3));
    expect(flopsPerDecodedToken(config, { context: 4 })).toBe(2 * weights + scores(5));
  });
  it("lets an indexer's model attend to its topk tokens, and look at all", () => {
    const v32 = { ...presetConfig("deepseek-v3.2"), index_topk: 3 } as ModelConfig;
    const dense = { ...v32, index_topk: 8 } as ModelConfig;
    const scores = (config: ModelConfig, part: string, causal: boolean) =>
      flopsPerToken(config, { sequence: 8, causal }).parts.find((entry) => entry.part === part)?.forward ?? 0;
    // the k-th token sees k, and attends to min(k, 3)
    const attended = [1, 2, 3, 3, 3, 3, 3, 3].reduce((a, b) => a + b) / 8;
    expect(scores(v32, "scores", true)).toBeCloseTo(2 * 128 * (192 + 128) * attended * 61, 0);
    expect(scores(v32, "scores", false)).toBe(2 * 128 * (192 + 128) * 3 * 61);
    for (const config of [v32, dense]) expect(scores(config, "index scores", true)).toBe(2 * 64 * 129 * 4.5 * 61);
    expect(scores(dense, "scores", true)).toBe(2 * 128 * (192 + 128) * 4.5 * 61);
    const step = (config: ModelConfig) => flopsPerDecodedToken(config, { context: 7 });
    expect(step(dense) - step(v32)).toBe(2 * 128 * (2 * 512 + 64) * (8 - 3) * 61);
    expect(cacheBytesPerToken(v32)).toBe(61 * (512 + 64 + 128) * 2);
  });
  it("adds up its parts", () => {
    for (const name of Object.keys(PRESETS)) {
      const { forward, training, parts } = flopsPerToken(presetConfig(name), { sequence: 1000, mtp: true });
      expect(training).toBe(3 * forward);
      expect(parts.reduce((a, part) => a + part.forward, 0)).toBeCloseTo(forward, -3);
    }
  });
});

describe("cacheBytesPerToken", () => {
  // arXiv:2505.09343 Table 1: KB per token in bf16
  it.each([
    ["deepseek-v3", 70.272],
    ["llama-3.1-405b", 516.096],
  ])("%s: %s kB", (name, kilobytes) => {
    expect(cacheBytesPerToken(presetConfig(name)) / 1000).toBe(kilobytes);
  });
});
