import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { presetConfig } from "../model/presets.ts";
import { architectureOf } from "./architecture.ts";
import { chipOf } from "./chips.ts";
import { clusterOf } from "./cluster.ts";
import { collectiveSeconds, membersByTier, spanOf } from "./collectives.ts";
import { BOUNDS, CONSTANT_NAMES, CONSTANTS } from "./constants.ts";
import {
  type AttentionKernel,
  attentionRateShare,
  productFlopsPerSec,
  productSeconds,
  sustainedClock,
} from "./efficiency.ts";
import { divisors, layoutProblem } from "./layouts.ts";
import { DEEPSEEK, MIXED } from "./memory.ts";
import { estimateStep, stepDetails } from "./step.ts";
import type { Job, Layout } from "./types.ts";

const preset = (name: string) => architectureOf(presetConfig(name), name);
const v3: Job = {
  architecture: preset("deepseek-v3"),
  cluster: clusterOf(chipOf("h800"), 2048),
  sequence: 4096,
  batch: 15360,
  precision: "fp8",
  schedule: "dualpipe",
  imbalance: 1,
  bytes: DEEPSEEK,
  mtp: true,
};
const v3Layout: Layout = {
  dp: 128,
  tp: 1,
  cp: 1,
  pp: 16,
  vp: 1,
  ep: 64,
  zero: 1,
  microBatch: 1,
  recompute: "selective",
};
const llama: Job = {
  architecture: preset("llama-3.1-8b"),
  cluster: clusterOf(chipOf("h100"), 64),
  sequence: 8192,
  batch: 256,
  precision: "bf16",
  schedule: "1f1b",
  imbalance: 1,
  bytes: MIXED,
  mtp: false,
};
const sum = (parts: object) => Object.values(parts).reduce((a: number, b: number) => a + b, 0);
/** Layouts of the Llama job that divide. */
const llamaLayout = fc
  .record({
    tp: fc.constantFrom(1, 2, 4, 8),
    pp: fc.constantFrom(1, 2, 4, 8),
    cp: fc.constantFrom(1, 2),
    dp: fc.constantFrom(1, 2, 4, 8),
    microBatch: fc.constantFrom(1, 2),
    zero: fc.constantFrom(0 as const, 1 as const, 3 as const),
    recompute: fc.constantFrom("none" as const, "selective" as const, "full" as const),
  })
  .map((l): Layout => ({ vp: 1, ep: 1, ...l }))
  .filter((l) => layoutProblem(llama, l) === undefined);

describe("constants", () => {
  it("are thirteen, within their bounds", () => {
    expect(CONSTANT_NAMES.length).toBe(13);
    for (const name of CONSTANT_NAMES) {
      expect(CONSTANTS[name]).toBeGreaterThanOrEqual(BOUNDS[name].low);
      expect(CONSTANTS[name]).toBeLessThanOrEqual(BOUNDS[name].high);
    }
  });
});

describe("an operation on a chip", () => {
  it("keeps the clock where power allows", () => {
    expect(sustainedClock(chipOf("h20"), CONSTANTS)).toBe(1);
    expect(sustainedClock(chipOf("h100"), CONSTANTS)).toBeLessThan(sustainedClock(chipOf("a100-80"), CONSTANTS));
    const tera = productFlopsPerSec(chipOf("h100"), "bf16", CONSTANTS) / 1e12;
    expect(tera).toBeGreaterThan(580);
    expect(tera).toBeLessThan(760);
  });
  it("takes memory's time when it is thin", () => {
    const chip = chipOf("h100");
    const thin = productSeconds({ m: 1, n: 8192, k: 8192, count: 1, precision: "bf16" }, chip, CONSTANTS);
    expect(thin).toBeGreaterThan((2 * 8192 * 8192) / chip.hbmBytesPerSec);
  });
});

