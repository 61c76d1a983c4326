/** Weights of a checkpoint as the beginning of a run. */
import { loadWeights, ModelWeights, openCheckpoint } from "../checkpoint/index.ts";
import { parseConfig } from "../model/index.ts";
import type { ParameterStore, Recipe } from "../train/index.ts";

/** config.json's fields of a checkpoint to train on: with a head of its own where the file has one, without words on quantization. */
export async function checkpointConfig(dir: string): Promise<Record<string, unknown>> {
  const checkpoint = await openCheckpoint(dir);
  try {
    const { quantization_config: _, compression_config: __, ...json } = checkpoint.config;
    const { config } = await ModelWeights.of(checkpoint, parseConfig(json, `${dir}/config.json`), { mtp: true });
    return { ...json, tie_word_embeddings: config.tie_word_embeddings };
  } finally {
    await checkpoint.close();
  }
}

/** The weights that a run begins with: drawn by the recipe's seed, or a checkpoint's. Throws as `fillStore`. */
export async function firstWeights(
  store: ParameterStore,
  recipe: Recipe,
  modelJson: Readonly<Record<string, unknown>>,
): Promise<void> {
  store.initialize(recipe.seed, Number(modelJson["initializer_range"] ?? 0.006));
  if (typeof recipe.model === "string") await fillStore(recipe.model, store);
}

/** Fills the store from a checkpoint's folder. Throws CheckpointError when a tensor is missing, of another shape, not finite, or unread. */
export async function fillStore(dir: string, store: ParameterStore): Promise<void> {
  await loadWeights(dir, (json) => parseConfig(json, `${dir}/config.json`), {
    mtp: true,
    into: (key) => store.parameter(key).data,
  });
  store.changed();
}
