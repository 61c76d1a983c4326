/** A run: prepared, trained, logged, saved, resumed, exported, read again. */
export { clearCache } from "./clear.ts";
export { exportRun } from "./exportRun.ts";
export { prepareRun, type PreparedRun, type TrainOptions } from "./prepare.ts";
export { RunReader, type FollowOptions, type NumberedRecord } from "./reader.ts";
export { readRecipe, recipeNames } from "./recipes.ts";
export { removeRepeats } from "./records.ts";
export type {
  CheckpointRecord, EndReason, EndRecord, EvalRecord, EventRecord, LoadRecord, RunInfo, RunRecord, RunStatus, RunSummary, SampleRecord, StepRecord,
} from "./schema.ts";
export { loadState, saveState, StateHistory, type LoadedState, type StateTensor, type TrainingState } from "./state.ts";
export { trainRun, type Outcome, type RunWatcher } from "./train.ts";
export { RunWriter, type NewRun } from "./writer.ts";
