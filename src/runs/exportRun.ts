/** The model of a run's newest saved state, without training. */
import { join, resolve } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { type ModelConfig, parseConfig } from "../model/index.ts";
import { storeOf } from "../train/index.ts";
import { validate } from "../validate.ts";
import { layoutFingerprint } from "./binding.ts";
import { checkLayout, openBound } from "./bound.ts";
import { exportBytes, placeModel, type Trained, trainedBy } from "./export.ts";
import { chooseOut, type Out } from "./out.ts";
import { RunReader } from "./reader.ts";
import { checkRoom } from "./room.ts";
import type { RunInfo } from "./schema.ts";
import { StateHistory } from "./state.ts";
import { refuseNotFinite, storageOf } from "./storage.ts";
import { tokenizerOf } from "./tokenizer.ts";

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
  if (typeof info.recipe["stage"] === "string") return exportStage(dir, info, info.recipe["stage"], options);
  const { recipe, phases, tokenizerDir, binding } = await openBound(dir, info);
  const out = await chooseOut(options, info.out, recipe.name);
  await checkExportRoom(dir, out.dir, phases.at(-1)!.config);
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
  const trained = trainedBy({ dir, id: info.id, recipe, phases, store, tokenizerDir }, progress.step);
  return { model: await place(trained, progress.step, out), step: progress.step, skipped };
}

const stageSchema = z.object({ progress: z.object({ step: z.number() }), binding: z.string() });

/** Of a run of a stage of reasoning: its states hold the same arrays, and what they are bound to ends with the layout. */
async function exportStage(
  dir: string,
  info: RunInfo,
  stage: string,
  options: { out?: string; overwrite?: boolean; runs: string },
): Promise<{ model: string; step: number; skipped: string[] }> {
  const { from: _, ...recipe } = info.recipe;
  if (recipe["lora"] !== undefined)
    throw new CheckpointError(
      `${dir}: expected a run that trains all weights, got one of an adapter; it is written when the run is done: sumbi reason ${stage} --resume ${info.id}`,
    );
  if (info.model === undefined) throw new CheckpointError(`${dir}/run.json: model: expected a config, got none`);
  const config = parseConfig(info.model, `${dir}/run.json`);
  const out = await chooseOut(options, info.out, info.recipeName);
  await checkExportRoom(dir, out.dir, config);
  const store = storeOf([{ config, lanes: 1 }]);
  const skipped: string[] = [];
  const step = await new StateHistory(join(dir, "state")).load(
    async (state, at) => {
      const where = join(state.dir, "state.json");
      const saved = validate(stageSchema, state.state, where, (message) => new CheckpointError(message));
      if (!saved.binding.endsWith(layoutFingerprint(store)) || saved.progress.step !== at)
        throw new CheckpointError(
          `${where}: expected a state of this run, got one of another model or version of Sumbi`,
        );
      await state.readInto("parameters", store.parameters);
      refuseNotFinite(store, state.dir);
      return at;
    },
    { skipped: (reason) => skipped.push(reason) },
  );
  if (step === undefined) throw new CheckpointError(`${dir}: expected a run with a saved state, found none`);
  const tokenizerDir = tokenizerOf(dir);
  const names = { id: info.id, name: info.recipeName, recipe };
  const trained = { dir, ...names, config, configJson: info.model, store, tokenizerDir };
  return { model: await place(trained, step, out), step, skipped };
}

async function checkExportRoom(dir: string, out: string, config: ModelConfig): Promise<void> {
  const bytes = exportBytes(config);
  await checkRoom([
    { dir, bytes, what: "the model beside its run" },
    { dir: out, bytes, what: "the model at its place" },
  ]);
}

/** Where the model is. Throws CheckpointError when it could not be put there, saying where it is whole. */
async function place(trained: Trained, step: number, out: Out): Promise<string> {
  const { model, fault } = await placeModel(trained, step, out);
  if (fault !== undefined || model === undefined)
    throw new CheckpointError(`${fault}${model === undefined ? "" : `. It is whole in ${model}`}`);
  return model;
}
