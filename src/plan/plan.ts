/** The planner's answer: the best layout for a question, its hours, days and money, and the runners-up. */
import { ConfigError } from "../errors.ts";
import { inUnits, trim } from "../format.ts";
import { flopsPerToken, parameterCount } from "./architecture.ts";
import { BAND_SOURCE, bandOf } from "./band.ts";
import { networkSource } from "./cluster.ts";
import { CONSTANTS, type Constants } from "./constants.ts";
import { energy } from "./energy.ts";
import { GOODPUT_SOURCES, goodput } from "./goodput.ts";
import { divisors, layoutRefusal, layoutText, UNSPREAD } from "./layouts.ts";
import { lines } from "./money.ts";
import { PART_NAMES } from "./partNames.ts";
import { rentalRate } from "./prices.ts";
import { checkQuestion, jobOf, questionArchitecture } from "./question.ts";
import { type Asked, RefusedError } from "./refusal.ts";
import type { PlanResult, Runner } from "./result.ts";
import { SearchEnded, searchLayouts } from "./search.ts";
import { usableBytes } from "./step.ts";
import type { Job, Layout, PlanQuestion, ScheduleName, Source, StepEstimate } from "./types.ts";
import { type BandModel, traitsOf } from "./widths.ts";

/** A search that runs: `done` of `total` layouts or GPU counts looked at. */
export interface PlanOptions {
  /** Fitted constants and the widths of bands; default: those of all rows. */
  constants?: Constants;
  bands?: BandModel;
  onProgress?: (done: number, total: number, note: string) => void;
}

/** Schedules tried where a question names none; DualPipe's two copies of the weights pay only where experts' traffic must hide. */
const TRIED: Record<"dense" | "mixture", ScheduleName[]> = {
  dense: ["1f1b", "interleaved", "zero-bubble"],
  mixture: ["zero-bubble", "dualpipe", "dualpipev"],
};

/**
 * What training costs: the best layout that fits (or the one given), its step, and from it hours, days and money with their band.
 * One of gpus, budgetUsd and days must be given: a budget buys the most GPUs whose run it pays for, days take the fewest that keep them.
 * Throws ConfigError saying what is wrong and the nearest question that works. Pure; some seconds where layouts are searched.
 */
export function plan(question: PlanQuestion, options: PlanOptions = {}): PlanResult {
  checkQuestion(question);
  if (question.precision === "fp8" && !question.chip.fp8)
    throw new RefusedError(
      `plan: ${question.chip.name} does not compute in FP8; nearest that works: --precision bf16`,
      ["precision"],
    );
  if (question.gpus !== undefined) return onGpus(question, question.gpus, options);
  return solve(question, options);
}

function onGpus(question: PlanQuestion, gpus: number, options: PlanOptions): PlanResult {
  const job = jobOf(question, gpus);
  checkRoom(job);
  checkFixed(job, question.layout);
  const { best, runnersUp, problem } = bestOf(question, job, options.constants);
  if (!best) throw noFit(question, job, problem);
  return resultOf(question, { ...job, schedule: best.schedule }, best, runnersUp, options);
}

/** What the question fixes of the layout, complete enough to be judged: then a fault is named rather than searched around. */
function checkFixed(job: Job, fixed: Partial<Layout> = {}): void {
  checkSizes(fixed);
  const { gpus } = job.cluster;
  const { tp = 1, cp = 1, pp = 1 } = fixed;
  const inner = tp * cp * pp;
  if (gpus % inner !== 0) {
    const below = Math.floor(gpus / inner) * inner;
    throw new RefusedError(
      `layout: tp ${tp} · cp ${cp} · pp ${pp} = ${inner} does not divide ${gpus} GPUs; nearest that works: ${below > 0 ? `${below} or ` : ""}${below + inner} GPUs`,
      [...(["tp", "cp", "pp"] as const).filter((part) => fixed[part] !== undefined), "gpus"],
    );
  }
  if (fixed.tp === undefined && fixed.cp === undefined && fixed.pp === undefined && fixed.dp === undefined) {
    if (fixed.ep === undefined || fixed.ep <= 1) return;
    const refusal = layoutRefusal(job, { ...UNSPREAD, dp: gpus, ep: fixed.ep });
    if (refusal?.about[0] === "ep") throw refusal;
    return;
  }
  const refusal = layoutRefusal(job, { ...UNSPREAD, ...defined(fixed), tp, cp, pp, dp: fixed.dp ?? gpus / inner });
  const [part] = refusal?.about ?? [];
  // What only follows from a size that the question left open is no fault of it; nor is a schedule, of which others are tried.
  const open = fixed.dp === undefined && (fixed.cp === undefined || fixed.tp === undefined);
  if (refusal && part !== "schedule" && !(open && part === "batch")) throw refusal;
}

