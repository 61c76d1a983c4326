/** Sumbi as a library: open a model and talk to it, train one, serve one. Rooms have their own entries: sumbi/tensor, sumbi/model, … */
export * from "./errors.ts";
export type { OnProgress, Progress } from "./progress.ts";
export { openCheckpoint, saveCheckpoint } from "./checkpoint/index.ts";
export { loadTokenizer, openDataset, prepareData, readDocuments } from "./data/index.ts";
export { countParameters, flopsPerToken, parseConfig, presetConfig, type ModelConfig } from "./model/index.ts";
export { parseRecipe, Trainer, type Recipe } from "./train/index.ts";
export { type Engine } from "./infer/index.ts";
export { createApp, listen, loadModel } from "./serve/index.ts";
