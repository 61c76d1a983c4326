/** What an audit asks of the planner: predictions, memory, prices, law. */
import { ConfigError } from "../../errors.ts";
import { mtpDepth } from "../../model/config.ts";
import { LEFT_OUT } from "../accuracy/residuals.ts";
import { chipOf } from "../chips.ts";
import { layoutProblem, layoutText, UNSPREAD } from "../layouts.ts";
import { planPhases } from "../phases.ts";
import { plan } from "../plan.ts";
import { purchasePrice, rentalRate } from "../prices.ts";
import { jobOf } from "../question.ts";
import { obtainable } from "../rules/index.ts";
import { stepMemory } from "../step.ts";
import type { Chip, Layout, MemoryBytes, PlanQuestion } from "../types.ts";
import type { Claim } from "./claim.ts";
import { whole } from "./figures.ts";
import type { Obtainable } from "./law.ts";
import { predictionOf } from "./prediction.ts";
import type { PurchaseBand, RentalBand } from "./programme.ts";
import type { AnswersPrediction } from "./reinforcement.ts";
import type { Prediction } from "./report.ts";
import { type Subject, stepsOf } from "./subject.ts";

/** What an audit looks up outside the claim; replaceable, so that each rule can be tested with figures of its own. */
export interface World {
  chipOf(id: string): Chip;
  obtainable(chip: Chip, seat: string | undefined, before: string): Obtainable;
  /** Pretraining as the planner expects it on a chip; undefined where it has no answer. */
  predict(subject: Subject, chip: Chip): Prediction | undefined;
  /** Phases of reinforcement learning as the planner expects them. */
  predictAnswers(subject: Subject): AnswersPrediction[];
  /** A GPU's memory in the layout that the claim states; undefined where it states none that can run. */
  memory(subject: Subject): MemoryBytes | undefined;
  rental(chip: Chip): RentalBand;
  purchase(chip: Chip): PurchaseBand | undefined;
}

/** GPUs taken where a claim does not say how many. */
const STAND_IN_GPUS = 1024;

/** A date that names only a year or a month, as the day it ends with: what was published "in 2024" was so by its last day. */
const lastDay = (date: string): string =>
  date.length === 10 ? date : date.length === 4 ? `${date}-12-31` : `${date}-28`;

/** Claims whose runs are among the rows that the planner is fitted on: they are judged by constants and bands without their family. */
const FAMILIES: Record<string, string> = {
  "deepseek-v3": "DeepSeek-V3",
  "deepseek-r1": "DeepSeek-V3",
  "deepseek-v2": "DeepSeek 2024",
  "llama-2-70b": "Llama 2",
};

const predicted = new WeakMap<Claim, Map<string, Prediction | undefined>>();

/** The claim's pretraining as a question to the planner: in its layout if it states one that the planner can run, else in the best. */
function predict(subject: Subject, chip: Chip): Prediction | undefined {
  const { claim } = subject;
  const known = predicted.get(claim) ?? new Map<string, Prediction | undefined>();
  predicted.set(claim, known);
  if (!known.has(chip.id)) known.set(chip.id, ask(subject, chip));
  return known.get(chip.id);
}

