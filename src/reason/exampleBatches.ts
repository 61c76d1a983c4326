/** Examples as micro-batches of one shape, and their order over the epochs. */
import { permute } from "../data/index.ts";
import type { Batch } from "../train/index.ts";
import type { Example } from "./examples.ts";
import type { RowShape } from "./microBatches.ts";

/** T for examples: enough for the longest; lengths are rounded up to 16, as the kernels like them. */
export const tokensOf = (examples: readonly Example[]): number =>
  16 * Math.ceil(Math.max(1, examples.reduce((most, { ids }) => Math.max(most, ids.length), 0) - 1) / 16);

/** Example number `k` of a run that goes over `count` of them again and again, each time in another order. */
export const exampleAt = (k: number, count: number, seed: number): number =>
  permute(k % count, count, (seed + Math.imul(Math.floor(k / count), 0x9e3779b1)) >>> 0);

/** Ids of an example that are predicted and trained: all that it holds but its first. */
export const trainedIn = ({ ids }: Example): number => ids.reduce((sum, id, i) => sum + (i > 0 && id >= 0 ? 1 : 0), 0);

/**
 * A row for each example, padded behind; causal, so that padding is seen by nothing that counts, and positions are from 0. Each trained token
 * weighs 1 / those of all examples given, however they are cut. Rows that fill up the last micro-batch count nothing.
 */
export function exampleBatches(examples: readonly Example[], { rows, tokens, extra, pad }: RowShape): Batch[] {
  const weight =
    1 /
    Math.max(
      1,
      examples.reduce((sum, example) => sum + trainedIn(example), 0),
    );
  const width = tokens + extra;
  const wide = width - 1;
  const batches: Batch[] = [];
  for (let first = 0; first < examples.length; first += rows) {
    const ids = new Int32Array(rows * width).fill(~pad);
    const tokenWeights = new Float32Array(rows * wide);
    for (const [row, example] of examples.slice(first, first + rows).entries()) {
      ids.set(example.ids, row * width);
      // an id is predicted at the place before its own
      for (const [i, id] of example.ids.entries()) if (i > 0 && id >= 0) tokenWeights[row * wide + i - 1] = weight;
    }
    batches.push({ ids, inputs: { tokenWeights } });
  }
  return batches;
}
