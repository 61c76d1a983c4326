import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join, resolve } from "node:path";
import {
  atomicFolder, openCheckpoint, RunReader, RunWriter, saveCheckpoint, StateHistory, tokenizerFiles, type RunInfo, type RunRecord, type StepRecord,
} from "../checkpoint/index.ts";
import { builtinHash, type Dataset, findSources, loadTokenizer, prepareData, readDocuments } from "../data/index.ts";
import { CheckpointError, ConfigError, UsageError } from "../errors.ts";
import { countParameters, listParameters, mtpDepth, parameterShapes } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { threads } from "../runtime/index.ts";
import { trainTokenizer } from "../tokenizer/index.ts";
import {
  applySettings, estimateMemory, parseRecipe, type Phase, phasesOf, type Progress, type ParameterStore, type Recipe, type StateStorage, storeOf, suitableLanes, type TokenSource, Trainer,
} from "../train/index.ts";
import { bytes } from "./print.ts";
import { readRecipe } from "./recipes.ts";
import { Samples } from "./trainSamples.ts";

export interface TrainOptions {
  data?: string[];
  out?: string;
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
  out: string;
  resumed: boolean;
}

const hashOf = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);

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
  return JSON.parse(await readFile(join(options.runs, found.id, "run.json"), "utf8")) as RunInfo;
}

/** The tokenizer's folder: the one the recipe names, or one trained on its data, kept for the next run on the same. */
async function prepareTokenizer(recipe: Recipe, runsDir: string, onProgress: OnProgress): Promise<string> {
  if ("from" in recipe.tokenizer) return recipe.tokenizer.from;
  if (typeof recipe.model === "string") return recipe.model;
  const { vocabSize = Number(recipe.model["vocab_size"]), digits } = recipe.tokenizer;
  const sources = findSources(recipe.data.paths);
  const dir = resolve(runsDir, "cache", `tokenizer-${hashOf([sources.map((s) => [s, s.builtin && builtinHash(s.builtin.name)]), vocabSize, digits])}`);
  if (existsSync(join(dir, "tokenizer.json"))) return dir;
  async function* texts() {
    for await (const document of readDocuments(recipe.data.paths, { onBroken: recipe.data.broken }))
      if ("text" in document) yield document.text;
      else for (const message of document.messages) yield message.content;
  }
  const trained = await trainTokenizer(texts(), { vocabSize, digits, totalChars: sources.reduce((n, s) => n + s.bytes, 0), onProgress });
  await mkdir(join(dir, ".."), { recursive: true });
  await atomicFolder(dir, async (temporary) => {
    const { writeFile } = await import("node:fs/promises");
    await writeFile(join(temporary, "tokenizer.json"), JSON.stringify(trained.tokenizerJson, null, 1));
    await writeFile(join(temporary, "tokenizer_config.json"), JSON.stringify(trained.tokenizerConfig, null, 2));
  });
  return dir;
}

/** config.json's fields of the model to train: the recipe's, or those of the checkpoint it starts from. */
async function modelJsonOf(recipe: Recipe): Promise<Record<string, unknown>> {
  if (typeof recipe.model !== "string") return recipe.model;
  const checkpoint = await openCheckpoint(recipe.model);
  await checkpoint.close();
  return checkpoint.config as Record<string, unknown>;
}

/** As many lanes as suit the machine, fewer when memory is short. */
function lanesThatFit(recipe: Recipe, modelJson: Record<string, unknown>): number {
  let lanes = suitableLanes(recipe, threads());
  const fits = () => {
    const trial = { ...recipe, lanes };
    return estimateMemory(phasesOf(trial, modelJson), trial).total <= process.availableMemory();
  };
  while (lanes > 1 && !fits()) lanes = suitableLanes(recipe, lanes - 1);
  return lanes;
}

/** Refuses a run that will not fit, before it starts. */
function checkMemory(phases: Phase[], recipe: Recipe): void {
  const { parameters, activations, total } = estimateMemory(phases, recipe);
  const free = process.availableMemory();
  if (total > free)
    throw new ConfigError(
      `train: expected about ${bytes(total)} of memory (parameters with gradients and moments ${bytes(parameters)}, activations ${bytes(activations)}), ` +
        `but ${bytes(free)} are free. Try --set microBatch=${Math.max(1, Math.floor(recipe.microBatch! / 2))}, a shorter sequence or a smaller model`,
    );
}