/** Parts of a layout that are no numbers of that kind. */
function checkSizes(fixed: Partial<Layout>): void {
  for (const name of ["dp", "tp", "cp", "pp", "vp", "ep", "zero", "microBatch"] as const) {
    const n = fixed[name];
    if (n !== undefined && !(Number.isSafeInteger(n) && n >= (name === "zero" ? 0 : 1)))
      throw new RefusedError(
        `layout: ${name}: expected a ${name === "zero" ? "" : "positive "}whole number, got ${String(n)}`,
        [name],
      );
  }
}

const defined = <T extends object>(value: T): Partial<T> =>
  Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as Partial<T>;

interface Found {
  best?: StepEstimate;
  runnersUp: Runner[];
  /** Why the last schedule tried has no layout, where none has. */
  problem?: ConfigError;
}

/** The best over the schedules that come into question; runners-up of all of them, measured against that best. */
function bestOf(question: PlanQuestion, job: Job, constants?: Constants): Found {
  const mixture = job.architecture.layers.some(({ ffn }) => ffn.kind === "moe");
  const names = question.schedule
    ? [question.schedule]
    : question.layout?.pp === 1
      ? (["1f1b"] as const)
      : TRIED[mixture ? "mixture" : "dense"];
  const found: Found = { runnersUp: [] };
  /** Steps under schedules that are not the best one's. */
  const others: StepEstimate[] = [];
  for (const schedule of names) {
    try {
      const { best, runnersUp } = searchLayouts({ ...job, schedule }, defined(question.layout ?? {}), {
        runnersUp: 6,
        constants,
      });
      if (!found.best || best.stepSeconds < found.best.stepSeconds) {
        if (found.best) others.push(found.best);
        others.push(...fittingSteps(found.runnersUp));
        found.best = best;
        found.runnersUp = runnersUp;
      } else others.push(best, ...fittingSteps(runnersUp));
    } catch (error) {
      if (!(error instanceof ConfigError) || (error instanceof SearchEnded && !found.best)) throw error;
      found.problem = error;
    }
  }
  const { best } = found;
  if (!best) return found;
  const seen = new Set([key(best)]);
  const measured = others.map((step) => otherRunner(best, step));
  found.runnersUp = [...found.runnersUp, ...measured]
    .sort((a, b) => Number(b.step.fits) - Number(a.step.fits) || a.slower - b.slower)
    .filter(({ step }) => !seen.has(key(step)) && seen.add(key(step)));
  const fitting = found.runnersUp.filter(({ step }) => step.fits).slice(0, 6);
  found.runnersUp = [...fitting, ...found.runnersUp.filter(({ step }) => !step.fits).slice(0, 3)];
  return found;
}

const fittingSteps = (runners: readonly Runner[]): StepEstimate[] =>
  runners.filter(({ step }) => step.fits).map(({ step }) => step);

const key = ({ schedule, layout }: StepEstimate) => `${layout.pp > 1 ? schedule : ""} ${JSON.stringify(layout)}`;

