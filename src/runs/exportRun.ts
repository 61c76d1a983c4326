/** The model of a run's newest saved state, without training. */
import { join, resolve } from "node:path";
import { CheckpointError } from "../errors.ts";
import { storeOf } from "../train/index.ts";
import { checkLayout, openBound } from "./bound.ts";
import { exportBytes, placeModel, trainedBy } from "./export.ts";
import { chooseOut } from "./out.ts";
import { RunReader } from "./reader.ts";
import { checkRoom } from "./room.ts";
import { StateHistory } from "./state.ts";
import { storageOf } from "./storage.ts";

/**
 * Writes the model of a run's newest saved state, whatever became of the run: stopped, failed, done or under way. Where it is and of
 * which step, and what was wrong with newer states. Throws CheckpointError when there is no such run, no state, or the folder will not do.
 */
export async function exportRun(
  id: string,
  options: { out?: string; overwrite?: boolean; runs: string },
): Promise<{ model: string; step: number; skipped: string[] }> {
  const info = await new RunReader(options.runs).info(id);
  const dir = join(resolve(options.runs), info.id);
  const { recipe, phases, tokenizerDir, binding } = await openBound(dir, info);
  const out = await chooseOut(options, info.out, recipe.name);
  const bytes = exportBytes(phases.at(-1)!.config);
  await checkRoom([
    { dir, bytes, what: "the model beside its run" },
    { dir: out.dir, bytes, what: "the model at its place" },
  ]);
  const store = storeOf(phases);
  checkLayout(dir, binding, store);
  const skipped: string[] = [];
  const progress = await storageOf({
    history: new StateHistory(join(dir, "state"), recipe.save.keep),
    store,
    phases,
    binding,
  }).load((reason) => skipped.push(reason));
  if (progress === undefined) throw new CheckpointError(`${dir}: expected a run with a saved state, found none`);
  const { model, fault } = await placeModel(
    trainedBy({ dir, id: info.id, recipe, phases, store, tokenizerDir }, progress.step),
    progress.step,
    out,
  );
  if (fault !== undefined || model === undefined)
    throw new CheckpointError(`${fault}${model === undefined ? "" : `. It is whole in ${model}`}`);
  return { model, step: progress.step, skipped };
}
