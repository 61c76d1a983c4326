/** The audit of a claim: every check made, believed hours, money, a verdict. */
import type { ModelConfig } from "../../model/config.ts";
import { CHANCE_RESTS } from "../band.ts";
import type { Chip, Source } from "../types.ts";
import { explain } from "./alternatives.ts";
import { checkCalendar } from "./calendar.ts";
import { type Claim, claimConfig } from "./claim.ts";
import { count, percent, trim, usd, whole } from "./figures.ts";
import { believe, type Estimate, PRIORS, worstOf } from "./hours.ts";
import { checkLaw } from "./law.ts";
import { checkPeers, comparePeers } from "./peers.ts";
import {
  checkKernels,
  checkLayout,
  checkMemory,
  checkPairs,
  checkPeak,
  kernelFloorHours,
  peakFloor,
} from "./physics.ts";
import { checkPrediction, spreadOf } from "./prediction.ts";
import { costs, leftOut } from "./programme.ts";
import { answerEstimates, checkAnswers, checkRollouts } from "./reinforcement.ts";
import type { AuditReport, Check } from "./report.ts";
import { type Subject, subjectOf } from "./subject.ts";
import { checkCovered, checkGoodput, checkSums } from "./sums.ts";
import { judge } from "./verdict.ts";
import { realWorld, type World } from "./world.ts";

export interface AuditOptions {
  /** The model, where the claim names a file that only the caller can read. */
  config?: ModelConfig;
  world?: World;
}

/**
 * Works a claim out again and says how far it can be believed (docs/decisions/044-audit.md has the rules). Pure; a search of layouts
 * may take some seconds where the claim fixes none. Throws ConfigError for an unknown model or chip.
 */
export function audit(claim: Claim, { config, world: given = realWorld }: AuditOptions = {}): AuditReport {
  const world: World = { ...given, chipOf: (id) => plainName(given.chipOf(id)) };
  const subject = subjectOf(claim, config ?? claimConfig(claim), world.chipOf(claim.chip));
  const { chip, pretrain, counted } = subject;
  const predicted = pretrain && world.predict(subject, chip);
  const answers = world.predictAnswers(subject);
  const goodput = checkGoodput(subject);
  const checks: Check[] = [
    ...checkSums(subject),
    ...goodput,
    ...checkCovered(subject),
    ...(counted || claim.phases.every(({ kind }) => kind !== "rl") ? checkPeak(subject) : []),
    ...checkKernels(subject),
    ...checkPairs(subject),
    ...checkLayout(subject),
    ...checkMemory(subject, world.memory(subject)),
    ...checkRollouts(subject),
    ...checkAnswers(subject, answers),
    ...checkPrediction(subject, predicted),
    ...checkPeers(subject),
    ...checkCalendar(subject),
    ...checkLaw(subject, world.obtainable(chip, claim.seat, claim.date)),
  ];

  const peers = comparePeers(subject);
  // What the same makers said of earlier runs is shown beside the claim, but is no independent evidence for it.
  const estimates: Estimate[] = peers
    .filter(({ own, kin }) => !own && kin)
    .map(({ name, ratio, sigma }) => ({ name, ratio, sigma }));
  if (predicted)
    estimates.push({
      name: "prediction",
      ratio: predicted.gpuHours.p50 / pretrain!.gpuHours,
      sigma: spreadOf(predicted),
    });
  estimates.push(...answerEstimates(subject, answers));

  const floor = kernelFloorHours(subject);
  const lost = goodput.some(({ grade }) => grade === "aggressive");
  const stated = claim.stated.gpuHours ?? subject.gpuHours;
  const sums = worstOf(checks, ["sums"]);
  const { asStated, trusting, ...band } = believe({
    stated,
    lost: lost ? 1 / (predicted?.steadyShare ?? 0.95) : 1,
    sums,
    estimates,
    floor: Math.max(peakFloor(subject), floor && pretrain ? floor.gpuHours / pretrain.gpuHours : 0),
  });
  const statedUsd = claim.stated.usd ?? (claim.usdPerGpuHour ? stated * claim.usdPerGpuHour : undefined);
  const alternatives = explain(subject, estimates, {
    chipOf: world.chipOf,
    obtainable: world.obtainable,
    predictOn: (other) => (pretrain ? world.predict(subject, other)?.gpuHours.p50 : undefined),
  });
  const ids = (...grades: Check["grade"][]) => checks.filter(({ grade }) => grades.includes(grade)).map(({ id }) => id);
  const report: Omit<AuditReport, "sources"> = {
    claim,
    title: claim.title ?? claim.name,
    restated: restate(subject, stated, statedUsd),
    verdict: judge(checks),
    checks,
    for: ids("ok"),
    against: ids("aggressive", "unshown", "broken"),
    open: ids("unknown"),
    implied: impliedBy(subject),
    predicted,
    peers: peers.map(({ name, gpuHours, ratio, like, how, sources }) => ({
      name,
      gpuHours,
      ratio,
      like,
      how,
      sources,
    })),
    alternatives,
    hours: {
      ...band,
      stated,
      asStated,
      trusting,
      priors: PRIORS[sums],
      how: `Bands and chance are those of a reader who gives the stated hours ${percent(PRIORS[sums][0], 0)} beforehand, weighed by ${estimates.length} estimate${estimates.length === 1 ? "" : "s"} of others' runs and of the planner; nothing below what ${floor ? "the published kernels" : "the chips' peak"} need${lost && predicted ? `; ${percent(1 / predicted.steadyShare - 1)} added for failures and checkpoints, which the claim does not count` : ""}.`,
      restsOn: CHANCE_RESTS,
    },
    money: costs(subject, band, world.rental(chip), world.purchase(chip), statedUsd),
    leftOut: leftOut(subject),
  };
  return { ...report, sources: sourcesOf(report) };
}