/** A step under another schedule than the best, with where it spends more: its two largest excesses. */
function otherRunner(best: StepEstimate, other: StepEstimate): Runner {
  const more = (Object.keys(PART_NAMES) as (keyof StepEstimate["parts"])[])
    .map((part) => ({ part, seconds: other.parts[part] - best.parts[part] }))
    .filter(({ seconds }) => seconds > 0.002 * best.stepSeconds)
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, 2)
    .map(({ part, seconds }) => `${PART_NAMES[part]} ${seconds.toFixed(2)} s more`);
  const slower = other.stepSeconds / best.stepSeconds - 1;
  const reason = `takes ${other.stepSeconds.toFixed(2)} s, ${(slower * 100).toFixed(1)} % more: ${more.join(", ") || "as fast within the model's error"}.`;
  return { step: other, slower, why: `${other.schedule}, ${layoutText(other.layout)}, ${reason}`, reason };
}

/** What does not fit, by how much, and the nearest layout that does: the question's wishes are let go one by one. */
function noFit(question: PlanQuestion, job: Job, problem?: ConfigError): ConfigError {
  const { chip, gpus } = job.cluster;
  const where = `${gpus} × ${chip.name} (${gb(chip.hbmBytes)})`;
  const fixed = question.layout ?? {};
  // A batch of few divisors shuts out almost every layout before memory is asked about.
  for (const multiple of [64, 256])
    if (job.batch % multiple !== 0) {
      const batch = Math.max(1, Math.round(job.batch / multiple)) * multiple;
      if (bestOf({ ...question, batch }, { ...job, batch }).best)
        return new RefusedError(
          `batch: ${job.batch} sequences can be shared by at most ${divisors(job.batch)
            .filter((d) => d <= gpus)
            .at(
              -1,
            )} of ${gpus} replicas, and ${job.architecture.name} does not fit ${where} so; nearest that works: --batch ${batch}`,
          ["batch"],
        );
    }
  const attempts: { without: string; about: Asked[]; question: PlanQuestion }[] = [];
  const parts = Object.keys(defined(fixed)) as (keyof Layout)[];
  for (const name of ["recompute", "microBatch", "zero", "vp", "cp", "ep", "tp", "pp", "dp"] as const)
    if (fixed[name] !== undefined)
      attempts.push({
        without: name,
        about: [name],
        question: { ...question, layout: { ...fixed, [name]: undefined } },
      });
  if (attempts.length > 1)
    attempts.push({ without: "the layout", about: parts, question: { ...question, layout: undefined } });
  if (question.schedule)
    attempts.push({ without: "the schedule", about: ["schedule"], question: { ...question, schedule: undefined } });
  for (const attempt of attempts) {
    const { best } = bestOf(attempt.question, job);
    if (best) {
      const wish =
        Object.keys(defined(fixed)).length > 0
          ? `with ${Object.entries(defined(fixed))
              .map(([k, v]) => `${k}=${String(v)}`)
              .join(",")} `
          : "";
      return new RefusedError(
        `plan: ${job.architecture.name} ${wish}does not fit ${where}; nearest that works, leaving ${attempt.without} open: ${layoutText(best.layout)} (${gb(best.memoryBytes.total)})`,
        attempt.about,
      );
    }
  }
  return (
    problem ??
    new RefusedError(`plan: no layout of ${job.architecture.name} fits ${where} with sequences of ${job.sequence}`, [
      "gpus",
      "sequence",
    ])
  );
}

const gb = (n: number) => `${(n / 1e9).toFixed(1)} GB`;

/** GPU counts worth asking about: nodes in powers of two and half-way between. */
export function sensibleCounts(chip: PlanQuestion["chip"], most = 131_072): number[] {
  const node = chip.linkedChips > 1 && chip.linkedChips <= 16 ? chip.linkedChips : 8;
  const counts = [1, 2, 4].filter((n) => n < node);
  for (let n = node; n <= most; n *= 2) counts.push(n, ...(n * 1.5 <= most && (n * 1.5) % node === 0 ? [n * 1.5] : []));
  return counts.sort((a, b) => a - b);
}

