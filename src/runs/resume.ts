/** A run taken up again: with the tokenizer, the tokens, the recipe and the layout that it began with, or not at all. */
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { checkWritable } from "../checkpoint/index.ts";
import { type Dataset, findSources, hashSources, openShards, prepareData, stampOf } from "../data/index.ts";
import { CheckpointError, DataError, NoSuchRunError, UsageError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { type ParameterStore, type Recipe, storeOf } from "../train/index.ts";
import { type BoundRun, checkLayout, openBound } from "./bound.ts";
import type { Note } from "./describe.ts";
import { checkMemory } from "./memory.ts";
import { chooseOut } from "./out.ts";
import type { PreparedRun, TrainOptions } from "./prepared.ts";
import { RunReader } from "./reader.ts";
import { type RecipeSource, readRecipe } from "./recipes.ts";
import { makeRunId } from "./records.ts";
import { checkRoom, type Need, needsOf } from "./room.ts";
import type { RunInfo } from "./schema.ts";
import { dataOptions, sourceOf } from "./source.ts";
import { StateHistory } from "./state.ts";
import { storageOf } from "./storage.ts";
import { sweep } from "./sweep.ts";
import { firstWeights } from "./weights.ts";
import { RunWriter } from "./writer.ts";

/** The run that --resume means: that of an id, or the newest of a recipe; with a note on those that cannot be read and may have been meant. */
async function findRun(source: RecipeSource, { resume, runs }: TrainOptions): Promise<{ id: string; notes: Note[] }> {
  const reader = new RunReader(runs);
  if (typeof resume === "string") {
    await reader.info(resume).catch((error: unknown) => {
      if (error instanceof NoSuchRunError)
        throw new UsageError(`--resume: found no run ${resume} in ${runs}; sumbi runs lists what there is`);
      throw error;
    });
    return { id: resume, notes: [] };
  }
  const recipeName = String(readRecipe(source).json["name"]);
  const all = await reader.list();
  const found = all.find((run) => run.recipeName === recipeName);
  const passed = all
    .filter(({ id, status }) => status === "unreadable" && mayBeNewer(id, recipeName, found?.startedAt))
    .map(({ id, problem }) => `${id}, which cannot be read: ${problem}`);
  if (found === undefined)
    throw new UsageError(
      `--resume: found no run of recipe ${recipeName} in ${runs}${passed.length > 0 ? ` but ${passed.join("; ")}` : ""}; sumbi runs lists what there is`,
    );
  const message = `going on with ${found.id}; passed over ${passed.join("; ")}`;
  return { id: found.id, notes: passed.length > 0 ? [{ level: "warn", message }] : [] };
}

/** Whether a run of which only the id is known could be one of a recipe, and newer than one that began then. */
function mayBeNewer(id: string, recipeName: string, startedAt: string | undefined): boolean {
  const [stamp] = /^\d{8}-\d{6}-/.exec(id) ?? [];
  if (stamp === undefined) return true;
  const least = makeRunId(recipeName, new Date(startedAt ?? 0));
  return id >= least && id.startsWith(least.slice(stamp.length), stamp.length);
}

/** Takes a run up again, up to its next step. It is this process's to write from the beginning on, and let go when that fails. */
export async function resumeRun(
  source: RecipeSource,
  options: TrainOptions,
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<PreparedRun> {
  if (options.data?.length)
    throw new UsageError(
      "--resume: a run goes on with the texts that it began with; leave out --data, or start a new run",
    );
  const { id, notes } = await findRun(source, options);
  const writer = await RunWriter.resume(options.runs, id, onProgress);
  try {
    const run = await takeUp(writer, options, onProgress, signal);
    return { ...run, notes: [...notes, ...run.notes] };
  } catch (error) {
    await writer.close();
    throw error;
  }
}

async function takeUp(
  writer: RunWriter,
  options: TrainOptions,
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<PreparedRun> {
  const { dir, info } = writer;
  const bound = await openBound(dir, info, options.set);
  const { recipe, phases, modelJson, tokenizerDir, binding } = bound;
  checkMemory(phases, recipe);
  const out = await chooseOut(options, info.out, recipe.name);
  await checkWritable(resolve(options.runs), `--runs ${options.runs}`);
  await sweep(options.runs, out.dir);
  const needs = await needsOf(recipe, modelJson, resolve(options.runs), info.id, out.dir);
  await checkRoom(needs);
  signal?.throwIfAborted();

  const { dataset, notes } = await boundShards(bound, info, options.runs, needs, onProgress, signal);
  const store = storeOf(phases);
  checkLayout(dir, binding, store);
  const history = new StateHistory(join(dir, "state"), recipe.save.keep, () => writer.check());
  const { step, seconds } = await new RunReader(options.runs).spent(info.id);
  const newest = (await history.list()).at(-1)?.step;
  if (newest === undefined) await begin(store, recipe, modelJson, dir, step);
  else if (newest > step)
    notes.push({
      level: "warn",
      message: `log.jsonl tells of ${step === 0 ? "no step" : `steps up to ${step}`}, the newest state is of step ${newest}: what the log said of those between is lost, the model is not`,
    });

  const cpu = cpus()[0]?.model ?? "unknown";
  if (info.machine !== undefined && info.machine.cpu !== cpu)
    notes.push({
      level: "warn",
      message: `the run began on another processor (${info.machine.cpu}, now ${cpu}): the last bits of its losses may differ from what they would have been there`,
    });
  if (bound.changed.length > 0) {
    notes.push({ level: "info", message: `settings changed from here on: ${bound.changed.join(", ")}` });
    await writer.update({
      recipe: bound.json,
      changes: [...(info.changes ?? []), { at: new Date().toISOString(), settings: bound.changed }],
    });
  }
  return {
    recipe,
    phases,
    modelJson,
    store,
    writer,
    tokenizerDir,
    out,
    notes,
    storage: storageOf({ history, store, phases, binding, from: options.resumeFrom }),
    source: sourceOf(dataset, recipe),
    resumed: true,
    earlierSeconds: seconds,
  };
}

/** The weights of a run that was ended before its first state. */
async function begin(
  store: ParameterStore,
  recipe: Recipe,
  modelJson: Record<string, unknown>,
  dir: string,
  step: number,
): Promise<void> {
  // The first state is saved before the first step: where there were steps there were states.
  if (step > 0)
    throw new CheckpointError(
      `${join(dir, "state")}: expected a state of the run, which came to step ${step}, found none. It cannot go on without; start a new run`,
    );
  await firstWeights(store, recipe, modelJson);
}

/**
 * The tokens that the run began with, whatever became of the texts: out of the cache, or, when they are gone from there, made again of texts
 * that still say the same. Throws CheckpointError when neither can be. `notes` say what is not as it was.
 */
async function boundShards(
  { binding, recipe, tokenizerDir }: BoundRun,
  info: RunInfo,
  runsDir: string,
  needs: readonly Need[],
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<{ dataset: Dataset; notes: Note[] }> {
  const texts = recipe.data.paths.join(", ");
  const notes: Note[] = [];
  try {
    const dataset = await openShards(resolve(runsDir, "cache"), binding.shards, { onProgress, signal });
    const changed = await whatChanged(recipe, info, onProgress, signal);
    if (changed !== undefined)
      notes.push({
        level: "warn",
        message: `the texts (${texts}) ${changed} since the run began; it goes on with the tokens that it began with`,
      });
    return { dataset, notes };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const refuse = (why: string) =>
      new CheckpointError(
        `${info.id}: expected the tokens that the run began with: ${error.message}. They cannot be made again: ${why}. Start a new run`,
      );
    const made = await prepareData({ ...dataOptions(recipe, tokenizerDir, runsDir, needs), onProgress, signal }).catch(
      (cause: unknown) => {
        throw cause instanceof DataError ? refuse(cause.message) : cause;
      },
    );
    if (made.dataset.json.hash !== binding.shards) {
      made.dataset.close();
      throw refuse(
        `what the texts (${texts}) say now is not what they said, or this version of Sumbi tokenises them otherwise`,
      );
    }
    notes.push({
      level: "warn",
      message: `the run's tokens were gone or damaged and were made again of the same texts: ${error.message}`,
    });
    return { dataset: made.dataset, notes };
  }
}

/** What became of the texts; undefined when they say what they said. They are read only when a name, size or time of their files differs. */
async function whatChanged(
  recipe: Recipe,
  { texts }: RunInfo,
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    const sources = findSources(recipe.data.paths);
    if (
      texts === undefined ||
      stampOf(sources) === texts.stamp ||
      (await hashSources(sources, onProgress, signal)) === texts.contents
    )
      return undefined;
    return "were changed";
  } catch (error) {
    if (error instanceof DataError) return "are gone";
    throw error;
  }
}
