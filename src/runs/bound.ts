/** A run that has begun, opened again: its recipe, model and tokenizer, checked to be those that it began with. */
import { CheckpointError } from "../errors.ts";
import { type ParameterStore, type Phase, parseRecipe, phasesOf, type Recipe } from "../train/index.ts";
import { layoutFingerprint, recipeFingerprint, recipeHash, tokenizerFingerprint } from "./binding.ts";
import { type Changed, changeRecipe } from "./changes.ts";
import type { Binding, RunInfo } from "./schema.ts";
import { tokenizerOf } from "./tokenizer.ts";

export interface BoundRun {
  binding: Binding;
  recipe: Recipe;
  /** The recipe as run.json has it, or will have it, and what was changed in it. */
  json: Record<string, unknown>;
  changed: string[];
  modelJson: Record<string, unknown>;
  phases: Phase[];
  tokenizerDir: string;
}

/** Opens what a run is bound to, with some settings changed. Throws CheckpointError when something is gone or another; UsageError when a setting cannot change. */
export async function openBound(dir: string, info: RunInfo, settings: readonly string[] = []): Promise<BoundRun> {
  const path = `${dir}/run.json`;
  const { binding, model: modelJson } = info;
  if (typeof info.recipe["stage"] === "string")
    throw new CheckpointError(
      `${path}: expected a run of \`sumbi train\`, got one of \`sumbi reason ${info.recipe["stage"]}\`. It goes on by \`sumbi reason ${info.recipe["stage"]} --resume ${info.id}\``,
    );
  if (binding === undefined || modelJson === undefined)
    throw new CheckpointError(
      `${path}: binding: expected fingerprints of the tokenizer and the texts, got none: an older Sumbi began this run, and nobody can tell any more what it was trained on. It can be looked at, not resumed; start a new run`,
    );
  if (recipeFingerprint(info.recipe, modelJson) !== binding.recipe)
    throw new CheckpointError(
      `${path}: recipe or model: not as the run began with (their fingerprint differs). It cannot go on with another`,
    );
  if (info.recipeHash !== undefined && recipeHash(info.recipe) !== info.recipeHash)
    throw new CheckpointError(
      `${path}: recipe: not as it was written (its hash differs): it was edited by hand. Put it back, and change settings by --resume with --set KEY=VALUE`,
    );
  const { json, recipe, told }: Changed =
    settings.length > 0
      ? changeRecipe(info.recipe, settings, "--set")
      : { json: info.recipe, recipe: parseRecipe(info.recipe, path), told: [] };
  const tokenizerDir = tokenizerOf(dir);
  const found = await tokenizerFingerprint(tokenizerDir).catch((error: unknown) => {
    throw new CheckpointError(
      `${tokenizerDir}: the run's tokenizer is gone: ${(error as Error).message}. The run cannot go on without it`,
      { cause: error },
    );
  });
  if (found !== binding.tokenizer)
    throw new CheckpointError(
      `${tokenizerDir}: the run's tokenizer is not the one that it began with (its fingerprint differs). The run cannot go on with another`,
    );
  return { binding, recipe, json, changed: told, modelJson, phases: phasesOf(recipe, modelJson), tokenizerDir };
}

/** Throws CheckpointError when the states of a run could not be read into this store: another version may lay parameters out otherwise. */
export function checkLayout(dir: string, binding: Binding, store: ParameterStore): void {
  if (layoutFingerprint(store) !== binding.layout)
    throw new CheckpointError(
      `${dir}: expected parameters laid out as when the run began, but this version of Sumbi lays them out otherwise. Resume with the version that began it`,
    );
}
