/** Where a model is that somebody names: the one rule for every verb. */
import { existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError } from "../errors.ts";
import { isGguf } from "./gguf/index.ts";
import { findPulled, parseHubName } from "./hubCache.ts";

/** Models that come with the package, in `models/` beside `dist/` and `src/`. */
const BUNDLED = fileURLToPath(new URL("../../models/", import.meta.url));

export const bundledModels = (): string[] =>
  existsSync(BUNDLED) ? readdirSync(BUNDLED).filter((name) => existsSync(join(BUNDLED, name, "config.json"))) : [];

/**
 * A Hugging Face folder, a GGUF file, a config.json alone, a bundled model by name (`nano`, from every directory also `models/nano`), or one
 * that was pulled (`ORG/NAME`, `ORG/NAME:QUANT`), as a path; undefined when there is no such file or model. Throws ConfigError for a folder without a config.json.
 */
export function findModel(name: string): string | undefined {
  if (existsSync(name)) {
    // a config.json that is a link leading nowhere is one too: reading it says what is wrong
    const isThere = () => lstatSync(join(name, "config.json"), { throwIfNoEntry: false }) !== undefined;
    if (statSync(name).isDirectory() && !isThere()) {
      const gguf = readdirSync(name).find((file) => /\.gguf$/i.test(file));
      throw new ConfigError(
        `${name}: expected a Hugging Face folder with a config.json, it has none${gguf === undefined ? "" : `; for its GGUF file name that: ${join(name, gguf)}`}`,
      );
    }
    return resolve(name);
  }
  const short = name.replace(/^models[/\\]/, "");
  return bundledModels().includes(short) ? join(BUNDLED, short) : findPulled(name);
}

/** The folder of a model with weights, or its GGUF file. Throws ConfigError that lists the bundled names. */
export function resolveModel(name: string): string {
  const path = findModel(name);
  if (path === undefined) {
    const bundled = bundledModels();
    throw new ConfigError(
      `${name}: there is no such folder${bundled.length > 0 ? `, and no bundled model of that name (there is ${bundled.join(", ")})` : ""}${parseHubName(name) === undefined ? "" : `, nor was it pulled; if a hub has it: sumbi pull ${name}`}`,
    );
  }
  if (statSync(path).isDirectory() || isGguf(path)) return path;
  throw new ConfigError(`${name}: expected a Hugging Face folder with a config.json, or a GGUF file, got another file`);
}