describe("attention", () => {
  const kernel = (more: Partial<AttentionKernel>) =>
    attentionRateShare({ fused: true, older: false, sequence: 4096, width: 128, ...more }, CONSTANTS);
  it("is faster over longer sequences and wider heads, slower in kernels of the generation before", () => {
    expect(kernel({ sequence: 131072 })).toBeGreaterThan(kernel({ sequence: 4096 }));
    expect(kernel({ sequence: 512 })).toBeLessThan(0.7 * kernel({}));
    expect(kernel({ width: 64 })).toBeLessThan(kernel({}));
    expect(kernel({ older: true })).toBeCloseTo(kernel({}) / 2, 6);
    // FlashAttention-3 on H100, forward and backward, causal, heads of 128: 550 to 650 TFLOP/s at 16K (arXiv:2407.08608, figures 5 and 6)
    const chip = chipOf("h100");
    const tera = (kernel({ sequence: 16384 }) * chip.bf16FlopsPerSec * sustainedClock(chip, CONSTANTS)) / 1e12;
    expect(tera).toBeGreaterThan(350);
    expect(tera).toBeLessThan(650);
  });
  it("lets Qwen3-235B's FLOP rate rise from 16K to 128K, as NVIDIA's did (295 to 389 TFLOP/s)", () => {
    const at = (sequence: number, cp: number) => {
      const job: Job = {
        ...llama,
        architecture: preset("qwen3-235b-a22b"),
        cluster: clusterOf(chipOf("h100"), 256),
        sequence,
        batch: 2 ** 26 / sequence,
        precision: "fp8",
      };
      const layout: Layout = { ...v3Layout, tp: 2, cp, pp: 8, dp: 16 / cp, ep: 32 };
      return estimateStep(job, layout).mfu;
    };
    expect(at(131072, 8)).toBeGreaterThan(at(16384, 1));
  });
});

describe("collectives", () => {
  const cluster = clusterOf(chipOf("h800"), 2048);
  it("nest: tp in a node, ep over neighbours, pp far apart", () => {
    expect(spanOf("ep", v3Layout)).toEqual({ size: 64, stride: 1 });
    expect(membersByTier(spanOf("ep", v3Layout), cluster)).toEqual([8, 64]);
    expect(membersByTier(spanOf("pp", v3Layout), cluster)).toEqual([1, 16]);
    expect(membersByTier(spanOf("edp", v3Layout), cluster)).toEqual([1, 2]);
  });
  it("moves an all-gather at the ports' rate", () => {
    const seconds = collectiveSeconds({ collective: "allGather", bytes: 8e9 }, { size: 64, stride: 1 }, cluster, {
      ...CONSTANTS,
      linkShare: 0.95,
      collectiveSeconds: 0,
    });
    const network = (8e9 * 7) / 8 / (8 * 50e9 * 0.95),
      links = (8e9 * 7) / 8 / (200e9 * 0.95);
    expect(seconds).toBeCloseTo(Math.max(network, links), 3);
  });
  it("sends a token once to each node it visits", () => {
    const all = collectiveSeconds(
      { collective: "allToAll", bytes: 1e9, copies: 8 },
      { size: 64, stride: 1 },
      cluster,
      CONSTANTS,
    );
    const joined = collectiveSeconds(
      { collective: "allToAll", bytes: 1e9, copies: 8, nodesPerToken: 3.6 },
      { size: 64, stride: 1 },
      cluster,
      CONSTANTS,
    );
    expect(joined).toBeLessThan(0.6 * all);
  });
  it("is free within one chip", () => {
    expect(collectiveSeconds({ collective: "allReduce", bytes: 1e9 }, { size: 1, stride: 1 }, cluster, CONSTANTS)).toBe(
      0,
    );
  });
});

