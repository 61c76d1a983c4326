/** An untrained model of a bundled recipe, as a folder, with nano's tokenizer. */
import { saveCheckpoint, tokenizerFiles } from "../../src/checkpoint/index.ts";
import { loadTokenizer } from "../../src/data/index.ts";
import { listParameters, parseConfig } from "../../src/model/index.ts";
import { readRecipe } from "../../src/runs/index.ts";
import { storeOf } from "../../src/train/index.ts";

/** More than the tokenizer has: an untrained model draws those too. */
export const untrainedIds = (): number => loadTokenizer("models/nano").vocabSize + 500;

/** Writes it, with weights of the seed and what differs from the recipe's model. */
export async function untrainedModel(dir: string, { seed = 1, ...fields }: Record<string, number> = {}): Promise<void> {
  const json = { ...(readRecipe("tiny").json["model"] as object), vocab_size: untrainedIds(), ...fields };
  const config = parseConfig(json, "tiny");
  const store = storeOf([{ config, lanes: 1 }]);
  store.initialize(seed, 0.1);
  const tensors = Array.from(listParameters(config), ({ key, shape, sameAs }) => ({
    key,
    shape,
    data: store.parameter(sameAs ?? key).data,
  }));
  await saveCheckpoint(dir, { config: json, tensors, dtype: "f32", files: await tokenizerFiles("models/nano") });
}
