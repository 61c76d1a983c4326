import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, openSync, fsyncSync, closeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { breather, unlessAborted } from "../abort.ts";
import { release, removeLeftovers, temporaryIn } from "../checkpoint/index.ts";
import { ConfigError, DataError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { builtinHash } from "./builtin.ts";
import { Dataset, DATASET_FILE, type DatasetJson, openDataset } from "./dataset.ts";
import type { OnBroken } from "./documents.ts";
import { prepareUnit, type UnitJob, type UnitResult } from "./prepareUnit.ts";
import type { FromWorker } from "./prepareWorker.ts";
import { tokenTypeOf } from "./shards.ts";
import { reportOf } from "./report.ts";
import { type Source, surveySources } from "./sources.ts";
import { loadTokenizer, tokenizerHash } from "./tokenizerFolder.ts";
import { planUnits, UNIT_BYTES } from "./units.ts";

export interface PrepareOptions {
  /** Files, folders, globs, `builtin:name[:documents]`. */
  paths: readonly string[];
  tokenizerDir: string;
  /** The data set's own folder: made, or replaced if it holds an older data set. */
  outDir: string;
  /** Share of the texts kept from training, chosen by their hash. Default 0.01. */
  holdout?: number;
  /** Threads; default one per processor core, fewer for little text. */
  workers?: number;
  /** Default "fail". */
  onBroken?: OnBroken;
  onProgress?: OnProgress;
  /** Ends the work, and its threads, with the signal's reason. */
  signal?: AbortSignal;
  /** About how much text makes a shard. */
  unitBytes?: number;
}

/** Changes when the same sources would be written otherwise. */
const FORMAT = 3;
/** Less text than this for each thread is not worth starting it. */
const BYTES_PER_WORKER = 4e6;

/**
 * Tokenises sources once into shards on disk, and opens them. Sources, tokenizer and options unchanged (names, sizes,
 * times, hashes): what is there is used. The folder appears whole or not at all. Results depend on neither the number of
 * workers nor the machine. Throws DataError, ConfigError.
 */
export async function prepareData(options: PrepareOptions): Promise<Dataset> {
  const { holdout = 0.01, onBroken = "fail", unitBytes = UNIT_BYTES } = options;
  if (!(holdout >= 0 && holdout < 1)) throw new ConfigError(`data: expected holdout from 0 to below 1, got ${holdout}`);
  if (options.workers !== undefined && !(Number.isInteger(options.workers) && options.workers >= 1))
    throw new ConfigError(`data: expected workers of at least 1, got ${options.workers}`);
  const outDir = resolve(options.outDir);
  const survey = surveySources(options.paths);
  const { sources } = survey;
  const fingerprint = fingerprintOf(sources, { tokenizer: tokenizerHash(options.tokenizerDir), holdout, onBroken, unitBytes });
  const existing = readExisting(outDir);
  if (existing === fingerprint) {
    try {
      return openDataset(outDir);
    } catch (error) {
      if (!(error instanceof DataError)) throw error; // damaged: made again below
    }
  }
  const tokenizer = loadTokenizer(options.tokenizerDir);
  const units = await planUnits(sources, unitBytes);
  const bytes = units.reduce((sum, unit) => sum + unit.bytes, 0);
  const workers = Math.max(1, Math.min(options.workers ?? Math.min(availableParallelism(), Math.ceil(bytes / BYTES_PER_WORKER)), units.length));
  const { signal } = options;
  const breathe = breather(signal);
  const temporary = temporaryIn(dirname(outDir));
  await removeLeftovers(dirname(outDir), basename(outDir));
  mkdirSync(temporary, { recursive: true });
  try {
    const run = async (heldoutBelow: number): Promise<UnitResult[]> => {
      let done = 0;
      const onBytes = (more: number) => {
        done += more;
        options.onProgress?.({ label: "tokenising", done: Math.min(done, bytes), total: bytes, unit: "B" });
      };
      const jobs = units.map((unit): UnitJob => ({ unit, dir: temporary, heldoutBelow, holdout, onBroken }));
      const results: UnitResult[] = [];
      const onMyBytes = (more: number) => {
        onBytes(more);
        return breathe();
      };
      if (workers === 1) for (const job of jobs) results.push(await prepareUnit(job, tokenizer, onMyBytes));
      else results.push(...(await runThreads(jobs, workers, resolve(options.tokenizerDir), onBytes, signal)));
      return results.sort((a, b) => a.index - b.index);
    };
    let results = await run(holdout * 2 ** 32);
    const lowest = Math.min(...results.map((result) => result.lowestHash), 2 ** 32);
    const documents = results.reduce((sum, result) => sum + result.documents, 0);
    if (holdout > 0 && documents > 1 && lowest < 2 ** 32 && results.every((result) => result.shards.heldout.length === 0)) {
      for (const file of readdirSync(temporary)) rmSync(join(temporary, file));
      results = await run(lowest + 1);
    }
    const json: DatasetJson = {
      format: FORMAT,
      fingerprint,
      vocabSize: tokenizer.vocabSize,
      tokenType: tokenTypeOf(tokenizer.vocabSize),
      special: specialOf(tokenizer),
      report: reportOf(results.map((result) => result.reading), survey),
      sources: sources.map(({ path, bytes }) => ({ path, bytes })),
      splits: { train: results.flatMap((result) => result.shards.train), heldout: results.flatMap((result) => result.shards.heldout) },
    };
    if (json.splits.train.length === 0) throw new DataError(`data: expected text to train on in ${options.paths.join(", ")}, found none`);
    writeWhole(join(temporary, DATASET_FILE), JSON.stringify(json, null, 1));
    signal?.throwIfAborted();
    replaceFolder(temporary, outDir);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    release(temporary);
  }
  return openDataset(outDir);
}

function fingerprintOf(sources: readonly Source[], rest: object): string {
  const listed = sources.map(({ kind, path, bytes, mtimeMs, builtin }) => ({
    kind, path, bytes, mtimeMs, builtin, hash: builtin && builtinHash(builtin.name),
  }));
  return createHash("sha256").update(JSON.stringify({ FORMAT, listed, ...rest })).digest("hex");
}

function specialOf(tokenizer: ReturnType<typeof loadTokenizer>): DatasetJson["special"] {
  const fim = ["begin", "hole", "end"].map((name) => tokenizer.idOf(`<｜fim▁${name}｜>`));
  return {
    bos: tokenizer.bosId ?? null,
    eos: tokenizer.eosIds[0] ?? null,
    fim: fim.every((id) => id !== undefined) ? (fim as [number, number, number]) : null,
  };
}

/** Names of files that a data set consists of. */
const OWN_FILE = /^(?:dataset\.json|(?:train|heldout)-(?:chat-)?\d{6,}\.bin)$/;

/** The fingerprint of a data set in this folder; undefined if there is none that can be read. A folder with anything else in it is not ours to replace. */
function readExisting(outDir: string): string | undefined {
  if (!existsSync(outDir)) return undefined;
  const foreign = statSync(outDir).isDirectory() ? readdirSync(outDir).filter((name) => !OWN_FILE.test(name)) : [outDir];
  if (foreign.length > 0)
    throw new DataError(`${outDir}: expected a data set or an empty folder, found other files (${foreign.slice(0, 3).join(", ")}); nothing was changed. Move them away`);
  try {
    return (JSON.parse(readFileSync(join(outDir, DATASET_FILE), "utf8")) as DatasetJson).fingerprint;
  } catch {
    return undefined;
  }
}

function writeWhole(path: string, text: string): void {
  writeFileSync(path, text);
  const file = openSync(path, "r+");
  fsyncSync(file);
  closeSync(file);
}

/** Puts the folder in the other's place. A crash in between costs the data set, which is made again then. */
function replaceFolder(from: string, to: string): void {
  if (!existsSync(to)) return renameSync(from, to);
  const old = temporaryIn(dirname(to));
  renameSync(to, old);
  renameSync(from, to);
  rmSync(old, { recursive: true, force: true });
  release(old);
}

/** The compiled worker; when this file runs as TypeScript (tests, tsx), the worker does too, through tsx. */
function workerUrl(): URL {
  if (!import.meta.url.endsWith(".ts")) return new URL("./prepareWorker.js", import.meta.url);
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx/esm/api").replace(/\.cjs$/, ".mjs"));
  const worker = new URL("./prepareWorker.ts", import.meta.url);
  return new URL(`data:text/javascript,import { register } from ${JSON.stringify(tsx.href)}; register(); await import(${JSON.stringify(worker.href)});`);
}

function runThreads(jobs: UnitJob[], count: number, tokenizerDir: string, onBytes: (bytes: number) => void, signal?: AbortSignal): Promise<UnitResult[]> {
  const url = workerUrl();
  const queue = [...jobs];
  const results: UnitResult[] = [];
  const threads: Worker[] = [];
  const ended = new Promise<UnitResult[]>((resolve, reject) => {
    for (let i = 0; i < count; i++) {
      const thread = new Worker(url, { workerData: { tokenizerDir } });
      threads.push(thread);
      const next = () => thread.postMessage(queue.shift() ?? null);
      thread.on("message", (message: FromWorker) => {
        if ("bytes" in message) onBytes(message.bytes);
        else if ("error" in message) reject(message.expected ? new DataError(message.error) : new Error(message.error));
        else {
          results.push(message.result);
          if (results.length === jobs.length) resolve(results);
          next();
        }
      });
      thread.on("error", reject);
      thread.on("exit", (code) => {
        if (code !== 0) reject(new DataError(`data: a worker ended with code ${code}`));
      });
      next();
    }
  });
  return unlessAborted(ended, signal).catch(async (error: unknown) => {
    await Promise.all(threads.map((thread) => thread.terminate()));
    throw error;
  });
}
