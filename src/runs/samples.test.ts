/** Samples while training: whatever the model says, and however long it takes. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { MODEL, recipeOf } from "../../test/train/fixture.ts";
import { loadTokenizer } from "../data/index.ts";
import { phasesOf, storeOf } from "../train/index.ts";
import { Samples } from "./samples.ts";

const tokenizerDir = fileURLToPath(new URL("../tokenizer/fixtures/digits", import.meta.url));
/** A model with twice as many ids as its tokenizer has tokens, which says nothing but the highest. */
const model = { ...MODEL, vocab_size: 2 * loadTokenizer(tokenizerDir).vocabSize };
const recipe = recipeOf({ model, samples: ["one", "two", "three"] });
const phases = phasesOf(recipe, model);
const config = phases[0]?.config;
const store = storeOf(phases);
const D = model.hidden_size;
for (const key of store.keys()) store.parameter(key).data.fill(key.endsWith("norm.weight") ? 1 : 0);
store.parameter("model.embed_tokens.weight").data.fill(1);
store.parameter("lm_head.weight").data.fill(1, (model.vocab_size - 1) * D);

test("ids that the tokenizer has no token for stand for nothing", async () => {
  if (config === undefined) throw new Error("no phase");
  const samples = new Samples(recipe, store, tokenizerDir);
  expect(await samples.take(config)).toEqual({
    samples: ["one", "two", "three"].map((prompt) => ({ prompt, text: "" })),
  });
  await samples.close();
});

test("samples that take too long are cut short and told", async () => {
  if (config === undefined) throw new Error("no phase");
  const samples = new Samples(recipe, store, tokenizerDir, 0);
  const { samples: taken, late } = await samples.take(config);
  expect(taken.length).toBeLessThan(3);
  expect(late).toMatch(/the samples took over 0 s: \d of 3 were written/);
  await samples.close();
});

test("a long prompt is read anew when the weights have moved", async () => {
  const long = recipeOf({ model, sequence: 64, samples: ["1234567890 ".repeat(3)] });
  const [phase] = phasesOf(long, model);
  if (phase === undefined) throw new Error("no phase");
  const moving = storeOf([phase]);
  moving.initialize(1, 1);
  const samples = new Samples(long, moving, tokenizerDir);
  const before = await samples.take(phase.config);
  moving.initialize(2, 1);
  const after = await samples.take(phase.config);
  const fresh = new Samples(long, moving, tokenizerDir);
  expect(after).toEqual(await fresh.take(phase.config));
  expect(after).not.toEqual(before);
  await samples.close();
  await fresh.close();
});