/** Bytes of a model's states, spread over as many GPUs as there are. */
const stateBytes = ({ architecture, bytes, mtp }: Job): number =>
  parameterCount(architecture, { mtp }).total * (bytes.weight + bytes.gradient + bytes.master + bytes.moments);

/** Counts that cannot even hold the states need no search. */
function checkRoom(job: Job): void {
  const { chip, gpus } = job.cluster;
  const states = stateBytes(job);
  const least = Math.ceil(states / usableBytes(job));
  if (gpus >= least) return;
  const works = sensibleCounts(chip).find((n) => n >= 1.5 * least) ?? least;
  throw new RefusedError(
    `plan: the states of ${job.architecture.name} alone (weights, gradients, optimizer) are ${gb(states)}, more than ${gpus} × ${gb(chip.hbmBytes)} (${chip.name}) hold; nearest that may work: about ${works} GPUs`,
    ["gpus"],
  );
}

/** A budget that does not pay for the FLOPs at the chip's peak needs no search. */
function checkBudget(question: PlanQuestion, budgetUsd: number): void {
  const { chip, tokens, usdPerGpuHour = rentalRate(chip).usdPerGpuHour } = question;
  const usual = roughDays(question, 1) * 24 * usdPerGpuHour;
  // 40 % of the peak is usual; with FP8 that is 40 % of 1.2 times the BF16 peak, of which there are two.
  const least = usual * (question.precision === "fp8" ? 0.24 : 0.4);
  if (budgetUsd >= least) return;
  throw new RefusedError(
    `plan: $${short(budgetUsd)} do not pay for ${short(tokens)} tokens on ${chip.name}, which cost $${short(least)} at its peak already, and about $${short(usual)} as runs go; nearest that may work: --tokens ${short((tokens * budgetUsd) / usual)} or --budget ${short(1.5 * usual)}`,
    ["budgetUsd", "tokens"],
  );
}

/** Days at 40 % of the peak: where a search for a count begins. */
function roughDays(question: PlanQuestion, gpus: number): number {
  const { architecture, sequence, mtp } = jobOf(question, gpus);
  const peak = question.precision === "fp8" ? question.chip.bf16FlopsPerSec * 1.2 : question.chip.bf16FlopsPerSec;
  return (question.tokens * flopsPerToken(architecture, { sequence, mtp }).training) / (0.4 * peak * gpus) / 86_400;
}

/**
 * Fewest GPUs that keep the days, or most that the budget pays. Days fall and costs rise with the count, so from a rough guess the search
 * walks until the answer turns: few counts are asked, and none that could not hold the model.
 */
