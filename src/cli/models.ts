import { existsSync, lstatSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { readRegularFile } from "../checkpoint/index.ts";
import { ConfigError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { parseConfig } from "../model/index.ts";
import { type Chip, chipOf, type NamedModel, parseChip, planModel } from "../plan/index.ts";

/** A published model by name, or a Hugging Face folder or config.json. Throws ConfigError. */
export function loadModel(model: string): NamedModel {
  if (!existsSync(model)) return planModel(model);
  const folder = statSync(model).isDirectory();
  const file = folder ? join(model, "config.json") : model;
  if (lstatSync(file, { throwIfNoEntry: false }) === undefined)
    throw new ConfigError(`plan: expected ${file}, but it does not exist`);
  return { name: folder ? basename(resolve(model)) : model, config: parseConfig(readJson(file), file) };
}

/** A chip of the table by name, or the user's own from a JSON file. Throws ConfigError naming the nearest. */
export function loadChip(name: string): Chip {
  return name.endsWith(".json") && existsSync(name) ? parseChip(readJson(name), name) : chipOf(name);
}

const JSON_BYTES_MAX = 16 << 20;

/** A JSON file that somebody else wrote, an ordinary one of at most 16 MiB. Throws ConfigError naming it. */
export function readJson(file: string): unknown {
  const text = readRegularFile(file, JSON_BYTES_MAX).toString("utf8");
  try {
    return parseJson(text);
  } catch (error) {
    throw new ConfigError(`${file}: expected JSON: ${(error as Error).message}`);
  }
}
