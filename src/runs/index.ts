/** A run: prepared, trained, logged, saved, resumed, exported, read again. */

export { layoutFingerprint, recipeHash, tokenizerFingerprint } from "./binding.ts";
export { clearCache } from "./clear.ts";
export type { Note } from "./describe.ts";
export { placeModel, type Trained } from "./export.ts";
export { exportRun } from "./exportRun.ts";
export { type StartedRun, TrainError, type TrainRequest, type TrainResult, train } from "./frontDoor.ts";
export { isRunId } from "./id.ts";
export { spentIn } from "./ledger.ts";
export { chooseOut, type Out } from "./out.ts";
export { prepareRun } from "./prepare.ts";
export type { PreparedRun, TrainOptions } from "./prepared.ts";
export { type FollowOptions, type NumberedRecord, RunReader } from "./reader.ts";
export { type RecipeSource, readRecipe, recipeNames } from "./recipes.ts";
export { removeRepeats } from "./records.ts";
export type { RolloutStep } from "./rolloutLog.ts";
export type {
  CheckpointRecord,
  EndReason,
  EndRecord,
  EvalRecord,
  EventRecord,
  LoadRecord,
  PolicyRecord,
  RolloutRecord,
  RunInfo,
  RunRecord,
  RunStatus,
  RunSummary,
  SampleRecord,
  ScoreRecord,
  StepRecord,
} from "./schema.ts";
export { type LoadedState, loadState, StateHistory, type StateTensor, saveState, type TrainingState } from "./state.ts";
export { refuseNotFinite } from "./storage.ts";
export { keepTokenizer, tokenizerOf as runTokenizer } from "./tokenizer.ts";
export { type Outcome, type RunWatcher, trainRun } from "./train.ts";
export { readTraining, type Training } from "./training.ts";
export { checkpointConfig, fillStore } from "./weights.ts";
export { type NewRun, RunWriter } from "./writer.ts";
