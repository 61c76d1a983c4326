/** A pipeline schedule played: when each piece of work starts and ends, what is idle, what is held. */
import { ConfigError } from "../../errors.ts";
import type { KindSeconds, ScheduleEvent, ScheduleInput, ScheduleResult } from "../types.ts";
import type { Compiled } from "./compile.ts";
import { COSTS, compile } from "./compile.ts";
import { B, BW, F, FB, heldPeaks, KIND_NAMES, type Program, programsOf, W } from "./programs.ts";
import type { ScheduleShape } from "./shape.ts";
import { checkInput, chunksOf, shapeProblem, stagesOf } from "./shape.ts";

/** Micro-batches at stages of a step that is drawn: more make a file that nothing opens. */
const MOST_EVENTS = 200_000;

/**
 * One step of a pipeline, event by event, in seconds: every rank follows a fixed order, each item starts when its rank is free and what it needs has
 * arrived. Sends take `sendSeconds` and occupy no rank. A pair of two stages takes the mean of their `pair`. ConfigError on a shape that
 * cannot run, with the nearest that can. `events: false` leaves `events` empty, for a search.
 */
export function simulate(input: ScheduleInput, options: { events?: boolean } = {}): ScheduleResult {
  checkInput(input);
  if (options.events !== false && stagesOf(input) * input.microBatches > MOST_EVENTS)
    throw new ConfigError(
      `schedule ${input.schedule}: a step of ${input.microBatches} micro-batches over ${stagesOf(input)} stages has too many events to be drawn; the nearest that works is ${Math.floor(MOST_EVENTS / stagesOf(input))} micro-batches (a smaller batch, or more pipelines)`,
    );
  const order = compile(input);
  const table = costTable(input);
  const ends = run(order, table, input.sendSeconds, input.pp);
  const seconds = latest(ends);
  const ranks = Array.from(
    { length: input.pp },
    (): KindSeconds => ({ forward: 0, backward: 0, weight: 0, pair: 0, idle: 0 }),
  );
  const events: ScheduleEvent[] = [];
  let busy = 0;
  for (let i = 0; i < order.count; i++) {
    const kind = order.kind[i]!,
      rank = order.rank[i]!;
    const duration = table[order.cost[i]!]! + table[order.backCost[i]!]!;
    const sums = ranks[rank]!;
    if (kind === F) sums.forward += duration;
    else if (kind === FB) sums.pair += duration;
    else if (kind === W) sums.weight += duration;
    else sums.backward += duration;
    busy += duration;
    if (options.events === false) continue;
    const end = ends[i]!;
    const event: ScheduleEvent = {
      rank,
      stage: order.stage[i]!,
      microBatch: order.microBatch[i]!,
      kind: KIND_NAMES[kind]!,
      start: end - duration,
      end,
    };
    if (kind === FB) event.backward = { stage: order.backStage[i]!, microBatch: order.backMicroBatch[i]! };
    events.push(event);
  }
  for (const sums of ranks) sums.idle = Math.max(0, seconds - sums.forward - sums.backward - sums.weight - sums.pair);
  return {
    seconds,
    events,
    bubble: seconds > 0 ? Math.max(0, 1 - busy / (seconds * input.pp)) : 0,
    inFlight: [...order.inFlight],
    chunks: chunksOf(input),
    parameterCopies: input.schedule === "dualpipe" ? 2 : 1,
    ranks,
  };
}

/** `simulate(input).seconds` and nothing else; the fastest for a search. */
export function makespan(input: ScheduleInput): number {
  checkInput(input);
  return latest(run(compile(input), costTable(input), input.sendSeconds, input.pp));
}

/**
 * Most bytes of activations each rank holds at once, given what one micro-batch keeps at each stage (`bytesOfStage`, in pipeline order) and the share of
 * it that B leaves for W (all of it unless said otherwise). Where stages differ this is exact; `inFlight` counts chunks alike.
 */
