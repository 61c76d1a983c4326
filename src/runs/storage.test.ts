import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { newRun, newStore, recipeOf } from "../../test/train/fixture.ts";
import { CheckpointError } from "../errors.ts";
import { type Progress, phasesOf } from "../train/index.ts";
import type { Binding } from "./schema.ts";
import { StateHistory, saveState } from "./state.ts";
import { storageOf } from "./storage.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let dir = "";
beforeEach(() => void (dir = join(temporary.dir, `state-${count++}`)));

const recipe = recipeOf({ tokens: 8 * 16 * 25, save: { everySteps: 5, keep: 3 } });
const phases = phasesOf(recipe, recipe.model as Record<string, unknown>);
const progressAt = (step: number): Progress => ({
  step,
  tokens: step * 128,
  sequences: step * 8,
  averageLoss: 2,
  lossVariance: 0.1,
  spikes: 0,
  rollbacks: 0,
  seconds: step,
  balance: { updates: step, average: [Array.from({ length: 8 }, () => 1), Array.from({ length: 8 }, () => 1)] },
});
const EXPERT = "model.layers.1.mlp.experts.3.up_proj.weight";
const hash = (digit: string) => digit.repeat(64);
const binding: Binding = { tokenizer: hash("1"), shards: hash("2"), recipe: hash("3"), layout: hash("4") };
const open = (options: { from?: number } = {}) => {
  const store = newStore(recipe);
  return { store, storage: storageOf({ history: new StateHistory(dir, 3), store, phases, binding, ...options }) };
};

