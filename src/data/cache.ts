/** Shards on disk, found by what they hold: a folder's name is the hash of its contents, so nothing ever takes its place. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { hashFile, readRegularFile, release, temporaryIn } from "../checkpoint/index.ts";
import { DataError } from "../errors.ts";
import { parseJson } from "../json.ts";
import type { OnProgress } from "../progress.ts";
import { validate } from "../validate.ts";
import { contentHash, DATASET_FILE, type Dataset, type DatasetJson, openDataset } from "./dataset.ts";
import { reportSchema } from "./report.ts";

/** prepared-<key>.json: which shards texts became. The key is a hash of the texts' bytes, the tokenizer and the settings. */
const preparedSchema = z.object({ shards: z.string().regex(/^[0-9a-f]{64}$/), report: reportSchema });
export type Prepared = z.infer<typeof preparedSchema>;

const PREPARED_BYTES_MAX = 64 << 20;

export const shardsDir = (cacheDir: string, hash: string): string => join(cacheDir, `shards-${hash.slice(0, 32)}`);
const preparedFile = (cacheDir: string, key: string): string => join(cacheDir, `prepared-${key.slice(0, 32)}.json`);

/** What these texts became before; undefined when they were not prepared here, or that cannot be read. */
export function readPrepared(cacheDir: string, key: string): Prepared | undefined {
  const path = preparedFile(cacheDir, key);
  try {
    const json = parseJson(readRegularFile(path, PREPARED_BYTES_MAX).toString("utf8"));
    return validate(preparedSchema, json, path, (message) => new DataError(message));
  } catch {
    return undefined;
  }
}

export function writePrepared(cacheDir: string, key: string, prepared: Prepared): void {
  const temporary = temporaryIn(cacheDir);
  try {
    writeWhole(temporary, JSON.stringify(prepared, null, 1));
    renameSync(temporary, preparedFile(cacheDir, key));
  } finally {
    rmSync(temporary, { force: true });
    release(temporary);
  }
}

/**
 * Opens the shards of this hash and reads them through once, at the disk's speed, to see that they are what they were. Throws DataError when they
 * are gone or damaged.
 */
export async function openShards(
  cacheDir: string,
  hash: string,
  { onProgress, signal }: { onProgress?: OnProgress; signal?: AbortSignal } = {},
): Promise<Dataset> {
  const dir = shardsDir(cacheDir, hash);
  if (!existsSync(dir)) throw new DataError(`${dir}: the shards are gone`);
  const dataset = openDataset(dir);
  try {
    if (dataset.json.hash !== hash)
      throw new DataError(`${dir}: expected shards of hash ${hash}, got ${dataset.json.hash}`);
    const shards = Object.values(dataset.json.splits).flat();
    const total = shards.reduce((sum, { file }) => sum + statSync(join(dir, file)).size, 0);
    let done = 0;
    const onBytes = (bytes: number) =>
      onProgress?.({ label: "checking shards", done: (done += bytes), total, unit: "B" });
    for (const { file, sha256 } of shards)
      if ((await hashFile(join(dir, file), { onBytes, signal, Refusal: DataError })) !== sha256)
        throw new DataError(`${join(dir, file)}: is not as it was written (its hash differs)`);
    // Whoever clears the cache sees by this that they are in use.
    utimesSync(dir, new Date(), new Date());
    return dataset;
  } catch (error) {
    dataset.close();
    throw error;
  }
}

/** Puts a folder of shards into the cache: what is there already is the same, unless it is damaged. Its dataset.json. */
export async function storeShards(
  temporary: string,
  cacheDir: string,
  content: Omit<DatasetJson, "hash">,
): Promise<DatasetJson> {
  const json: DatasetJson = { ...content, hash: contentHash(content) };
  writeWhole(join(temporary, DATASET_FILE), JSON.stringify(json, null, 1));
  const dir = shardsDir(cacheDir, json.hash);
  for (let attempt = 0; ; attempt++) {
    try {
      renameSync(temporary, dir);
      return json;
    } catch (error) {
      if (!existsSync(dir) || attempt === 3) throw error;
    }
    if (await isWhole(cacheDir, json.hash)) return json;
    const aside = temporaryIn(cacheDir);
    try {
      renameSync(dir, aside);
    } finally {
      rmSync(aside, { recursive: true, force: true });
      release(aside);
    }
  }
}

async function isWhole(cacheDir: string, hash: string): Promise<boolean> {
  try {
    (await openShards(cacheDir, hash)).close();
    return true;
  } catch (error) {
    if (error instanceof DataError) return false;
    throw error;
  }
}

/** A shards' folder in use is opened, and so touched, less than this long before its run is written down. */
const GRACE_MS = 3_600_000;

/** What clearing did. */
export interface Cleared {
  /** Folders of shards that were removed, and their bytes. */
  removed: number;
  bytes: number;
  /** Not removed: some run needs them; or opened within the last hour by somebody who may be about to begin. */
  needed: number;
  recent: number;
}

/** Removes all shards but those whose hashes are `needed`, and what is known of texts that became them. */
export async function clearShards(cacheDir: string, needed: ReadonlySet<string>, now = Date.now()): Promise<Cleared> {
  const cleared: Cleared = { removed: 0, bytes: 0, needed: 0, recent: 0 };
  const names = await readdir(cacheDir).catch(() => [] as string[]);
  const neededNames = new Set([...needed].map((hash) => basename(shardsDir("", hash))));
  const gone = new Set<string>();
  for (const name of names.filter((each) => /^shards-[0-9a-f]{32}$/.test(each))) {
    const path = join(cacheDir, name);
    if (neededNames.has(name)) cleared.needed++;
    else if (now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now) < GRACE_MS) cleared.recent++;
    else {
      cleared.bytes += (await readdir(path)).reduce(
        (sum, file) => sum + (statSync(join(path, file), { throwIfNoEntry: false })?.size ?? 0),
        0,
      );
      const aside = temporaryIn(cacheDir);
      renameSync(path, aside);
      rmSync(aside, { recursive: true, force: true });
      release(aside);
      gone.add(name);
      cleared.removed++;
    }
  }
  for (const name of names.filter((each) => /^prepared-[0-9a-f]{32}\.json$/.test(each))) {
    const prepared = readPrepared(cacheDir, name.slice("prepared-".length, -".json".length));
    if (prepared === undefined || gone.has(basename(shardsDir("", prepared.shards))))
      rmSync(join(cacheDir, name), { force: true });
  }
  return cleared;
}

function writeWhole(path: string, text: string): void {
  writeFileSync(path, text);
  const file = openSync(path, "r+");
  fsyncSync(file);
  closeSync(file);
}
