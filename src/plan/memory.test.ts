import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { presetConfig } from "../model/presets.ts";
import { type Architecture, architectureOf, gptArchitecture, parameterCount } from "./architecture.ts";
import { UNSPREAD } from "./layouts.ts";
import { DEEPSEEK, heldByFormula, MIXED, memoryOf, memoryOfRanks } from "./memory.ts";
import { activationBytes } from "./schedule/index.ts";
import type { Job, Layout, LinkTier, MemoryBytes, ScheduleName } from "./types.ts";

const tiers: LinkTier[] = [
  { name: "node", chips: 8, bytesPerSec: 2e11, latencySeconds: 1e-6 },
  { name: "network", chips: Infinity, bytesPerSec: 5e10, latencySeconds: 1e-5 },
];
const job = (architecture: Architecture, more: Partial<Job> = {}): Job => ({
  architecture,
  cluster: { chip: {} as never, gpus: 1, tiers },
  sequence: 4096,
  batch: 1,
  precision: "bf16",
  schedule: "1f1b",
  imbalance: 1,
  bytes: MIXED,
  mtp: false,
  ...more,
});
const layout = (more: Partial<Layout> = {}): Layout => ({ ...UNSPREAD, ...more });
const bare = { slack: 0, contextBytes: 0 };
const v3 = architectureOf(presetConfig("deepseek-v3"), "deepseek-v3");
const llama = architectureOf(presetConfig("llama-3.1-8b"), "llama-3.1-8b");
const GB = 1e9;

const parts = ({ total, ...rest }: MemoryBytes) => [total, Object.values(rest).reduce((a, b) => a + b, 0)];

describe("memory", () => {
  it("on one GPU is 18 bytes a parameter, one micro-batch's activations, buffers", () => {
    const m = memoryOf(job(llama), layout(), heldByFormula("1f1b", { pp: 1, vp: 1 }, 4), bare);
    const { total } = parameterCount(llama);
    expect([m.weights, m.gradients, m.optimizer]).toEqual([2 * total, 4 * total, 12 * total]);
    expect(m.activations).toBeGreaterThan(0);
  });

  it("shards optimizer, gradients, weights with ZeRO-1, 2, 3, over dp · cp; experts over what EP leaves", () => {
    const of = (zero: Layout["zero"], more: Partial<Layout> = {}) =>
      memoryOf(job(llama), layout({ dp: 4, cp: 2, zero, ...more }), heldByFormula("1f1b", { pp: 1, vp: 1 }, 4), bare);
    const { total } = parameterCount(llama);
    expect([0, 1, 2, 3].map((z) => of(z as Layout["zero"]).optimizer / total)).toEqual([12, 1.5, 1.5, 1.5]);
    expect([0, 1, 2, 3].map((z) => of(z as Layout["zero"]).gradients / total)).toEqual([4, 4, 0.5, 0.5]);
    expect([0, 1, 2, 3].map((z) => of(z as Layout["zero"]).weights / total)).toEqual([2, 2, 2, 0.25]);
    const { total: all } = parameterCount(v3);
    const experts = 58 * 256 * 3 * 7168 * 2048;
    const moe = memoryOf(job(v3), layout({ dp: 128, ep: 64 }), heldByFormula("1f1b", { pp: 1, vp: 1 }, 4), bare);
    expect(moe.weights).toBeCloseTo(2 * (all - experts + experts / 64), 0);
    expect(moe.optimizer).toBeCloseTo(12 * ((all - experts) / 128 + experts / 64 / 2), 0);
  });

  it("counts a tied embedding once where one rank has both, and on both ranks where not", () => {
    const gpt = gptArchitecture({ hidden: 1024, heads: 16, layers: 8, vocab: 51200 });
    const weights = (pp: number) =>
      memoryOfRanks(job(gpt), layout({ pp }), heldByFormula("1f1b", { pp, vp: 1 }, 8), bare).reduce(
        (a, m) => a + m.weights,
        0,
      ) / 2;
    expect(weights(1)).toBe(parameterCount(gpt).total);
    expect(weights(4)).toBe(parameterCount(gpt).total + 51200 * 1024);
  });

  it("parts sum to the total, whatever the layout; less recomputation, more ranks in front never take less", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(v3, llama),
        fc.constantFrom(1, 2, 4, 8),
        fc.constantFrom(1, 2, 4, 8),
        fc.constantFrom(1, 2, 4),
        fc.constantFrom<Layout["zero"]>(0, 1, 2, 3),
        fc.constantFrom<ScheduleName>("1f1b", "zero-bubble", "dualpipe", "dualpipev"),
        (architecture, pp, dp, tp, zero, schedule) => {
          const at = (recompute: Layout["recompute"]) =>
            memoryOfRanks(
              job(architecture, { schedule }),
              layout({ pp, dp, tp, zero, recompute }),
              heldByFormula(schedule, { pp, vp: 1 }, 32),
            );
          const [full, selective, none] = [at("full"), at("selective"), at("none")];
          none.forEach((m, r) => {
            const [total, sum] = parts(m);
            expect(sum! / total!).toBeCloseTo(1, 9);
            expect(selective[r]!.activations).toBeLessThan(m.activations);
            expect(full[r]!.activations).toBeLessThan(selective[r]!.activations);
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it("agrees with the schedules about what is in flight", () => {
    for (const [schedule, pp, vp] of [
      ["1f1b", 8, 1],
      ["interleaved", 4, 3],
      ["zero-bubble", 8, 1],
      ["dualpipe", 8, 1],
      ["dualpipev", 4, 1],
    ] as const) {
      const stages = schedule === "dualpipev" ? 2 * pp : pp * vp;
      const simulated = activationBytes(
        { schedule, pp, vp, microBatches: 48 },
        Array.from({ length: stages }, () => 1),
      );
      const formula = heldByFormula(schedule, { pp, vp }, 48).inFlight;
      simulated.forEach((chunks, rank) =>
        expect(formula[rank], `${schedule} rank ${rank}`).toBeGreaterThanOrEqual(chunks),
      );
      expect(Math.max(...formula) / Math.max(...simulated)).toBeLessThan(1.15);
    }
  });

  it("fits DeepSeek-V3's training on 80 GB as DeepSeek laid it out, and not without recomputation in 16 bits", () => {
    const at = layout({ dp: 128, pp: 16, ep: 64, zero: 1, recompute: "selective" });
    const held = heldByFormula("dualpipe", at, 120);
    const of = (more: Partial<Job>, l = at) =>
      memoryOf(job(v3, { precision: "fp8", schedule: "dualpipe", bytes: DEEPSEEK, mtp: true, ...more }), l, held)
        .total / GB;
    expect(of({})).toBeLessThan(80);
    expect(of({})).toBeGreaterThan(40);
    expect(of({ precision: "bf16" }, { ...at, recompute: "none" })).toBeGreaterThan(80);
  });
});
