/** Models and chips as a command line names them: by name, folder or JSON file. */
import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { bundledModels, findModel, isGguf, readGguf, readRegularFile } from "../checkpoint/index.ts";
import { ConfigError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { parseConfig } from "../model/index.ts";
import { type Chip, chipOf, type NamedModel, parseChip, planModel, planModelNames } from "../plan/index.ts";

export interface ModelOnDisk extends NamedModel {
  /** Its Hugging Face folder, or its GGUF file; undefined of a published model and of a config.json alone. */
  dir?: string;
}

/** What a verb says of its argument MODEL when sizes are all that it needs. */
export const modelArgument = (): string =>
  `a Hugging Face folder, a GGUF file, a config.json, a bundled model (${bundledModels().join(", ")}), or one of ${planModelNames().join(", ")}`;

/** A model as any verb names it: a Hugging Face folder, a GGUF file, a config.json, a bundled model, or a published one. Throws ConfigError. */
export function loadModel(model: string): ModelOnDisk {
  const path = findModel(model);
  if (path === undefined) return planModel(model, bundledModels());
  if (isGguf(path)) return { name: basename(path), config: parseConfig(readGguf(path).json, path), dir: path };
  const dir = statSync(path).isDirectory() ? path : undefined;
  const file = dir === undefined ? path : join(dir, "config.json");
  return { name: dir === undefined ? model : basename(dir), config: parseConfig(readJson(file), file), dir };
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