describe("a run's states", () => {
  test("come back as they were saved", async () => {
    const { store, storage } = open();
    store.moment1.fill(0.25);
    await storage.save(progressAt(5));
    const again = open();
    expect(await again.storage.load(() => {})).toEqual(progressAt(5));
    expect(again.store.parameters).toEqual(store.parameters);
    expect(again.store.moment1).toEqual(store.moment1);
  });

  test.each([
    ["no binding", { progress: progressAt(5), binding: null }, /state\.json: binding: expected object, got null/],
    [
      "another tokenizer",
      { progress: progressAt(5), binding: { ...binding, tokenizer: hash("9") } },
      /state\.json: binding: this state was trained with another tokenizer/,
    ],
    [
      "other tokens and another recipe",
      { progress: progressAt(5), binding: { ...binding, shards: hash("9"), recipe: hash("9") } },
      /this state was trained with other tokens and another recipe or model/,
    ],
    ["nothing", {}, /state\.json: progress: expected object, got undefined/],
    ["a step below 0", { progress: { ...progressAt(5), step: -3 } }, /state\.json: progress\.step: /],
    [
      "another step than its folder says",
      { progress: progressAt(6) },
      /state\.json: progress\.step: expected 5 as its folder says, of at most 25, got 6/,
    ],
    ["half a step", { progress: { ...progressAt(5), tokens: 0.5 } }, /state\.json: progress\.tokens: /],
    [
      "a loss that is a text",
      { progress: { ...progressAt(5), averageLoss: "x" } },
      /state\.json: progress\.averageLoss: expected number, got string/,
    ],
    ["no balance", { progress: { ...progressAt(5), balance: null } }, /state\.json: progress\.balance: /],
    [
      "too few experts",
      { progress: { ...progressAt(5), balance: { updates: 1, average: [[1], [1]] } } },
      /progress\.balance\.average: expected 2 layers of 8 experts, got 1, 1/,
    ],
    [
      "too many layers",
      { progress: { ...progressAt(5), balance: { updates: 1, average: [...progressAt(5).balance.average, [1]] } } },
      /progress\.balance\.average: expected 2 layers of 8 experts, got 8, 8, 1/,
    ],
  ])("with %s are passed over, by file and field", async (_, state, message) => {
    const { store, storage } = open();
    await storage.save(progressAt(3));
    await saveState(join(dir, "step-00000005"), {
      state: { binding, ...state },
      tensors: (["parameters", "moment1", "moment2"] as const).map((key) => ({
        key,
        shape: [store[key].length],
        data: store[key],
      })),
    });
    const skipped: string[] = [];
    expect(await storage.load((reason) => skipped.push(reason))).toEqual(progressAt(3));
    expect(skipped).toEqual([expect.stringMatching(message)]);
    await expect(open({ from: 5 }).storage.load(() => {})).rejects.toThrow(message);
  });

  test("of another model's size, or without a tensor, are passed over", async () => {
    const { store, storage } = open();
    const tensors = (["parameters", "moment1", "moment2"] as const).map((key) => ({
      key,
      shape: [store[key].length],
      data: store[key],
    }));
    await saveState(join(dir, "step-00000005"), {
      state: { progress: progressAt(5), binding },
      tensors: tensors.map((t) => (t.key === "moment2" ? { ...t, shape: [7], data: t.data.slice(0, 7) } : t)),
    });
    await saveState(join(dir, "step-00000004"), {
      state: { progress: progressAt(4), binding },
      tensors: tensors.slice(0, 2),
    });
    const skipped: string[] = [];
    await expect(storage.load((reason) => skipped.push(reason))).rejects.toThrow(/no state can be read/);
    expect(skipped).toEqual([
      expect.stringMatching(/"moment2": expected room for 7 values/),
      expect.stringMatching(/no tensor "moment2"/),
    ]);
  });

  test("are never saved or taken with weights that are not numbers: named, and the one before is kept", async () => {
    const { store, storage } = open();
    await storage.save(progressAt(3));
    const { data } = store.parameter(EXPERT);
    data.fill(NaN, 10, 110);
    await expect(storage.save(progressAt(5))).rejects.toThrow(
      `step 5: parameters: ${EXPERT}: 100 of ${data.length} values are NaN or infinite. The state is not saved; those before it are kept`,
    );
    await saveState(join(dir, "step-00000005"), {
      state: { progress: progressAt(5), binding },
      tensors: (["parameters", "moment1", "moment2"] as const).map((key) => ({
        key,
        shape: [store[key].length],
        data: store[key],
      })),
    });
    const again = open();
    const skipped: string[] = [];
    expect(await again.storage.load((reason) => skipped.push(reason))).toEqual(progressAt(3));
    expect(skipped).toEqual([
      expect.stringContaining(`parameters: ${EXPERT}: 100 of ${data.length} values are NaN or infinite`),
    ]);
    expect(again.store.parameter(EXPERT).data.every(Number.isFinite)).toBe(true);
    store.parameter(EXPERT).data.fill(0);
    store.moment2.fill(Infinity, 0, 1);
    await expect(storage.save(progressAt(6))).rejects.toThrow(
      /step 6: moment2: .*: 1 of \d+ values are NaN or infinite/,
    );
  });

  test("chosen by step: the later ones are given up with the next save, not before", async () => {
    const { store, storage } = open();
    for (const step of [3, 5, 7]) {
      store.parameters.fill(step / 10);
      await storage.save(progressAt(step));
    }
    const again = open({ from: 3 });
    expect(await again.storage.load(() => {})).toEqual(progressAt(3));
    expect(again.store.parameters[0]).toBeCloseTo(0.3);
    // A rollback before the next save goes back to the chosen one, not to the future.
    expect(await again.storage.load(() => {})).toEqual(progressAt(3));
    expect((await new StateHistory(dir).list()).map(({ step }) => step)).toEqual([3, 5, 7]);
    await again.storage.save(progressAt(4));
    expect((await new StateHistory(dir).list()).map(({ step }) => step)).toEqual([3, 4]);
    expect(await again.storage.load(() => {})).toEqual(progressAt(4));
    await expect(open({ from: 6 }).storage.load(() => {})).rejects.toThrow(CheckpointError);
  });

  test("a damaged one is told by the trainer, and training goes on from the one before with the same losses", async () => {
    const whole = await newRun(recipe);
    await whole.trainer.run();
    const first = await newRun(recipe, {
      onStep: (r, trainer) => r.step === 12 && trainer.stop(),
      keep: (store) => storageOf({ history: new StateHistory(dir, 3), store, phases, binding }),
    });
    await first.trainer.run();
    const path = join(dir, "step-00000012", "model.safetensors");
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const second = await newRun(recipe, {
      keep: (store) => storageOf({ history: new StateHistory(dir, 3), store, phases, binding }),
    });
    expect(await second.trainer.resume()).toBe(true);
    expect(second.trainer.progress.step).toBe(10);
    expect(second.messages).toEqual([
      expect.stringMatching(
        /a saved state is damaged and was passed over: .*step-00000012: tensor "moment1" is not as it was saved/,
      ),
    ]);
    await second.trainer.run();
    expect(second.steps.map((s) => s.loss)).toEqual(whole.steps.slice(10).map((s) => s.loss));
  });
});
