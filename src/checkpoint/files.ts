/** The files besides config.json and weights that a copy of a Hugging Face folder keeps: tokenizer, template, generation settings. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { readJsonFile } from "./checkpoint.ts";
import { consistentGeneration } from "./generation.ts";
import { readSmallFile } from "./safetensors.ts";

/** What a Hugging Face folder may hold beside config.json and the weights that a copy of the model should keep. */
const CARRIED_FILES = new Set([
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
  "generation_config.json",
]);

const GENERATION = "generation_config.json";

const CARRIED_BYTES_MAX = 256 * 2 ** 20;

/**
 * Reads a model folder's tokenizer, chat template and generation settings, by file name, to pass to `saveCheckpoint` as
 * `files`. Missing ones are left out; generation_config.json loses what contradicts itself. Throws CheckpointError when the folder cannot be read.
 */
export async function tokenizerFiles(dir: string): Promise<Record<string, Uint8Array>> {
  const names = await readdir(dir).catch((cause) => {
    throw new CheckpointError(`${dir}: no such folder`, { cause });
  });
  const files: Record<string, Uint8Array> = {};
  for (const name of names.sort())
    if (CARRIED_FILES.has(name))
      files[name] =
        name === GENERATION
          ? await generationFile(join(dir, name))
          : await readSmallFile(join(dir, name), CARRIED_BYTES_MAX);
  return files;
}

async function generationFile(path: string): Promise<Uint8Array> {
  return new TextEncoder().encode(`${JSON.stringify(consistentGeneration(await readJsonFile(path)), null, 2)}\n`);
}
