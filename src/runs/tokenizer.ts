/** The tokenizer of a run: given, or trained on its texts and kept. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { atomicFolder } from "../checkpoint/index.ts";
import { builtinHash, findSources, readDocuments } from "../data/index.ts";
import { CheckpointError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { trainTokenizer } from "../tokenizer/index.ts";
import type { Recipe } from "../train/index.ts";
import { hashOf } from "./hash.ts";

/** The longest sequence that the run trains on. */
const maxLengthOf = (recipe: Recipe): number => Math.max(recipe.sequence, ...recipe.extension.map(({ sequence }) => sequence));

/** The tokenizer's folder, and the size it is to have when it must be trained first. */
function folderOf(recipe: Recipe, runsDir: string): { dir: string; vocabSize?: number } {
  if ("from" in recipe.tokenizer) return { dir: recipe.tokenizer.from };
  if (typeof recipe.model === "string") return { dir: recipe.model };
  const { vocabSize = Number(recipe.model["vocab_size"]), digits } = recipe.tokenizer;
  const sources = findSources(recipe.data.paths);
  const dir = resolve(runsDir, "cache", `tokenizer-${hashOf([sources.map((s) => [s, s.builtin && builtinHash(s.builtin.name)]), vocabSize, digits, maxLengthOf(recipe)])}`);
  return existsSync(join(dir, "tokenizer.json")) ? { dir } : { dir, vocabSize };
}

/** The tokenizer of a run that has begun. Throws CheckpointError when it is gone. */
export function keptTokenizer(recipe: Recipe, runsDir: string): string {
  const { dir, vocabSize } = folderOf(recipe, runsDir);
  if (vocabSize !== undefined) throw new CheckpointError(`${dir}: expected the tokenizer of the run, found none`);
  return dir;
}

/** The tokenizer's folder: the one the recipe names, or one trained on its data, kept for the next run on the same. */
export async function prepareTokenizer(recipe: Recipe, runsDir: string, onProgress: OnProgress, signal?: AbortSignal): Promise<string> {
  const { dir, vocabSize } = folderOf(recipe, runsDir);
  if (vocabSize === undefined || !("digits" in recipe.tokenizer)) return dir;
  const { digits } = recipe.tokenizer;
  async function* texts() {
    for await (const document of readDocuments(recipe.data.paths, { onBroken: recipe.data.broken }))
      if ("text" in document) yield document.text;
      else for (const message of document.messages) yield message.content;
  }
  const trained = await trainTokenizer(texts(), { vocabSize, digits, maxLength: maxLengthOf(recipe), totalChars: findSources(recipe.data.paths).reduce((n, s) => n + s.bytes, 0), onProgress, signal });
  await mkdir(join(dir, ".."), { recursive: true });
  await atomicFolder(dir, async (temporary) => {
    await writeFile(join(temporary, "tokenizer.json"), JSON.stringify(trained.tokenizerJson, null, 1));
    await writeFile(join(temporary, "tokenizer_config.json"), JSON.stringify(trained.tokenizerConfig, null, 2));
  });
  return dir;
}
