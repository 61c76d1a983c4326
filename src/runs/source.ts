/** The trainer's tokens: windows of a data set, chosen by number and seed. */
import type { Dataset } from "../data/index.ts";
import type { Recipe, TokenSource } from "../train/index.ts";

export function sourceOf(dataset: Dataset, recipe: Recipe): TokenSource {
  const { seed } = recipe;
  const { fimRate } = recipe.data;
  /** Held-out windows evenly spread over the split, so that every source has its share. */
  const heldout = (first: number, batch: number, sequence: number, extra: number): Int32Array => {
    const width = sequence + extra;
    const wanted = recipe.evaluate.batches * batch;
    const windows = dataset.sequences("heldout", sequence);
    const ids = new Int32Array(batch * width);
    for (let row = 0; row < batch; row++) {
      const window = Math.floor(((first + row) * windows) / wanted) % windows;
      ids.set(dataset.batch({ split: "heldout", first: window, batch: 1, sequence, extra }), row * width);
    }
    return ids;
  };
  return {
    train: (first, batch, sequence, extra) => dataset.batch({ split: "train", first, batch, sequence, extra, seed, fimRate }),
    heldout: dataset.tokens("heldout") > 0 ? heldout : undefined,
  };
}
