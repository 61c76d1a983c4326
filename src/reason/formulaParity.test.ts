import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { loadFixture, numbers } from "../../test/model/harness.ts";
import { apart, modelStore, stepOf } from "../../test/train/objectiveSteps.ts";
import { policy } from "../train/index.ts";
import { type Answer, keptFor, microBatches, tokensFor } from "./microBatches.ts";
import { parseReinforce } from "./options.ts";
import { advantages } from "./policy.ts";
import { objectiveOptions } from "./updates.ts";

interface Told {
  longest: number;
  groups: {
    prompt: number[];
    answers: {
      ids: number[];
      kept: number[][];
      reward: number;
      truncated: boolean;
      old: number[];
      reference: number[];
      drawn: number[];
    }[];
  }[];
  formulas: { name: string; set: object; loss: number }[];
}
const ARCHITECTURES = ["qwen2", "deepseek_v3"];
const answersIn = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../test/fixtures/grpo/${name}/answers.json`, import.meta.url), "utf8")) as Told;

const cases = ARCHITECTURES.flatMap((name) => answersIn(name).formulas.map((formula) => [name, formula.name] as const));

it.each(cases)("%s, %s: the gradient of PyTorch, from rewards on", async (name, formula) => {
  const { longest, groups, formulas } = answersIn(name);
  const { set, loss } = formulas.find((one) => one.name === formula)!;
  const options = parseReinforce({ problems: groups.length, group: 4, maxTokens: longest, ...set });
  const told = objectiveOptions(options);
  const answers = groups.flatMap(({ prompt, answers }) => {
    const values = advantages(
      answers.map(({ reward }) => reward),
      options.scale,
    );
    return answers.map(
      (one, i): Answer => ({
        prompt,
        ids: Int32Array.from(one.ids),
        advantage: values[i]!,
        masked: options.overlong?.mask === true && one.truncated,
        drawnLogProbabilities: Float32Array.from(one.drawn),
        oldLogProbabilities: Float32Array.from(one.old),
        referenceLogProbabilities: Float32Array.from(one.reference),
        ...(options.topK > 0 ? { kept: one.kept.map((some) => Int32Array.from(some)) } : {}),
      }),
    );
  });
  const { config, weights, reference } = await loadFixture(`grpo/${name}`);
  const store = modelStore(config);
  for (const key of store.keys()) store.parameter(key).data.set(weights.get(key)!.data as Float32Array);
  // rows that fill up, and answers that are no group's
  const shape = { rows: 5, tokens: tokensFor(answers), extra: 1, pad: 0, kept: keptFor(answers) };
  const how = options.aggregation === "longest" ? { longest } : options.aggregation;
  const step = await stepOf(
    store,
    config,
    policy({ ...told, kept: shape.kept }),
    microBatches(answers, shape, how).batches,
    { microBatch: shape.rows, sequence: shape.tokens },
  );
  const expected = new Map(
    store.trainedKeys().map((key) => [key, Float64Array.from(numbers(reference.get(`${formula}.${key}`)!))]),
  );
  expect(apart(step.gradients, expected)).toBeLessThan(1e-5);
  expect(Math.abs(step.loss - loss)).toBeLessThan(1e-6);
});
