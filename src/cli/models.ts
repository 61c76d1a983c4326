/** Models and chips as a command line names them: by name, folder or JSON file. */
import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { bundledModels, findModel, isGguf, readGguf, readRegularFile } from "../checkpoint/index.ts";
import { ConfigError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { type ModelConfig, PRESETS, parseConfig, presetConfig } from "../model/index.ts";
import {
  type Chip,
  chipOf,
  type NamedModel,
  parseChip,
  planModel,
  planModelNames,
  plannedArchitecture,
} from "../plan/index.ts";

export interface ModelOnDisk {
  name: string;
  config: ModelConfig;
  /** Its Hugging Face folder, or its GGUF file; undefined of a published model and of a config.json alone. */
  dir?: string;
}

const argument = (names: readonly string[]): string =>
  `a Hugging Face folder, a GGUF file, a config.json, a bundled model (${bundledModels().join(", ")}), or one of ${names.join(", ")}`;
/** What a verb says of its argument MODEL when its config is all that it needs. */
export const modelArgument = (): string => argument(Object.keys(PRESETS));
/** The same of a verb that needs sizes alone. */
export const plannedArgument = (): string => argument(planModelNames());

/** A model that runs here, as any verb names it: a Hugging Face folder, a GGUF file, a config.json, a bundled model, or a published one. Throws ConfigError. */
export function loadModel(model: string): ModelOnDisk {
  const path = findModel(model);
  if (path === undefined) {
    const { name } = planModel(model, bundledModels());
    if (Object.hasOwn(PRESETS, name)) return { name, config: presetConfig(name) };
    throw new ConfigError(
      `model: ${name} is known by its sizes alone, to \`sumbi plan\` and \`sumbi compare\`; expected one of ${Object.keys(PRESETS).join(", ")}`,
    );
  }
  if (isGguf(path)) return { name: basename(path), config: parseConfig(readGguf(path).json, path), dir: path };
  const dir = statSync(path).isDirectory() ? path : undefined;
  const file = dir === undefined ? path : join(dir, "config.json");
  return { name: dir === undefined ? model : basename(dir), config: parseConfig(readJson(file), file), dir };
}

/** A model to plan, by the same names and by those of families that only the planner knows. Throws ConfigError. */
export function loadPlanned(model: string): NamedModel {
  const path = findModel(model);
  if (path === undefined) return planModel(model, bundledModels());
  if (!isGguf(path)) {
    const folder = statSync(path).isDirectory();
    const file = folder ? join(path, "config.json") : path;
    const name = folder ? basename(path) : model;
    return { name, model: plannedArchitecture(readJson(file), { where: file, name }) };
  }
  const { name, config } = loadModel(model);
  return { name, model: config };
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
