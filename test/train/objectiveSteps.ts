/** One step of an objective on a model, for tests: what it gives and every gradient. */
import type { ModelConfig } from "../../src/model/index.ts";
import {
  type Batch,
  type Objective,
  type ParameterStore,
  type StepSums,
  storeOf,
  TrainingProgram,
} from "../../src/train/index.ts";

/** A model with weights large enough that a wrong term shows. */
export function modelStore(config: ModelConfig, lanes = 1, frozen?: (key: string) => boolean): ParameterStore {
  const store = storeOf([{ config, lanes }], frozen);
  store.initialize(3, 0.2);
  return store;
}

export interface Step extends StepSums {
  gradients: Map<string, Float64Array>;
}

/** Adds up the gradients of the micro-batches given, each of `microBatch` sequences of `sequence` tokens. */
export async function stepOf(
  store: ParameterStore,
  config: ModelConfig,
  objective: Objective,
  batches: readonly Batch[],
  {
    microBatch,
    sequence,
    lanes = 1,
    precision = "f32",
  }: { microBatch: number; sequence: number; lanes?: number; precision?: "f32" | "int8" },
): Promise<Step> {
  const shape = { name: "test", config, microBatch, sequence, lanes };
  const options = { precision, accumulate: batches.length > 1 };
  const program = await TrainingProgram.create(shape, objective, store, options);
  try {
    await program.begin();
    for (const batch of batches) await program.run(batch);
    const gradients = new Map<string, Float64Array>();
    for (const key of store.trainedKeys()) {
      const sum = new Float64Array(store.views.get(key)!.size);
      for (let lane = 0; lane < lanes; lane++) store.gradient(key, lane).data.forEach((value, i) => (sum[i]! += value));
      gradients.set(key, sum);
    }
    return { ...program.finish(), gradients };
  } finally {
    program.dispose();
  }
}

/** ‖a − b‖ / ‖b‖ over all parameters. */
export function apart(a: Step["gradients"], b: Step["gradients"]): number {
  let [difference, size] = [0, 0];
  for (const [key, expected] of b)
    expected.forEach((value, i) => {
      difference += (a.get(key)![i]! - value) ** 2;
      size += value ** 2;
    });
  return size === 0 ? Math.sqrt(difference) : Math.sqrt(difference / size);
}
