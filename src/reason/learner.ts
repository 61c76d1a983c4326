/** The learner that all stages have. */
import { ConfigError } from "../errors.ts";
import type { ModelConfig } from "../model/index.ts";
import { Learner, type ParameterStore } from "../train/index.ts";
import type { ReinforceOptions } from "./options.ts";

/** Asked for, and not used by AdamW. */
const NO_MUON = { momentum: 0, iterations: 5, weightDecay: 0, rate: 1 };

/** By AdamW, gradients clipped. */
export const adamwLearner = (
  store: ParameterStore,
  config: ModelConfig,
  { adamw, clip }: Pick<ReinforceOptions, "adamw" | "clip">,
): Promise<Learner> => Learner.create(store, config, { optimizer: "adamw", adamw, muon: NO_MUON, clip });

const BIAS = ".gate.e_score_correction_bias";

/** Throws ConfigError for a speed of balance biases that the store does not hold. */
export function checkGamma(store: ParameterStore, gamma: number): void {
  if (gamma > 0 && !store.keys().some((key) => key.endsWith(BIAS)))
    throw new ConfigError(
      `gamma: the model has no routers with a balance bias that is trained; leave it out, got ${gamma}`,
    );
}

/** Rows of a micro-batch for so many sequences a step: no more than are needed, the same number for each lane. */
export const rowsFor = (store: ParameterStore, microBatch: number, sequences: number): number =>
  store.lanes.length * Math.ceil(Math.min(microBatch, sequences) / store.lanes.length);
