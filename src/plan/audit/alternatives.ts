/** What else could explain a claim's hours: understated hours, another chip, another fleet. */
import type { Chip, Source } from "../types.ts";
import { dayOf } from "./calendar.ts";
import type { ClaimAlternative } from "./claim.ts";
import { count, percent, signed, trim, usd, whole } from "./figures.ts";
import { type Estimate, likelihoodOfFactor } from "./hours.ts";
import type { Obtainable } from "./law.ts";
import { kernelFloorHours } from "./physics.ts";
import type { Alternative } from "./report.ts";
import { type Subject, stepsOf } from "./subject.ts";

type Need = Alternative["needs"][number];

/** What one published detail that strains, or contradicts, an explanation takes from its likelihood. */
const STRAINED = 0.5;
const CONTRADICTED = 0.1;
/** Power of a GPU server and its cooling over that of its GPUs alone. */
const AROUND_WATTS = 1.5;
const USD_PER_HOPPER = 33_500;

/** What explanations look up. */
export interface Surroundings {
  chipOf(id: string): Chip;
  obtainable(chip: Chip, seat: string | undefined, before: string): Obtainable;
  /** Predicted GPU-hours of pretraining on a chip, in the claim's layout where that works. */
  predictOn(chip: Chip): number | undefined;
}

/** Those the claim brings, or that its hours are half or a quarter of the truth. */
export function explain(subject: Subject, estimates: Estimate[], world: Surroundings): Alternative[] {
  const asked: ClaimAlternative[] = subject.claim.alternatives ?? [
    { kind: "understated", factor: 2 },
    { kind: "understated", factor: 4 },
  ];
  return asked.map((alternative) => {
    if (alternative.kind === "understated") return understated(subject, alternative.factor, estimates);
    if (alternative.kind === "chip") return otherChip(subject, world.chipOf(alternative.chip), world);
    if (alternative.kind === "mixed")
      return mixed(
        subject,
        alternative.fleet.map(({ chip, gpus }) => ({ chip: world.chipOf(chip), gpus })),
        alternative.source,
        world,
      );
    return fleet(subject, world.chipOf(alternative.chip), alternative.gpus, alternative.source, world);
  });
}

const weigh = (needs: Need[]) =>
  needs.reduce((a, { fits }) => a * (fits === "strained" ? STRAINED : fits === "no" ? CONTRADICTED : 1), 1);

const fitsOf = (ratio: number): Alternative["fits"] =>
  ratio > 1.6 ? "better" : ratio >= 0.6 ? "as well" : ratio >= 0.15 ? "partly" : "poorly";

function understated(subject: Subject, factor: number, estimates: Estimate[]): Alternative {
  const { claim, chip, pretrain, gpuHours } = subject;
  const needs: Need[] = [
    { quantity: "GPU-hours", stated: count(gpuHours), needed: count(gpuHours * factor), fits: "same" },
  ];
  const sources: Source[] = [...claim.sources];
  if (pretrain) {
    const rate = pretrain.tokens / pretrain.gpuHours / 3600;
    const mfu = pretrain.causal / pretrain.gpuHours / 3600 / chip.bf16FlopsPerSec;
    needs.push({ quantity: "tokens/s/GPU", stated: whole(rate), needed: whole(rate / factor), fits: "same" });
    needs.push({
      quantity: "MFU (causal, BF16 peak)",
      stated: percent(mfu),
      needed: percent(mfu / factor),
      fits: mfu / factor < 0.12 ? "strained" : "same",
    });
    const steps = stepsOf(subject);
    if (steps && claim.gpus) {
      const step = (pretrain.gpuHours * 3600 * factor) / steps / claim.gpus;
      if (claim.stepSeconds) {
        const match = step / claim.stepSeconds;
        needs.push({
          quantity: "step, published apart from the hours",
          stated: `${trim(claim.stepSeconds)} s`,
          needed: `${trim(step)} s`,
          fits: Math.abs(match - 1) < 0.1 ? "yes" : "strained",
        });
      }
      const floor = kernelFloorHours(subject);
      if (floor)
        needs.push({
          quantity: "of it spent in the published kernels",
          stated: percent((floor.seconds / step) * factor, 0),
          needed: percent(floor.seconds / step, 0),
          fits: floor.seconds / step < 0.5 ? "strained" : "yes",
        });
    }
  }
  if (claim.gpus) {
    const days = (gpuHours * factor) / claim.gpus / 24;
    const room = claim.notBefore ? dayOf(claim.date) - dayOf(claim.notBefore) : undefined;
    needs.push({
      quantity: `days on ${whole(claim.gpus)} GPUs`,
      stated: trim(days / factor),
      needed: trim(days) + (room ? ` of ${room}` : ""),
      fits: room !== undefined && days > room ? "no" : room !== undefined && days > 0.7 * room ? "strained" : "same",
    });
  }
  const ratio = likelihoodOfFactor(factor, estimates) * weigh(needs);
  return {
    name: `The hours are understated ${trim(factor)} times`,
    says: `Then the run was ${trim(factor)} times slower than it says${estimates.length > 0 ? `; independent estimates ${ratio > 1 ? "favour that" : "speak for the stated hours"}` : ""}.`,
    needs,
    likelihoodRatio: ratio,
    fits: fitsOf(ratio),
    sources,
  };
}

