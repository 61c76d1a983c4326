/** A run's states on disk: the store's arrays and the trainer's progress. */
import { CheckpointError } from "../errors.ts";
import type { ParameterStore, Progress, StateStorage } from "../train/index.ts";
import type { StateHistory } from "./state.ts";

const ARRAYS = ["parameters", "moment1", "moment2"] as const;

export function storageOf(history: StateHistory, store: ParameterStore): StateStorage {
  return {
    async save(progress) {
      await history.save(progress.step, {
        state: progress as unknown as Record<string, unknown>,
        tensors: ARRAYS.map((key) => ({ key, shape: [store[key].length], data: store[key] })),
      });
    },
    async load() {
      const state = await history.loadLatest();
      if (state === undefined) return undefined;
      try {
        for (const key of ARRAYS) {
          const { data } = await state.tensors.read(key);
          if (data.length !== store[key].length) throw new CheckpointError(`${state.dir}: ${key}: expected ${store[key].length} values, got ${data.length}`);
          store[key].set(data as Float32Array);
        }
        return state.state as unknown as Progress;
      } finally {
        await state.close();
      }
    },
  };
}