/** `H800` for `H800 SXM`: in a sentence the socket says nothing. */
const plainName = (chip: Chip): Chip => ({ ...chip, name: chip.name.replace(/ SXM\d?/, "") });

function restate(subject: Subject, stated: number, statedUsd: number | undefined): AuditReport["restated"] {
  const { claim, chip, parameters } = subject;
  const gpus = claim.gpus ? `${whole(claim.gpus)} × ${chip.name}` : `${chip.name}, number not stated`;
  const lines = [
    { label: "who, when", value: `${claim.who}, ${claim.date}` },
    { label: "model", value: `${count(parameters.total, 3)} parameters, ${count(parameters.active, 3)} active` },
  ];
  if (subject.pretrain)
    lines.push({
      label: "work",
      value: `${count(subject.pretrain.tokens)} tokens in ${claim.precision.toUpperCase()}, sequences of ${whole(subject.pretrain.sequence)}${claim.batch ? `, batch ${whole(claim.batch)}` : ""}`,
    });
  lines.push({ label: "chips", value: gpus });
  for (const phase of subject.phases)
    lines.push({
      label: phase.name,
      value: `${count(phase.gpuHours)} GPU-hours${phase.usd ? `, ${usd(phase.usd)}` : ""}`,
    });
  lines.push({
    label: "total",
    value: `${count(stated)} GPU-hours${statedUsd ? `, ${usd(statedUsd)}${claim.usdPerGpuHour ? ` at $${trim(claim.usdPerGpuHour)} an hour` : ""}` : ", no price stated"}`,
  });
  return lines;
}

function impliedBy({ counted, chip, claim, config }: Subject): AuditReport["implied"] {
  if (!counted) return undefined;
  const seconds = counted.gpuHours * 3600;
  const mfuCausal = counted.causal / seconds / chip.bf16FlopsPerSec;
  const fast = claim.precision === "fp8" && chip.fp8 ? chip.eightBitOpsPerSec : chip.bf16FlopsPerSec;
  return {
    tokens: counted.tokens,
    gpuHours: counted.gpuHours,
    flopsPerToken: {
      causal: counted.causal / counted.tokens,
      full: counted.full / counted.tokens,
      causalMtp: claim.mtp && "num_nextn_predict_layers" in config ? counted.trained / counted.tokens : undefined,
    },
    tokensPerSecondPerGpu: counted.tokens / seconds,
    mfuCausal,
    mfuFull: counted.full / seconds / chip.bf16FlopsPerSec,
    shareOfMixedPeak: ((counted.trained - counted.scores) / fast + counted.scores / chip.bf16FlopsPerSec) / seconds,
  };
}

/** Every source once, in the order of first use. */
function sourcesOf(report: Omit<AuditReport, "sources">): Source[] {
  const all = [
    ...report.claim.sources,
    ...report.checks.flatMap(({ sources }) => sources),
    ...report.peers.flatMap(({ sources }) => sources),
    ...report.alternatives.flatMap(({ sources }) => sources),
    ...[report.money.finalRun, report.money.programme, report.money.ownership].flatMap((line) => line?.sources ?? []),
    ...report.money.multiples.map(({ source }) => source),
    ...report.claim.standsOn.map(({ source }) => source),
  ];
  return [...new Map(all.map((source) => [`${source.title}|${source.url ?? ""}`, source])).values()];
}
