import { describe, expect, it } from "vitest";
import { presetConfig } from "../../model/presets.ts";
import { LEFT_OUT } from "../accuracy/residuals.ts";
import { chipOf } from "../chips.ts";
import { CLAIMS, claimOf } from "../claims/index.ts";
import { CONSTANTS, type Constants } from "../constants.ts";
import { plan } from "../plan.ts";
import { simulate } from "../schedule/index.ts";
import type { Chip } from "../types.ts";
import { audit } from "./audit.ts";
import { type Claim, type ClaimInput, parseClaim } from "./claim.ts";
import { type Believed, believe, type Estimate, likelihoodOfFactor } from "./hours.ts";
import { auditMarkdown } from "./markdown.ts";
import { pairsOf } from "./physics.ts";
import { normalQuantile, quantiles } from "./programme.ts";
import { type AuditReport, GRADES } from "./report.ts";
import { realWorld, type World } from "./world.ts";

const chip = (id: string, name: string, more: Partial<Chip> = {}): Chip => ({
  id,
  name,
  vendor: "NVIDIA",
  origin: "US",
  released: "2023-03-21",
  bf16FlopsPerSec: 989.5e12,
  eightBitOpsPerSec: 1979e12,
  fp8: true,
  hbmBytes: 80e9,
  hbmBytesPerSec: 3.35e12,
  linkBytesPerSec: 400e9,
  linkedChips: 8,
  watts: 700,
  processNode: "4N",
  datacenter: true,
  sources: [],
  ...more,
});
const chips: Record<string, Chip> = {
  h800: chip("h800", "H800"),
  h100: chip("h100", "H100", { linkBytesPerSec: 900e9, released: "2022-10-01" }),
  h20: chip("h20", "H20", { bf16FlopsPerSec: 148e12, eightBitOpsPerSec: 296e12 }),
  "a100-80": chip("a100-80", "A100", {
    bf16FlopsPerSec: 312e12,
    eightBitOpsPerSec: 624e12,
    fp8: false,
    released: "2020-11-16",
  }),
};

/** Fixed figures instead of the planner, the chip table and the rules, so that each rule of the audit is tested alone. */
const world = (change: Partial<World> = {}): World => ({
  chipOf: (id) => chips[id]!,
  obtainable: ({ id }) =>
    id === "h100"
      ? { known: true, ever: false, short: "never", sources: [] }
      : { known: true, ever: true, short: "until 2023-10-22", sources: [] },
  predict: ({ pretrain }, { id }) => ({
    gpuHours: { p10: 2.3e6, p50: 2.75e6, p90: 3.3e6 },
    stepSeconds: (20.5 * pretrain!.tokens) / 14.8e12,
    tokensPerSecondPerGpu: 1495,
    mfu: 0.377,
    steadyShare: 0.975,
    how: `On ${id}.`,
  }),
  predictAnswers: () => [],
  memory: () => ({ weights: 20e9, gradients: 10e9, optimizer: 20e9, activations: 15e9, buffers: 5e9, total: 70e9 }),
  rental: () => ({ from: 1.7, to: 2.95, sources: [{ title: "prices", date: "2026", mark: "derived" }] }),
  purchase: () => ({ low: 31_000, usd: 33_500, high: 36_000, whose: "H100", sources: [] }),
  ...change,
});

const v3 = CLAIMS["deepseek-v3"]!;
/** The claim with all its times scaled together, so that its own sums still fit. */
const scaled = (factor: number): ClaimInput => {
  const hours = [2.664e6, 119e3, 5e3].map((h) => h * factor);
  return {
    ...v3,
    stepSeconds: 19.926 * factor,
    stepParts: Object.fromEntries(
      Object.entries(v3.stepParts!).map(([name, seconds]) => [name, (seconds as number) * factor]),
    ),
    phases: v3.phases.map((phase, i) => ({ ...phase, gpuHours: hours[i], usd: hours[i]! * 2 })),
    stated: { gpuHours: 2.788e6 * factor, usd: 5.576e6 * factor },
  };
};
const run = (input: ClaimInput | Claim, change?: Partial<World>): AuditReport =>
  audit(parseClaim(input), { world: world(change) });
