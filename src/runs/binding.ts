/** What a run is bound to: the tokenizer, the shards, the recipe and the layout of the parameters that it began with. */
import { createHash } from "node:crypto";
import { tokenizerFiles } from "../checkpoint/index.ts";
import type { ParameterStore } from "../train/index.ts";
import { fixedPart } from "./changes.ts";
import type { Binding } from "./schema.ts";

/** JSON whose text depends on the value alone: keys sorted, undefined left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`)
    .join(",")}}`;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The hash of a folder's tokenizer: of every file of it, by name. */
export async function tokenizerFingerprint(dir: string): Promise<string> {
  const hash = createHash("sha256");
  for (const [name, bytes] of Object.entries(await tokenizerFiles(dir)))
    hash.update(`${name} ${bytes.length}\n`).update(bytes);
  return hash.digest("hex");
}

export const recipeFingerprint = (recipe: Record<string, unknown>, modelJson: Record<string, unknown>): string =>
  sha256(canonicalJson([fixedPart(recipe), modelJson]));

/** Of a whole recipe, with what may change. */
export const recipeHash = (recipe: Record<string, unknown>): string => sha256(canonicalJson(recipe));

export const layoutFingerprint = (store: ParameterStore): string =>
  sha256(JSON.stringify([...store.views].map(([key, { shape, offset }]) => [key, shape, offset])));

const NAMES: Record<keyof Binding, string> = {
  tokenizer: "another tokenizer",
  shards: "other tokens",
  recipe: "another recipe or model",
  layout: "another layout of parameters",
};

/** In what two bindings differ, in words: `another tokenizer and other tokens`; undefined when in nothing. */
export function difference(one: Binding, other: Binding): string | undefined {
  const differing = (Object.keys(NAMES) as (keyof Binding)[]).filter((key) => one[key] !== other[key]);
  return differing.length === 0 ? undefined : differing.map((key) => NAMES[key]).join(" and ");
}
