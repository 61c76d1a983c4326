import { describe, expect, it } from "vitest";
import { chipOf } from "./chips.ts";
import { CONSTANTS } from "./constants.ts";
import { plan, sensibleCounts } from "./plan.ts";
import { planModel } from "./presets.ts";
import type { PlanQuestion } from "./types.ts";

const v3 = planModel("deepseek-v3");
const llama = planModel("llama-3.1-8b");
const asked: PlanQuestion = {
  model: v3.model,
  modelName: v3.name,
  tokens: 14.8e12,
  chip: chipOf("h800"),
  gpus: 2048,
  precision: "fp8",
  sequence: 4096,
  batch: 15360,
  schedule: "dualpipe",
};
const small: PlanQuestion = {
  model: llama.model,
  modelName: llama.name,
  tokens: 1e12,
  chip: chipOf("h100"),
  gpus: 64,
  precision: "bf16",
  sequence: 8192,
  batch: 512,
  schedule: "1f1b",
};
const fixed = { tp: 1, cp: 1, pp: 1, ep: 1, microBatch: 1, zero: 1 } as const;

describe("plan", () => {
  const result = plan({ ...asked, layout: { tp: 1, cp: 1, pp: 16, ep: 64, zero: 1 } });

  it("answers for V3 as it was trained, near what DeepSeek says", () => {
    expect(result.steps).toBe(235_240);
    expect(result.layout).toMatchObject({ dp: 128, tp: 1, pp: 16, ep: 64 });
    expect(result.flopsPerToken / 1e9).toBeCloseTo(260.6, 0);
    expect(result.p10.gpuHours).toBeLessThan(2.664e6);
    expect(result.p90.gpuHours).toBeGreaterThan(2.664e6);
    expect(result.sources.length).toBeGreaterThan(5);
  });

  it("is consistent with itself", () => {
    const parts = Object.values(result.parts).reduce((a, b) => a + b, 0);
    expect(parts).toBeCloseTo(result.stepSeconds, 6);
    expect(result.gpuHours).toBeCloseTo(((result.steps * result.stepSeconds) / result.goodput / 3600) * 2048, 3);
    expect(result.days * 24 * 2048).toBeCloseTo(result.gpuHours, 3);
    expect(result.usd).toBeCloseTo(result.gpuHours * result.usdPerGpuHour!, 3);
    const { total, ...rest } = result.memoryBytes;
    expect(Object.values(rest).reduce((a, b) => a + b, 0)).toBeCloseTo(total, 0);
    expect(total).toBeLessThan(80e9);
    expect(result.programme!.low).toBeGreaterThan(result.p10.usd);
    expect(result.goodput).toBe(CONSTANTS.wholeRunShare);
    const { bestSteady } = result;
    expect(bestSteady!.gpuHours * bestSteady!.share).toBeCloseTo(result.gpuHours * result.goodput, 3);
    expect(bestSteady!.gpuHours).toBeLessThan(result.gpuHours);
    expect(bestSteady!.p90.gpuHours / bestSteady!.p10.gpuHours).toBeLessThan(result.p90.gpuHours / result.p10.gpuHours);
  });

  it("takes a goodput, a price and a count of tokens as given", () => {
    const at = (more: Partial<PlanQuestion>) => plan({ ...small, layout: fixed, ...more });
    const plain = at({ goodput: 1, usdPerGpuHour: 3 });
    expect(plain.gpuHours).toBeCloseTo((plain.steps * plain.stepSeconds * 64) / 3600, 6);
    expect(plain.usd).toBeCloseTo(3 * plain.gpuHours, 6);
    expect(at({ goodput: 0.5 }).days).toBeCloseTo(2 * plain.days, 6);
    expect(at({ goodput: 1, tokens: 2e12 }).gpuHours / plain.gpuHours).toBeCloseTo(2, 3);
    expect(at({ networkBytesPerSec: 200e9 }).days).toBeLessThanOrEqual(at({ networkBytesPerSec: 10e9 }).days);
  });

  it("solves for the GPUs that keep a number of days, and that a budget pays", () => {
    const { gpus: _, ...open } = small;
    const quick = plan({ ...open, days: 12 });
    expect(quick.days).toBeLessThanOrEqual(12);
    const counts = sensibleCounts(small.chip);
    const fewer = counts[counts.indexOf(quick.gpus) - 1];
    expect(plan({ ...open, gpus: fewer }).days).toBeGreaterThan(12);
    const paid = plan({ ...open, budgetUsd: quick.usd * 1.02 });
    expect(paid.usd).toBeLessThanOrEqual(quick.usd * 1.02);
    expect(paid.gpus).toBeGreaterThanOrEqual(quick.gpus);
    expect(() => plan({ ...open, budgetUsd: 1000 })).toThrow(
      /do not pay for 1T tokens.*nearest that may work: --tokens/,
    );
    expect(() => plan({ ...open, days: 0.01 })).toThrow(/days are too few.*nearest that works: --days/);
  });

  it("answers a hopeless budget without a search", () => {
    const { gpus: _, ...open } = asked;
    let searches = 0;
    expect(() => plan({ ...open, budgetUsd: 1 }, { onProgress: () => searches++ })).toThrow(
      /\$1 do not pay for 14\.8T tokens on H800 SXM, which cost \$\d[\d.]*M at its peak already/,
    );
    expect(searches).toBe(0);
  });

  it("says what is wrong and the nearest that works", () => {
    expect(() => plan({ ...asked, tokens: 1e30 })).toThrow("tokens: expected at most 1e18, got 1e+30");
    expect(() => plan({ ...asked, gpus: undefined })).toThrow("expected gpus, a budget or days");
    expect(() => plan({ ...asked, tokens: -1, imbalance: 0.5 })).toThrow(
      /tokens: expected a positive number, got -1\n.*imbalance/,
    );
    expect(() => plan({ ...asked, layout: { pp: 16, ep: 48 } })).toThrow("the nearest that work are 32 and 64");
    expect(() => plan({ ...asked, layout: { pp: 3 } })).toThrow("2046 or 2049 GPUs");
    expect(() => plan({ ...asked, batch: 15_361, layout: { dp: 128, pp: 16 } })).toThrow("15360 and 15488");
    expect(() => plan({ ...asked, batch: 15_361 })).toThrow(
      /15361 sequences can be shared by at most 1 of 2048.*nearest that works: --batch 15360/,
    );
    expect(() => plan({ ...asked, gpus: 64 })).toThrow(
      /states of deepseek-v3 alone .* are \d[\d,.]* GB, more than 64 .*nearest that may work/,
    );
    expect(() => plan({ ...asked, chip: chipOf("a800") })).toThrow(
      "does not compute in FP8; nearest that works: --precision bf16",
    );
    expect(() => plan({ ...small, layout: { ...fixed, recompute: "none", zero: 0, microBatch: 8 } })).toThrow(
      /does not fit 64 × H100.*nearest that works, leaving \w+ open/,
    );
  });
});
