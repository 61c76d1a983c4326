/** Where packed weights are kept: beside their checkpoint where that may be written, else in the user's cache; found by a fingerprint, bounded. */
import { createHash } from "node:crypto";
import { lstat, readdir, realpath, rm, stat, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { formBytes, type ModelConfig, type WeightsForm } from "../model/index.ts";
import { atomicFolder, isDiskFault } from "./atomic.ts";
import { openCheckpoint, readJsonFile } from "./checkpoint.ts";
import { isTemporary } from "./leftovers.ts";
import {
  ABOUT_FILE,
  type MappedFile,
  openPacked,
  PACKED_VERSION,
  type PackedWeights,
  type PackOptions,
  readAbout,
  WEIGHTS_FILE,
  writePacked,
} from "./packed.ts";
import { ModelWeights } from "./weights.ts";

/** The folder beside a checkpoint's files. */
const BESIDE = ".sumbi-packed";
/** What all packed weights in the user's cache may take; those opened longest ago go first. */
const CACHE_BYTES_MAX = 64e9;
const NAME = /^(?:q4|q8)-[0-9a-f]{32}$/;

/** The user's folder for what can be made anew. `SUMBI_CACHE` names another. */
function userCache(): string {
  const { SUMBI_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (SUMBI_CACHE) return SUMBI_CACHE;
  if (process.platform === "win32") return join(LOCALAPPDATA || join(homedir(), "AppData", "Local"), "sumbi");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "sumbi");
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "sumbi");
}

/** One number for what a checkpoint says: its config, and its files' names, sizes and times. Throws what the system says of a file that is missing. */
async function fingerprintOf(path: string): Promise<string> {
  const isFolder = (await stat(path)).isDirectory();
  const names = isFolder
    ? (await readdir(path)).filter((name) => /\.safetensors(?:\.index\.json)?$/.test(name)).sort()
    : [""];
  const files: unknown[] = [];
  for (const name of names) {
    const { size, mtimeMs } = await stat(join(path, name));
    files.push([name, size, mtimeMs]);
  }
  const config = isFolder ? JSON.stringify(await readJsonFile(join(path, "config.json"))) : "";
  return createHash("sha256")
    .update(JSON.stringify([PACKED_VERSION, files, config]))
    .digest("hex");
}

interface Place {
  /** The folder that holds packed weights of several models or forms. */
  folder: string;
  dir: string;
  cache: boolean;
}

/** The places for a checkpoint's packed weights, the nearest first. */
async function placesOf(path: string, form: WeightsForm, fingerprint: string): Promise<Place[]> {
  const real = await realpath(path);
  const root = (await stat(real)).isDirectory() ? real : dirname(real);
  const beside = join(root, BESIDE);
  const named = (folder: string, name: string, cache: boolean) => ({
    folder,
    dir: join(folder, `${form}-${name.slice(0, 32)}`),
    cache,
  });
  const packed = join(userCache(), "packed");
  const ofPath = createHash("sha256").update(`${real}\0${fingerprint}`).digest("hex");
  const places = [named(packed, ofPath, true)];
  // a stranger's folder may hold a link that leads elsewhere
  const there = await lstat(beside).catch(() => undefined);
  if (there === undefined || there.isDirectory()) places.unshift(named(beside, fingerprint, false));
  return places;
}

export interface KeepOptions extends PackOptions {
  /** Maps a file into memory; without it weights are read. */
  map?: (path: string) => MappedFile | undefined;
}

/** Packed weights, and where they are kept. */
export interface KeptWeights extends PackedWeights {
  dir: string;
  /** Whether they were packed just now. */
  made: boolean;
}

/**
 * A checkpoint's weights in low-bit blocks: opened where they are kept, else packed and kept. Undefined, with the reason told to `onRefused`,
 * where no place can be written. Damaged ones are packed anew; nothing that Sumbi did not write is replaced or removed.
 * Throws CheckpointError for what is wrong in the checkpoint.
 */
