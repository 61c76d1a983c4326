/** The weights that a stage trains: all of a model's, or adapters beside them. */
import { availableParallelism } from "node:os";
import { type ModelConfig, parseConfig } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { fillStore, layoutFingerprint } from "../runs/index.ts";
import { threads } from "../runtime/index.ts";
import { type ParameterStore, storeOf } from "../train/index.ts";
import { adaptedConfig, openAdapters, wholeLora } from "./lora.ts";
import { checkWeights } from "./memory.ts";
import type { OpenedStage, StageInputs, StageOptions } from "./stageOpen.ts";

export interface StageWeights {
  config: ModelConfig;
  store: ParameterStore;
  /** What states of a run hang on: the layout, and what adapters stand beside. */
  fingerprint: string;
}

/** Opens them; those of a new run as it begins, of another to be read from its state. Throws CheckpointError. */
export async function openStageWeights<O extends StageOptions, I extends StageInputs>(
  { options, writer, modelJson, from, fresh }: OpenedStage<O, I>,
  onProgress?: OnProgress,
): Promise<StageWeights> {
  const config = parseConfig(modelJson, `${writer.dir}/run.json`);
  const lanes = Math.min(threads() || availableParallelism(), options.microBatch);
  const { lora } = options;
  if (lora === undefined) {
    checkWeights(config, lanes);
    const store = storeOf([{ config, lanes }]);
    if (fresh) await fillStore(from, store);
    return { config, store, fingerprint: layoutFingerprint(store) };
  }
  const adapted = adaptedConfig(config);
  const whole = wholeLora(lora);
  checkWeights(adapted, lanes, whole);
  const { store, base } = await openAdapters(from, adapted, whole, {
    lanes,
    seed: options.seed,
    fresh,
    onProgress,
  });
  return { config: adapted, store, fingerprint: `${layoutFingerprint(store)} ${base}` };
}
