import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { presetConfig } from "../model/presets.ts";
import { architectureOf } from "./architecture.ts";
import { chipOf } from "./chips.ts";
import { clusterOf } from "./cluster.ts";
import { layoutGpus, layoutProblem } from "./layouts.ts";
import { DEEPSEEK, MIXED } from "./memory.ts";
import { searchLayouts } from "./search.ts";
import type { Job } from "./types.ts";

const preset = (name: string) => architectureOf(presetConfig(name), name);
const llama = (gpus: number, more: Partial<Job> = {}, network?: number): Job => ({
  architecture: preset("llama-3.1-8b"),
  cluster: clusterOf(chipOf("h100"), gpus, network ? { networkBytesPerSec: network } : {}),
  sequence: 4096,
  batch: 96,
  precision: "bf16",
  schedule: "1f1b",
  imbalance: 1,
  bytes: MIXED,
  mtp: false,
  ...more,
});

describe("search", () => {
  const v3: Job = {
    architecture: preset("deepseek-v3"),
    cluster: clusterOf(chipOf("h800"), 2048),
    sequence: 4096,
    batch: 15360,
    precision: "fp8",
    schedule: "dualpipe",
    imbalance: 1.1,
    bytes: DEEPSEEK,
    mtp: true,
  };
  it("finds a layout for DeepSeek-V3 on 2,048 H800 that fits and is no slower than the published one", () => {
    const { best, runnersUp } = searchLayouts(v3);
    const published = searchLayouts(v3, { dp: 128, tp: 1, pp: 16, ep: 64, zero: 1, microBatch: 1 }).best;
    expect(best.fits).toBe(true);
    expect(best.stepSeconds).toBeLessThanOrEqual(published.stepSeconds);
    expect(published.stepSeconds / best.stepSeconds).toBeLessThan(1.1);
    expect(layoutGpus(best.layout)).toBeLessThanOrEqual(2048);
    expect(runnersUp.length).toBeGreaterThan(3);
    for (const { step, slower, why } of runnersUp) {
      expect(layoutProblem(v3, step.layout)).toBeUndefined();
      expect(slower).toBeCloseTo(step.stepSeconds / best.stepSeconds - 1, 9);
      expect(why).toMatch(/\d/);
      expect(why).toMatch(slower < 0 ? /too much/ : /more/);
    }
  });
  it("keeps what is fixed", () => {
    const { best } = searchLayouts(llama(64), { tp: 4, pp: 2, recompute: "full" });
    expect(best.layout).toMatchObject({ tp: 4, pp: 2, recompute: "full" });
  });
  it("says what is missing where nothing fits, and what is wrong where nothing runs", () => {
    expect(() => searchLayouts({ ...v3, cluster: clusterOf(chipOf("h800"), 64), batch: 64, schedule: "1f1b" })).toThrow(
      /too much; try about \d+ GPUs/,
    );
    expect(() => searchLayouts(llama(64), { tp: 3 })).toThrow(/tp/);
  });
  it("is never lengthened by more GPUs", () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 60 }), fc.integer({ min: 1, max: 30 }), (gpus, more) => {
        expect(searchLayouts(llama(gpus + more)).best.stepSeconds).toBeLessThanOrEqual(
          searchLayouts(llama(gpus)).best.stepSeconds * (1 + 1e-9),
        );
      }),
      { numRuns: 15 },
    );
  });
  it("is never lengthened by a faster network", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e9, max: 1e11, noNaN: true }),
        fc.double({ min: 1, max: 10, noNaN: true }),
        (network, by) => {
          expect(searchLayouts(llama(32, {}, network * by)).best.stepSeconds).toBeLessThanOrEqual(
            searchLayouts(llama(32, {}, network)).best.stepSeconds * (1 + 1e-9),
          );
        },
      ),
      { numRuns: 15 },
    );
  });
});
