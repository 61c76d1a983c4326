import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { presetConfig } from "../model/presets.ts";
import { type Architecture, architectureOf, flopsPerToken, gptArchitecture, parameterCount } from "./architecture.ts";
import { plannedArchitecture } from "./families/index.ts";
import { PUBLISHED } from "./families/published.ts";
import { UNSPREAD } from "./layouts.ts";
import type { Job, Layout, LinkTier } from "./types.ts";
import {
  matrixFlops,
  modelWork,
  nodesPerToken,
  stageCount,
  stageFlops,
  stageLayers,
  stagesOfRank,
  stageWorks,
} from "./work.ts";

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
  bytes: { weight: 2, gradient: 4, master: 4, moments: 8 },
  mtp: false,
  ...more,
});
const layout = (more: Partial<Layout> = {}): Layout => ({ ...UNSPREAD, ...more });
const preset = (name: string) =>
  name in PUBLISHED ? plannedArchitecture(PUBLISHED[name]!.config, { name }) : architectureOf(presetConfig(name), name);
const v3 = preset("deepseek-v3");
const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);

describe("the work of a model", () => {
  it("sums to flopsPerToken × tokens, and parameters to the model's, over any layout", () => {
    fc.assert(
      fc.property(
        oneOf(
          "deepseek-v3",
          "deepseek-v2-lite",
          "llama-3.1-405b",
          "llama-3.1-8b",
          "qwen3-8b",
          "kimi-k2",
          "gpt-oss-20b",
          "glm-4.5-air",
          "llama-4-scout",
          "gpt-neox-20b",
          "kimi-linear-48b-a3b",
          "deepseek-v4-flash",
        ),
        oneOf(1, 2, 4, 8),
        oneOf(1, 2, 4),
        oneOf(1, 2, 3, 8, 16),
        oneOf(1, 2, 8, 16),
        oneOf(1, 2, 4),
        oneOf(512, 4096, 32768),
        fc.boolean(),
        oneOf<Layout["recompute"]>("none", "selective", "full"),
        oneOf<Job["selective"]>("cheap", "alternate"),
        oneOf<Job["precision"]>("bf16", "fp8"),
        (name, tp, cp, pp, ep, microBatch, sequence, mtp, recompute, selective, precision) => {
          const architecture = preset(name);
          const j = job(architecture, { sequence, mtp, selective, precision });
          const l = layout({ tp, cp, pp, ep, microBatch, recompute, dp: 16 });
          const stages = stageLayers(architecture, pp, { sequence, mtp });
          const work = modelWork(j, l);
          const total = stages.reduce(
            (a, stage) => {
              const f = stageFlops(j, stage, work);
              return { forward: a.forward + f.forward, backward: a.backward + f.backward };
            },
            { forward: 0, backward: 0 },
          );
          const expected = flopsPerToken(architecture, { sequence, mtp }).forward * microBatch * sequence;
          expect((total.forward * tp * cp) / expected).toBeCloseTo(1, 9);
          expect((total.backward * tp * cp) / expected).toBeCloseTo(2, 9);
          const works = stages.flatMap((stage) => stageWorks(j, stage, work));
          expect(
            (works.reduce((a, { work, count }) => a + count * work.forwardFlops, 0) * tp * cp) / expected,
          ).toBeCloseTo(1, 9);
          if (tp === 1) {
            const parameters = works.reduce(
              (a, { work, count }) => a + count * (work.sharedParameters + ep * work.expertParameters),
              0,
            );
            expect(parameters - parameterCount(architecture, { mtp }).total).toBe(0);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("runs all of a layer again under full recomputation, its cheap parts under selective, a fused attention's scores always", () => {
    const full = modelWork(job(v3), layout({ recompute: "full" })).runs[1]!;
    const none = modelWork(job(v3), layout()).runs[1]!;
    const cheap = modelWork(job(v3), layout({ recompute: "selective" })).runs[1]!;
    const scores = 2 * 4096 * 128 * 192 * (4097 / 2);
    expect(matrixFlops(none.recomputed)).toBe(scores);
    expect(matrixFlops(full.recomputed)).toBe(matrixFlops(full.forward) + scores);
    expect(matrixFlops(cheap.recomputed) - scores).toBe(2 * 4096 * (128 * 192 * 1536 + 128 * 256 * 512));
  });

  it("counts all pairs of an attention without a fused kernel", () => {
    const gpt = gptArchitecture({ hidden: 6144, heads: 64, layers: 48, vocab: 51200, positions: 2048 });
    const work = modelWork(job(gpt, { fusedAttention: false, sequence: 2048 }), layout({ tp: 8 }));
    const [stage] = stageLayers(gpt, 1);
    expect(stageFlops(job(gpt), stage!, work).forward * 8).toBeCloseTo(
      flopsPerToken(gpt, { sequence: 2048, causal: false }).forward * 2048,
      -8,
    );
  });

  it("dispatches V3's tokens in FP8 over about 3.6 of 8 nodes, and combines them in 16 bits", () => {
    const j = job(v3, { precision: "fp8" });
    const l = layout({ dp: 128, pp: 16, ep: 64 });
    const moe = v3.layers[1]!.ffn as never;
    expect(nodesPerToken(j, l, moe)).toBeCloseTo(4 * (1 - 0.75 ** 8), 9);
    const sends = modelWork(j, l).runs[1]!.forward.filter((op) => op.kind === "collective");
    expect(sends.map(({ name }) => name)).toEqual(["dispatch", "combine"]);
    expect(sends.map(({ bytes }) => bytes)).toEqual([4096 * 8 * 7168 * (1 + 4 / 128), 4096 * 8 * 7168 * 2]);
    expect(modelWork(j, layout()).runs[1]!.forward.some((op) => op.kind === "collective")).toBe(false);
  });

  it("casts to FP8 where nothing upstream could: never K copies of a token going forward", () => {
    const work = (precision: Job["precision"]) =>
      modelWork(job(v3, { precision }), layout({ dp: 128, pp: 16, ep: 64 })).runs[1];
    const casts = work("fp8")!.forward.filter(({ name }) => name.endsWith("cast"));
    expect(casts.map(({ name, ...op }) => [name, (op as { bytes: number }).bytes / 4096])).toEqual([
      ["o cast", 16384 * 3],
      ["dispatch cast", 7168 * (2 + 1 + 4 / 128)],
    ]);
    expect(work("bf16")!.forward.some(({ name }) => name.endsWith("cast"))).toBe(false);
  });

  it("loads the busiest rank by the imbalance, not the model's own FLOPs", () => {
    const l = layout({ dp: 64, ep: 64 });
    const even = modelWork(job(v3), l).runs[1]!;
    const uneven = modelWork(job(v3, { imbalance: 1.2 }), l).runs[1]!;
    expect(uneven.forwardFlops).toBe(even.forwardFlops);
    expect(matrixFlops(uneven.forward) - matrixFlops(even.forward)).toBeCloseTo(
      0.2 * 2 * 4096 * 8 * 3 * 7168 * 2048,
      -6,
    );
  });
});

describe("stages", () => {
  it("gives V3's 61 layers to 16 stages, the last fewer for its head", () => {
    const stages = stageLayers(v3, 16, { mtp: true });
    const counts = stages.map(({ runs }) => runs[0]! + runs[1]!);
    expect(counts.reduce((a, b) => a + b)).toBe(61);
    expect(Math.max(...counts)).toBe(4);
    expect(counts.at(-1)).toBeLessThan(4);
    expect(stages[0]!.embedding && stages[15]!.head && stages[15]!.mtp).toBe(true);
    expect(stages.reduce((a, { runs }) => a + runs[0]!, 0)).toBe(3);
  });

  it("gives Llama-3.1-405B's 126 layers as Meta did: one fewer at both ends (arXiv:2407.21783 §3.3.2)", () => {
    const counts = stageLayers(preset("llama-3.1-405b"), 16, { sequence: 8192 }).map(({ runs }) => runs[0]);
    expect(counts).toEqual([7, ...Array.from({ length: 14 }, () => 8), 7]);
  });

  it("splits any model so that no stage is empty and order is kept, and refuses more stages than layers", () => {
    fc.assert(
      fc.property(oneOf("llama-3.1-405b", "deepseek-v3", "qwen3-8b"), fc.integer({ min: 1, max: 36 }), (name, n) => {
        const stages = stageLayers(preset(name), n);
        expect(stages).toHaveLength(n);
        expect(stages.every(({ runs }) => runs.some((count) => count > 0))).toBe(true);
        preset(name).layers.forEach((run, r) =>
          expect(stages.reduce((a, { runs }) => a + runs[r]!, 0)).toBe(run.count),
        );
      }),
      { numRuns: 40 },
    );
    expect(() => stageLayers(v3, 62)).toThrow(/at most 61 stages/);
  });

  it("pairs ranks as the schedule does", () => {
    expect(stagesOfRank("dualpipe", 4, 1)).toEqual([
      [0, 3],
      [1, 2],
      [2, 1],
      [3, 0],
    ]);
    expect(stagesOfRank("dualpipev", 2, 1)).toEqual([
      [0, 3],
      [1, 2],
    ]);
    expect(stagesOfRank("interleaved", 2, 3)).toEqual([
      [0, 2, 4],
      [1, 3, 5],
    ]);
    expect(stageCount("dualpipev", 4, 1)).toBe(8);
  });
});

describe("activations", () => {
  const gpt = gptArchitecture({ hidden: 12288, heads: 96, layers: 96, vocab: 51200, positions: 2048 });
  const kept = (more: Partial<Job>, l: Partial<Layout>) =>
    modelWork(job(gpt, { fusedAttention: false, sequence: 2048, ...more }), layout(l)).runs[0]!.activationBytes;
  const [s, h, a] = [2048, 12288, 96];

  it.each([1, 8])("of a GPT layer are Korthikanti's, TP %i (arXiv:2205.05198 table 2)", (t) => {
    const pairs = (5 * a * s) / (h * t);
    expect(kept({ sequenceParallel: false }, { tp: t })).toBe(s * h * (10 + 24 / t + pairs));
    expect(kept({}, { tp: t })).toBe(s * h * (34 / t + pairs));
    expect(kept({}, { tp: t, recompute: "selective" })).toBe((s * h * 34) / t);
    expect(kept({}, { tp: t, recompute: "full" })).toBe((s * h * 2) / t);
    expect(kept({ sequenceParallel: false }, { tp: t, recompute: "full" })).toBe(s * h * 2);
  });

  it("of an MoE layer hold K copies of every token, and shrink from none to selective to full, and in FP8", () => {
    const bytes = (recompute: Layout["recompute"], precision: Job["precision"]) =>
      modelWork(job(v3, { precision }), layout({ dp: 64, ep: 64, recompute })).runs[1]!.activationBytes / 4096;
    expect(bytes("full", "bf16")).toBe(2 * 7168);
    // input and FFN input, latents, attention output and log-sums, scores and maps, dispatched rows, gate and up (shared too)
    expect(bytes("selective", "bf16")).toBe(
      2 * 2 * 7168 + 2 * (1536 + 512 + 64) + 128 * (2 * 128 + 4) + 256 * 4 + 8 * 16 + 2 * 8 * 7168 + 2 * 2 * 9 * 2048,
    );
    expect(bytes("selective", "fp8")).toBeLessThan(bytes("selective", "bf16") * 0.7);
    expect(bytes("none", "bf16")).toBeGreaterThan(1.7 * bytes("selective", "bf16"));
  });
});