export function activationBytes(shape: ScheduleShape, bytesOfStage: number[], keptForWeights = 1): number[] {
  const problem = shapeProblem(shape);
  if (problem !== undefined) throw new ConfigError(problem);
  if (bytesOfStage.length !== stagesOf(shape))
    throw new ConfigError(`activationBytes: expected ${stagesOf(shape)} stages, got ${bytesOfStage.length}`);
  return heldPeaks(keptPrograms(shape), (stage) => bytesOfStage[stage]!, keptForWeights);
}

/** Orders of work of shapes that a search asks about again and again with other weights. */
const programs = new Map<string, Program[]>();
let keptNumbers = 0;
const MOST_KEPT_NUMBERS = 8_000_000;

function keptPrograms(shape: ScheduleShape): Program[] {
  const key = `${shape.schedule}/${shape.pp}/${shape.vp}/${shape.microBatches}`;
  const found = programs.get(key);
  if (found) return found;
  const made = programsOf(shape);
  const numbers = made.reduce((sum, program) => sum + program.length, 0);
  if (keptNumbers + numbers > MOST_KEPT_NUMBERS) {
    programs.clear();
    keptNumbers = 0;
  }
  programs.set(key, made);
  keptNumbers += numbers;
  return made;
}

/** Seconds of a step by kind, mean over ranks; they sum to the step: DeepSeek's table of 1F, 1B, 1W, 1F1B and bubble (arXiv:2505.09343). */
export function breakdown(result: ScheduleResult): KindSeconds {
  const mean: KindSeconds = { forward: 0, backward: 0, weight: 0, pair: 0, idle: 0 };
  for (const rank of result.ranks) {
    for (const kind of Object.keys(mean) as (keyof KindSeconds)[]) mean[kind] += rank[kind] / result.ranks.length;
  }
  return mean;
}

/** How many items of each kind a rank runs, mean over ranks. `wholeBackwards` are the B that take their W with them, counted in `backward` too. */
export function slots(shape: ScheduleShape): {
  forward: number;
  backward: number;
  wholeBackwards: number;
  weight: number;
  pair: number;
} {
  const problem = shapeProblem(shape);
  if (problem !== undefined) throw new ConfigError(problem);
  const order = compile(shape);
  const counts = [0, 0, 0, 0, 0];
  for (const kind of order.kind) counts[kind]!++;
  const of = (kind: number) => counts[kind]! / shape.pp;
  return { forward: of(F), backward: of(B) + of(BW), wholeBackwards: of(BW), weight: of(W), pair: of(FB) };
}

function costTable(input: ScheduleInput): Float64Array {
  const table = new Float64Array(COSTS * input.stages.length + 1);
  input.stages.forEach((times, s) => {
    table[COSTS * s + F] = times.forward;
    table[COSTS * s + B] = times.backwardInput;
    table[COSTS * s + W] = times.backwardWeight;
    table[COSTS * s + BW] = times.backwardInput + times.backwardWeight;
    table[COSTS * s + FB] = times.pair / 2;
  });
  return table;
}

/** When each item ends. */
function run(order: Compiled, table: Float64Array, sendSeconds: number, pp: number): Float64Array {
  const { count, rank, needs, sent, backNeeds, backSent, cost, backCost } = order;
  const ends = new Float64Array(count),
    free = new Float64Array(pp);
  for (let i = 0; i < count; i++) {
    const r = rank[i]!;
    let start = free[r]!;
    const need = needs[i]!;
    if (need >= 0) {
      const arrives = ends[need]! + sent[i]! * sendSeconds;
      if (arrives > start) start = arrives;
    }
    const backNeed = backNeeds[i]!;
    if (backNeed >= 0) {
      const arrives = ends[backNeed]! + backSent[i]! * sendSeconds;
      if (arrives > start) start = arrives;
    }
    const end = start + table[cost[i]!]! + table[backCost[i]!]!;
    ends[i] = end;
    free[r] = end;
  }
  return ends;
}

function latest(ends: Float64Array): number {
  let last = 0;
  for (let i = 0; i < ends.length; i++) if (ends[i]! > last) last = ends[i]!;
  return last;
}
