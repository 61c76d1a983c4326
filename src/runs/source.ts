/** The trainer's tokens: windows of a data set, chosen by number and seed. */
import { resolve } from "node:path";
import { type Dataset, heldoutWindows, type PrepareOptions } from "../data/index.ts";
import type { Recipe, TokenSource } from "../train/index.ts";

export function sourceOf(dataset: Dataset, recipe: Recipe): TokenSource {
  const { seed } = recipe;
  const { fimRate } = recipe.data;
  const heldout: NonNullable<TokenSource["heldout"]> = (sequence) =>
    heldoutWindows(dataset.tokens("heldout"), recipe.evaluate.tokens, sequence).map(({ start, targets }) => {
      const ids = new Int32Array(targets + 1);
      dataset.read("heldout", start - 1, ids);
      return ids;
    });
  return {
    train: (first, batch, sequence, extra) =>
      dataset.batch({ split: "train", first, batch, sequence, extra, seed, fimRate }),
    heldout: dataset.tokens("heldout") > 1 ? heldout : undefined,
  };
}

/** How a run's texts become shards. */
export function dataOptions(
  { data: { paths, holdout, broken, workers } }: Recipe,
  tokenizerDir: string,
  runsDir: string,
): PrepareOptions {
  return { paths, tokenizerDir, cacheDir: resolve(runsDir, "cache"), holdout, workers, onBroken: broken };
}