/** Does everything up to the first step. Bad recipes and missing memory end it before any work. */
export async function prepareRun(name: string, options: TrainOptions, gemmFlopsPerSec: () => Promise<number>, onProgress: OnProgress): Promise<PreparedRun> {
  const earlier = options.resume ? await findRun(name, options) : undefined;
  if (earlier && (options.set?.length || options.data?.length))
    throw new UsageError("--resume: a run goes on with the recipe it began with; leave out --set and --data, or start a new run");
  const given = earlier ? parseRecipe(earlier.recipe, `${earlier.id}/run.json`) : resolveRecipe(name, options).recipe;
  const base = await modelJsonOf(given);
  const recipe = { ...given, lanes: given.lanes ?? (earlier ? 1 : lanesThatFit(given, base)) };
  checkMemory(phasesOf(recipe, base), recipe);

  const tokenizerDir = await prepareTokenizer(recipe, options.runs, onProgress);
  const tokenizer = await loadTokenizer(tokenizerDir);
  if (tokenizer.vocabSize > Number(base["vocab_size"]))
    throw new ConfigError(`train: expected a tokenizer of at most vocab_size ${String(base["vocab_size"])}, got ${tokenizer.vocabSize} from ${tokenizerDir}`);
  const modelJson = {
    ...base,
    bos_token_id: tokenizer.bosId ?? null,
    eos_token_id: tokenizer.eosIds.length === 1 ? tokenizer.eosIds[0] : tokenizer.eosIds,
  };
  const phases = phasesOf(recipe, modelJson);
  const { paths, holdout, broken, workers } = recipe.data;
  const dataset = await prepareData({
    paths,
    tokenizerDir,
    outDir: resolve(options.runs, "cache", `data-${hashOf([paths, tokenizerDir, holdout])}`),
    holdout,
    workers,
    onBroken: broken,
    onProgress,
    report: ({ path, line, reason }) => process.stderr.write(`${path}:${line}: left out: ${reason}\n`),
  });

  const store = storeOf(phases);
  store.initialize(recipe.seed, Number(base["initializer_range"] ?? 0.006));
  if (typeof recipe.model === "string") await loadWeights(recipe.model, store);

  const counted = countParameters(phases[0]!.config, { mtp: mtpDepth(phases[0]!.config) > 0 });
  const out = resolve(options.out ?? earlier?.out ?? join("models", recipe.name));
  const writer = earlier
    ? await RunWriter.resume(options.runs, earlier.id)
    : await RunWriter.create(options.runs, {
        recipeName: recipe.name,
        recipe,
        parameters: { total: counted.total, active: counted.active },
        machine: { cpu: cpus()[0]?.model ?? "unknown", threads: threads() || availableParallelism(), gemmFlopsPerSec: await gemmFlopsPerSec() },
        out,
      });
  const history = new StateHistory(join(writer.dir, "state"), recipe.save.keep);
  return {
    recipe, phases, modelJson, store, writer, tokenizerDir, out,
    storage: storageOf(history, store),
    source: sourceOf(dataset, recipe),
    resumed: earlier !== undefined,
  };
}