function otherChip(subject: Subject, chip: Chip, world: Surroundings): Alternative {
  const { claim } = subject;
  const on = world.predictOn(chip);
  const own = world.predictOn(subject.chip);
  const legal = world.obtainable(chip, claim.seat, claim.date);
  const needs: Need[] = [
    {
      quantity: "BF16 peak",
      stated: `${trim(subject.chip.bf16FlopsPerSec / 1e12)} TFLOP/s`,
      needed: `${trim(chip.bf16FlopsPerSec / 1e12)} TFLOP/s`,
      fits: "same",
    },
    {
      quantity: "link",
      stated: `${trim(subject.chip.linkBytesPerSec / 1e9)} GB/s`,
      needed: `${trim(chip.linkBytesPerSec / 1e9)} GB/s`,
      fits: "same",
    },
  ];
  if (on && own)
    needs.push({
      quantity: "predicted GPU-hours",
      stated: count(own, 3),
      needed: `${count(on, 3)} (${signed(on / own - 1)})`,
      fits: "same",
    });
  if (legal.known)
    needs.push({
      quantity: `lawfully to be had in ${claim.seat}`,
      stated: world.obtainable(subject.chip, claim.seat, claim.date).short,
      needed: legal.short,
      fits: legal.ever ? "same" : "strained",
    });
  if (chip.linkBytesPerSec > 1.5 * subject.chip.linkBytesPerSec && claim.layout && (claim.layout.tp ?? 1) === 1)
    needs.push({
      quantity: "design",
      stated: "no tensor parallelism, which suits narrow links",
      needed: "wide links would have paid for it",
      fits: "strained",
    });
  const ratio = weigh(needs);
  const apart = on && own ? Math.abs(on / own - 1) : undefined;
  return {
    name: `It ran on ${chip.name}, not ${subject.chip.name}`,
    says: `Hours cannot tell the two apart${apart !== undefined ? ` (predictions differ by ${percent(apart, 0)})` : ""}: the arithmetic is the same. It would change how the chips were come by, not how many hours the run took.`,
    needs,
    likelihoodRatio: ratio,
    fits: fitsOf(ratio),
    sources: chip.sources,
  };
}