function solve(question: PlanQuestion, options: PlanOptions): PlanResult {
  const { onProgress } = options;
  const { days, budgetUsd } = question;
  const job = jobOf(question, 1);
  const states = stateBytes(job);
  if (days === undefined) checkBudget(question, budgetUsd!);
  const counts = sensibleCounts(question.chip).filter((n) => n * usableBytes(job) >= 1.2 * states);
  const known = new Map<number, PlanResult | undefined>();
  let problem: ConfigError | undefined;
  const at = (i: number): PlanResult | undefined => {
    if (i < 0 || i >= counts.length) return undefined;
    if (!known.has(i)) {
      onProgress?.(known.size, 0, `${counts[i]} GPUs`);
      try {
        known.set(i, onGpus(question, counts[i]!, options));
      } catch (error) {
        if (!(error instanceof ConfigError) || error instanceof SearchEnded) throw error;
        problem ??= error;
        known.set(i, undefined);
      }
    }
    return known.get(i);
  };
  const target = days ?? 60;
  const guess = counts.findIndex((n) => roughDays(question, n) <= target);
  let i = guess < 0 ? counts.length - 1 : guess;
  // Upward to the first count that runs at all, then downward.
  const start = i;
  while (i < counts.length && at(i) === undefined && i < start + 4) i++;
  if (at(i) === undefined) for (i = start - 1; i >= 0 && at(i) === undefined; ) i--;
  if (at(i) === undefined)
    throw (
      problem ??
      new RefusedError(`plan: ${job.architecture.name} does not fit any number of ${question.chip.name}`, ["chip"])
    );
  const holds = (r: PlanResult | undefined) =>
    r !== undefined && (days !== undefined ? r.days <= days : r.usd <= budgetUsd!);
  // Towards fewer where days are kept, or where the budget is exceeded; else towards more. A count that cannot run may stand between two that can.
  const step = (days !== undefined) === holds(at(i)) ? -1 : 1;
  let answer = holds(at(i)) ? at(i) : undefined;
  // Counts that divide badly leave GPUs idle and stand out from their neighbours: only two failures in a row end the walk.
  const seeking = answer === undefined;
  for (let j = i + step, misses = 0; j >= 0 && j < counts.length && misses < 2; j += step) {
    const r = at(j);
    if (holds(r)) answer = r;
    if (seeking && answer) break;
    misses = holds(r) || (seeking && r) ? 0 : misses + 1;
  }
  const all = [...known.values()].filter((r) => r !== undefined);
  if (answer) {
    const over = days !== undefined && budgetUsd !== undefined && answer.usd > budgetUsd;
    return over
      ? {
          ...answer,
          warnings: [
            `The run costs $${short(answer.usd)}, more than the budget of $${short(budgetUsd)}.`,
            ...answer.warnings,
          ],
        }
      : answer;
  }
  if (days !== undefined) {
    const best = all.reduce((a, b) => (b.days < a.days ? b : a));
    throw new RefusedError(
      `plan: ${short(days)} days are too few on ${question.chip.name}: ${best.gpus} of them still take ${short(best.days)}; nearest that works: --days ${Math.ceil(best.days)}, or a larger --batch to spread over more`,
      ["days", "batch"],
    );
  }
  const least = all.reduce((a, b) => (b.usd < a.usd ? b : a));
  throw new RefusedError(
    `plan: $${short(budgetUsd!)} do not pay for ${short(question.tokens)} tokens on ${question.chip.name}, which cost $${short(least.usd)} on ${least.gpus} of them; nearest that works: --tokens ${short((0.99 * question.tokens * budgetUsd!) / least.usd)} or --budget ${short(least.usd * 1.01)}`,
    ["budgetUsd", "tokens"],
  );
}

const short = (n: number): string => inUnits(n, trim) ?? trim(n);

function resultOf(
  question: PlanQuestion,
  job: Job,
  best: StepEstimate,
  runnersUp: Runner[],
  { constants = CONSTANTS, bands }: PlanOptions,
): PlanResult {
  const { chip, gpus } = job.cluster;
  const architecture = questionArchitecture(question);
  const steps = Math.ceil(question.tokens / (job.batch * job.sequence));
  const total = parameterCount(architecture, { mtp: job.mtp }).total;
  const failures = goodput({ gpus, stateBytes: total * (job.bytes.master + job.bytes.moments) });
  // What a run costs: unless the question knows better, it keeps what published whole runs kept, which is less than failures explain (poorer layouts, evaluation, faults of software).
  const share = question.goodput ?? Math.min(failures.share, constants.wholeRunShare);
  const stepHours = (steps * best.stepSeconds * gpus) / 3600;
  const rate = question.usdPerGpuHour === undefined ? rentalRate(chip) : undefined;
  const price = question.usdPerGpuHour ?? rate!.usdPerGpuHour;
  const taking = (gpuHours: number) => ({ gpuHours, days: gpuHours / 24 / gpus, usd: gpuHours * price });
  const { gpuHours, days, usd } = taking(stepHours / share);
  const fixed = question.layout ?? {};
  const layoutGiven = fixed.tp !== undefined && fixed.pp !== undefined;
  const band = bandOf(traitsOf(job, { layoutGiven, wholeRun: question.goodput === undefined }), bands);
  const p10 = taking(gpuHours * band.p10),
    p90 = taking(gpuHours * band.p90);
  const steady = bandOf(traitsOf(job, { layoutGiven, wholeRun: false }), bands);
  const bestHours = stepHours / failures.share;
  const used = energy({ chip, gpuHours });
  const money = lines({ usd, p10: p10.usd, p90: p90.usd });
  const sources: Source[] = [
    ...chip.sources,
    ...(question.networkBytesPerSec === undefined && gpus > job.cluster.tiers[0]!.chips ? [networkSource(chip)] : []),
    ...(rate?.sources ?? []),
    ...(question.goodput === undefined ? GOODPUT_SOURCES : []),
    BAND_SOURCE,
    ...money.programme.sources,
    ...used.sources,
  ];
  return {
    model: question.modelName,
    chip: chip.id,
    gpus,
    tokens: question.tokens,
    gpuHours,
    days,
    usd,
    stepSeconds: best.stepSeconds,
    steps,
    sequence: job.sequence,
    batch: job.batch,
    microBatches: best.microBatches,
    tokensPerSecondPerGpu: best.tokensPerSecondPerGpu,
    mfu: best.mfu,
    flopsPerToken: best.flopsPerToken,
    memoryBytes: best.memoryBytes,
    layout: best.layout,
    schedule: best.schedule,
    precision: job.precision,
    goodput: share,
    goodputIs: question.goodput === undefined ? "as published whole runs kept" : "as given",
    failures,
    parts: best.parts,
    restsOn: band.restsOn,
    p10,
    p90,
    bestSteady: {
      share: failures.share,
      ...taking(bestHours),
      p10: taking(bestHours * steady.p10),
      p90: taking(bestHours * steady.p90),
    },
    usdPerGpuHour: price,
    programme: money.programme,
    energy: used,
    runnersUp,
    sources: unique(sources),
    warnings: warningsOf(question, job, best, rate),
  };
}

