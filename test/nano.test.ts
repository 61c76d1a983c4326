import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  arithmeticDocument,
  arithmeticProblem,
  checkArithmetic,
  encodeDocument,
  loadTokenizer,
} from "../src/data/index.ts";
import { readRecipe } from "../src/runs/index.ts";
import { createApp, loadModel, type ServedModel } from "../src/serve/index.ts";
import { parseRecipe, phasesOf } from "../src/train/index.ts";

/*
 * The bundled model keeps what its config.json, recipe and report promise. The problems are the first of a held-out list that nothing else
 * uses; they were not chosen by what the model makes of them.
 */
const dir = fileURLToPath(new URL("../models/nano", import.meta.url));
const json = (name: string) => JSON.parse(readFileSync(join(dir, name), "utf8")) as Record<string, unknown>;
const SEED = 80;

describe.skipIf(!existsSync(join(dir, "config.json")))("the bundled model", () => {
  let served: ServedModel;
  beforeAll(async () => void (served = await loadModel(dir)));
  afterAll(() => served.engine.close());

  it("is what its recipe makes, as long as the recipe trained it", () => {
    const recipe = parseRecipe(readRecipe("nano").json);
    // The number of lanes is the machine's.
    expect({ ...parseRecipe(json("recipe.json")), lanes: undefined }).toEqual({ ...recipe, lanes: undefined });
    const trained = phasesOf(recipe, recipe.model as Record<string, unknown>).at(-1)!.config.max_position_embeddings;
    expect(trained).toBe(1024);
    expect(json("config.json")["max_position_embeddings"]).toBe(trained);
    expect(json("tokenizer_config.json")["model_max_length"]).toBe(trained);
    expect(served.engine.limits.contextTokens).toBe(trained);
  });

  it("does ten sums in one conversation, as chats ask them", async () => {
    const app = createApp({ model: served });
    const messages: { role: string; content: string }[] = [];
    for (let i = 0; i < 10; i++) {
      const problem = arithmeticProblem(SEED, i, "heldout", ["add"]);
      messages.push({ role: "user", content: problem.question });
      const response = await app.request("/v1/chat/completions", {
        method: "POST",
        body: JSON.stringify({ messages, temperature: 0 }),
        headers: { "content-type": "application/json" },
      });
      const { choices } = (await response.json()) as {
        choices: { message: { content: string }; finish_reason: string }[];
      };
      const [choice] = choices;
      expect(choice?.finish_reason).toBe("stop");
      expect(
        checkArithmetic(problem, choice?.message.content ?? ""),
        `${problem.question} -> ${choice?.message.content}`,
      ).toBe(true);
      messages.push({ role: "assistant", content: choice?.message.content ?? "" });
    }
  });

  it("predicts as well at the end of its context as at the start", async () => {
    const tokenizer = loadTokenizer(dir);
    const { contextTokens } = served.engine.limits;
    const nats = { start: 0, end: 0 };
    for (let window = 0, i = 0; window < 8; window++) {
      const ids: number[] = [];
      while (ids.length < contextTokens)
        ids.push(...encodeDocument(arithmeticDocument(SEED, i++, "heldout"), tokenizer).ids);
      const scores = await served.engine.score(ids.slice(0, contextTokens), 0);
      const mean = (from: number, to: number) =>
        scores.slice(from, to).reduce((sum, { logprob }) => sum - (logprob ?? 0), 0) / (to - from);
      nats.start += mean(1, 257) / 8;
      nats.end += mean(contextTokens - 256, contextTokens) / 8;
    }
    // 2,048 tokens each: chance alone moves such a mean by some 5 %.
    expect(nats.end).toBeLessThan(1.15 * nats.start);
  });
});
