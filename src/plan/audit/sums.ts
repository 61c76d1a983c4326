/** Checks of an audit: whether a claim's own numbers agree with each other. */
import { GOODPUT_SOURCES } from "../goodput.ts";
import { count, gradeUpTo, percent, signed, trim, usd, whole } from "./figures.ts";
import type { Check, Grade, Topic } from "./report.ts";
import { type Subject, stepsOf } from "./subject.ts";

/**
 * How far two numbers of one claim may differ: rounding, then sloppiness, then doubt. Published tables round to
 * two or three figures, so a hundredth and a half is nothing.
 */
const SUM_LIMITS = { ok: 0.015, aggressive: 0.05, unshown: 0.15 } as const;

const gradeOf = (worked: number, stated: number): Grade => gradeUpTo(Math.abs(worked / stated - 1), SUM_LIMITS);

function compare(
  of: Topic | { topic: Topic; part: string | number },
  title: string,
  worked: number,
  stated: number,
  equation: string,
  show: (n: number) => string,
  subject: Subject,
): Check {
  const off = worked / stated - 1;
  const topic = typeof of === "string" ? of : of.topic;
  return {
    id: typeof of === "string" ? of : `${of.topic}-${of.part}`,
    topic,
    kind: "sums",
    title,
    grade: gradeOf(worked, stated),
    says: `${equation} = ${show(worked)}; stated ${show(stated)} (${signed(off)}).`,
    short: `${equation} = ${show(worked)} (stated ${show(stated)}, ${signed(off)})`,
    numbers: { worked, stated, off },
    sources: subject.claim.sources,
  };
}

/** Whether the claim's own numbers fit each other. Each check exists only where the claim states both sides. */
export function checkSums(subject: Subject): Check[] {
  const { claim, phases, pretrain, chip } = subject;
  const { stated } = claim;
  const checks: Check[] = [];
  const hoursOf = (n: number) => `${count(n)} GPU-h`;

  if (stated.gpuHours && phases.length > 0)
    checks.push(
      compare(
        "phases-sum",
        "sum of the phases",
        subject.gpuHours,
        stated.gpuHours,
        phases.map((p) => count(p.gpuHours)).join(" + "),
        hoursOf,
        subject,
      ),
    );

  if (claim.usdPerGpuHour) {
    const price = claim.usdPerGpuHour;
    const off = phases.filter((p) => p.usd !== undefined).map((p) => ({ ...p, gap: (p.gpuHours * price) / p.usd! }));
    // A phase's dollars may be rounded to one figure: half a unit of the last place stated is allowed for.
    const paid = off.reduce((a, p) => a + p.usd!, 0);
    const worked = off.reduce((a, p) => a + p.gpuHours * price, 0);
    const total = stated.usd ?? (off.length > 0 ? paid : undefined);
    if (total !== undefined)
      checks.push(
        compare(
          "price",
          "hours × price",
          stated.usd ? subject.gpuHours * price : worked,
          total,
          `${count(stated.usd ? subject.gpuHours : worked / price)} h × $${trim(price)}`,
          usd,
          subject,
        ),
      );
    if (stated.usd && off.length === phases.length && off.length > 1)
      checks.push(
        compare(
          "dollars-sum",
          "sum of the phases' dollars",
          paid,
          stated.usd,
          off.map((p) => usd(p.usd!)).join(" + "),
          usd,
          subject,
        ),
      );
  }

  claim.phases.forEach((phase, i) => {
    const wall = phase.hours ?? (phase.days !== undefined ? phase.days * 24 : undefined);
    const gpus = phase.gpus ?? claim.gpus;
    if (wall !== undefined && phase.gpuHours !== undefined && gpus !== undefined)
      checks.push(
        compare(
          { topic: "wall", part: i },
          `${phase.name}: wall time × GPUs`,
          wall * gpus,
          phase.gpuHours,
          `${trim(wall, 4)} h × ${whole(gpus)}`,
          hoursOf,
          subject,
        ),
      );
  });

  if (pretrain) {
    const trillions = pretrain.tokens / 1e12;
    if (stated.gpuHoursPerTrillionTokens)
      checks.push(
        compare(
          "per-trillion",
          "hours per trillion tokens",
          stated.gpuHoursPerTrillionTokens * trillions,
          pretrain.gpuHours,
          `${count(stated.gpuHoursPerTrillionTokens)} × ${trim(trillions)}`,
          hoursOf,
          subject,
        ),
      );
    if (stated.daysPerTrillionTokens && claim.gpus)
      checks.push(
        compare(
          "days",
          "days per trillion tokens",
          pretrain.gpuHours / claim.gpus / 24 / trillions,
          stated.daysPerTrillionTokens,
          `${count(pretrain.gpuHours)} ÷ ${whole(claim.gpus)} ÷ 24 ÷ ${trim(trillions)}`,
          (n) => `${trim(n)} days`,
          subject,
        ),
      );
    if (stated.days && claim.gpus)
      checks.push(
        compare(
          "days",
          "days on the GPUs",
          subject.gpuHours / claim.gpus / 24,
          stated.days,
          `${count(subject.gpuHours)} ÷ ${whole(claim.gpus)} ÷ 24`,
          (n) => `${trim(n)} days`,
          subject,
        ),
      );
    const steps = stepsOf(subject);
    if (claim.stepSeconds && steps && claim.gpus)
      checks.push(
        compare(
          "steps",
          "steps × step time × GPUs",
          (steps * claim.stepSeconds * claim.gpus) / 3600,
          pretrain.gpuHours,
          `${whole(steps)} steps × ${trim(claim.stepSeconds, 5)} s × ${whole(claim.gpus)}`,
          hoursOf,
          subject,
        ),
      );
    if (claim.stepSeconds && claim.stepParts) {
      const parts = Object.values(claim.stepParts);
      checks.push(
        compare(
          "step-parts",
          "parts of a step",
          parts.reduce((a, b) => a + b, 0),
          claim.stepSeconds,
          parts.map((n) => trim(n, 4)).join(" + "),
          (n) => `${trim(n, 5)} s`,
          subject,
        ),
      );
    }
    const seconds = pretrain.gpuHours * 3600;
    const rate = pretrain.tokens / seconds;
    if (stated.tokensPerSecondPerGpu)
      checks.push(
        compare(
          "rate",
          "tokens a second",
          rate,
          stated.tokensPerSecondPerGpu,
          `${count(pretrain.tokens)} ÷ ${count(pretrain.gpuHours)} h`,
          (n) => `${whole(n)} tokens/s/GPU`,
          subject,
        ),
      );
    const flops = (
      topic: "flops" | "mfu",
      part: "causal" | "full",
      what: string,
      work: number,
      said: number | undefined,
      scale: number,
      show: (n: number) => string,
    ) => {
      if (said !== undefined)
        checks.push(
          compare(
            { topic, part },
            `FLOPs, ${what}`,
            work / seconds / scale,
            said,
            `${count(pretrain.tokens)} × ${trim(work / pretrain.tokens / 1e9, 4)} GFLOP ÷ ${count(pretrain.gpuHours)} h`,
            show,
            subject,
          ),
        );
    };
    const tera = (n: number) => `${trim(n / 1e12)} TFLOP/s`;
    flops("flops", "causal", "causal", pretrain.causal, stated.flopsPerSecCausal, 1, tera);
    flops("flops", "full", "whole attention square", pretrain.full, stated.flopsPerSecFull, 1, tera);
    flops(
      "mfu",
      "causal",
      "causal, of the BF16 peak",
      pretrain.causal,
      stated.mfuCausal,
      chip.bf16FlopsPerSec,
      percent,
    );
    flops(
      "mfu",
      "full",
      "whole square, of the BF16 peak",
      pretrain.full,
      stated.mfuFull,
      chip.bf16FlopsPerSec,
      percent,
    );
  }
  return checks;
}

