import { describe, expect, it } from "vitest";
import { estimateMemory, phasesOf } from "../../src/train/index.ts";
import { MemoryStorage, MODEL, newRun, newStore, recipeOf, source } from "./fixture.ts";

const losses = (steps: { loss: number }[]) => steps.map((s) => s.loss);

describe("trainer", () => {
  it("learns: the held-out loss falls far below guessing", async () => {
    const run = await newRun(recipeOf());
    expect(await run.trainer.run()).toBe(true);
    expect(run.steps).toHaveLength(60);
    expect(run.steps[0]!.mainLoss).toBeCloseTo(Math.log(64), 0);
    expect(run.heldout.at(-1)!).toBeLessThan(2.2);
    expect(run.steps.at(-1)!.tokens).toBe(8 * 16 * 60);
  });

  it("resumes exactly: stopped at any step, the losses are the same bit for bit", async () => {
    const recipe = recipeOf({ tokens: 8 * 16 * 25, save: { everySteps: 7 } });
    const whole = await newRun(recipe);
    await whole.trainer.run();
    for (const stopAt of [3, 7, 12]) {
      const first = await newRun(recipe, { onStep: (r, trainer) => r.step === stopAt && trainer.stop() });
      expect(await first.trainer.run()).toBe(false);
      const second = await newRun(recipe, { storage: first.storage });
      expect(await second.trainer.resume()).toBe(true);
      await second.trainer.run();
      expect([...losses(first.steps), ...losses(second.steps)]).toEqual(losses(whole.steps));
      expect(second.store.parameters).toEqual(whole.store.parameters);
    }
  });

  it("resumes exactly from a state older than where it died", async () => {
    const recipe = recipeOf({ tokens: 8 * 16 * 20, save: { everySteps: 7 } });
    const whole = await newRun(recipe);
    await whole.trainer.run();
    class Dies extends Error {}
    const first = await newRun(recipe, {
      onStep: (r) => {
        if (r.step === 12) throw new Dies();
      },
    });
    await expect(first.trainer.run()).rejects.toThrow(Dies);
    const second = await newRun(recipe, { storage: first.storage });
    await second.trainer.resume();
    expect(second.trainer.progress.step).toBe(7);
    await second.trainer.run();
    expect(losses(second.steps)).toEqual(losses(whole.steps).slice(7));
  });

  it("micro-batches give the gradient of the whole batch", async () => {
    const whole = await newRun(recipeOf({ tokens: 8 * 16 * 5, balance: { gamma: 0, alpha: 0 } }));
    const parts = await newRun(recipeOf({ tokens: 8 * 16 * 5, microBatch: 2, balance: { gamma: 0, alpha: 0 } }));
    await whole.trainer.run();
    await parts.trainer.run();
    parts.steps.forEach((step, i) => {
      expect(step.loss).toBeCloseTo(whole.steps[i]!.loss, 4);
      expect(step.gradNorm / whole.steps[i]!.gradNorm).toBeCloseTo(1, 3);
    });
  });

  it("lanes give the gradient of the whole batch, also over several micro-batches, and resume exactly", async () => {
    const settings = { tokens: 8 * 16 * 6, balance: { gamma: 0, alpha: 0 } };
    const whole = await newRun(recipeOf(settings));
    await whole.trainer.run();
    for (const recipe of [recipeOf({ ...settings, lanes: 2 }), recipeOf({ ...settings, lanes: 4, microBatch: 4 })]) {
      const run = await newRun(recipe);
      await run.trainer.run();
      run.steps.forEach((step, i) => {
        expect(step.loss).toBeCloseTo(whole.steps[i]!.loss, 4);
        expect(step.gradNorm / whole.steps[i]!.gradNorm).toBeCloseTo(1, 3);
        expect(step.loads.map((load) => load.reduce((a, b) => a + b))).toEqual(
          whole.steps[i]!.loads.map((load) => load.reduce((a, b) => a + b)),
        );
      });
      const first = await newRun(recipe, { onStep: (r, trainer) => r.step === 3 && trainer.stop() });
      await first.trainer.run();
      const second = await newRun(recipe, { storage: first.storage });
      await second.trainer.resume();
      await second.trainer.run();
      expect([...losses(first.steps), ...losses(second.steps)]).toEqual(losses(run.steps));
      expect(second.store.parameters).toEqual(run.store.parameters);
    }
  });

  it("muon takes the lanes' gradients added up", async () => {
    const settings = { tokens: 8 * 16 * 6, balance: { gamma: 0, alpha: 0 }, optimizer: "muon" };
    const [whole, lanes] = [await newRun(recipeOf(settings)), await newRun(recipeOf({ ...settings, lanes: 2 }))];
    for (const run of [whole, lanes]) await run.trainer.run();
    lanes.steps.forEach((step, i) => expect(step.loss).toBeCloseTo(whole.steps[i]!.loss, 3));
    expect(lanes.steps.at(-1)!.loss).not.toBeCloseTo(lanes.steps[0]!.loss, 1);
  });

  it("a phase of fewer lanes forgets what the others held", async () => {
    // A sequence four times as long leaves micro-batches of two: two lanes of the four.
    const over = {
      tokens: 8 * 16 * 3,
      microBatch: 8,
      extension: [
        {
          sequence: 64,
          steps: 3,
          batch: 4,
          learningRate: 1e-3,
          ropeScaling: {
            type: "yarn",
            factor: 2,
            original_max_position_embeddings: 128,
            beta_fast: 32,
            beta_slow: 1,
            mscale: 1,
            mscale_all_dim: 1,
          },
        },
      ],
    };
    const one = await newRun(recipeOf(over));
    const four = await newRun(recipeOf({ ...over, lanes: 4 }));
    await one.trainer.run();
    await four.trainer.run();
    expect(four.trainer.phases.map((phase) => phase.lanes)).toEqual([4, 2]);
    four.steps.forEach((step, i) => expect(step.gradNorm / one.steps[i]!.gradNorm).toBeCloseTo(1, 3));
  });

  it("goes back to the last good state when a loss is not a number, and says so", async () => {
    const recipe = recipeOf({ tokens: 8 * 16 * 20, save: { everySteps: 5 } });
    let poisoned = 0;
    const run = await newRun(recipe, {
      onStep: (r, trainer) => {
        if (r.step === 8 && poisoned++ === 0) trainer.store.parameter("model.norm.weight").data.fill(NaN);
      },
    });
    expect(await run.trainer.run()).toBe(true);
    expect(run.messages).toHaveLength(1);
    expect(run.messages[0]).toMatch(/step 9 gave a loss of NaN.*rolled back to step 5/);
    expect(run.steps.map((s) => s.step)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    ]);
    expect(run.steps.every((s) => Number.isFinite(s.loss))).toBe(true);
    expect(run.trainer.progress.rollbacks).toBe(1);
    // The batches up to the bad one are left out: 9 batches before, 15 after.
    expect(run.trainer.progress.sequences).toBe(8 * (9 + 15));
  });

  it("goes back when the loss spikes, and gives up after the allowed number of times", async () => {
    const noise = {
      ...source,
      train: (first: number, count: number, sequence: number, extra: number) => {
        const ids = source.train(first, count, sequence, extra);
        if (first >= 8 * 40)
          for (let i = 0; i < ids.length; i++) ids[i] = (Math.imul(first + i, 2654435761) >>> 7) % 64;
        return ids;
      },
    };
    const run = await newRun(recipeOf({ tokens: 8 * 16 * 60, spike: { factor: 1.3, steps: 2, rollbacks: 2 } }), {
      source: noise,
    });
    await expect(run.trainer.run()).rejects.toThrow(
      /step 42 gave a loss of .*, number 2 in a row over 1\.3 .* after 2 rollbacks/,
    );
    expect(run.messages).toHaveLength(2);
    expect(run.storage.saved!.progress.step).toBe(40);
  });

  it("does not take the first losses of longer sequences for spikes", async () => {
    const strange = {
      ...source,
      train: (first: number, count: number, sequence: number, extra: number) => {
        const ids = source.train(first, count, sequence, extra);
        return sequence === 64 ? ids.map((_, i) => (Math.imul(first + i, 2654435761) >>> 7) % 64) : ids;
      },
    };
    const extension = [{ sequence: 64, steps: 6, batch: 2, learningRate: 1e-4 }];
    const run = await newRun(
      recipeOf({ tokens: 8 * 16 * 60, extension, spike: { factor: 1.3, steps: 2, rollbacks: 0 } }),
      { source: strange },
    );
    expect(await run.trainer.run()).toBe(true);
    expect(run.steps[60]!.mainLoss).toBeGreaterThan(2 * run.steps[59]!.mainLoss);
  });

  it("keeps every expert near the mean with bias updates, from a skewed start, and not without", async () => {
    const tokens = 8 * 16 * 150;
    const balanced = await newRun(recipeOf({ tokens, balance: { gamma: 0.01, alpha: 0 } }));
    const free = await newRun(recipeOf({ tokens, balance: { gamma: 0, alpha: 0 } }));
    // A router that begins with favourites.
    for (const run of [balanced, free])
      run.store.parameter("model.layers.1.mlp.gate.e_score_correction_bias").data.set([0.5, 0.3]);
    await balanced.trainer.run();
    await free.trainer.run();
    expect(balanced.trainer.balance.busiest()).toBeLessThan(1.5);
    expect(free.trainer.balance.busiest()).toBeGreaterThan(2);
  });

  it.runIf(process.env["SUMBI_TEST"] === "full")("trains with muon and with emulated FP8", async () => {
    const adamw = await newRun(recipeOf());
    const muon = await newRun(recipeOf({ optimizer: "muon" }));
    const fp8 = await newRun(recipeOf({ precision: "fp8" }));
    for (const run of [adamw, muon, fp8]) await run.trainer.run();
    expect(muon.heldout.at(-1)!).toBeLessThan(2.2);
    expect(fp8.heldout.at(-1)! / adamw.heldout.at(-1)!).toBeGreaterThan(0.8);
    expect(fp8.heldout.at(-1)! / adamw.heldout.at(-1)!).toBeLessThan(1.25);
    // Rounding to 4 significant bits must show.
    expect(fp8.steps[3]!.loss).not.toBe(adamw.steps[3]!.loss);
  });

  it("goes through an extension phase with YaRN and a longer sequence", async () => {
    const ropeScaling = {
      type: "yarn",
      factor: 4,
      original_max_position_embeddings: 128,
      beta_fast: 32,
      beta_slow: 1,
      mscale: 1,
      mscale_all_dim: 1,
    };
    const run = await newRun(
      recipeOf({
        tokens: 8 * 16 * 30,
        extension: [{ sequence: 64, steps: 3, batch: 4, learningRate: 1e-3, ropeScaling }],
      }),
    );
    expect(await run.trainer.run()).toBe(true);
    expect(run.steps).toHaveLength(33);
    expect(run.steps.at(-1)!.tokens).toBe(8 * 16 * 30 + 3 * 4 * 64);
    expect(run.steps.at(-1)!.learningRate).toBe(1e-3);
    expect(run.steps.at(-1)!.mainLoss).toBeLessThan(run.steps[0]!.mainLoss);
  });

  it("starts each parameter from the seed alone", () => {
    const [a, b, other] = [newStore(recipeOf()), newStore(recipeOf()), newStore(recipeOf({ seed: 2 }))];
    expect(a.parameters).toEqual(b.parameters);
    expect(a.parameters).not.toEqual(other.parameters);
    const { data } = a.parameter("model.layers.1.mlp.experts.3.up_proj.weight");
    const std = Math.sqrt(data.reduce((s, x) => s + x * x, 0) / data.length);
    expect(std).toBeGreaterThan(0.045);
    expect(std).toBeLessThan(0.055);
    expect([...a.parameter("model.norm.weight").data]).toEqual(new Array(32).fill(1));
    expect([...a.parameter("model.layers.1.mlp.gate.e_score_correction_bias").data]).toEqual(new Array(8).fill(0));
  });

  it("estimates memory by what the graph holds: more for longer batches, and 16 bytes a parameter", () => {
    const small = recipeOf();
    const large = recipeOf({ batch: { end: 32 } });
    const of = (recipe: typeof small) => estimateMemory(phasesOf(recipe, MODEL), recipe);
    expect(of(small).parameters).toBe(16 * newStore(small).parameters.length);
    expect(of(large).activations / of(small).activations).toBeGreaterThan(3);
    expect(of(large).activations / of(small).activations).toBeLessThan(5);
    // 8·16 rows at least hold their residual stream of 32 floats in every layer.
    expect(of(small).activations).toBeGreaterThan(8 * 16 * 32 * 4 * 3);
  });

  it("saves before the first step, so that there is always a state to go back to", async () => {
    const storage = new MemoryStorage(newStore(recipeOf()));
    const run = await newRun(recipeOf(), { storage, onStep: (_, trainer) => trainer.stop() });
    await run.trainer.run();
    expect(storage.saves).toBe(2);
  });

  it("measures the held-out loss as the mean over tokens, however they are cut into windows and micro-batches", async () => {
    const stream = source.heldout!(40)[0]!;
    const whole = [stream.subarray(0, 15), stream.subarray(14, 21), stream.subarray(20, 36), stream.subarray(35, 38)];
    const run = await newRun(recipeOf({ tokens: 8 * 16 }), { source: { ...source, heldout: () => whole } });
    await run.trainer.run();
    let sum = 0;
    for (const ids of whole) {
      run.trainer.source.heldout = () => [ids];
      sum += (await run.trainer.evaluate())! * (ids.length - 1);
    }
    expect(run.heldout[0]! / (sum / 37)).toBeCloseTo(1, 6);
  });
});
