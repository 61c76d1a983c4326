/** Removal of what runs that are gone left unfinished. */
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { removeLeftovers } from "../checkpoint/index.ts";

/**
 * Removes the temporary files and folders of dead processes of this machine from a runs folder (caches, states, exports, whatever they
 * were) and from around a model's folder. Those of living processes and of other machines stay.
 */
export async function sweep(runsDir: string, outDir: string): Promise<void> {
  const names = async (dir: string) =>
    (await readdir(dir, { withFileTypes: true }).catch(() => []))
      .filter((item) => item.isDirectory())
      .map((item) => join(dir, item.name));
  const inRuns = await names(runsDir);
  const inside = (await Promise.all(inRuns.map(names))).flat();
  for (const dir of [runsDir, ...inRuns, ...inside, outDir, dirname(outDir)]) await removeLeftovers(dir);
}
