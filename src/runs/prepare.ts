/** Everything a run needs before its first step: recipe, tokenizer, shards, weights, log. */
import { readFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join, resolve } from "node:path";
import { unlessAborted } from "../abort.ts";
import { checkWritable } from "../checkpoint/index.ts";
import { findSources, prepareData } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { bytes } from "../format.ts";
import { listParameters, summarizeParameters } from "../model/index.ts";
import { parseJson } from "../json.ts";
import type { OnProgress } from "../progress.ts";
import { threads } from "../runtime/index.ts";
import { sizeOf } from "../tensor/index.ts";
import { applySettings, parseRecipe, type ParameterStore, type Phase, phasesOf, type Recipe, type StateStorage, storeOf, type TokenSource } from "../train/index.ts";
import { describeRun, type Note } from "./describe.ts";
import { exportBytes } from "./export.ts";
import { hashOf } from "./hash.ts";
import { checkMemory, lanesThatFit } from "./memory.ts";
import { modelJsonOf, withTokenizer } from "./modelJson.ts";
import { chooseOut, type Out } from "./out.ts";
import { RunReader } from "./reader.ts";
import { readRecipe } from "./recipes.ts";
import { checkRoom, type Need, statesIn } from "./room.ts";
import type { RunInfo } from "./schema.ts";
import { sourceOf } from "./source.ts";
import { StateHistory } from "./state.ts";
import { storageOf } from "./storage.ts";
import { sweep } from "./sweep.ts";
import { prepareTokenizer } from "./tokenizer.ts";
import { loadWeights } from "./weights.ts";
import { RunWriter } from "./writer.ts";

export interface TrainOptions {
  data?: string[];
  out?: string;
  /** Whether a model that Sumbi put into `out` may be replaced. */
  overwrite?: boolean;
  set?: string[];
  runs: string;
  /** true: the newest run of this recipe; a text: that run. */
  resume?: boolean | string;
}

/** A run with everything decided and prepared, ready to train. */
export interface PreparedRun {
  recipe: Recipe;
  phases: Phase[];
  modelJson: Record<string, unknown>;
  store: ParameterStore;
  writer: RunWriter;
  storage: StateStorage;
  source: TokenSource;
  tokenizerDir: string;
  out: Out;
  resumed: boolean;
  /** What is to be said before the first step. */
  notes: Note[];
  /** Seconds that earlier sessions took. */
  earlierSeconds: number;
}

/** Settings on the command line over the recipe file; --data replaces its paths. */
function resolveRecipe(name: string, options: TrainOptions): { recipe: Recipe; where: string } {
  const { json, path } = readRecipe(name);
  let settled = applySettings(json, options.set ?? []);
  if (options.data?.length) settled = { ...settled, data: { ...(settled["data"] as object | undefined), paths: options.data } };
  const recipe = parseRecipe(settled, path);
  if (recipe.data.paths.length === 0) throw new UsageError(`${path}: the recipe names no data; say which with --data`);
  findSources(recipe.data.paths);
  return { recipe, where: path };
}

/** The run that --resume means, as run.json tells it. */
async function findRun(name: string, options: TrainOptions): Promise<RunInfo> {
  const runs = await new RunReader(options.runs).list();
  const wanted = typeof options.resume === "string" ? options.resume : undefined;
  const { json } = wanted ? { json: {} as Record<string, unknown> } : readRecipe(name);
  const found = runs
    .filter((run) => (wanted ? run.id === wanted : run.recipeName === json["name"]))
    .sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1))[0];
  if (found === undefined)
    throw new UsageError(`--resume: found no run ${wanted ?? `of recipe ${String(json["name"])}`} in ${options.runs}; sumbi runs lists what there is`);
  return parseJson(await readFile(join(options.runs, found.id, "run.json"), "utf8")) as RunInfo;
}

