/** Whether a folder can be written, found out by trying. */
import { existsSync } from "node:fs";
import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DiskError } from "../errors.ts";
import { release, temporaryIn } from "./leftovers.ts";

const REASONS: Record<string, string> = {
  EACCES: "it may not be written",
  EPERM: "it may not be written",
  EROFS: "the disk is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk is full",
  ENOTDIR: "part of the path is a file",
  EEXIST: "it is a file",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "the path leads nowhere",
};

/** Tries before a path leads nowhere: another process that tries the same folder may take it away again in between. */
const TRIES = 20;

/**
 * Makes sure that a folder can be made and written, by trying; leaves nothing behind. `where` names it in the message: "--out m".
 * Throws DiskError.
 */
export async function checkWritable(dir: string, where: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryToWrite(dir);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      if (code === "ENOENT" && attempt < TRIES) {
        await delay(attempt);
        continue;
      }
      throw new DiskError(
        `${where}: expected a folder that can be written, but ${REASONS[code] ?? "it cannot"} (${code}). Choose another folder`,
        { cause: error },
      );
    }
  }
}

async function tryToWrite(dir: string): Promise<void> {
  const missing: string[] = [];
  for (let at = dir; !existsSync(at) && at !== dirname(at); at = dirname(at)) missing.unshift(at);
  let probe: string | undefined;
  try {
    // One by one: Node's recursive mkdir gives another reason for a disk that is read-only.
    for (const folder of missing)
      await mkdir(folder).catch((error: NodeJS.ErrnoException) =>
        error.code === "EEXIST" ? undefined : Promise.reject(error),
      );
    probe = temporaryIn(dir);
    await mkdir(probe);
    // The longest name that a model has.
    await writeFile(join(probe, "model-00001-of-00001.safetensors.index.json"), "{}\n");
  } finally {
    if (probe !== undefined) {
      await rm(probe, { recursive: true, force: true }).catch(() => {});
      release(probe);
    }
    for (const folder of missing.reverse()) await rmdir(folder).catch(() => {});
  }
}
