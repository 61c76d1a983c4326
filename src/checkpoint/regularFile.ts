import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { ConfigError } from "../errors.ts";

/** What is at a path, in words, when it is no ordinary file. */
function kindOf(stats: Stats): string {
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

/**
 * Reads an ordinary file of at most `limitBytes`, whole. Somebody else's folder may hold anything: pipes (on which reading waits for
 * ever), devices and folders are refused unread. Throws ConfigError naming the path.
 */
export function readRegularFile(path: string, limitBytes: number): Buffer {
  let file: number | undefined;
  try {
    const found = statSync(path);
    if (!found.isFile()) throw new ConfigError(`${path}: expected a file, found ${kindOf(found)}`);
    // what is there may be another thing by now
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new ConfigError(`${path}: expected a file, found ${kindOf(stats)}`);
    if (stats.size > limitBytes)
      throw new ConfigError(`${path}: expected at most ${limitBytes} bytes, the file has ${stats.size}`);
    const bytes = Buffer.allocUnsafe(stats.size);
    let done = 0;
    while (done < bytes.length) {
      const count = readSync(file, bytes, done, bytes.length - done, done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${path}: ${reasonOf(error)}`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The same as text; undefined when there is nothing at the path. A link that leads nowhere is an error, not nothing. */
export function readRegularText(path: string, limitBytes: number): string | undefined {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  return readRegularFile(path, limitBytes).toString("utf8");
}
