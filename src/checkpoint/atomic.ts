/** Folders and files that appear whole or not at all. */
import { existsSync, realpathSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError, DiskError } from "../errors.ts";
import { release, removeLeftovers, temporaryIn } from "./leftovers.ts";
import { writeFully } from "./safetensors.ts";

/*
 * A folder `model` is written as a hidden sibling of a temporary name (leftovers.ts). When that is whole and on disk it
 * is renamed `.model.sumbi-new`; then `model` becomes `.model.sumbi-old`, new becomes `model`, and old is removed.
 * A crash at any point leaves either `model` or a whole `-new` (or, last, `-old`) from which `recoverFolder` restores it.
 */
const sibling = (dir: string, state: string): string => join(dirname(dir), `.${basename(dir)}.sumbi-${state}`);

/** The last write to each folder, which the next one waits for. */
const lastWrite = new Map<string, Promise<void>>();

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

export const isMissing = (error: unknown): boolean => codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";

/** Whether the operating system refused something, as opposed to a fault of ours. */
export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  codeOf(error) !== undefined && (error as NodeJS.ErrnoException).syscall !== undefined;

/** Whether an error means that the disk refused: full, read-only, closed to us. */
export const isDiskFault = (error: unknown): error is Error =>
  error instanceof DiskError ||
  (error instanceof CheckpointError && isSystemError(error.cause)) ||
  isSystemError(error);

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Renames; false when `from` is not there (another process may have done it first). */
async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Makes renames in a folder durable. Windows cannot and need not. */
export async function syncFolder(dir: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function syncTree(dir: string): Promise<void> {
  for (const item of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, item.name);
    if (item.isDirectory()) await syncTree(path);
    else if (item.isFile()) {
      const handle = await open(path, "r+");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
  }
  await syncFolder(dir);
}

/** Free bytes for an ordinary user on the disk that holds `path`, which need not exist yet. */
export async function freeBytes(path: string): Promise<number> {
  for (let at = resolve(path); ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      if (!isMissing(error) || at === dirname(at)) throw error;
    }
  }
}

/** Turns a failed write into a DiskError; a full disk says how many bytes were needed and are free. */
export async function writeError(error: unknown, path: string, neededBytes?: number): Promise<CheckpointError> {
  if (error instanceof CheckpointError) return error;
  const code = codeOf(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    const free = await freeBytes(path).catch(() => undefined);
    const needed = neededBytes === undefined ? "" : `, ${neededBytes} bytes needed`;
    return new DiskError(`${path}: the disk is full${needed}, ${free ?? "unknown"} bytes free; nothing was changed`, {
      cause: error,
    });
  }
  return new DiskError(`${path}: cannot be written: ${code ?? (error as Error).message}`, { cause: error });
}

export async function checkSpace(path: string, neededBytes: number | undefined): Promise<void> {
  if (neededBytes === undefined) return;
  const free = await freeBytes(path);
  if (neededBytes > free)
    throw new DiskError(
      `${path}: the disk is full, ${neededBytes} bytes needed, ${free} bytes free; nothing was changed`,
    );
}

/** The folder that a link names, or the absolute path itself while nothing is there. */
function resolveTarget(dir: string): string {
  const absolute = resolve(dir);
  return existsSync(absolute) ? realpathSync(absolute) : absolute;
}

/**
 * Puts a folder back in place after a crash in the middle of replacing it; call before opening a folder.
 * Renames at most once and removes nothing, so readers may call it while another process writes.
 */
export async function recoverFolder(dir: string): Promise<void> {
  const target = resolve(dir);
  if (await exists(target)) return;
  if (!(await renameIfThere(sibling(target, "new"), target))) await renameIfThere(sibling(target, "old"), target);
}

export interface AtomicOptions {
  /** Bytes that the write will take; refused at once when the disk has fewer. */
  neededBytes?: number;
  /** Whether an existing folder may be replaced (default true); a function may look at it first and throw. */
  overwrite?: boolean | ((existing: string) => Promise<void>);
  /** Called when all is written and on disk, before it is put in place; may throw. */
  confirm?: () => void;
}

