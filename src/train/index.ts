/** Training: a recipe, a parameter store, and the loop that moves one by the other. Knows no files and no terminal. */

export { Balance } from "./balance.ts";
export { byteRange } from "./byteRange.ts";
export { fp8Product } from "./fp8.ts";
export { int8Arithmetic } from "./int8.ts";
export { estimateMemory, leastActivationBytes, type MemoryEstimate, parameterBytes, peakBytes } from "./memory.ts";
export { Optimizer } from "./optimizer.ts";
export {
  EvaluationProgram,
  type Losses,
  parametersOf,
  type TrainingGraph,
  TrainingProgram,
  traceTraining,
} from "./program.ts";
export { type Progress, progressSchema } from "./progress.ts";
export { batchAt, pretrainingSteps } from "./ramp.ts";
export {
  applySettings,
  type Phase,
  parseRecipe,
  phasesOf,
  type Recipe,
  recipeJsonSchema,
  suitableLanes,
} from "./recipe.ts";
export { type Knobs, knobsAt, rateAt } from "./schedule.ts";
export { ParameterStore, type Stretch, storeOf } from "./store.ts";
export {
  moeLayers,
  type StateStorage,
  type StepReport,
  type TokenSource,
  Trainer,
  type TrainerEvents,
} from "./trainer.ts";
export { WeightQuantizer } from "./weightBytes.ts";