/** Whether the hours hold any lost time: steps × step time beside the stated hours. */
export function checkGoodput(subject: Subject): Check[] {
  const { claim, pretrain } = subject;
  const steps = stepsOf(subject);
  if (!claim.stepSeconds || !steps || !claim.gpus || !pretrain) return [];
  const goodput = (steps * claim.stepSeconds * claim.gpus) / 3600 / pretrain.gpuHours;
  const none = goodput > 0.97;
  return [
    {
      id: "goodput",
      topic: "goodput",
      kind: "sums",
      title: "lost time",
      grade: none ? "aggressive" : "ok",
      says: none
        ? `Steps alone fill ${percent(goodput)} of the hours: no failure, restart or evaluation is counted. Runs that publish their goodput speak of over 90 %, so the true bill is likely some per cent higher.`
        : `Steps fill ${percent(goodput)} of the hours; the rest is room for failures and restarts.`,
      short: none
        ? `no lost time in the hours (goodput ${percent(goodput)}; others say over 90 %)`
        : `goodput ${percent(goodput)}`,
      numbers: { goodput },
      sources: [
        GOODPUT_SOURCES[0]!,
        {
          title: "MegaScale (over 90 % effective training time on 12,288 GPUs), arXiv:2402.15627",
          date: "2024-02-23",
          mark: "secondary",
          url: "https://arxiv.org/abs/2402.15627",
        },
        ...claim.sources,
      ],
    },
  ];
}

/** How much of the hours comes with work that can be counted; the rest is taken on its word. */
export function checkCovered(subject: Subject): Check[] {
  const open = subject.phases.filter((phase, i) => {
    const { steps, outputsPerStep, meanTokens } = subject.claim.phases[i]!;
    return !phase.work && !(phase.kind === "rl" && steps && outputsPerStep && meanTokens);
  });
  const share = 1 - open.reduce((a, { gpuHours }) => a + gpuHours, 0) / subject.gpuHours;
  if (share === 0) return [];
  const rest = open.map(({ name, gpuHours }) => `${name} ${count(gpuHours)} h`).join(", ");
  return [
    {
      id: "covered",
      topic: "covered",
      kind: "sums",
      title: "share of the hours that can be counted",
      grade: share >= 0.6 ? "ok" : share >= 0.3 ? "aggressive" : "unshown",
      says: `${percent(share)} of the hours come with tokens or answers that can be counted${open.length > 0 ? `; the rest is taken on its word (${rest})` : ""}.`,
      short: `${percent(share)} of the hours come with work to count${open.length > 0 ? `; on their word: ${rest}` : ""}`,
      numbers: { share },
      sources: subject.claim.sources,
    },
  ];
}