/**
 * Writes a folder so that it appears whole or not at all: `fill` gets a temporary folder to write into, which is
 * fsynced and renamed to `dir` when `fill` returns. When anything fails the temporary folder is removed, an existing
 * `dir` stays as it was, and a CheckpointError (or the error of `fill`, if it is not the disk's) is thrown.
 */
export async function atomicFolder(
  dir: string,
  fill: (temporaryDir: string) => Promise<void> | void,
  options: AtomicOptions = {},
): Promise<void> {
  return inTurn(dir, (target) => writeFolder(dir, target, fill, options));
}

/** Lets this process's writers of one folder take turns, in the order of their calls: nothing is awaited before the turn is taken. */
export function inTurn<T>(dir: string, write: (target: string) => Promise<T>): Promise<T> {
  const target = resolveTarget(dir);
  const written = (lastWrite.get(target) ?? Promise.resolve()).then(() => write(target));
  const settled = written
    .then(
      () => {},
      () => {},
    )
    .then(() => void (lastWrite.get(target) === settled && lastWrite.delete(target)));
  lastWrite.set(target, settled);
  return written;
}

async function writeFolder(
  dir: string,
  target: string,
  fill: (temporaryDir: string) => Promise<void> | void,
  { neededBytes, overwrite = true, confirm }: AtomicOptions,
): Promise<void> {
  let temporary: string | undefined;
  try {
    await recoverFolder(target);
    if (dirname(target) === target) throw new CheckpointError(`${dir}: expected a folder that can be replaced`);
    if (await exists(target)) {
      if (overwrite === false) throw new CheckpointError(`${dir}: exists already`);
      if (!(await stat(target)).isDirectory()) throw new CheckpointError(`${dir}: expected a folder, found a file`);
      if (typeof overwrite === "function") await overwrite(target);
    }
    await mkdir(dirname(target), { recursive: true });
    if (await exists(target)) await rm(sibling(target, "old"), { recursive: true, force: true });
    await removeLeftovers(dirname(target));
    await checkSpace(target, neededBytes);
    temporary = temporaryIn(dirname(target));
    await mkdir(temporary);
    await fill(temporary);
    await syncTree(temporary);
    confirm?.();
    await putInPlace(temporary, target);
  } catch (error) {
    if (temporary) await rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw isSystemError(error) ? await writeError(error, dir, neededBytes) : error;
  } finally {
    if (temporary) release(temporary);
  }
}

async function putInPlace(temporary: string, target: string): Promise<void> {
  const whole = sibling(target, "new");
  const old = sibling(target, "old");
  // A whole folder that an earlier crash left is older than ours.
  await rm(whole, { recursive: true, force: true });
  await rename(temporary, whole);
  let replaced = false;
  try {
    replaced = await renameIfThere(target, old);
    // A reader that found the folder missing may have finished the job for us.
    if (!(await renameIfThere(whole, target)) && !(await exists(target)))
      throw new CheckpointError(`${target}: another process removed the folder while it was being written`);
  } catch (error) {
    if (replaced && !(await exists(target))) await renameIfThere(old, target);
    await rm(whole, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(dirname(target));
  if (replaced) await rm(old, { recursive: true, force: true });
}

/** Removes a folder so that, if the process dies meanwhile, it is there whole or not at all. */
export async function removeFolder(dir: string): Promise<void> {
  const target = resolveTarget(dir);
  const temporary = temporaryIn(dirname(target));
  try {
    if (await renameIfThere(target, temporary)) await rm(temporary, { recursive: true, force: true });
  } finally {
    release(temporary);
  }
}

/** Writes a file so that it holds the old or the new content, never a mixture, also after a crash or on a full disk. */
export async function atomicFile(path: string, data: string | Uint8Array): Promise<void> {
  const target = resolveTarget(path);
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const temporary = temporaryIn(dirname(target));
  try {
    await mkdir(dirname(target), { recursive: true });
    const handle = await open(temporary, "wx");
    try {
      await writeFully(handle, bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
    await syncFolder(dirname(target));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw await writeError(error, path, bytes.length);
  } finally {
    release(temporary);
  }
}