const check = (report: AuditReport, id: string) => report.checks.find((c) => c.id === id)!;
const rank = (report: AuditReport) => GRADES.indexOf(report.verdict.grade);

describe("audit of DeepSeek-V3", () => {
  const report = run(v3);

  it("finds the published figures again", () => {
    expect(check(report, "steps").numbers.worked).toBeCloseTo(2.6667e6, -3);
    expect(Math.abs(check(report, "steps").numbers.off!)).toBeLessThan(0.0015);
    expect(check(report, "flops-causal").numbers.worked! / 1e12).toBeCloseTo(386.5, 0);
    expect(check(report, "mfu-causal").numbers.worked).toBeCloseTo(0.3906, 3);
    expect(check(report, "mfu-full").numbers.worked).toBeCloseTo(0.4385, 3);
    expect(check(report, "peers").numbers.ratio).toBeCloseTo(1543.2 / 1297, 3);
    expect(check(report, "kernels").numbers.floorSeconds).toBeCloseTo(120 * 0.129, 6);
    expect(check(report, "pairs").numbers).toEqual({ pairs: 13.95 / 0.129, least: 97, most: 103 });
    expect(check(report, "step-parts").numbers.worked).toBeCloseTo(19.9, 6);
    expect(check(report, "layout").numbers).toEqual({ dp: 128, microBatches: 120 });
    expect(check(report, "calendar").numbers.days).toBeCloseTo(56.7, 1);
    expect(report.implied!.tokensPerSecondPerGpu).toBeCloseTo((14.8e12 + 2 * 62.9e9) / 2.783e6 / 3600, 0);
  });

  it("calls it plausible and aggressive, for two stated reasons", () => {
    expect(report.verdict.label).toBe("plausible, aggressive");
    expect(report.against.sort()).toEqual(["goodput", "peers"]);
    expect(report.for.length).toBeGreaterThanOrEqual(12);
  });

  it("gives bands that hold the claim and rise", () => {
    expect(report.hours.p10).toBeLessThan(report.hours.p50);
    expect(report.hours.p50).toBeLessThan(report.hours.p90);
    expect(report.hours.p10).toBeLessThan(2.788e6 * 1.06);
    expect(report.hours.p90).toBeLessThan(2.788e6 * 1.6);
    expect(report.hours.asStated).toBeGreaterThan(0.5);
    expect(report.hours.trusting).toBeGreaterThan(report.hours.asStated);
    const { finalRun, programme, ownership } = report.money;
    expect(finalRun.usd.p10).toBeLessThan(5.576e6);
    expect(finalRun.usd.p90).toBeGreaterThan(5.576e6);
    expect(programme.usd.p10).toBeGreaterThan(finalRun.usd.p50);
    expect(ownership!.usd.p10).toBeGreaterThan(2048 * 31_000);
  });

  it("weighs other explanations", () => {
    const [twice, fourTimes, other, mixed, fleet] = report.alternatives;
    expect(mixed!.needs.find(({ quantity }) => quantity.startsWith("days"))!.fits).toBe("same");
    expect(mixed!.likelihoodRatio).toBeGreaterThan(fleet!.likelihoodRatio);
    expect(twice!.fits).toBe("poorly");
    expect(fourTimes!.likelihoodRatio).toBeLessThan(twice!.likelihoodRatio);
    expect(other!.likelihoodRatio).toBeGreaterThan(twice!.likelihoodRatio);
    expect(fleet!.needs.find(({ quantity }) => quantity.startsWith("micro-batches"))!.fits).toBe("no");
    expect(fleet!.needs.find(({ quantity }) => quantity === "days, if all of them ran it")!.needed).toBe("2.3");
  });

  it("becomes a document that cites every source", () => {
    const text = auditMarkdown(report, "sumbi audit deepseek-v3");
    expect(text).toContain("## Verdict: plausible, aggressive");
    for (const { title } of report.sources) expect(text).toContain(title);
    expect(text).not.toMatch(/undefined|NaN|Infinity/);
  });
});

