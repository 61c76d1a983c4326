/** Training: a recipe, a parameter store, and the loop that moves one by the other. Knows no files and no terminal. */

export { Balance } from "./balance.ts";
export { byteRange } from "./byteRange.ts";
export { EvaluationProgram } from "./evaluation.ts";
export { ForwardProgram } from "./forward.ts";
export { fp8Product } from "./fp8.ts";
export { int8Arithmetic } from "./int8.ts";
export { Learner, type StepKnobs } from "./learner.ts";
export {
  activationBytes,
  BASE_BYTES,
  estimateMemory,
  leastActivationBytes,
  type MemoryEstimate,
  parameterBytes,
  peakBytes,
} from "./memory.ts";
export type { Batch, Minimised, Objective, Shard, TokenValues } from "./objective.ts";
export { type DistillationOptions, distillation, hiddenStates } from "./objectives/distillation.ts";
export { type PolicyOptions, policy } from "./objectives/policy.ts";
export { pretraining } from "./objectives/pretrain.ts";
export { supervised } from "./objectives/supervised.ts";
export type { MtpOptions } from "./objectives/weighted.ts";
export { Optimizer, type OptimizerSettings } from "./optimizer.ts";
export { type ProgramOptions, type StepSums, TrainingProgram } from "./program.ts";
export { type Progress, progressSchema } from "./progress.ts";
export { batchAt, pretrainingSteps } from "./ramp.ts";
export {
  applySettings,
  type Cost,
  costSchema,
  type Phase,
  parseRecipe,
  phasesOf,
  type Recipe,
  recipeJsonSchema,
  suitableLanes,
} from "./recipe.ts";
export { type Knobs, knobsAt, rateAt } from "./schedule.ts";
export {
  loraStore,
  ParameterCopy,
  type ParameterGroup,
  ParameterStore,
  type Parameters,
  storeOf,
} from "./store.ts";
export {
  type BatchShape,
  parametersOf,
  shardOf,
  type TraceOptions,
  type TrainingGraph,
  traceTraining,
} from "./trace.ts";
export {
  type Losses,
  type StateStorage,
  type StepReport,
  type TokenSource,
  Trainer,
  type TrainerEvents,
} from "./trainer.ts";
export { WeightQuantizer } from "./weightBytes.ts";