const unique = (sources: Source[]): Source[] => [
  ...new Map(sources.map((source) => [`${source.title} ${source.date}`, source])).values(),
];

function warningsOf(
  question: PlanQuestion,
  job: Job,
  best: StepEstimate,
  rate: ReturnType<typeof rentalRate> | undefined,
): string[] {
  const { chip, gpus } = job.cluster;
  const found: string[] = [];
  const doubts = Object.entries(chip.doubts ?? {}).filter(([field]) =>
    ["bf16FlopsPerSec", "eightBitOpsPerSec", "hbmBytes", "hbmBytesPerSec", "linkBytesPerSec"].includes(field),
  );
  for (const [field, doubt] of doubts) found.push(`${chip.name}: ${field} is in doubt: ${doubt}`);
  if (chip.sources.every(({ mark }) => mark === "unconfirmed"))
    found.push(`${chip.name}: no figure of it is confirmed by a source.`);
  const used = best.layout.dp * best.layout.tp * best.layout.cp * best.layout.pp;
  if (used < gpus)
    found.push(
      `The best layout leaves ${gpus - used} of ${gpus} GPUs idle, since no faster one divides them; they are paid for all the same. ${used} do as much.`,
    );
  const usable = usableBytes(job);
  if (best.memoryBytes.total > 0.93 * usable)
    found.push(
      `Memory is filled to ${((best.memoryBytes.total / chip.hbmBytes) * 100).toFixed(0)} %: an uneven batch could overflow it.`,
    );
  if (job.architecture.layers.some(({ ffn }) => ffn.kind === "moe") && job.imbalance === 1)
    found.push(
      "Experts are taken as evenly loaded; real routing has cost 8 to 20 % of throughput on H100 (--imbalance).",
    );
  if (question.batch === undefined) found.push(`The batch of ${job.batch} sequences is assumed.`);
  if (job.architecture.without !== undefined) found.push(`Not counted: ${job.architecture.without}.`);
  if (rate && rate.high / rate.low > 2)
    found.push(
      `Prices of ${chip.name} range from $${rate.low} to $${rate.high} an hour; the band of hours does not hold that.`,
    );
  if (!chip.datacenter && gpus > 8)
    found.push(
      `${chip.name} is no data-centre chip; its drivers and its network are rarely set up for such a cluster.`,
    );
  return found;
}