describe("the verdict follows from the checks", () => {
  const whole = run(v3);

  it("worsens as the hours shrink, even when every sum is made to fit", () => {
    const half = run(scaled(0.5));
    const quarter = run(scaled(0.25));
    expect(check(half, "steps").grade).toBe("ok");
    expect(rank(half)).toBeGreaterThan(rank(whole));
    expect(check(half, "kernels").grade).toBe("broken");
    expect(check(quarter, "peak").grade).toBe("broken");
    expect(half.hours.asStated).toBeLessThan(0.1);
    expect(half.hours.p50).toBeGreaterThan(0.75 * whole.hours.p50);
    expect(half.alternatives[0]!.likelihoodRatio).toBeGreaterThan(1);
  });

  it("without step, layout and trace, half the hours are still not shown", () => {
    const bare = (factor: number) => {
      const { stepSeconds: _s, trace: _t, layout: _l, schedule: _c, ...rest } = scaled(factor);
      return run(rest);
    };
    expect(bare(1).verdict.grade).toBe("aggressive");
    expect(bare(0.5).verdict.grade).toBe("unshown");
    expect(bare(0.25).verdict.grade).toBe("broken");
    expect(bare(2).verdict.grade).toBe("ok");
  });

  it("catches only half the hours halved: steps and dollars no longer fit", () => {
    const report = run({
      ...v3,
      phases: v3.phases.map((phase, i) => (i === 0 ? { ...phase, gpuHours: "1.332M" } : phase)),
    });
    expect(report.verdict.label).toBe("does not add up");
    for (const id of ["phases-sum", "steps", "per-trillion", "flops-causal"])
      expect(check(report, id).grade).toBe("broken");
  });

  it("catches a wrong sum of phases and a wrong product of price", () => {
    expect(check(run({ ...v3, stated: { ...v3.stated, gpuHours: "3.4M" } }), "phases-sum").grade).toBe("broken");
    expect(check(run({ ...v3, stated: { ...v3.stated, usd: "8M" } }), "price").grade).toBe("broken");
    expect(rank(run({ ...v3, stated: { ...v3.stated, gpuHours: "3.4M" } }))).toBeGreaterThan(rank(whole));
  });

  it("catches a batch or a layout that does not divide", () => {
    const batch = run({ ...v3, batch: 15000 });
    expect(check(batch, "layout").says).toContain("a batch of 15,000 does not divide by 128 pipelines");
    expect(batch.verdict.grade).toBe("broken");
    expect(check(run({ ...v3, layout: { pp: 12, ep: 64 } }), "layout").grade).toBe("broken");
    expect(check(run({ ...v3, layout: { pp: 16, ep: 96 } }), "layout").grade).toBe("broken");
    expect(check(run({ ...v3, batch: 2048 }), "layout").says).toContain(
      "16 micro-batches a pipeline are fewer than the 32",
    );
  });

  it("catches a model that does not fit, chips that were never free, and a chip younger than the claim", () => {
    const heavy = (total: number) => ({
      memory: () => ({ weights: total, gradients: 0, optimizer: 0, activations: 0, buffers: 0, total }),
    });
    expect(check(run(v3, heavy(120e9)), "memory").grade).toBe("broken");
    expect(check(run(v3, heavy(88e9)), "memory").grade).toBe("unshown");
    const h100 = run({ ...v3, chip: "h100" });
    expect(check(h100, "law").grade).toBe("unshown");
    expect(rank(h100)).toBeGreaterThan(rank(whole));
    expect(run({ ...v3, date: "2022-12-27", notBefore: undefined }).verdict.grade).toBe("broken");
    expect(check(run({ ...v3, notBefore: "2024-11-20" }), "calendar").grade).toBe("broken");
  });

  it("doubts what lies far below the prediction, never what lies above it", () => {
    const at = (p50: number) =>
      check(
        run(v3, {
          predict: (...of) => ({ ...world().predict(...of)!, gpuHours: { p10: p50 / 1.2, p50, p90: p50 * 1.2 } }),
        }),
        "prediction",
      ).grade;
    expect(at(2.7e6)).toBe("ok");
    expect(at(3.4e6)).toBe("aggressive");
    expect(at(4.5e6)).toBe("unshown");
    expect(at(1e6)).toBe("ok");
  });

  it("says 'not shown' where nothing sets hours against work", () => {
    const report = run({
      name: "x",
      who: "y",
      date: "2024-12-27",
      model: "deepseek-v3",
      chip: "h800",
      phases: [{ name: "all", kind: "other", gpuHours: 1000 }],
    });
    expect(report.verdict.label).toBe("not shown");
    expect(report.open).toContain("peak");
  });
});

