/** The tokenizer of a run: given, or trained on its texts and kept. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { atomicFolder } from "../checkpoint/index.ts";
import { builtinHash, findSources, readDocuments } from "../data/index.ts";
import type { OnProgress } from "../progress.ts";
import { trainTokenizer } from "../tokenizer/index.ts";
import type { Recipe } from "../train/index.ts";
import { hashOf } from "./hash.ts";

/** The tokenizer's folder: the one the recipe names, or one trained on its data, kept for the next run on the same. */
export async function prepareTokenizer(recipe: Recipe, runsDir: string, onProgress: OnProgress): Promise<string> {
  if ("from" in recipe.tokenizer) return recipe.tokenizer.from;
  if (typeof recipe.model === "string") return recipe.model;
  const { vocabSize = Number(recipe.model["vocab_size"]), digits } = recipe.tokenizer;
  const maxLength = Math.max(recipe.sequence, ...recipe.extension.map(({ sequence }) => sequence));
  const sources = findSources(recipe.data.paths);
  const dir = resolve(runsDir, "cache", `tokenizer-${hashOf([sources.map((s) => [s, s.builtin && builtinHash(s.builtin.name)]), vocabSize, digits, maxLength])}`);
  if (existsSync(join(dir, "tokenizer.json"))) return dir;
  async function* texts() {
    for await (const document of readDocuments(recipe.data.paths, { onBroken: recipe.data.broken }))
      if ("text" in document) yield document.text;
      else for (const message of document.messages) yield message.content;
  }
  const trained = await trainTokenizer(texts(), { vocabSize, digits, maxLength, totalChars: sources.reduce((n, s) => n + s.bytes, 0), onProgress });
  await mkdir(join(dir, ".."), { recursive: true });
  await atomicFolder(dir, async (temporary) => {
    await writeFile(join(temporary, "tokenizer.json"), JSON.stringify(trained.tokenizerJson, null, 1));
    await writeFile(join(temporary, "tokenizer_config.json"), JSON.stringify(trained.tokenizerConfig, null, 2));
  });
  return dir;
}
