/** Tests only: reads files of somebody else's in a process that can be ended when it hangs; prints a line for each. */
import { dirname, join } from "node:path";
import { resolveModel } from "../../src/checkpoint/find.ts";
import { openCheckpoint, readManifest, tokenizerFiles } from "../../src/checkpoint/index.ts";
import { inspect } from "../../src/cli/inspect.ts";
import { loadModel, readJson } from "../../src/cli/models.ts";
import { findSources, loadTokenizer, openDataset, tokenizerHash } from "../../src/data/index.ts";
import { SumbiError } from "../../src/errors.ts";
import { ownerOf } from "../../src/runs/lock.ts";
import { readRecipe } from "../../src/runs/recipes.ts";
import { readRunInfo } from "../../src/runs/runInfo.ts";
import { loadServed } from "../../src/serve/load.ts";

/** Each reads the file at `path`, or the folder that it lies in. */
export const READERS: Record<string, (path: string) => unknown> = {
  loadTokenizer: (path) => loadTokenizer(dirname(path)),
  tokenizerHash: (path) => tokenizerHash(dirname(path)),
  tokenizerFiles: (path) => tokenizerFiles(dirname(path)),
  openCheckpoint: (path) => openCheckpoint(dirname(path)),
  readManifest: (path) => readManifest(dirname(path)),
  loadServed: (path) => loadServed(resolveModel(dirname(path)), () => Promise.reject(new Error("it was let in"))),
  inspect: (path) => inspect(dirname(path), 16),
  planModel: (path) => loadModel(dirname(path)),
  claim: (path) => readJson(path),
  readRecipe: (path) => readRecipe(path),
  readRunInfo: (path) => readRunInfo(dirname(path), "r"),
  ownerOf: (path) => ownerOf(dirname(path)),
  openDataset: (path) => openDataset(dirname(path)),
  findSources: (path) => findSources([path]),
};

if (process.send !== undefined)
  process.once("message", async (cases: [reader: string, path: string][]) => {
    for (const [reader, path] of cases) {
      let said: { refused: boolean; message: string };
      try {
        await READERS[reader]?.(path);
        said = { refused: false, message: "" };
      } catch (error) {
        said = { refused: error instanceof SumbiError, message: (error as Error).message };
      }
      process.send?.({ reader, path: join(path), ...said });
    }
    process.disconnect();
  });
