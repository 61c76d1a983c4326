/** Emptying the cache of what no run here can go on with. */
import { readdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Cleared, clearShards } from "../data/index.ts";
import { CheckpointError } from "../errors.ts";
import { RunReader } from "./reader.ts";

/** What a cache may hold besides shards: tokenizers, of which every run has its own copy, and data sets of older versions. */
const OTHERS = /^(?:tokenizer|data)-[0-9a-f]{16}$/;
const GRACE_MS = 3_600_000;

/**
 * Removes the shards that no run in this folder could be resumed with, and everything else in the cache that can be made again; leaves alone what was
 * opened within the last hour. Throws CheckpointError when a run cannot be read: nobody knows what it needs.
 */
export async function clearCache(runsDir: string): Promise<Cleared> {
  const reader = new RunReader(runsDir);
  const needed = new Set<string>();
  for (const { id, status, problem } of await reader.list()) {
    if (status === "unreadable")
      throw new CheckpointError(
        `${join(runsDir, id)}: cannot be read, so that nobody knows which tokens it needs; nothing was removed. Mend or remove it: ${problem}`,
      );
    const { binding } = await reader.info(id);
    if (binding !== undefined && status !== "done") needed.add(binding.shards);
  }
  const cacheDir = resolve(runsDir, "cache");
  const cleared = await clearShards(cacheDir, needed);
  for (const name of await readdir(cacheDir).catch(() => [] as string[])) {
    if (!OTHERS.test(name)) continue;
    const path = join(cacheDir, name);
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > GRACE_MS) await rm(path, { recursive: true, force: true });
  }
  return cleared;
}
