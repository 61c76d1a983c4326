/** The tokenizer of a run: given, or trained on its texts and kept; in the end a copy in the run's own folder. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { atomicFolder, tokenizerFiles } from "../checkpoint/index.ts";
import {
  areUnchanged,
  type Broken,
  checkIsText,
  emptyReading,
  leaveOut,
  readDocuments,
  type Source,
} from "../data/index.ts";
import { CheckpointError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { trainTokenizer } from "../tokenizer/index.ts";
import type { Recipe } from "../train/index.ts";
import { tokenizerFingerprint } from "./binding.ts";
import { hashOf } from "./hash.ts";

/** The texts of a run, found and hashed. */
export interface Texts {
  sources: readonly Source[];
  /** Of their bytes. */
  contents: string;
}

/** The longest sequence that the run trains on. */
const maxLengthOf = (recipe: Recipe): number =>
  Math.max(recipe.sequence, ...recipe.extension.map(({ sequence }) => sequence));

/** The tokenizer's folder: the one the recipe names, or one trained on its data, kept for the next run on texts that say the same. */
export async function prepareTokenizer(
  recipe: Recipe,
  { sources, contents }: Texts,
  runsDir: string,
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<string> {
  if ("from" in recipe.tokenizer) return recipe.tokenizer.from;
  if (typeof recipe.model === "string") return recipe.model;
  const { vocabSize = Number(recipe.model["vocab_size"]), digits } = recipe.tokenizer;
  const { paths, broken } = recipe.data;
  const maxLength = maxLengthOf(recipe);
  const cacheDir = resolve(runsDir, "cache");
  const kept = join(cacheDir, `tokenizer-${hashOf([contents, broken, vocabSize, digits, maxLength])}`);
  if (existsSync(join(kept, "tokenizer.json"))) return kept;
  async function* texts() {
    const reading = emptyReading();
    const report = (line: Broken) => leaveOut(reading, line);
    for await (const document of readDocuments(paths, { onBroken: broken, report }))
      if ("text" in document) yield document.text;
      else for (const message of document.messages) yield message.content;
    checkIsText(reading, sources);
  }
  const trained = await trainTokenizer(texts(), {
    vocabSize,
    digits,
    maxLength,
    totalChars: sources.reduce((n, s) => n + s.bytes, 0),
    onProgress,
    signal,
  });
  // Of texts that were written to meanwhile nobody can say what they said: nobody finds it again.
  const dir = areUnchanged(sources)
    ? kept
    : join(cacheDir, `tokenizer-${randomUUID().replaceAll("-", "").slice(0, 16)}`);
  await mkdir(cacheDir, { recursive: true });
  await atomicFolder(dir, async (temporary) => {
    await writeFile(join(temporary, "tokenizer.json"), JSON.stringify(trained.tokenizerJson, null, 1));
    await writeFile(join(temporary, "tokenizer_config.json"), JSON.stringify(trained.tokenizerConfig, null, 2));
  });
  return dir;
}

/** Where a run keeps its tokenizer. */
export const tokenizerOf = (runDir: string): string => join(runDir, "tokenizer");

/** Copies a tokenizer into a run's folder. Throws CheckpointError when it is no longer the one of this fingerprint. */
export async function keepTokenizer(from: string, runDir: string, fingerprint: string): Promise<void> {
  const dir = tokenizerOf(runDir);
  await atomicFolder(dir, async (temporary) => {
    for (const [name, bytes] of Object.entries(await tokenizerFiles(from)))
      await writeFile(join(temporary, name), bytes);
  });
  if ((await tokenizerFingerprint(dir)) !== fingerprint)
    throw new CheckpointError(`${from}: the tokenizer was changed while the run was prepared. Start again`);
}
