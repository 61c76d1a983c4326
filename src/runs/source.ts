/** The trainer's tokens: windows of a data set, chosen by number and seed. */
import { resolve } from "node:path";
import { type Dataset, heldoutWindows, type PrepareOptions } from "../data/index.ts";
import type { Recipe, TokenSource } from "../train/index.ts";
import { checkRoom, type Need } from "./room.ts";

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

/** How a run's texts become shards, and where they must fit beside what the run itself will write. */
export function dataOptions(
  { data: { paths, holdout, broken, workers } }: Recipe,
  tokenizerDir: string,
  runsDir: string,
  needs: readonly Need[],
): PrepareOptions {
  const cacheDir = resolve(runsDir, "cache");
  return {
    paths,
    tokenizerDir,
    cacheDir,
    holdout,
    workers,
    onBroken: broken,
    onRoom: (bytes) => checkRoom([...needs, { dir: cacheDir, bytes, what: "the texts' tokens" }]),
  };
}
