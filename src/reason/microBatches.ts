/** Groups of answers as micro-batches of one shape, for the policy objective. */
import type { Batch } from "../train/index.ts";
import { type Aggregation, tokenWeights } from "./policy.ts";
import type { Group } from "./rollouts.ts";

export interface RowShape {
  /** Sequences of a micro-batch. */
  rows: number;
  /** Tokens of a sequence that are read and followed by a prediction: T. */
  tokens: number;
  /** Ids beyond T: 1 + MTP depth. */
  extra: number;
  /** Read where a sequence has ended, and never trained. */
  pad: number;
}

/** Lengths are rounded up to this, so that few shapes are compiled. */
const ROUND = 32;

/** T for groups: enough for the longest question and answer. */
export function tokensFor(groups: readonly Group[]): number {
  let longest = 2;
  for (const { prompt, rollouts } of groups)
    for (const { ids } of rollouts) longest = Math.max(longest, prompt.length + ids.length);
  return ROUND * Math.ceil((longest - 1) / ROUND);
}

/**
 * A row for each answer: the question (read, not trained), the sampled ids, padding. Weights are those of the whole step, so that it does not
 * matter how it is cut; rows that fill up the last micro-batch count nothing. `place[i]` says where in the step's [rows, T] answer i begins.
 */
export function microBatches(
  groups: readonly Group[],
  { rows, tokens, extra, pad }: RowShape,
  aggregation: Aggregation,
): { batches: Batch[]; place: number[] } {
  const all = groups.flatMap(({ prompt, rollouts }) => rollouts.map((rollout) => ({ prompt, rollout })));
  const weights = tokenWeights(
    all.map(({ rollout }) => rollout.ids.length),
    aggregation,
  );
  const width = tokens + extra;
  const wide = width - 1;
  const batches: Batch[] = [];
  const place: number[] = [];
  for (let first = 0; first < all.length; first += rows) {
    const ids = new Int32Array(rows * width).fill(~pad);
    const advantages = new Float32Array(rows * tokens);
    const counted = new Float32Array(rows * wide);
    for (const [row, { prompt, rollout }] of all.slice(first, first + rows).entries()) {
      for (const [i, id] of prompt.entries()) ids[row * width + i] = ~id;
      ids.set(rollout.ids, row * width + prompt.length);
      // an id is predicted at the place before its own
      const from = prompt.length - 1;
      advantages.fill(rollout.advantage, row * tokens + from, row * tokens + from + rollout.ids.length);
      counted.fill(weights[first + row] ?? 0, row * wide + from, row * wide + from + rollout.ids.length);
      place.push((first + row) * tokens + from);
    }
    batches.push({ ids, inputs: { advantages, tokenWeights: counted } });
  }
  return { batches, place };
}