describe("the bands' arithmetic", () => {
  it("has the normal distribution's quantiles, and a log-normal product's", () => {
    for (const [p, z] of [
      [0.5, 0],
      [0.9, 1.2816],
      [0.1, -1.2816],
      [0.975, 1.96],
      [0.99, 2.3263],
    ])
      expect(normalQuantile(p!)).toBeCloseTo(z!, 2);
    const band = quantiles(2, ([a, b]) => Math.exp(0.3 * normalQuantile(a!) + 0.4 * normalQuantile(b!)));
    expect(band.p50).toBeCloseTo(1, 2);
    expect(Math.log(band.p90)).toBeCloseTo(0.5 * 1.2816, 1);
    expect(Math.log(band.p10)).toBeCloseTo(-0.5 * 1.2816, 1);
  });

  const told = (estimates: Estimate[], more: Partial<Believed> = {}) =>
    believe({ stated: 100, lost: 1, sums: "ok", estimates, ...more });

  it("believes certain evidence, and stays with the prior without any", () => {
    const alone = told([]);
    expect(alone.asStated).toBeCloseTo(0.5, 1);
    expect(alone.trusting).toBeCloseTo(0.85, 1);
    const sure = told([{ name: "a", ratio: 1, sigma: 0.1 }]);
    expect(sure.asStated).toBeGreaterThan(0.7);
    expect(sure.trusting).toBeGreaterThan(0.94);
    const against = told([
      { name: "a", ratio: 2.5, sigma: 0.1 },
      { name: "b", ratio: 2.5, sigma: 0.1 },
    ]);
    expect(against.trusting).toBeLessThan(0.01);
    expect(against.p50).toBeGreaterThan(200);
    // Estimates that no hours of these could explain still compare, and the nearest hours are believed.
    const absurd = [{ name: "a", ratio: 1e6, sigma: 0.05 }];
    expect(told(absurd).p50).toBeGreaterThan(400);
    expect(likelihoodOfFactor(2, absurd)).toBeGreaterThan(1);
    expect(likelihoodOfFactor(2, [{ name: "a", ratio: 1e-6, sigma: 0.05 }])).toBeLessThan(1);
  });

  it("says no more than the evidence tells apart: wide estimates move the chance little", () => {
    const vague = told([{ name: "a", ratio: 1, sigma: 2 }]);
    expect(vague.asStated).toBeGreaterThan(0.45);
    expect(vague.asStated).toBeLessThan(0.6);
    const chances = [0.8, 1, 1.3, 1.8].map((ratio) => told([{ name: "a", ratio, sigma: 0.25 }]).asStated);
    expect(new Set(chances.map((chance) => chance.toFixed(2))).size).toBe(4);
  });

  it("holds no hours below what physics needs, however far that is from the claim", () => {
    for (const floor of [1.5, 192.76, 1e5]) {
      const far = told([{ name: "a", ratio: 1, sigma: 0.2 }], { floor });
      expect(far.p10).toBeGreaterThanOrEqual(99 * floor);
      expect(far.p90).toBeGreaterThan(far.p10);
      expect(far.trusting).toBeLessThan(1e-6);
    }
  });
});

