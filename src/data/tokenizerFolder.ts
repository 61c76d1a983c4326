import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { Tokenizer } from "../tokenizer/index.ts";

/** Larger files are refused unread; DeepSeek-V3's tokenizer.json has 7.8 MB. */
const MAX_FILE_BYTES = 512e6;

/** The tokenizer of a Hugging Face folder: tokenizer.json, tokenizer_config.json, chat_template.jinja, and the stop tokens of generation_config.json. Throws ConfigError naming the file. */
export function loadTokenizer(dir: string): Tokenizer {
  const json = readJson(dir, "tokenizer.json");
  if (json === undefined) throw new ConfigError(`${dir}: expected a tokenizer.json, found none`);
  const template = join(dir, "chat_template.jinja");
  const generation = readJson(dir, "generation_config.json") as { eos_token_id?: unknown } | undefined;
  const stops = [generation?.eos_token_id].flat().filter((id): id is number => Number.isInteger(id) && (id as number) >= 0);
  try {
    return new Tokenizer(json, readJson(dir, "tokenizer_config.json"), {
      chatTemplate: existsSync(template) ? readFileSync(template, "utf8") : undefined,
      extraEos: stops,
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(`${dir}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Changes when the tokenizer of a folder does: the SHA-256 of its files. */
export function tokenizerHash(dir: string): string {
  const hash = createHash("sha256");
  for (const name of ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]) {
    const path = join(dir, name);
    hash.update(`${name}\0`);
    if (existsSync(path)) hash.update(readFileSync(path));
  }
  return hash.digest("hex");
}

function readJson(dir: string, name: string): unknown {
  const path = join(dir, name);
  if (!existsSync(path)) return undefined;
  const { size } = statSync(path);
  if (size > MAX_FILE_BYTES) throw new ConfigError(`${path}: expected at most ${MAX_FILE_BYTES / 1e6} MB, got ${Math.round(size / 1e6)} MB`);
  try {
    return parseJson(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ConfigError(`${path}: expected JSON, got ${(error as Error).message}`, { cause: error });
  }
}