function ask(subject: Subject, chip: Chip): Prediction | undefined {
  const { claim, pretrain } = subject;
  if (!pretrain) return undefined;
  const gpus = claim.gpus ?? STAND_IN_GPUS;
  const steps = stepsOf(subject);
  const noneLost =
    claim.stepSeconds &&
    steps &&
    claim.gpus &&
    (steps * claim.stepSeconds * claim.gpus) / 3600 / pretrain.gpuHours > 0.97;
  const question = { ...questionOf(subject, chip, gpus), goodput: noneLost ? 1 : undefined };
  const blind = LEFT_OUT[FAMILIES[claim.name] ?? ""];
  const assumed = `${claim.gpus ? "" : `Reckoned on ${whole(gpus)} GPUs, since the claim names no number. `}${noneLost ? "Without lost time, as the claim counts. " : ""}`;
  const fixed =
    claim.layout || claim.schedule ? { ...question, layout: claim.layout, schedule: claim.schedule } : undefined;
  if (fixed) {
    try {
      return predictionOf(plan(fixed, blind), `${assumed}In the stated layout.`);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }
  try {
    const best = plan({ ...question, schedule: claim.schedule }, blind);
    const how = `${assumed}${fixed ? "The stated layout does not work for the planner; in" : "In"} the best it finds, ${layoutText(best.layout)}.`;
    return { ...predictionOf(best, how), memoryBytes: undefined };
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/** Drafts by the MTP module of a model that has one: 85 to 90 % accepted (arXiv:2412.19437 §5.4.3). */
const SPECULATION = { acceptance: 0.87, drafted: 1 };

/** Reinforcement learning by the planner's own model of rollouts; nothing where the claim does not say enough. */
function predictAnswers({ claim, config, chip }: Subject): AnswersPrediction[] {
  const speculation = mtpDepth(config) > 0 ? SPECULATION : undefined;
  return claim.phases.flatMap(
    ({
      name,
      kind,
      gpus = claim.gpus,
      steps,
      outputsPerStep,
      outputsPerRollout = outputsPerStep,
      meanTokens,
      maxTokens,
    }) => {
      if (
        kind !== "rl" ||
        !gpus ||
        !steps ||
        !outputsPerStep ||
        !outputsPerRollout ||
        !meanTokens ||
        !maxTokens ||
        meanTokens >= maxTokens
      )
        return [];
      const question = {
        model: config,
        modelName: claim.title ?? claim.name,
        tokens: 1,
        chip,
        gpus,
        precision: claim.precision,
        mtp: claim.mtp,
        usdPerGpuHour: 1,
      };
      try {
        const { phases, sources } = planPhases(
          question,
          [
            {
              kind: "grpo",
              name,
              steps,
              outputsPerStep,
              outputsPerRollout,
              meanTokens,
              maxTokens,
              sources: claim.sources,
            },
          ],
          { speculation },
        );
        const { gpuHours, low, high, says } = phases[0]!;
        return [{ phase: name, gpuHours: { p10: gpuHours * low, p50: gpuHours, p90: gpuHours * high }, says, sources }];
      } catch (error) {
        if (error instanceof ConfigError) return [];
        throw error;
      }
    },
  );
}

/** Memory in the stated layout: as predicted where it fits, else the least it can take; undefined where the layout cannot run at all. */
function memory(subject: Subject): MemoryBytes | undefined {
  const { claim } = subject;
  if (!claim.layout || !subject.pretrain || !claim.gpus) return undefined;
  const job = jobOf({ ...questionOf(subject, subject.chip, claim.gpus), schedule: claim.schedule }, claim.gpus);
  const { tp = 1, cp = 1, pp = 1, dp = claim.gpus / (tp * cp * pp) } = claim.layout;
  const layout: Layout = { ...UNSPREAD, recompute: "full", ...claim.layout, tp, cp, pp, dp };
  if (layoutProblem(job, layout) !== undefined) return undefined;
  const least = stepMemory(job, layout);
  return least.total > job.cluster.chip.hbmBytes ? least : (predict(subject, subject.chip)?.memoryBytes ?? least);
}

const questionOf = ({ claim, config, pretrain }: Subject, chip: Chip, gpus: number): PlanQuestion => ({
  model: config,
  modelName: claim.title ?? claim.name,
  tokens: pretrain!.tokens,
  chip,
  gpus,
  sequence: pretrain!.sequence,
  batch: claim.batch,
  precision: claim.precision,
  mtp: claim.mtp,
});

/** A chip's own price, or that of the chip with the same arithmetic that is on every list. */
const sameArithmetic = (chip: Chip): Chip | undefined =>
  ["h100", "a100-80"]
    .map(chipOf)
    .find(({ bf16FlopsPerSec }) => Math.abs(bf16FlopsPerSec / chip.bf16FlopsPerSec - 1) < 0.05);

/** The chip table, the export rules, the price lists and the planner, as an audit asks them. */
export const realWorld: World = {
  chipOf,
  obtainable: (chip, seat, before) =>
    seat === undefined
      ? { known: false, ever: false, short: "seat not stated", sources: [] }
      : obtainable(chip, seat, lastDay(before)),
  predict,
  predictAnswers,
  memory,
  rental: (chip) => {
    const own = rentalRate(chip);
    const like = sameArithmetic(chip);
    const index = like?.id === "h100" ? rentalRate(like, { provider: "index", date: "2025-10" }) : undefined;
    return {
      from: Math.min(own.low, index?.low ?? own.low),
      to: own.high,
      sources: [...own.sources, ...(index?.sources ?? [])],
    };
  },
  purchase: (chip) => {
    const own = purchasePrice(chip);
    if (own) return { ...own, whose: chip.name };
    const like = sameArithmetic(chip);
    const price = like && purchasePrice(like);
    return price && { ...price, whose: like.name.replace(/ SXM\d?/, "") };
  },
};
