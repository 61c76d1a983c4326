/** Files that a command line names to be written. */
import { closeSync, openSync, readSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { release, temporaryIn } from "../checkpoint/index.ts";
import { ConfigError } from "../errors.ts";

/** Enough of a file to see who wrote it. */
const HEAD_BYTES = 1024;

/**
 * Writes an output file: a new one, an empty one, or one that the same command wrote before, which `isOurs` tells by its beginning.
 * Whole or not at all. Throws ConfigError and leaves alone whatever else stands there. `flag` names the option in the message.
 */
export function writeOutput(flag: string, path: string, text: string, isOurs: (beginning: string) => boolean): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) throw new ConfigError(`${flag} ${path}: expected a file to be written, found a folder`);
  // /dev/stdout, a pipe: nobody's text is lost there.
  if (found && !found.isFile()) return writeFileSync(path, text);
  if (found && found.size > 0 && !isOurs(beginningOf(path)))
    throw new ConfigError(
      `${flag} ${path}: exists and holds something else; it was left alone. Choose another name, or remove it first`,
    );
  const target = found ? realpathSync(path) : path;
  const temporary = temporaryIn(dirname(target));
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`${flag} ${path}: cannot be written (${code ?? (error as Error).message})`, { cause: error });
  } finally {
    rmSync(temporary, { force: true });
    release(temporary);
  }
}

function beginningOf(path: string): string {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.toString("utf8", 0, readSync(file, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(file);
  }
}
