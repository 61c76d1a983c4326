/** Texts into shards: tokenised once, kept under the hash of what came out. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { breather, unlessAborted } from "../abort.ts";
import { release, removeLeftovers, temporaryIn } from "../checkpoint/index.ts";
import { ConfigError, DataError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { threadUrl } from "../thread.ts";
import { openShards, readPrepared, shardsDir, storeShards, writePrepared } from "./cache.ts";
import { areUnchanged, hashSources } from "./contents.ts";
import { type Dataset, type DatasetJson, FORMAT, openDataset } from "./dataset.ts";
import type { OnBroken } from "./documents.ts";
import { prepareUnit, type UnitJob, type UnitResult } from "./prepareUnit.ts";
import type { FromWorker } from "./prepareWorker.ts";
import { checkIsText, type DataReport, reportOf } from "./report.ts";
import { tokenTypeOf } from "./shards.ts";
import { surveySources } from "./sources.ts";
import { loadTokenizer, tokenizerHash } from "./tokenizerFolder.ts";
import { planUnits, UNIT_BYTES } from "./units.ts";

export interface PrepareOptions {
  /** Files, folders, globs, `builtin:name[:documents]`. */
  paths: readonly string[];
  tokenizerDir: string;
  /** Folder of all shards that were made, each data set in one of its own: made when it is missing. */
  cacheDir: string;
  /** `hashSources` of the paths, when that is known. */
  contents?: string;
  /** Share of the texts kept from training, chosen by their hash. Default 0.01. */
  holdout?: number;
  /** Threads; default one per processor core, fewer for little text. */
  workers?: number;
  /** Default "fail". */
  onBroken?: OnBroken;
  onProgress?: OnProgress;
  /** Ends the work, and its threads, with the signal's reason. */
  signal?: AbortSignal;
  /** Told about how many bytes the shards will take, before any is made; what it throws ends the work. Not called where they are in the cache. */
  onRoom?: (bytes: number) => Promise<void>;
  /** About how much text makes a shard. */
  unitBytes?: number;
}

/** Less text than this for each thread is not worth starting it. */
const BYTES_PER_WORKER = 4e6;
/** Bytes of text that a token stands for at least, about: a vocabulary of some thousands has 3 to 4. */
const BYTES_PER_TOKEN = 2.5;
/** Less than this is encoded in the calling thread. */
const INLINE_BYTES = 256e3;

export interface PreparedData {
  dataset: Dataset;
  report: DataReport;
  /** The texts were written to while they were read: what came out is kept for this run, but not taken for what they say. */
  disturbed: boolean;
}

/**
 * Tokenises sources once into shards on disk, and opens them. Where the same bytes were tokenised before, by the same tokenizer with the same settings, what
 * came out is used; names and times do not count. The shards are kept under their own hash: nothing replaces them, and several processes may
 * prepare at once. Results depend on neither the number of workers nor the machine. Throws DataError, ConfigError.
 */