describe("claims that were answered wrongly before", () => {
  /** A press figure for Kimi K2 that its makers disowned: $4.6M, on 2,048 GPUs. */
  const kimi: ClaimInput = {
    name: "kimi-k2-press",
    who: "the press",
    date: "2025-11-07",
    seat: "CN",
    model: "kimi-k2",
    tokens: "15.5T",
    sequence: 4096,
    chip: "h800",
    gpus: 2048,
    usdPerGpuHour: 2,
    phases: [{ name: "pre-training", kind: "pretrain", tokens: "15.5T", usd: "4.6M" }],
  };

  const estimateV3 = (constants: Constants): number =>
    plan(
      {
        model: presetConfig("deepseek-v3"),
        modelName: "deepseek-v3",
        tokens: 14.8e12,
        chip: chipOf("h800"),
        gpus: 2048,
        precision: "fp8",
        sequence: 4096,
        batch: 15360,
        mtp: true,
        schedule: "dualpipe",
        layout: { pp: 16, ep: 64, zero: 1, tp: 1, microBatch: 1 },
      },
      { constants },
    ).stepSeconds;

  it("Kimi K2 for $4.6M: below what the planner expects, and no 93 %", () => {
    const report = audit(parseClaim(kimi));
    expect(report.predicted!.gpuHours.p50).toBeGreaterThan(1.2 * report.hours.stated);
    expect(report.hours.asStated).toBeLessThan(0.6);
    expect(report.hours.p90).toBeGreaterThan(1.4 * report.hours.stated);
  });

  it("a claim at many times its chip's peak: hours start where physics does", () => {
    const bare = { ...kimi, gpus: undefined, phases: [{ ...kimi.phases[0]!, usd: undefined, gpuHours: 4000 }] };
    const report = run(bare, { predict: () => undefined });
    const share = check(report, "peak").numbers.share!;
    expect(share).toBeGreaterThan(100);
    expect(report.verdict.grade).toBe("broken");
    expect(report.hours.p10).toBeGreaterThan(0.99 * share * 4000);
    expect(report.hours.trusting).toBeLessThan(1e-6);
  });

  it("not every claim gets the same chance, and none more than one half without evidence", () => {
    const chances = ["deepseek-v3", "deepseek-v2", "llama-2-70b"].map((name) => audit(claimOf(name)).hours.asStated);
    expect(new Set(chances.map((chance) => chance.toFixed(2))).size).toBe(3);
    for (const chance of chances) expect(chance).toBeLessThan(0.9);
  });

  it("a price that does not follow from the hours is told, and does not damn them", () => {
    const priced = run({ ...v3, stated: { ...v3.stated, usd: "8M" } });
    expect(check(priced, "price").grade).toBe("broken");
    expect(priced.verdict.grade).toBe("aggressive");
    expect(priced.verdict.because).toContain("the money does not follow from the hours");
    expect(priced.hours.asStated).toBeCloseTo(run(v3).hours.asStated, 6);
  });

  it("V3 is predicted by constants that have not seen it", () => {
    const { constants } = LEFT_OUT["DeepSeek-V3"]!;
    const blind = audit(claimOf("deepseek-v3")).predicted!;
    expect(blind.stepSeconds).toBeCloseTo(estimateV3(constants), 6);
    expect(blind.stepSeconds).not.toBeCloseTo(estimateV3(CONSTANTS), 3);
  });
});

describe("with the real planner, chips, rules and prices", () => {
  it("V3 is plausible, half of it is not, and H100 in China is not shown", () => {
    const whole = audit(parseClaim(v3));
    expect(whole.verdict.label).toBe("plausible, aggressive");
    expect(whole.predicted!.how).toBe("Without lost time, as the claim counts. In the stated layout.");
    expect(check(whole, "memory").grade).toBe("ok");
    expect(check(whole, "law").says).toContain(
      "from 2023-03-01 to 2023-10-22 (ended by a letter to NVIDIA of 2023-10-23)",
    );
    expect(
      check(whole, "law")
        .sources.map(({ title }) => title)
        .join(),
    ).toContain("8-K of 2023-10-24");
    expect(check(whole, "law").short).toContain("to 2023-10-22");
    expect(
      whole.alternatives
        .flatMap(({ needs }) => needs)
        .filter(({ quantity }) => quantity.startsWith("lawfully"))
        .map(({ stated }) => stated),
    ).toEqual(["from 2023-03-01 to 2023-10-22", "from 2023-03-01 to 2023-10-22"]);
    expect(audit(parseClaim(scaled(0.5))).verdict.grade).toBe("broken");
    const h100 = audit(parseClaim({ ...v3, chip: "h100" }));
    expect(check(h100, "law").grade).toBe("unshown");
    expect(h100.verdict.label).toBe("not shown");
  });

  it("a layout that cannot hold the model is broken by its memory, few GPUs by the bare states", () => {
    const { trace: _t, layout: _l, ...rest } = v3;
    const small = { ...rest, gpus: 256, stepSeconds: undefined };
    const unsearched = { world: { ...realWorld, predict: () => undefined } };
    const report = audit(parseClaim({ ...small, layout: { pp: 2, ep: 8, zero: 1 }, schedule: "1f1b" }), unsearched);
    expect(check(report, "memory").numbers.share).toBeGreaterThan(1.2);
    expect(report.verdict.grade).toBe("broken");
    expect(check(audit(parseClaim({ ...small, gpus: 64 }), unsearched), "memory").says).toContain(
      "no layout can hold them",
    );
  });
});

