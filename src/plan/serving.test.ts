import { describe, expect, it } from "vitest";
import { presetConfig } from "../model/presets.ts";
import { architectureOf } from "./architecture.ts";
import { chipOf } from "./chips.ts";
import { clusterOf } from "./cluster.ts";
import { CONSTANTS as constants } from "./constants.ts";
import { cacheBytesPerToken, decodeSeconds, soloSeconds } from "./decode.ts";
import { rollout, surviving } from "./rollouts.ts";
import { measuredShare, serve, servingJob, tokensPerPass } from "./serving.ts";

const v3 = architectureOf(presetConfig("deepseek-v3"), "deepseek-v3");
const h800 = clusterOf(chipOf("h800"), 2048);
const asked = {
  architecture: v3,
  cluster: h800,
  precision: "fp8",
  inputTokens: 4096,
  outputTokens: 1024,
  usdPerGpuHour: 2,
} as const;

describe("serving", () => {
  it("stays above what DeepSeek's service reached in the mean of a day, and within twice of it", () => {
    const { prefill, decode } = measuredShare();
    for (const share of [prefill, decode]) {
      expect(share).toBeGreaterThan(0.5);
      expect(share).toBeLessThan(1.1);
    }
  });

  it("counts the cache as the model room does", () => {
    expect(cacheBytesPerToken(v3)).toBe(70_272);
    expect(cacheBytesPerToken(v3, 8)).toBe(70_272);
    const llama = architectureOf(presetConfig("llama-3.1-8b"));
    expect(cacheBytesPerToken(llama)).toBe(131_072);
    expect(cacheBytesPerToken(llama, 8)).toBe(131_072 / 8);
  });

  it("speculates as V3 reports: 85 to 90 % accepted is about 1.8 tokens a pass and more speed for a user", () => {
    expect(tokensPerPass({ acceptance: 0.85, drafted: 1 })).toBeCloseTo(1.85);
    const unit = { gpus: 64, tp: 1, ep: 64 };
    const job = servingJob(asked, 4096);
    const plain = decodeSeconds(job, unit, { sequences: 8, context: 4096, width: 1 }, constants);
    const drafted = decodeSeconds(job, unit, { sequences: 8, context: 4096, width: 2 }, constants);
    const gain = (1.87 * plain) / drafted;
    expect(gain).toBeGreaterThan(1.3);
    expect(gain).toBeLessThan(1.87);
  });

  it("never decodes faster than memory allows, and slower for a user in larger batches", () => {
    const job = servingJob(asked, 1024);
    const unit = { gpus: 32, tp: 1, ep: 32 };
    const at = (sequences: number) => decodeSeconds(job, unit, { sequences, context: 1024, width: 1 }, constants);
    expect(at(1)).toBeGreaterThan(soloSeconds(job, unit));
    for (const [a, b] of [
      [1, 8],
      [8, 64],
      [64, 128],
    ]) {
      expect(at(b!)).toBeGreaterThan(at(a!));
      expect(b! / at(b!)).toBeGreaterThan(a! / at(a!));
    }
  });

  it("prices tokens, dearer for impatient users, and says what does not fit", () => {
    const calm = serve(asked),
      hurried = serve({ ...asked, tokensPerSecondPerUser: 40 });
    expect(calm.usdPerMillionOutput).toBeCloseTo((2 / 3600 / calm.decode.tokensPerSecondPerGpu) * 1e6, 9);
    expect(hurried.decode.tokensPerSecondPerUser).toBeGreaterThanOrEqual(40);
    expect(hurried.usdPerMillionOutput!).toBeGreaterThan(calm.usdPerMillionOutput!);
    expect(serve({ ...asked, cacheHitShare: 0.5 }).prefill.tokensPerSecondPerGpu).toBeCloseTo(
      2 * calm.prefill.tokensPerSecondPerGpu,
      3,
    );
    expect(() => serve({ ...asked, cluster: clusterOf(chipOf("h800"), 8) })).toThrow(
      /does not fit 8 × H800.*16 of them hold it/,
    );
    expect(() => serve({ ...asked, tokensPerSecondPerUser: 1e5 })).toThrow("ask for less");
  });

  it("waits in rollouts for the longest answer", () => {
    expect(surviving(0, 5000, 32768)).toBe(1);
    expect(surviving(32768, 5000, 32768)).toBe(0);
    const mean = Array.from(
      { length: 2000 },
      (_, i) => surviving(((i + 0.5) / 2000) * 32768, 5000, 32768) * (32768 / 2000),
    ).reduce((a, b) => a + b);
    expect(mean / 5000).toBeCloseTo(1, 1);
    const question = {
      architecture: v3,
      cluster: clusterOf(chipOf("h800"), 512),
      precision: "fp8",
      outputs: 8192,
      promptTokens: 256,
      meanTokens: 5000,
    } as const;
    const short = rollout({ ...question, maxTokens: 8192 }),
      long = rollout({ ...question, maxTokens: 32768 });
    expect(long.seconds).toBeGreaterThan(1.5 * short.seconds);
    expect(long.tokensPerSecondPerGpu).toBeLessThan(short.tokensPerSecondPerGpu);
    expect(
      rollout({ ...question, maxTokens: 32768, speculation: { acceptance: 0.87, drafted: 1 } }).seconds,
    ).toBeLessThan(long.seconds);
    expect(() => rollout({ ...question, maxTokens: 4000 })).toThrow("mean answer below the longest");
  });
});