export async function prepareData(options: PrepareOptions): Promise<PreparedData> {
  const { holdout = 0.01, onBroken = "fail", unitBytes = UNIT_BYTES, onProgress, signal } = options;
  if (!(holdout >= 0 && holdout < 1)) throw new ConfigError(`data: expected holdout from 0 to below 1, got ${holdout}`);
  if (options.workers !== undefined && !(Number.isInteger(options.workers) && options.workers >= 1))
    throw new ConfigError(`data: expected workers of at least 1, got ${options.workers}`);
  const cacheDir = resolve(options.cacheDir);
  const survey = surveySources(options.paths);
  const { sources } = survey;
  const contents = options.contents ?? (await hashSources(sources, onProgress, signal));
  const key = createHash("sha256")
    .update(JSON.stringify([FORMAT, contents, tokenizerHash(options.tokenizerDir), holdout, onBroken, unitBytes]))
    .digest("hex");
  const known = readPrepared(cacheDir, key);
  if (known !== undefined) {
    try {
      return {
        dataset: await openShards(cacheDir, known.shards, { onProgress, signal }),
        report: { ...known.report, ignored: survey.ignored, notFiles: survey.notFiles },
        disturbed: false,
      };
    } catch (error) {
      if (!(error instanceof DataError)) throw error; // gone or damaged: made again below
    }
  }
  const tokenizer = loadTokenizer(options.tokenizerDir);
  const units = await planUnits(sources, unitBytes);
  const bytes = units.reduce((sum, unit) => sum + unit.bytes, 0);
  await options.onRoom?.(Math.ceil(bytes / BYTES_PER_TOKEN) * (tokenTypeOf(tokenizer.vocabSize) === "u16" ? 2 : 4));
  const workers = Math.max(
    1,
    Math.min(options.workers ?? Math.min(availableParallelism(), Math.ceil(bytes / BYTES_PER_WORKER)), units.length),
  );
  const breathe = breather(signal);
  const temporary = temporaryIn(cacheDir);
  await removeLeftovers(cacheDir);
  mkdirSync(temporary, { recursive: true });
  try {
    const run = async (heldoutBelow: number): Promise<UnitResult[]> => {
      let done = 0;
      const onBytes = (more: number) => {
        done += more;
        onProgress?.({ label: "tokenising", done: Math.min(done, bytes), total: bytes, unit: "B" });
      };
      const jobs = units.map((unit): UnitJob => ({ unit, dir: temporary, heldoutBelow, holdout, onBroken }));
      const results: UnitResult[] = [];
      const onMyBytes = (more: number) => {
        onBytes(more);
        return breathe();
      };
      // Above, a thread even for one: no other can be ended in the middle of a text.
      if (workers === 1 && bytes < INLINE_BYTES)
        for (const job of jobs) results.push(await prepareUnit(job, tokenizer, onMyBytes));
      else results.push(...(await runThreads(jobs, workers, resolve(options.tokenizerDir), onBytes, signal)));
      return results.sort((a, b) => a.index - b.index);
    };
    let results = await run(holdout * 2 ** 32);
    const lowest = Math.min(...results.map((result) => result.lowestHash), 2 ** 32);
    const highest = Math.max(...results.map((result) => result.highestHash), -1);
    const documents = results.reduce((sum, result) => sum + result.documents, 0);
    const again = (heldoutBelow: number): Promise<UnitResult[]> => {
      for (const file of readdirSync(temporary)) rmSync(join(temporary, file));
      return run(heldoutBelow);
    };
    if (
      holdout > 0 &&
      documents > 1 &&
      lowest < 2 ** 32 &&
      results.every((result) => result.shards.heldout.length === 0)
    )
      results = await again(lowest + 1);
    // Few texts, or the same one many times, may all be held out: the last of them by its hash is trained on, and what equals it.
    else if (highest >= 0 && results.every((result) => result.shards.train.length === 0))
      results = await again(highest);
    const splits = {
      train: results.flatMap((result) => result.shards.train),
      heldout: results.flatMap((result) => result.shards.heldout),
    };
    const report = reportOf(
      results.map((result) => result.reading),
      survey,
    );
    checkIsText(report, sources);
    if (splits.train.length === 0)
      throw new DataError(`data: expected text to train on in ${options.paths.join(", ")}, found none`);
    const { vocabSize } = tokenizer;
    signal?.throwIfAborted();
    const { hash } = await storeShards(temporary, cacheDir, {
      format: FORMAT,
      vocabSize,
      tokenType: tokenTypeOf(vocabSize),
      special: specialOf(tokenizer),
      splits,
    });
    const disturbed = !areUnchanged(sources);
    if (!disturbed) writePrepared(cacheDir, key, { shards: hash, report });
    return { dataset: openDataset(shardsDir(cacheDir, hash)), report, disturbed };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    release(temporary);
  }
}

function specialOf(tokenizer: ReturnType<typeof loadTokenizer>): DatasetJson["special"] {
  const fim = ["begin", "hole", "end"].map((name) => tokenizer.idOf(`<｜fim▁${name}｜>`));
  return {
    bos: tokenizer.bosId ?? null,
    eos: tokenizer.eosIds[0] ?? null,
    fim: fim.every((id) => id !== undefined) ? (fim as [number, number, number]) : null,
  };
}

function runThreads(
  jobs: UnitJob[],
  count: number,
  tokenizerDir: string,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<UnitResult[]> {
  const url = threadUrl(import.meta.url, "prepareWorker");
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