function fleet(
  subject: Subject,
  chip: Chip,
  gpus: number,
  source: Source | undefined,
  world: Surroundings,
): Alternative {
  const { claim, pretrain } = subject;
  const hours = subject.gpuHours;
  const legal = world.obtainable(chip, claim.seat, claim.date);
  const days = hours / gpus / 24;
  const needs: Need[] = [
    {
      quantity: "days, if all of them ran it",
      stated: claim.gpus ? trim(hours / claim.gpus / 24) : "?",
      needed: trim(days, 2),
      fits: "same",
    },
    {
      quantity: "power",
      stated: claim.gpus ? `${trim((claim.gpus * subject.chip.watts * AROUND_WATTS) / 1e6, 2)} MW` : "?",
      needed: `${trim((gpus * chip.watts * AROUND_WATTS) / 1e6, 2)} MW`,
      fits: "same",
    },
    {
      quantity: "price of the chips",
      stated: claim.gpus ? usd(claim.gpus * USD_PER_HOPPER, 2) : "?",
      needed: usd(gpus * USD_PER_HOPPER, 2),
      fits: "same",
    },
  ];
  if (claim.batch && pretrain) {
    const pp = claim.layout?.pp ?? 1;
    const perPipeline = (claim.batch * pp) / gpus;
    needs.push({
      quantity: "micro-batches a pipeline, if all ran it",
      stated: claim.gpus ? trim((claim.batch * pp) / claim.gpus) : "?",
      needed: trim(perPipeline, 2),
      fits: perPipeline < 2 * pp ? "no" : "yes",
    });
  }
  if (claim.notBefore) {
    const room = dayOf(claim.date) - dayOf(claim.notBefore);
    needs.push({
      quantity: `GPU-hours they gave in the ${room} days before`,
      stated: count(hours, 3),
      needed: count(gpus * room * 24, 3),
      fits: "same",
    });
  }
  if (legal.known)
    needs.push({
      quantity: `lawfully to be had in ${claim.seat}`,
      stated: world.obtainable(subject.chip, claim.seat, claim.date).short,
      needed: legal.short,
      fits: legal.ever ? "same" : "strained",
    });
  const ratio = weigh(needs);
  return {
    name: `${whole(gpus)} ${chip.name} ran it${claim.gpus ? `, not ${whole(claim.gpus)}` : ""}`,
    says: `All of them could hardly run one batch at once. That such a fleet stood beside the run no hour of it can show or exclude: the run needs ${claim.gpus ? percent(claim.gpus / gpus, 0) : "a part"} of it, and its price would belong to the programme.`,
    needs,
    likelihoodRatio: ratio,
    fits: fitsOf(ratio),
    sources: [...(source ? [source] : []), ...chip.sources],
  };
}

/**
 * A fleet of several kinds of chips stood beside the run. One step in lockstep would go at the slowest kind's pace, so the run itself sits on one kind; the rest is the
 * programme's. The kind that the claim names has to be in it, and to be enough.
 */
function mixed(
  subject: Subject,
  parts: { chip: Chip; gpus: number }[],
  source: Source | undefined,
  world: Surroundings,
): Alternative {
  const { claim, chip, gpuHours } = subject;
  const own = parts.find((part) => part.chip.id === chip.id);
  const all = parts.reduce((a, { gpus }) => a + gpus, 0);
  const needs: Need[] = parts.map((part) => {
    const legal = world.obtainable(part.chip, claim.seat, claim.date);
    return {
      quantity: `${whole(part.gpus)} ${part.chip.name}, lawfully to be had${claim.seat ? ` in ${claim.seat}` : ""}`,
      stated: part.chip.id === chip.id && claim.gpus ? `${whole(claim.gpus)} of them` : "none",
      needed: legal.known ? legal.short : "not known",
      fits: legal.known && !legal.ever ? "strained" : "same",
    };
  });
  needs.push({
    quantity: "days of the run on its own kind of chips",
    stated: claim.gpus ? trim(gpuHours / claim.gpus / 24) : "?",
    needed: own ? trim(gpuHours / own.gpus / 24, 2) : "none of that kind",
    fits: own && own.gpus >= (claim.gpus ?? 0) ? "same" : "no",
  });
  needs.push({
    quantity: "price of the chips",
    stated: claim.gpus ? usd(claim.gpus * USD_PER_HOPPER, 2) : "?",
    needed: usd(all * USD_PER_HOPPER, 2),
    fits: "same",
  });
  const ratio = weigh(needs);
  const names = parts.map((part) => `${count(part.gpus)} ${part.chip.name}`).join(", ");
  return {
    name: `${names} stood beside it`,
    says: `The run needs ${own && claim.gpus ? percent(claim.gpus / own.gpus, 0) : "none"} of the ${chip.name} in it, so its hours are the same with the fleet or without. What such a fleet costs (about ${usd(all * USD_PER_HOPPER, 2)} of chips) is the programme's and the firm's, and no figure of the run speaks of it.`,
    needs,
    likelihoodRatio: ratio,
    fits: fitsOf(ratio),
    sources: [...(source ? [source] : []), ...parts.flatMap((part) => part.chip.sources)],
  };
}