describe("the other claims that ship", () => {
  it("R1 adds up: 512 GPUs, not 648, and more hours than its answers need", () => {
    const r1 = run(CLAIMS["deepseek-r1"]!);
    expect(check(r1, "wall-0").numbers).toMatchObject({ worked: 101_376, stated: 101_000 });
    expect(check(run({ ...CLAIMS["deepseek-r1"]!, gpus: 648 }), "wall-0").grade).toBe("broken");
    expect(check(r1, "rollouts-R1-Zero").numbers.fill).toBeLessThan(0.5);
    expect(check(r1, "clock-R1-Zero").numbers.secondsPerRollout).toBeCloseTo(1093, 0);
    expect(["adds up", "plausible, aggressive"]).toContain(r1.verdict.label);
    expect(r1.money.programme.usd.p50).toBeGreaterThan(5.576e6);
    const expecting = (p50: number) =>
      run(CLAIMS["deepseek-r1"]!, {
        predictAnswers: () => [
          { phase: "R1-Zero", gpuHours: { p10: p50 / 1.7, p50, p90: p50 * 1.7 }, says: "", sources: [] },
        ],
      });
    expect(check(expecting(90e3), "prediction-R1-Zero").grade).toBe("ok");
    expect(check(expecting(220e3), "prediction-R1-Zero").grade).toBe("aggressive");
    expect(expecting(500e3).verdict.grade).toBe("unshown");
    expect(expecting(500e3).hours.p90).toBeGreaterThan(2 * r1.hours.p50);
    const half = run({
      ...CLAIMS["deepseek-r1"]!,
      stated: {},
      phases: CLAIMS["deepseek-r1"]!.phases.map((p, i) => ({
        ...p,
        gpuHours: [50.5e3, 2.5e3, 20.5e3][i],
        hours: [99, undefined, 40][i],
        usd: undefined,
      })),
    });
    expect(check(half, "clock-R1-Zero").numbers.neededPerUser).toBeGreaterThan(
      2 * check(r1, "clock-R1-Zero").numbers.neededPerUser!,
    );
  });

  it("DeepSeek-V2 and Llama 2 add up", () => {
    const plain = { predict: () => undefined };
    for (const name of ["deepseek-v2", "llama-2-70b"])
      expect(run(claimOf(name), plain).verdict.label, name).toBe("adds up");
  });
});

describe("long steps", () => {
  it("pairs of a step too long to play follow from a shorter one", () => {
    const played = (schedule: "dualpipe" | "dualpipev", pp: number, microBatches: number) => {
      const stage = { forward: 1, backwardInput: 1, backwardWeight: 1, pair: 2.5 };
      const stages = Array.from({ length: schedule === "dualpipev" ? 2 * pp : pp }, () => stage);
      const counts = new Array<number>(pp).fill(0);
      for (const { kind, rank } of simulate({ schedule, stages, pp, vp: 1, microBatches, sendSeconds: 0 }).events)
        if (kind === "FB") counts[rank]!++;
      return counts;
    };
    for (const [pp, microBatches] of [
      [2, 30],
      [4, 60],
      [8, 66],
      [16, 120],
    ] as const)
      expect(pairsOf("dualpipe", pp, microBatches)).toEqual(played("dualpipe", pp, microBatches));
    for (const [pp, microBatches] of [
      [2, 31],
      [3, 40],
      [8, 67],
      [8, 100],
    ] as const)
      expect(pairsOf("dualpipev", pp, microBatches)).toEqual(played("dualpipev", pp, microBatches));
    expect(Math.min(...pairsOf("dualpipe", 16, 2 ** 40))).toBeGreaterThan(2 ** 39);
  });
});
