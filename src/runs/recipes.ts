/** Recipes by name or path, read as JSON. */
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ParseError, parse, printParseErrorCode } from "jsonc-parser";
import { readRegularFile } from "../checkpoint/index.ts";
import { ConfigError } from "../errors.ts";
import { checkJsonDepth, parseJson } from "../json.ts";

const RECIPE_BYTES_MAX = 1 << 20;

/** Folder of the recipes that come with Sumbi. */
const RECIPES = fileURLToPath(new URL("../../recipes", import.meta.url));

export const recipeNames = (): string[] =>
  readdirSync(RECIPES)
    .filter((file) => file.endsWith(".jsonc"))
    .map((file) => basename(file, ".jsonc"));

/** One slip makes many errors after it. */
const ERRORS_SAID = 5;

/** A recipe: the name of one that comes with Sumbi, the path of one, or its JSON. */
export type RecipeSource = string | Readonly<Record<string, unknown>>;

/** Reads a recipe (JSON with comments) by path or name, or takes it as it is. Throws ConfigError with line and column. */
export function readRecipe(recipe: RecipeSource): { json: Record<string, unknown>; path: string } {
  return typeof recipe === "string" ? readRecipeFile(recipe) : { json: plainRecipe(recipe), path: "recipe" };
}

function plainRecipe(recipe: Readonly<Record<string, unknown>>): Record<string, unknown> {
  try {
    return parseJson(JSON.stringify(recipe)) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError(`recipe: expected an object that JSON can hold: ${(error as Error).message}`);
  }
}

function readRecipeFile(nameOrPath: string): { json: Record<string, unknown>; path: string } {
  const known = join(RECIPES, `${nameOrPath}.jsonc`);
  const path = existsSync(nameOrPath) ? nameOrPath : known;
  if (!existsSync(path))
    throw new ConfigError(`${nameOrPath}: expected a recipe file or one of ${recipeNames().join(", ")}; found neither`);
  const text = readRegularFile(path, RECIPE_BYTES_MAX).toString("utf8");
  try {
    checkJsonDepth(text);
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`);
  }
  const errors: ParseError[] = [];
  const json = parse(text, errors, { allowTrailingComma: true }) as unknown;
  if (errors.length > 0) {
    const at = (offset: number) => {
      const before = text.slice(0, offset).split("\n");
      return `${before.length}:${before.at(-1)!.length + 1}`;
    };
    const said = errors.slice(0, ERRORS_SAID).map((e) => `  ${at(e.offset)}: ${printParseErrorCode(e.error)}`);
    if (errors.length > ERRORS_SAID) said.push(`  and ${errors.length - ERRORS_SAID} more`);
    throw new ConfigError(`${path}: not JSON:\n${said.join("\n")}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new ConfigError(`${path}: expected an object`);
  return { json: json as Record<string, unknown>, path };
}