async function loadWeights(dir: string, store: ParameterStore): Promise<void> {
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

function sourceOf(dataset: Dataset, recipe: Recipe): TokenSource {
  const { seed } = recipe;
  const { fimRate } = recipe.data;
  /** Held-out windows evenly spread over the split, so that every source has its share. */
  const heldout = (first: number, batch: number, sequence: number, extra: number): Int32Array => {
    const width = sequence + extra;
    const wanted = recipe.evaluate.batches * batch;
    const windows = dataset.sequences("heldout", sequence);
    const ids = new Int32Array(batch * width);
    for (let row = 0; row < batch; row++) {
      const window = Math.floor(((first + row) * windows) / wanted) % windows;
      ids.set(dataset.batch({ split: "heldout", first: window, batch: 1, sequence, extra }), row * width);
    }
    return ids;
  };
  return {
    train: (first, batch, sequence, extra) => dataset.batch({ split: "train", first, batch, sequence, extra, seed, fimRate }),
    heldout: dataset.tokens("heldout") > 0 ? heldout : undefined,
  };
}

/** Steps between two records of the experts' load. */
const LOAD_EVERY = 10;

const ARRAYS = ["parameters", "moment1", "moment2"] as const;

function storageOf(history: StateHistory, store: ParameterStore): StateStorage {
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

/** Writes the model as a Hugging Face folder: bf16 weights, config.json, tokenizer, the resolved recipe. */
export async function exportModel(run: PreparedRun, step: number): Promise<void> {
  const phase = run.phases.findLast((p) => step > p.fromStep) ?? run.phases[0]!;
  const shapes = parameterShapes(phase.config);
  const originals = new Map(Array.from(listParameters(phase.config), (p) => [p.key, p.sameAs ?? p.key]));
  await saveCheckpoint(run.out, {
    config: {
      architectures: [ARCHITECTURES[phase.config.model_type]],
      ...phase.configJson,
      num_mtp_layers: undefined,
      dtype: "bfloat16",
    },
    tensors: [...shapes].map(([key, shape]) => ({ key, shape, data: run.store.parameter(originals.get(key)!).data })),
    dtype: "bf16",
    files: { ...(await tokenizerFiles(run.tokenizerDir)), "recipe.json": `${JSON.stringify(run.recipe, null, 2)}\n` },
    overwrite: true,
  });
}

const ARCHITECTURES: Record<string, string> = {
  deepseek_v3: "DeepseekV3ForCausalLM",
  deepseek_v2: "DeepseekV2ForCausalLM",
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

export interface RunWatcher {
  step(record: StepRecord): void;
  record(record: RunRecord): void;
}

/** Trains a prepared run to its end or to `signal`, and writes the log, the states and the model. True when done. */
export async function trainRun(run: PreparedRun, watcher: RunWatcher, signal: AbortSignal): Promise<boolean> {
  const { recipe, phases, store, writer, source, storage } = run;
  const write = (record: RunRecord) => {
    writer.write(record);
    watcher.record(record);
  };
  const { usdPerHour, watts, usdPerKwh } = recipe.cost;
  const peak = writer.info.machine?.gemmFlopsPerSec ?? 0;
  const speeds: number[] = [];
  const samples = new Samples(recipe, store, run.tokenizerDir);
  const trainer = await Trainer.create(recipe, phases, store, source, storage, {
    step(report) {
      speeds.push(report.stepSeconds);
      const recent = speeds.slice(-50).sort((a, b) => a - b);
      const joules = watts * report.seconds;
      const record: StepRecord = {
        type: "step",
        step: report.step,
        steps: trainer.totalSteps,
        tokens: report.tokens,
        loss: report.loss,
        mainLoss: report.mainLoss,
        mtpLoss: report.mtpLoss,
        balanceLoss: report.balanceLoss,
        lr: report.learningRate,
        gradNorm: report.gradNorm,
        tokensPerSecond: report.tokensPerSecond,
        flopsPerSecond: report.flopsPerSecond,
        ...(peak > 0 ? { gemmShare: report.flopsPerSecond / peak } : {}),
        seconds: report.seconds,
        etaSeconds: recent[Math.floor(recent.length / 2)]! * (trainer.totalSteps - report.step),
        usd: (report.seconds / 3600) * usdPerHour + (joules / 3.6e6) * usdPerKwh,
        joules,
        batch: report.batch,
        stepSeconds: report.stepSeconds,
      };
      writer.write(record);
      watcher.step(record);
    },
    load: (step, load, busiest) => step % LOAD_EVERY === 0 && write({ type: "load", step, load: load.map((layer) => layer.map((x) => Math.round(x * 1000) / 1000)), busiest }),
    async evaluated(step, loss, tokens) {
      write({ type: "eval", step, loss, tokens });
      const phase = phases.findLast((p) => step > p.fromStep) ?? phases[0]!;
      for (const { prompt, text } of await samples.take(phase.config)) write({ type: "sample", step, prompt, text });
    },
    saved: (step) => write({ type: "checkpoint", step, path: join(writer.dir, "state") }),
    phase: (phase) => write({ type: "event", step: phase.fromStep, level: "info", message: `phase ${phase.name}: sequence ${phase.sequence}, ${phase.microBatch} sequences at once${phase.lanes > 1 ? ` in ${phase.lanes} lanes` : ""}` }),
    event: (step, level, message) => write({ type: "event", step, level, message }),
  });
  if (run.resumed && (await trainer.resume())) write({ type: "event", step: trainer.progress.step, level: "info", message: `resumed at step ${trainer.progress.step}` });
  signal.addEventListener("abort", () => trainer.stop(), { once: true });
  try {
    const done = signal.aborted ? false : await trainer.run();
    if (trainer.progress.step > 0) {
      await exportModel(run, trainer.progress.step);
      write({ type: "checkpoint", step: trainer.progress.step, path: run.out });
    }
    write({ type: "end", step: trainer.progress.step, reason: done ? "done" : "stopped" });
    return done;
  } catch (error) {
    write({ type: "event", step: trainer.progress.step, level: "error", message: (error as Error).message });
    write({ type: "end", step: trainer.progress.step, reason: "failed" });
    throw error;
  } finally {
    await samples.close();
    await writer.close();
  }
}
