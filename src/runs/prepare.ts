/** Everything a run needs before its first step: recipe, tokenizer, shards, weights, log. */
import { availableParallelism, cpus } from "node:os";
import { join, resolve } from "node:path";
import { unlessAborted } from "../abort.ts";
import { checkWritable, findModel } from "../checkpoint/index.ts";
import { absolutePaths, findSources, hashSources, prepareData, stampOf } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { moeLayers, summarizeParameters } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { threads } from "../runtime/index.ts";
import { applySettings, parseRecipe, phasesOf, type Recipe, storeOf } from "../train/index.ts";
import { layoutFingerprint, recipeFingerprint, tokenizerFingerprint } from "./binding.ts";
import { describeRun } from "./describe.ts";
import { checkMemory, lanesThatFit } from "./memory.ts";
import { modelJsonOf, withTokenizer } from "./modelJson.ts";
import { chooseOut } from "./out.ts";
import type { PreparedRun, TrainOptions } from "./prepared.ts";
import { type RecipeSource, readRecipe } from "./recipes.ts";
import { resumeRun } from "./resume.ts";
import { checkRoom, needsOf } from "./room.ts";
import type { Binding } from "./schema.ts";
import { dataOptions, sourceOf } from "./source.ts";
import { StateHistory } from "./state.ts";
import { storageOf } from "./storage.ts";
import { sweep } from "./sweep.ts";
import { keepTokenizer, prepareTokenizer, tokenizerOf } from "./tokenizer.ts";
import { firstWeights } from "./weights.ts";
import { RunWriter } from "./writer.ts";

/** Settings on the command line over the recipe file; --data replaces its paths. All paths absolute. */
function resolveRecipe(given: RecipeSource, options: TrainOptions): Recipe {
  const { json, path } = readRecipe(given);
  let settled = applySettings(json, options.set ?? []);
  if (options.data?.length)
    settled = { ...settled, data: { ...(settled["data"] as object | undefined), paths: options.data } };
  const { data, tokenizer, model, ...recipe } = parseRecipe(settled, path);
  if (data.paths.length === 0) throw new UsageError(`${path}: the recipe names no data; say which with --data`);
  return {
    ...recipe,
    data: { ...data, paths: absolutePaths(data.paths) },
    tokenizer: "from" in tokenizer ? { from: resolve(tokenizer.from) } : tokenizer,
    model: typeof model === "string" ? (findModel(model) ?? resolve(model)) : model,
  };
}

/** Does everything up to the first step. Bad recipes, missing memory, a folder or disk that will not do end it before any work; so does `signal`, at any time. */
export async function prepareRun(
  source: RecipeSource,
  options: TrainOptions,
  gemmFlopsPerSec: () => Promise<number>,
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<PreparedRun> {
  if (options.runs.trim() === "") throw new UsageError("--runs: expected a folder, got an empty text");
  if (options.resume || options.resumeFrom !== undefined) return resumeRun(source, options, onProgress, signal);
  const given = resolveRecipe(source, options);
  const sources = findSources(given.data.paths);
  const base = await modelJsonOf(given);
  const recipe = { ...given, lanes: given.lanes ?? lanesThatFit(given, base) };
  checkMemory(phasesOf(recipe, base), recipe);
  const out = await chooseOut(options, undefined, recipe.name);
  await checkWritable(resolve(options.runs), `--runs ${options.runs}`);
  await sweep(options.runs, out.dir);
  const needs = await needsOf(recipe, base, resolve(options.runs), undefined, out.dir);
  await checkRoom(needs);

  const texts = { sources, contents: await hashSources(sources, onProgress, signal) };
  const givenTokenizer = await prepareTokenizer(recipe, texts, options.runs, onProgress, signal);
  const modelJson = withTokenizer(base, givenTokenizer);
  const phases = phasesOf(recipe, modelJson);
  signal?.throwIfAborted();
  const tokenizer = await tokenizerFingerprint(givenTokenizer);
  const prepared = await prepareData({
    ...dataOptions(recipe, givenTokenizer, options.runs, needs),
    contents: texts.contents,
    onProgress,
    signal,
  });

  const store = storeOf(phases);
  await firstWeights(store, recipe, base);

  signal?.throwIfAborted();
  const recipeJson = { ...recipe } as Record<string, unknown>;
  const binding: Binding = {
    tokenizer,
    shards: prepared.dataset.json.hash,
    recipe: recipeFingerprint(recipeJson, modelJson),
    layout: layoutFingerprint(store),
  };
  const writer = await RunWriter.create(
    options.runs,
    {
      recipeName: recipe.name,
      recipe: recipeJson,
      parameters: summarizeParameters(phases[0]!.config),
      expertLayers: moeLayers(phases[0]!.config),
      machine: {
        cpu: cpus()[0]?.model ?? "unknown",
        threads: threads() || availableParallelism(),
        gemmFlopsPerSec: await unlessAborted(gemmFlopsPerSec(), signal),
      },
      out: out.dir,
      model: modelJson,
      binding,
      texts: { stamp: stampOf(sources), contents: texts.contents },
    },
    (dir) => keepTokenizer(givenTokenizer, dir, tokenizer),
  );
  const history = new StateHistory(join(writer.dir, "state"), recipe.save.keep, () => writer.check());
  return {
    recipe,
    phases,
    modelJson,
    store,
    writer,
    out,
    tokenizerDir: tokenizerOf(writer.dir),
    storage: storageOf({ history, store, phases, binding }),
    source: sourceOf(prepared.dataset, recipe),
    resumed: false,
    notes: describeRun(prepared, recipe, phases),
    earlierSeconds: 0,
  };
}
