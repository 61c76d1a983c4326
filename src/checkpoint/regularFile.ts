/** Opening and reading files that somebody else put there: ordinary ones only, of bounded size. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { CheckpointError, ConfigError } from "../errors.ts";

/** Opening a pipe would wait for its writer: what is no ordinary file is opened without waiting, and refused. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** What is at a path, in words, when it is no ordinary file. */
export function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a pipe";
  if (stats.isSocket()) return "a socket";
  return "a device";
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "no such file, or a link to none";
  if (code === "ELOOP") return "a link that leads to itself";
  return `cannot be read: ${code ?? message}`;
}

/** What a file that is refused is thrown as. */
export type ErrorClass = new (message: string, options?: ErrorOptions) => Error;

/** A failure as one of `Refusal`, with the path. */
const refusalOf = (path: string, Refusal: ErrorClass, error: unknown): Error =>
  error instanceof Refusal ? error : new Refusal(`${path}: ${reasonOf(error)}`, { cause: error });

function checkRegular(path: string, Refusal: ErrorClass, stats: Stats): void {
  if (!stats.isFile()) throw new Refusal(`${path}: expected a file, found ${kindOf(stats)}`);
}

/**
 * A descriptor of an ordinary file, for the caller to close. Somebody else's folder may hold anything: pipes (on which opening and
 * reading wait for ever), devices and folders are refused unopened. Throws `Refusal` naming the path.
 */
export function openRegularSync(path: string, Refusal: ErrorClass = ConfigError): { file: number; bytes: number } {
  let file: number | undefined;
  try {
    checkRegular(path, Refusal, statSync(path));
    file = openSync(path, FLAGS);
    // what is there may be another thing by now
    const stats = fstatSync(file);
    checkRegular(path, Refusal, stats);
    return { file, bytes: stats.size };
  } catch (error) {
    if (file !== undefined) closeSync(file);
    throw refusalOf(path, Refusal, error);
  }
}

/** The same without waiting for the disk. Throws `Refusal` naming the path. */
export async function openRegularFile(
  path: string,
  Refusal: ErrorClass = CheckpointError,
): Promise<{ handle: FileHandle; fileBytes: number }> {
  let handle: FileHandle | undefined;
  try {
    checkRegular(path, Refusal, statSync(path));
    handle = await open(path, FLAGS);
    const stats = await handle.stat();
    checkRegular(path, Refusal, stats);
    return { handle, fileBytes: stats.size };
  } catch (error) {
    await handle?.close();
    throw refusalOf(path, Refusal, error);
  }
}

/** Reads an ordinary file of at most `limitBytes`, whole. Throws `Refusal` naming the path. */
export function readRegularFile(path: string, limitBytes: number, Refusal: ErrorClass = ConfigError): Buffer {
  const { file, bytes: size } = openRegularSync(path, Refusal);
  try {
    if (size > limitBytes) throw new Refusal(`${path}: expected at most ${limitBytes} bytes, the file has ${size}`);
    const bytes = Buffer.allocUnsafe(size);
    let done = 0;
    while (done < bytes.length) {
      const count = readSync(file, bytes, done, bytes.length - done, done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  } catch (error) {
    throw refusalOf(path, Refusal, error);
  } finally {
    closeSync(file);
  }
}

/** The same as text; undefined when there is nothing at the path. A link that leads nowhere is an error, not nothing. */
export function readRegularText(path: string, limitBytes: number): string | undefined {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  return readRegularFile(path, limitBytes).toString("utf8");
}
