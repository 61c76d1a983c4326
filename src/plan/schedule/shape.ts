/** What makes a pipeline schedule possible: its stages, ranks and counts of micro-batches. */
import { ConfigError } from "../../errors.ts";
import type { ScheduleInput, ScheduleName } from "../types.ts";

/** What decides a schedule's order of work, apart from how long the work takes. */
export type ScheduleShape = Pick<ScheduleInput, "schedule" | "pp" | "vp" | "microBatches">;

export const SCHEDULES: readonly ScheduleName[] = ["1f1b", "interleaved", "zero-bubble", "dualpipe", "dualpipev"];

/** Stages the model is cut into: pp, pp·vp, or 2·pp for DualPipeV. */
export function stagesOf({ schedule, pp, vp }: ScheduleShape): number {
  if (schedule === "interleaved") return pp * vp;
  return schedule === "dualpipev" ? 2 * pp : pp;
}

/** Model chunks (stage, and for DualPipe direction) that one rank runs. */
export function chunksOf({ schedule, vp }: ScheduleShape): number {
  if (schedule === "interleaved") return vp;
  return schedule === "dualpipe" || schedule === "dualpipev" ? 2 : 1;
}

/** The rank that runs a stage for a micro-batch. DualPipe sends the second half of the micro-batches through the ranks in reverse. */
export function rankOf(shape: ScheduleShape, stage: number, microBatch: number): number {
  const { schedule, pp, microBatches } = shape;
  if (schedule === "interleaved") return stage % pp;
  if (schedule === "dualpipe") return microBatch < microBatches / 2 ? stage : pp - 1 - stage;
  if (schedule === "dualpipev") return stage < pp ? stage : 2 * pp - 1 - stage;
  return stage;
}

/** Why a schedule cannot run on this shape and the nearest that can, or undefined if it can. For a search that would rather skip than catch. */
export function shapeProblem(shape: ScheduleShape): string | undefined {
  const { schedule, pp, vp, microBatches } = shape;
  const at = `schedule ${schedule}`;
  if (!SCHEDULES.includes(schedule))
    return `schedule: expected one of ${SCHEDULES.join(", ")}, got "${String(schedule)}"`;
  for (const [name, value] of [
    ["pp", pp],
    ["vp", vp],
    ["microBatches", microBatches],
  ] as const) {
    if (!Number.isInteger(value) || value < 1) {
      return `${at}: expected ${name} to be a whole number of 1 or more, got ${value}; the nearest is ${Math.max(1, Math.round(value) || 1)}`;
    }
  }
  if (schedule !== "interleaved" && vp !== 1) {
    const instead = schedule === "1f1b" ? `; vp=${vp} works with the interleaved schedule` : "";
    return `${at}: expected vp=1, got vp=${vp}; the nearest that works is vp=1${instead}`;
  }
  if (schedule === "interleaved" && vp > 1 && microBatches % pp !== 0) {
    return `${at}: expected microBatches to be a multiple of pp=${pp}, got ${microBatches}; the nearest ${nearest(microBatches, pp, pp)}`;
  }
  if (schedule === "dualpipe") {
    if (pp % 2 !== 0) return `${at}: expected an even pp, got ${pp}; the nearest ${nearest(pp, 2, 2)}`;
    if (microBatches % 2 !== 0 || microBatches < 2 * pp) {
      return `${at}: expected an even number of micro-batches, at least 2·pp = ${2 * pp}, got ${microBatches}; the nearest ${nearest(microBatches, 2, 2 * pp)}`;
    }
  }
  if (schedule === "dualpipev" && microBatches < 2 * pp) {
    return `${at}: expected at least 2·pp = ${2 * pp} micro-batches, got ${microBatches}; the nearest that works is ${2 * pp}`;
  }
  return undefined;
}

/** Throws ConfigError on a shape or times that no schedule can run. */
export function checkInput(input: ScheduleInput): void {
  const problem = shapeProblem(input);
  if (problem !== undefined) throw new ConfigError(problem);
  const expected = stagesOf(input);
  if (input.stages.length !== expected) {
    throw new ConfigError(
      `schedule ${input.schedule}: expected times of ${expected} stages for pp=${input.pp}, vp=${input.vp}, got ${input.stages.length}`,
    );
  }
  if (!(input.sendSeconds >= 0) || input.sendSeconds === Infinity) {
    throw new ConfigError(`schedule ${input.schedule}: expected sendSeconds of 0 or more, got ${input.sendSeconds}`);
  }
  for (let s = 0; s < expected; s++) {
    const times = input.stages[s]!;
    for (const name of ["forward", "backwardInput", "backwardWeight", "pair"] as const) {
      const value = times[name];
      if (!(value >= 0) || value === Infinity)
        throw new ConfigError(
          `schedule ${input.schedule}: expected ${name} of stage ${s} in seconds, 0 or more, got ${value}`,
        );
    }
  }
}

function nearest(value: number, step: number, least: number): string {
  const below = Math.floor(value / step) * step;
  const above = Math.max(least, below + step);
  return below < least ? `that works is ${above}` : `that work are ${below} and ${above}`;
}
