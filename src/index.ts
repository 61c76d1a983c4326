/** Sumbi as a library: open a model and talk to it, train one, serve one. Rooms have their own entries: sumbi/tensor, sumbi/model, … */

export { openCheckpoint, saveCheckpoint } from "./checkpoint/index.ts";
export { loadTokenizer, openDataset, prepareData, readDocuments } from "./data/index.ts";
export * from "./errors.ts";
export { type Engine, SAMPLING_DEFAULTS } from "./infer/index.ts";
export { countParameters, flopsPerToken, type ModelConfig, parseConfig, presetConfig } from "./model/index.ts";
export type { OnProgress, ProgressReport } from "./progress.ts";
export { type StartedRun, TrainError, type TrainRequest, type TrainResult, train } from "./runs/index.ts";
export { createApp, listen, loadModel } from "./serve/index.ts";
export { parseRecipe, type Recipe, Trainer } from "./train/index.ts";
