/** A pipeline schedule with its dependencies resolved, in an order that one pass can time. */
import { ConfigError } from "../../errors.ts";
import { B, BW, F, FB, heldPeaks, ITEM, programsOf, W } from "./programs.ts";
import type { ScheduleShape } from "./shape.ts";
import { rankOf, stagesOf } from "./shape.ts";

/**
 * A schedule with its dependencies resolved: work in an order where everything follows what it needs, so that one pass over arrays
 * gives every start and end. `needs` hold indices into that order, -1 for none.
 */
export interface Compiled {
  count: number;
  rank: Int32Array;
  kind: Uint8Array;
  stage: Int32Array;
  microBatch: Int32Array;
  backStage: Int32Array;
  backMicroBatch: Int32Array;
  /** What must end first on another rank, or on this one where the pipe folds; and whether it is sent. */
  needs: Int32Array;
  sent: Uint8Array;
  /** The same for the backward of a pair. */
  backNeeds: Int32Array;
  backSent: Uint8Array;
  /** Duration = table[cost] + table[backCost]; see `costTable`. */
  cost: Int32Array;
  backCost: Int32Array;
  /** Peak of micro-batches held by each rank, in chunks. */
  inFlight: number[];
}

/** Kinds of cost per stage in a cost table: F, B, W, BW and half a pair, then one zero. */
export const COSTS = 5;

/** Orders kept for the next call: a search asks for the same shape with other times again and again. */
const kept = new Map<string, Compiled>();
const MOST_KEPT_ITEMS = 2_000_000;
/** A step of more micro-batches at stages would fill memory; a step's time is continued from shorter ones. */
const MOST_ITEMS = 4_000_000;
let keptItems = 0;

export function compile(shape: ScheduleShape): Compiled {
  const key = `${shape.schedule}/${shape.pp}/${shape.vp}/${shape.microBatches}`;
  const found = kept.get(key);
  if (found) {
    kept.delete(key);
    kept.set(key, found);
    return found;
  }
  const compiled = order(shape);
  kept.set(key, compiled);
  keptItems += compiled.count;
  for (const [oldKey, old] of kept) {
    if (keptItems <= MOST_KEPT_ITEMS || old === compiled) break;
    kept.delete(oldKey);
    keptItems -= old.count;
  }
  return compiled;
}

function order(shape: ScheduleShape): Compiled {
  const { pp, microBatches: m } = shape;
  const stages = stagesOf(shape);
  if (stages * m > MOST_ITEMS)
    throw new ConfigError(
      `schedule ${shape.schedule}: a step of ${m} micro-batches over ${stages} stages is too long to be played event by event; the nearest that works is ${Math.floor(MOST_ITEMS / stages)} micro-batches`,
    );
  const programs = programsOf(shape);
  const count = programs.reduce((sum, program) => sum + program.length / ITEM, 0);
  const ints = () => new Int32Array(count);
  const out: Compiled = {
    count,
    rank: ints(),
    kind: new Uint8Array(count),
    stage: ints(),
    microBatch: ints(),
    backStage: ints(),
    backMicroBatch: ints(),
    needs: ints(),
    sent: new Uint8Array(count),
    backNeeds: ints(),
    backSent: new Uint8Array(count),
    cost: ints(),
    backCost: ints(),
    inFlight: heldPeaks(programs, () => 1, 1),
  };
  // done[stage·m + microBatch] for forwards, then the same for backwards: position in the order plus 1. waiter: rank plus 1 that waits for it.
  const slots = stages * m;
  const done = new Int32Array(2 * slots),
    waiter = new Int32Array(2 * slots);
  const next = new Int32Array(pp);
  const ready = Array.from({ length: pp }, (_, i) => pp - 1 - i);
  const zero = COSTS * stages;
  let at = 0;

  /** The slot that a forward or backward waits for, or -1. */
  const needOf = (stage: number, microBatch: number, backward: boolean): number => {
    if (!backward) return stage === 0 ? -1 : (stage - 1) * m + microBatch;
    return stage === stages - 1 ? stage * m + microBatch : slots + (stage + 1) * m + microBatch;
  };
  const sentFrom = (stage: number, microBatch: number, backward: boolean): number => {
    const from = backward ? stage + 1 : stage - 1;
    return from >= 0 && from < stages && rankOf(shape, from, microBatch) !== rankOf(shape, stage, microBatch) ? 1 : 0;
  };

  while (ready.length > 0) {
    const rank = ready.pop()!;
    const program = programs[rank]!;
    let i = next[rank]!;
    for (; i < program.length; i += ITEM) {
      const kind = program[i]!,
        stage = program[i + 1]!,
        microBatch = program[i + 2]!,
        backStage = program[i + 3]!,
        backMicroBatch = program[i + 4]!;
      const backward = kind === B || kind === BW;
      const need = kind === W ? -1 : needOf(stage, microBatch, backward);
      const backNeed = kind === FB ? needOf(backStage, backMicroBatch, true) : -1;
      const blocked = need >= 0 && done[need] === 0 ? need : backNeed >= 0 && done[backNeed] === 0 ? backNeed : -1;
      if (blocked >= 0) {
        waiter[blocked] = rank + 1;
        break;
      }
      out.rank[at] = rank;
      out.kind[at] = kind;
      out.stage[at] = stage;
      out.microBatch[at] = microBatch;
      out.backStage[at] = backStage;
      out.backMicroBatch[at] = backMicroBatch;
      out.needs[at] = need < 0 ? -1 : done[need]! - 1;
      out.sent[at] = need < 0 ? 0 : sentFrom(stage, microBatch, backward);
      out.backNeeds[at] = backNeed < 0 ? -1 : done[backNeed]! - 1;
      out.backSent[at] = backNeed < 0 ? 0 : sentFrom(backStage, backMicroBatch, true);
      out.cost[at] = COSTS * stage + kind;
      out.backCost[at] = kind === FB ? COSTS * backStage + FB : zero;
      at++;
      const slot = stage * m + microBatch;
      if (kind === F || kind === FB) finish(slot, at);
      if (backward) finish(slots + slot, at);
      else if (kind === FB) finish(slots + backStage * m + backMicroBatch, at);
    }
    next[rank] = i;
  }
  if (at !== count)
    throw new Error(
      `schedule ${shape.schedule}: ranks wait for each other after ${at} of ${count} items (pp=${pp}, vp=${shape.vp}, microBatches=${m})`,
    );
  return out;

  function finish(slot: number, position: number): void {
    done[slot] = position;
    if (waiter[slot] !== 0) ready.push(waiter[slot]! - 1);
  }
}
