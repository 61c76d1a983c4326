/** Training: a recipe, a parameter store, and the loop that moves one by the other. Knows no files and no terminal. */
export { applySettings, parseRecipe, type Phase, phasesOf, type Recipe, recipeJsonSchema, suitableLanes } from "./recipe.ts";
export { batchAt, pretrainingSteps } from "./ramp.ts";
export { type Knobs, knobsAt, rateAt } from "./schedule.ts";
export { ParameterStore, storeOf, type Stretch } from "./store.ts";
export { Optimizer } from "./optimizer.ts";
export { Balance } from "./balance.ts";
export { EvaluationProgram, type Losses, parametersOf, traceTraining, type TrainingGraph, TrainingProgram } from "./program.ts";
export { fp8Product } from "./fp8.ts";
export { byteRange } from "./byteRange.ts";
export { int8Arithmetic } from "./int8.ts";
export { WeightQuantizer } from "./weightBytes.ts";
export { estimateMemory, leastActivationBytes, parameterBytes, type MemoryEstimate, peakBytes } from "./memory.ts";
export { type Progress, progressSchema } from "./progress.ts";
export { moeLayers, type StateStorage, type StepReport, Trainer, type TrainerEvents, type TokenSource } from "./trainer.ts";
