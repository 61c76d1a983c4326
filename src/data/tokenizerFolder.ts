/** The tokenizer of a Hugging Face folder, read from its files. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ggufTexts, isGguf, readRegularText } from "../checkpoint/index.ts";
import { ConfigError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { Tokenizer } from "../tokenizer/index.ts";

/** The files that make a tokenizer, and how large they may be; the largest tokenizer.json that is published has 33 MB, of 262,144 tokens. */
const LIMIT_BYTES = {
  "tokenizer.json": 64e6,
  "tokenizer_config.json": 32e6,
  "chat_template.jinja": 2e6,
  "generation_config.json": 1e6,
};
type Name = keyof typeof LIMIT_BYTES;

/** What stood in a folder's tokenizer files when they were read. Missing ones are left out. */
export interface TokenizerFiles {
  dir: string;
  texts: Partial<Record<Name, string>>;
}

/** Reads them, all of one moment, of a folder or a GGUF file. Throws ConfigError for what is no ordinary file, or too large. */
export function readTokenizerFiles(dir: string): TokenizerFiles {
  const texts: TokenizerFiles["texts"] = {};
  const made: Partial<Record<string, string>> | undefined = isGguf(dir) ? ggufTexts(dir) : undefined;
  for (const name of Object.keys(LIMIT_BYTES) as Name[]) {
    const text = made ? made[name] : readRegularText(join(dir, name), LIMIT_BYTES[name]);
    if (text !== undefined) texts[name] = text;
  }
  return { dir, texts };
}

/** The tokenizer that files make, and the stop tokens of generation_config.json. Throws ConfigError naming the file. */
export function tokenizerOf({ dir, texts }: TokenizerFiles, options: { lazy?: boolean } = {}): Tokenizer {
  const parsed = (name: Name): unknown => {
    const text = texts[name];
    try {
      return text === undefined ? undefined : parseJson(text);
    } catch (error) {
      throw new ConfigError(`${join(dir, name)}: expected JSON, got ${(error as Error).message}`, { cause: error });
    }
  };
  const json = parsed("tokenizer.json");
  if (json === undefined) throw new ConfigError(`${dir}: expected a tokenizer.json, found none`);
  const generation = parsed("generation_config.json") as { eos_token_id?: unknown } | null | undefined;
  const stops = [generation?.eos_token_id]
    .flat()
    .filter((id): id is number => Number.isInteger(id) && (id as number) >= 0);
  try {
    return new Tokenizer(json, parsed("tokenizer_config.json"), {
      chatTemplate: texts["chat_template.jinja"],
      extraEos: stops,
      ...options,
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(`${dir}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** The tokenizer of a GGUF file or a Hugging Face folder: tokenizer.json, tokenizer_config.json, chat_template.jinja, generation_config.json. Throws ConfigError naming the file. */
export const loadTokenizer = (dir: string): Tokenizer => tokenizerOf(readTokenizerFiles(dir));

/** Changes when the tokenizer of a folder does: the SHA-256 of its files. */
export function tokenizerHash(dir: string): string {
  const { texts } = readTokenizerFiles(dir);
  const hash = createHash("sha256");
  for (const name of Object.keys(LIMIT_BYTES) as Name[]) hash.update(`${name}\0`).update(texts[name] ?? "");
  return hash.digest("hex");
}