describe("a step", () => {
  it("of DeepSeek-V3 takes about what was published, and its parts sum to it", () => {
    const { estimate, kinds, dpSeconds, optimizerSeconds } = stepDetails({ ...v3, imbalance: 1.1 }, v3Layout);
    expect(Math.abs(estimate.stepSeconds / 19.926 - 1)).toBeLessThan(0.1);
    expect(sum(estimate.parts)).toBeCloseTo(estimate.stepSeconds, 9);
    expect(sum(kinds) + dpSeconds + optimizerSeconds).toBeCloseTo(estimate.stepSeconds, 9);
    expect(estimate.flopsPerToken / 260e9).toBeCloseTo(1, 2);
  });
  it("of any layout: parts sum, none negative, memory's parts sum", () => {
    fc.assert(
      fc.property(llamaLayout, (layout) => {
        const step = estimateStep(llama, layout);
        expect(sum(step.parts)).toBeCloseTo(step.stepSeconds, 9);
        for (const value of Object.values(step.parts)) expect(value).toBeGreaterThanOrEqual(-1e-9);
        const { total, ...rest } = step.memoryBytes;
        expect(sum(rest) / total).toBeCloseTo(1, 6);
        expect(step.mfu).toBeLessThan(1);
      }),
      { numRuns: 40 },
    );
  });
  it("is never slowed by faster links, memory or arithmetic", () => {
    const faster = fc.constantFrom("links", "network", "memory", "arithmetic");
    fc.assert(
      fc.property(llamaLayout, faster, fc.double({ min: 1.01, max: 8, noNaN: true }), (layout, what, by) => {
        const { chip } = llama.cluster;
        const cluster =
          what === "links"
            ? clusterOf({ ...chip, linkBytesPerSec: chip.linkBytesPerSec * by }, 64)
            : what === "network"
              ? clusterOf(chip, 64, { networkBytesPerSec: 50e9 * by })
              : what === "memory"
                ? clusterOf({ ...chip, hbmBytesPerSec: chip.hbmBytesPerSec * by }, 64)
                : clusterOf({ ...chip, bf16FlopsPerSec: chip.bf16FlopsPerSec * by, watts: chip.watts * by }, 64);
        const before = estimateStep(llama, layout).stepSeconds,
          after = estimateStep({ ...llama, cluster }, layout).stepSeconds;
        expect(after).toBeLessThanOrEqual(before * (1 + 1e-9));
      }),
      { numRuns: 60 },
    );
  });
  it("continued from shorter ones equals the whole simulation", () => {
    // 120 micro-batches of V3 against the same in full: 2·(120 − 8·pp) would be continued for pp 4.
    const job: Job = { ...v3, schedule: "1f1b", cluster: clusterOf(chipOf("h800"), 512) };
    const layout: Layout = { ...v3Layout, dp: 64, pp: 8, ep: 64 };
    const long = stepDetails(job, layout),
      half = stepDetails({ ...job, batch: 15360 / 2 }, layout);
    const twice = stepDetails({ ...job, batch: 15360 * 2 }, layout);
    const period = (a: number, b: number) => b - a;
    expect(
      period(long.kinds.forward, twice.kinds.forward) / (2 * period(half.kinds.forward, long.kinds.forward)),
    ).toBeCloseTo(1, 9);
  });
});

describe("layouts", () => {
  it("say what is wrong and the nearest that works", () => {
    const wrong = (more: Partial<Layout>, job = v3) => layoutProblem(job, { ...v3Layout, ...more });
    expect(wrong({})).toBeUndefined();
    expect(wrong({ dp: 127 })).toMatch(
      /batch: expected a multiple of dp · micro-batch = 127 · 1 = 127, got 15360; the nearest that work are 15240 and 15367 \(or dp: the nearest that work are 120 and 128\)/,
    );
    expect(wrong({ ep: 48 })).toMatch(
      /divisor of the 256 experts of deepseek-v3, got 48; the nearest that work are 32 and 64/,
    );
    expect(wrong({ tp: 3, dp: 32 })).toMatch(/tp/);
    expect(wrong({ pp: 64, dp: 32, ep: 32 }, { ...v3, schedule: "1f1b" })).toMatch(/at most 61 stages/);
    expect(wrong({ dp: 256 })).toMatch(/at most the 2048 GPUs, got 256 · 1 · 1 · 16 = 4096; dp 128 fits/);
    expect(wrong({ microBatch: 0.5 })).toMatch(/microBatch: expected a whole number/);
    expect(() => estimateStep(v3, { ...v3Layout, dp: 127 })).toThrow(/nearest/);
  });
  it("divisors rise and divide", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20000 }), (n) => {
        const all = divisors(n);
        expect(all.every((d, i) => n % d === 0 && (i === 0 || d > all[i - 1]!))).toBe(true);
        expect(all.includes(n)).toBe(true);
      }),
    );
  });
});
