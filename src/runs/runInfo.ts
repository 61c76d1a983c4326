/** run.json: read and checked. */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { readJsonFile } from "../checkpoint/index.ts";
import { CheckpointError, NoSuchRunError } from "../errors.ts";
import { validate } from "../validate.ts";
import { type RunInfo, runInfoSchema } from "./schema.ts";

/** run.json of a run's folder. Throws NoSuchRunError, or CheckpointError naming the field at fault. */
export async function readRunInfo(dir: string, id: string): Promise<RunInfo> {
  const path = join(dir, "run.json");
  if (!(await lstat(path).catch(() => undefined))) throw new NoSuchRunError(`${dir}: no such run`);
  return { ...validate(runInfoSchema, await readJsonFile(path), path, (message) => new CheckpointError(message)), id };
}
