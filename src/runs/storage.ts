/** A run's states on disk: the store's arrays and the trainer's progress. */
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { mixtureOf, moeLayers } from "../model/index.ts";
import { type ParameterStore, type Phase, type Progress, progressSchema, type StateStorage } from "../train/index.ts";
import { validate } from "../validate.ts";
import { difference } from "./binding.ts";
import { describeNotFinite, whereNotFinite } from "./finite.ts";
import { type Binding, bindingSchema } from "./schema.ts";
import type { LoadedState, StateHistory } from "./state.ts";

const ARRAYS = ["parameters", "moment1", "moment2"] as const;

const savedSchema = z.object({ progress: progressSchema, binding: bindingSchema });

export interface StorageOptions {
  history: StateHistory;
  store: ParameterStore;
  phases: readonly Phase[];
  /** What the run is bound to: states of anything else are none of this run's. */
  binding: Binding;
  /** Begins from the state of this step and no other; later ones are given up with the next save. */
  from?: number;
}

/** A run's states. What is not finite is neither saved nor loaded; a state that is not whole is passed over for the one before. */
export function storageOf({ history, store, phases, binding, from }: StorageOptions): StateStorage {
  /** Later states are not looked at: they belong to a past that was given up. */
  let upTo = Infinity;
  let chosen = from;

  const read = async (state: LoadedState, step: number): Promise<Progress> => {
    const where = join(state.dir, "state.json");
    const { progress, binding: its } = validate(
      savedSchema,
      state.state,
      where,
      (message) => new CheckpointError(message),
    );
    const other = difference(its, binding);
    if (other !== undefined) throw new CheckpointError(`${where}: binding: this state was trained with ${other}`);
    checkProgress(progress, step, phases, where);
    for (const key of ARRAYS) await state.readInto(key, store[key]);
    refuseNotFinite(store, state.dir);
    return progress;
  };

  return {
    async save(progress) {
      refuseNotFinite(store, `step ${progress.step}`, "The state is not saved; those before it are kept");
      await history.save(progress.step, {
        state: { progress, binding },
        tensors: ARRAYS.map((key) => ({ key, shape: [store[key].length], data: store[key] })),
      });
      upTo = Infinity;
    },
    async load(skipped) {
      if (chosen !== undefined) {
        const step = chosen;
        const progress = await history.loadStep(step, (state) => read(state, step));
        chosen = undefined;
        upTo = step;
        return progress;
      }
      return history.load(read, { upTo, skipped });
    },
  };
}

/** Refuses progress that cannot be this run's. */
function checkProgress({ step: told, balance }: Progress, step: number, phases: readonly Phase[], where: string): void {
  const last = phases.at(-1);
  const first = phases[0];
  if (first === undefined || last === undefined) return;
  if (told !== step || step > last.toStep)
    throw new CheckpointError(
      `${where}: progress.step: expected ${step} as its folder says, of at most ${last.toStep}, got ${told}`,
    );
  const layers = moeLayers(first.config).length;
  const experts = mixtureOf(first.config).experts;
  if (balance.average.length !== layers || balance.average.some((layer) => layer.length !== experts))
    throw new CheckpointError(
      `${where}: progress.balance.average: expected ${layers} layers of ${experts} experts, got ${balance.average.map((layer) => layer.length).join(", ") || "none"}`,
    );
}

/** Throws CheckpointError naming the first value of weights or moments that is no number. */
export function refuseNotFinite(store: ParameterStore, where: string, then = ""): void {
  for (const key of ARRAYS) {
    const found = whereNotFinite(store, store[key]);
    if (found !== undefined)
      throw new CheckpointError(`${where}: ${key}: ${describeNotFinite(found)}. ${then}`.replace(/\. $/, ""));
  }
}
