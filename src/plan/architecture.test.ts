import { describe, expect, it } from "vitest";
import { countParameters, flopsPerToken as modelFlops } from "../model/flops.ts";
import { listParameters } from "../model/parameters.ts";
import { PRESETS, presetConfig } from "../model/presets.ts";
import { architectureOf, flopsPerToken, gptArchitecture, parameterCount } from "./architecture.ts";

describe("the planner's architecture", () => {
  it.each(Object.keys(PRESETS))("%s: agrees with model/flops", (name) => {
    const config = presetConfig(name);
    const architecture = architectureOf(config, name);
    for (const mtp of [false, true]) {
      let buffers = 0;
      for (const p of listParameters(config))
        if (p.key.endsWith("e_score_correction_bias") && (mtp || p.part !== "MTP"))
          buffers += p.shape.reduce((a, b) => a * b, 1);
      const ours = parameterCount(architecture, { mtp });
      const theirs = countParameters(config, { mtp });
      expect(ours.total).toBe(theirs.total - buffers);
      expect(Math.abs(ours.active / (theirs.active - buffers) - 1)).toBeLessThan(1e-6);
      for (const causal of [false, true])
        expect(
          flopsPerToken(architecture, { sequence: 4096, causal, mtp }).training /
            modelFlops(config, { sequence: 4096, causal, mtp }).training,
        ).toBeCloseTo(1, 9);
    }
  });

  it("DeepSeek-V3: 671.0B and 249.7 GFLOP a token, 260 with MTP", () => {
    const v3 = architectureOf(presetConfig("deepseek-v3"), "deepseek-v3");
    expect(parameterCount(v3).total / 1e9).toBeCloseTo(671.0, 1);
    expect(Math.abs(flopsPerToken(v3, { sequence: 4096 }).training / 249.7e9 - 1)).toBeLessThan(0.005);
    expect(Math.abs(flopsPerToken(v3, { sequence: 4096, mtp: true }).training / 260.3e9 - 1)).toBeLessThan(0.005);
  });

  it("Llama-3.1-405B at 8192: 2,521 GFLOP a token", () => {
    const llama = architectureOf(presetConfig("llama-3.1-405b"));
    expect(Math.abs(flopsPerToken(llama, { sequence: 8192 }).training / 2521e9 - 1)).toBeLessThan(0.01);
  });

  it("a GPT has Megatron's P = 12lh²(1 + 13/12h + (V + s)/12lh) parameters and 72Bslh²(1 + s/6h + V/12lh) FLOPs (arXiv:2104.04473 §3, V padded)", () => {
    const [l, h, V, s] = [96, 12288, 51200, 2048];
    const gpt = gptArchitecture({ hidden: h, heads: 96, layers: l, vocab: V, positions: s });
    expect(parameterCount(gpt).total).toBeCloseTo(
      12 * l * h * h * (1 + 13 / (12 * h) + (V + s) / (12 * l * h)) + 2 * h,
      -1,
    );
    const flops = flopsPerToken(gpt, { sequence: s, causal: false }).training;
    expect(flops / (72 * l * h * h * (1 + s / (6 * h) + V / (12 * l * h)))).toBeCloseTo(1, 12);
  });
});