/** What a run will write: one state more than it keeps, the model beside the run and at its place. */
async function needsOf(recipe: Recipe, base: Record<string, unknown>, runsDir: string, earlierId: string | undefined, out: string): Promise<Need[]> {
  const { config } = phasesOf(recipe, base).at(-1)!;
  let stateBytes = 0;
  for (const { shape, sameAs } of listParameters(config)) if (!sameAs) stateBytes += 12 * sizeOf(shape);
  const states = Math.max(1, recipe.save.keep + 1 - (earlierId === undefined ? 0 : await statesIn(join(runsDir, earlierId))));
  const model = exportBytes(config);
  return [
    { dir: runsDir, bytes: states * stateBytes, what: `${states} state${states === 1 ? "" : "s"} of ${bytes(stateBytes)}` },
    { dir: runsDir, bytes: model, what: "the model beside its run" },
    { dir: out, bytes: model, what: "the model at its place" },
  ];
}

/** Does everything up to the first step. Bad recipes, missing memory, a folder or disk that will not do end it before any work; so does `signal`, at any time. */
export async function prepareRun(name: string, options: TrainOptions, gemmFlopsPerSec: () => Promise<number>, onProgress: OnProgress, signal?: AbortSignal): Promise<PreparedRun> {
  if (options.runs.trim() === "") throw new UsageError("--runs: expected a folder, got an empty text");
  const earlier = options.resume ? await findRun(name, options) : undefined;
  if (earlier && (options.set?.length || options.data?.length))
    throw new UsageError("--resume: a run goes on with the recipe it began with; leave out --set and --data, or start a new run");
  const given = earlier ? parseRecipe(earlier.recipe, `${earlier.id}/run.json`) : resolveRecipe(name, options).recipe;
  const base = await modelJsonOf(given);
  const recipe = { ...given, lanes: given.lanes ?? (earlier ? 1 : lanesThatFit(given, base)) };
  checkMemory(phasesOf(recipe, base), recipe);
  const out = await chooseOut(options, earlier?.out, recipe.name);
  await checkWritable(resolve(options.runs), `--runs ${options.runs}`);
  await sweep(options.runs, out.dir);
  const needs = await needsOf(recipe, base, resolve(options.runs), earlier?.id, out.dir);
  await checkRoom(needs);

  const tokenizerDir = await prepareTokenizer(recipe, options.runs, onProgress, signal);
  const modelJson = withTokenizer(base, tokenizerDir);
  const phases = phasesOf(recipe, modelJson);
  signal?.throwIfAborted();
  const { paths, holdout, broken, workers } = recipe.data;
  const dataset = await prepareData({
    paths,
    tokenizerDir,
    outDir: resolve(options.runs, "cache", `data-${hashOf([paths, tokenizerDir, holdout])}`),
    holdout,
    workers,
    onBroken: broken,
    onProgress,
    signal,
  });

  const store = storeOf(phases);
  store.initialize(recipe.seed, Number(base["initializer_range"] ?? 0.006));
  if (typeof recipe.model === "string") await loadWeights(recipe.model, store);

  signal?.throwIfAborted();
  const writer = earlier
    ? await RunWriter.resume(options.runs, earlier.id)
    : await RunWriter.create(options.runs, {
        recipeName: recipe.name,
        recipe,
        parameters: summarizeParameters(phases[0]!.config),
        machine: { cpu: cpus()[0]?.model ?? "unknown", threads: threads() || availableParallelism(), gemmFlopsPerSec: await unlessAborted(gemmFlopsPerSec(), signal) },
        out: out.dir,
      });
  const history = new StateHistory(join(writer.dir, "state"), recipe.save.keep, () => writer.check());
  return {
    recipe, phases, modelJson, store, writer, tokenizerDir, out,
    storage: storageOf({ history, store, phases }),
    source: sourceOf(dataset, recipe),
    resumed: earlier !== undefined,
    notes: describeRun(dataset, recipe, phases),
    earlierSeconds: earlier ? await secondsOf(options.runs, earlier.id) : 0,
  };
}

/** Seconds that a run has taken so far, as its log tells; steps that were done twice are in it twice. */
async function secondsOf(runsDir: string, id: string): Promise<number> {
  const { log } = await new RunReader(runsDir).read(id);
  return log.reduce((most, record) => (record.type === "step" ? Math.max(most, record.seconds ?? 0) : most), 0);
}
