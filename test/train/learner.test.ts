import { describe, expect, it } from "vitest";
import { Learner, phasesOf, pretraining, type Recipe, storeOf, supervised } from "../../src/train/index.ts";
import { MODEL, newRun, newStore, recipeOf, source } from "./fixture.ts";
import { modelStore } from "./objectiveSteps.ts";

const recipe = recipeOf({ tokens: 8 * 16 * 3, microBatch: 4, learningRate: { stages: [{ from: 5e-3 }] } });

async function pretrainer(of: Recipe = recipe) {
  const phase = phasesOf(of, MODEL)[0]!;
  const store = newStore(of);
  const learner = await Learner.create(store, phase.config, of);
  const options = { precision: of.precision, accumulate: of.batch.end > phase.microBatch };
  await learner.prepare(phase, pretraining(of.balance), options);
  const batch = (first: number, lambda = 0.3) => ({
    ids: source.train(first, phase.microBatch, phase.sequence, 2),
    inputs: { lambda, share: phase.microBatch / of.batch.end / phase.lanes },
  });
  return { learner, store, phase, batch };
}
const knobs = (step: number) => ({ step, learningRate: 5e-3, gamma: 0.001 });

describe("a learner", () => {
  it("takes the trainer's steps bit for bit, driven by hand", async () => {
    const run = await newRun(recipe);
    await run.trainer.run();
    const { learner, store, batch } = await pretrainer();
    for (let step = 0; step < 3; step++) {
      await learner.begin(2);
      await learner.accumulate(batch(8 * step));
      await learner.accumulate(batch(8 * step + 4));
      expect(learner.finish().loss).toBe(run.steps[step]!.loss);
      expect(await learner.gradientNorm()).toBe(run.steps[step]!.gradNorm);
      await learner.apply(knobs(step));
    }
    expect(store.parameters).toEqual(run.store.parameters);
    learner.dispose();
  });

  it.each(["adamw", "muon"])(
    "moves nothing before apply: a refused step leaves no trace (%s, two lanes)",
    async (optimizer) => {
      const of = recipeOf({ ...recipe, optimizer, lanes: 2 });
      const [refused, straight] = [await pretrainer(of), await pretrainer(of)];
      const step = async ({ learner, batch }: typeof refused, first: number) => {
        await learner.begin(2);
        for (const at of [first, first + 4]) await learner.accumulate(batch(at));
      };
      const before = refused.store.parameters.slice();
      const { version } = refused.store;
      await step(refused, 80);
      await refused.learner.gradientNorm();
      expect(refused.store.parameters).toEqual(before);
      expect(refused.store.version).toBe(version);
      for (const one of [refused, straight]) {
        await step(one, 0);
        // Asked for twice, measured once.
        expect(await one.learner.gradientNorm()).toBe(await one.learner.gradientNorm());
        await one.learner.apply(knobs(0));
      }
      expect(refused.store.parameters).not.toEqual(before);
      expect(refused.store.parameters).toEqual(straight.store.parameters);
      expect(refused.store.version).toBe(version + 1);
    },
  );

  it("trains a model with an indexer (V3.2, its MTP module too) but for the indexer, which stays as it was", async () => {
    const model = {
      ...MODEL,
      model_type: "deepseek_v32",
      q_lora_rank: 12,
      index_topk: 3,
      index_n_heads: 2,
      index_head_dim: 6,
    };
    expect(() => recipeOf({ model })).toThrow(
      /model\.model_type: expected an architecture of which all can be trained/,
    );
    const phase = phasesOf(recipe, model)[0]!;
    const store = storeOf([phase]);
    store.initialize(1, 0.05);
    const learner = await Learner.create(store, phase.config, recipe);
    await learner.prepare(phase, pretraining(recipe.balance), { precision: recipe.precision, accumulate: true });
    const before = new Map(store.keys().map((key) => [key, store.parameter(key).data.slice()]));
    const losses: number[] = [];
    for (let step = 0; step < 8; step++) {
      await learner.begin(1);
      const share = 1 / phase.lanes;
      await learner.accumulate({
        ids: source.train(0, phase.microBatch, phase.sequence, 2),
        inputs: { lambda: 0.3, share },
      });
      losses.push(learner.finish().loss);
      await learner.apply(knobs(step));
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.9);
    const moved = store.keys().filter((key) => !store.parameter(key).data.every((x, i) => x === before.get(key)![i]));
    const still = store.keys().filter((key) => !moved.includes(key));
    expect(still.filter((key) => !key.includes(".indexer."))).toEqual([]);
    expect(still.length).toBe(5 * 3);
    learner.dispose();
  });

  it("says what is missing where its steps are called in another order", async () => {
    const { learner, batch } = await pretrainer();
    await expect(learner.accumulate(batch(0))).rejects.toThrow(/no more micro-batches than the step began with/);
    await learner.begin(2);
    await learner.accumulate(batch(0));
    expect(() => learner.finish()).toThrow(/the step's other 1 micro-batches/);
    await expect(learner.apply(knobs(0))).rejects.toThrow(/the step's other 1 micro-batches/);
    await learner.accumulate(batch(4));
    await expect(learner.accumulate(batch(8))).rejects.toThrow(/no more micro-batches/);
    await learner.apply(knobs(0));
    await expect(learner.apply(knobs(0))).rejects.toThrow(/begin\(\) before a step is finished/);
    const { learner: single } = await pretrainer(recipeOf({ microBatch: 8 }));
    await expect(single.begin(2)).rejects.toThrow(/one micro-batch a step, got 2/);
    const { config } = phasesOf(recipe, MODEL)[0]!;
    await expect((await Learner.create(modelStore(config), config, recipe)).begin(1)).rejects.toThrow(/prepare\(\)/);
  });

  it("refuses a batch that is not what the objective asked for, by name", async () => {
    const { learner, store, phase } = await pretrainer();
    await learner.prepare(phase, supervised({ mtp: 0.1 }), { precision: "f32", accumulate: false });
    await learner.begin(1);
    const ids = source.train(0, 4, 16, 2);
    const tokenWeights = new Float32Array(4 * 17);
    const given = (ids: Int32Array, inputs: Record<string, number | Float32Array>) =>
      learner.accumulate({ ids, inputs });
    await expect(given(ids.subarray(1), { tokenWeights })).rejects.toThrow(
      "supervised: expected ids [4, 18], got 71 ids",
    );
    await expect(given(ids, {})).rejects.toThrow("supervised: input tokenWeights: expected [4,17], got nothing");
    await expect(given(ids, { tokenWeights: 1 })).rejects.toThrow(/expected \[4,17\], got a number/);
    await expect(given(ids, { tokenWeights: new Float32Array(68 - 1) })).rejects.toThrow(/got 67 values/);
    await given(ids, { tokenWeights });
    expect(store.parameters.every(Number.isFinite)).toBe(true);
  });

  it("refuses parameters that nobody trains, which decay would move; frozen ones stay as they are", async () => {
    const phase = phasesOf(recipe, MODEL)[0]!;
    const options = { precision: "f32" as const, accumulate: false };
    const all = await Learner.create(modelStore(phase.config), phase.config, recipe);
    await expect(all.prepare(phase, supervised(), options)).rejects.toThrow(
      /supervised: expected to train all .* got no gradient of model\.layers\.2\..* and \d+ more.*Freeze them/,
    );
    const store = modelStore(phase.config, 1, (key) => key.startsWith("model.layers.2."));
    const learner = await Learner.create(store, phase.config, recipe);
    await learner.prepare(phase, supervised(), options);
    const before = store.parameters.slice();
    await learner.begin(1);
    await learner.accumulate({
      ids: source.train(0, 4, 16, 1),
      inputs: { tokenWeights: new Float32Array(64).fill(1 / 64) },
    });
    await learner.apply(knobs(0));
    for (const [key, { offset, size }] of store.views) {
      const [now, then] = [store.parameters, before].map((values) => values.subarray(offset, offset + size));
      if (key.startsWith("model.layers.2.")) expect(now, key).toEqual(then);
      else if (!/experts\.\d/.test(key)) expect(now, key).not.toEqual(then);
    }
  });
});
