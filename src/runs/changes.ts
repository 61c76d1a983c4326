/** Which settings of a run may change when it is resumed, and why the others may not. */
import { UsageError } from "../errors.ts";
import { applySettings, parseRecipe, type Recipe } from "../train/index.ts";

/**
 * Keys that say how a run goes on from here: how fast, how often it is looked at and saved, when it gives up, what it costs. A state does not
 * depend on what they will be; what was done under the old ones stays done.
 */
export const CHANGEABLE = ["learningRate", "spike", "save", "evaluate.everySteps", "samples", "cost"] as const;

/** Why the others cannot: the first entry that a key lies in. */
const REASONS: readonly [keys: readonly string[], why: string][] = [
  [["model", "tokenizer", "precision", "optimizer"], "the saved state was made by it"],
  [["data"], "the texts are read and tokenised already, and the run is bound to those tokens"],
  [
    ["tokens", "sequence", "batch", "microBatch", "lanes", "extension", "seed"],
    "it lays down the order of the batches and their number from the first step to the last",
  ],
  [["adamw", "muon", "clip", "balance", "mtp"], "what the optimizer and the routing remember was gathered under it"],
  [["evaluate.tokens", "evaluate"], "held-out losses before and after would not compare"],
  [["name"], "the run is found by it"],
];

const isIn = (key: string, group: string): boolean => key === group || key.startsWith(`${group}.`);

/** A recipe's JSON without what may change. */
export function fixedPart(recipe: Record<string, unknown>): Record<string, unknown> {
  const out = structuredClone(recipe);
  for (const key of CHANGEABLE) {
    const path = key.split(".");
    const last = path.pop() ?? key;
    let at: unknown = out;
    for (const name of path)
      at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[name] : undefined;
    if (typeof at === "object" && at !== null) delete (at as Record<string, unknown>)[last];
  }
  delete out["$schema"];
  return out;
}

export interface Changed {
  /** The recipe as it is from now on, as JSON and checked. */
  json: Record<string, unknown>;
  recipe: Recipe;
  /** What changed, for people: `spike.rollbacks 5 → 10`. */
  told: string[];
}

/** A resumed run's recipe with new settings. Throws UsageError naming the first that cannot change, and why. */
export function changeRecipe(json: Record<string, unknown>, settings: readonly string[], where: string): Changed {
  const told: string[] = [];
  for (const setting of settings) {
    const key = setting.split("=", 1)[0] ?? "";
    if (CHANGEABLE.some((group) => isIn(key, group))) continue;
    const why = REASONS.find(([keys]) => keys.some((group) => isIn(key, group)))?.[1] ?? "it is no key of a recipe";
    throw new UsageError(
      `--resume: ${key} cannot change: ${why}. What may: ${CHANGEABLE.map((group) => (group.includes(".") || ["samples"].includes(group) ? group : `${group}.*`)).join(", ")}. Start a new run for the rest`,
    );
  }
  const changed = applySettings(json, settings);
  const recipe = parseRecipe(changed, where);
  for (const setting of settings) {
    const key = setting.split("=", 1)[0] ?? "";
    const [before, after] = [json, changed].map((value) => JSON.stringify(valueAt(value, key)) ?? "unset");
    if (before !== after) told.push(`${key} ${before} → ${after}`);
  }
  return { json: changed, recipe, told };
}

function valueAt(json: Record<string, unknown>, key: string): unknown {
  let at: unknown = json;
  for (const name of key.split("."))
    at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[name] : undefined;
  return at;
}
