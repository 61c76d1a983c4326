/** config.json of the model that a recipe trains. */

import { loadTokenizer } from "../data/index.ts";
import { ConfigError } from "../errors.ts";
import type { Recipe } from "../train/index.ts";
import { checkpointConfig } from "./weights.ts";

/** config.json's fields of the model to train: the recipe's, or those of the checkpoint it starts from. */
export async function modelJsonOf(recipe: Recipe): Promise<Record<string, unknown>> {
  return typeof recipe.model === "string" ? checkpointConfig(recipe.model) : recipe.model;
}

/** The same with the tokenizer's ids in it. Throws ConfigError when the tokenizer has more tokens than the model. */
export function withTokenizer(modelJson: Record<string, unknown>, tokenizerDir: string): Record<string, unknown> {
  const tokenizer = loadTokenizer(tokenizerDir);
  if (tokenizer.vocabSize > Number(modelJson["vocab_size"]))
    throw new ConfigError(
      `train: expected a tokenizer of at most vocab_size ${String(modelJson["vocab_size"])}, got ${tokenizer.vocabSize} from ${tokenizerDir}`,
    );
  return {
    ...modelJson,
    bos_token_id: tokenizer.bosId ?? null,
    eos_token_id: tokenizer.eosIds.length === 1 ? tokenizer.eosIds[0] : tokenizer.eosIds,
  };
}