export async function keptWeights(
  path: string,
  given: ModelConfig,
  form: "q4" | "q8",
  { map, ...options }: KeepOptions = {},
  onRefused: (reason: string) => void = () => {},
): Promise<KeptWeights | undefined> {
  // what is missing or no file is told by whoever reads the checkpoint
  const fingerprint = await fingerprintOf(path).catch(() => undefined);
  if (fingerprint === undefined) return undefined;
  const expected = { form, fingerprint };
  const places = await placesOf(path, form, fingerprint);
  for (const { dir } of places) {
    const opened = await openPacked(dir, given, expected, map).catch(ignoreDamage);
    if (opened === undefined) continue;
    // whoever clears the cache sees by this that they are in use
    await utimes(join(dir, ABOUT_FILE), new Date(), new Date()).catch(() => {});
    return { ...opened, dir, made: false };
  }
  for (const place of places) {
    try {
      await pack(path, given, expected, place, options);
    } catch (error) {
      if (!isDiskFault(error) && !(error instanceof ForeignError)) throw error;
      onRefused((error as Error).message);
      continue;
    }
    await removeOthers(place, form);
    const opened = await openPacked(place.dir, given, expected, map);
    return { ...opened, dir: place.dir, made: true };
  }
  return undefined;
}

/** What is missing or damaged is made anew. */
function ignoreDamage(error: unknown): undefined {
  if (error instanceof CheckpointError) return undefined;
  throw error;
}

/** Something stands in the way that Sumbi did not write. */
class ForeignError extends CheckpointError {}

async function pack(
  path: string,
  given: ModelConfig,
  about: { form: "q4" | "q8"; fingerprint: string },
  { dir }: Place,
  options: PackOptions,
): Promise<void> {
  const checkpoint = await openCheckpoint(path);
  try {
    const model = await ModelWeights.of(checkpoint, given, { mtp: "first" });
    await atomicFolder(dir, (temporary) => writePacked(temporary, model, about, options), {
      neededBytes: formBytes(model.config, about.form, 4, model.modules),
      overwrite: async (existing) => {
        if (!(await isOurs(existing)))
          throw new ForeignError(`${existing}: holds files that Sumbi did not put there; nothing in it is touched`);
      },
    });
  } finally {
    await checkpoint.close();
  }
}

/** Whether a folder holds nothing but what `writePacked` writes, whole or damaged. */
async function isOurs(dir: string): Promise<boolean> {
  if (!(await lstat(dir)).isDirectory()) return false;
  const names = await readdir(dir);
  return names.every((name) => name === ABOUT_FILE || name === WEIGHTS_FILE || isTemporary(name));
}

/** Beside a checkpoint: those of the same form made of what it was before. In the cache: those opened longest ago, as far as all take too much. */
async function removeOthers({ folder, dir, cache }: Place, form: WeightsForm): Promise<void> {
  const kept: { dir: string; bytes: number; time: number }[] = [];
  for (const name of await readdir(folder)) {
    const other = join(folder, name);
    if (!NAME.test(name) || other === dir || !(await isOurs(other))) continue;
    const about = await readAbout(other).catch(() => undefined);
    const sizes = await Promise.all(
      [ABOUT_FILE, WEIGHTS_FILE].map((file) => stat(join(other, file)).catch(() => undefined)),
    );
    if (!cache && (about === undefined || about.form === form)) await rm(other, { recursive: true, force: true });
    else kept.push({ dir: other, bytes: sizes[1]?.size ?? 0, time: sizes[0]?.mtimeMs ?? 0 });
  }
  if (!cache) return;
  const own = await stat(join(dir, WEIGHTS_FILE));
  let room = CACHE_BYTES_MAX - own.size;
  for (const other of kept.sort((a, b) => b.time - a.time)) {
    room -= other.bytes;
    if (room < 0) await rm(other.dir, { recursive: true, force: true });
  }
}
