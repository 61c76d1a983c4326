/** Weights of a checkpoint as the beginning of a run. */
import { openCheckpoint } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import type { ParameterStore } from "../train/index.ts";

/** Fills the store from a checkpoint's folder. Throws CheckpointError when a tensor is missing or has another shape. */
export async function loadWeights(dir: string, store: ParameterStore): Promise<void> {
  const checkpoint = await openCheckpoint(dir);
  try {
    const present = new Set(checkpoint.keys());
    for (const key of store.keys()) {
      if (!present.has(key)) throw new CheckpointError(`${dir}: expected tensor ${key}, found none`);
      const { data, shape } = await checkpoint.readF32(key);
      const own = store.parameter(key);
      if (String(shape) !== String(own.shape)) throw new CheckpointError(`${dir}: ${key}: expected [${own.shape}], got [${shape}]`);
      own.data.set(data);
    }
  } finally {
    await checkpoint.close();
  }
}
