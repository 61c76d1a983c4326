/** The files besides config.json and weights that a copy of a Hugging Face folder keeps: tokenizer, template, generation settings. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { readJsonFile } from "./checkpoint.ts";
import { consistentGeneration } from "./generation.ts";
import { ggufTexts, hasWords, isGguf } from "./gguf/index.ts";
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
 * Reads the tokenizer, chat template and generation settings of a model folder or GGUF file, by file name, to pass to `saveCheckpoint`
 * as `files`. Missing ones are left out; generation_config.json loses what contradicts itself. Throws CheckpointError when the folder cannot be read.
 */
export async function tokenizerFiles(dir: string): Promise<Record<string, Uint8Array>> {
  if (isGguf(dir)) return filesOfGguf(dir);
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

/** What a copy of them in a folder would be read as: in the order of names, and consistent. */
function filesOfGguf(path: string): Record<string, Uint8Array> {
  if (!hasWords(path)) return {};
  const { "config.json": _, ...texts } = ggufTexts(path);
  const files = { ...texts, [GENERATION]: generationText(parseJson(texts[GENERATION]) as Record<string, unknown>) };
  const encoder = new TextEncoder();
  return Object.fromEntries(
    Object.entries(files)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, text]) => [name, encoder.encode(text)]),
  );
}

const generationText = (config: Record<string, unknown>): string =>
  `${JSON.stringify(consistentGeneration(config), null, 2)}\n`;

async function generationFile(path: string): Promise<Uint8Array> {
  return new TextEncoder().encode(generationText(await readJsonFile(path)));
}
