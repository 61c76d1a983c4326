// Where a benchmark's result goes: a file of its own, or one that holds an earlier result of the same benchmark. Everybody else's stay as they are.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { UsageError } from "../src/errors.ts";

/**
 * What writes a result, with what it is of in front, to `path`; nothing without a path. Throws UsageError, before anything is measured, when there is
 * a file that is no result of `what` and `overwrite` is not said.
 */
export function resultFile(path: string | undefined, what: string, overwrite = false): (result: object) => void {
  if (path === undefined) return () => undefined;
  if (!overwrite && existsSync(path) && whatOf(path) !== what)
    throw new UsageError(
      `${path}: expected no file, or an earlier result of "${what}", got another file: choose another name, or say --overwrite`,
    );
  return (result) => writeFileSync(path, `${JSON.stringify({ what, ...result }, null, 2)}\n`);
}

function whatOf(path: string): unknown {
  try {
    return (JSON.parse(readFileSync(path, "utf8")) as { what?: unknown } | null)?.what;
  } catch {
    return undefined;
  }
}
