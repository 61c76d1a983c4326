import { describe, expect, it } from "vitest";
import { phasesOf, pretraining, TrainingProgram } from "../../src/train/index.ts";
import { MODEL, newStore, recipeOf, source } from "./fixture.ts";

/** Loss and gradients of one step over the fixture's first micro-batch, with ids changed by `mark`. */
async function step(
  mark: (id: number, at: number) => number,
): Promise<{ mainLoss: number; mtpLoss: number; gradients: Map<string, Float32Array> }> {
  const recipe = recipeOf({ balance: { gamma: 0, alpha: 0 } });
  const store = newStore(recipe);
  const phase = phasesOf(recipe, MODEL)[0]!;
  const options = { precision: recipe.precision, accumulate: false };
  const program = await TrainingProgram.create(phase, pretraining(recipe.balance), store, options);
  await program.begin();
  const ids = source.train(0, phase.microBatch, phase.sequence, 2).map(mark);
  await program.run({ ids, inputs: { lambda: 0.5, share: 1 / phase.lanes } });
  const { mainLoss, mtpLoss } = program.finish().metrics as { mainLoss: number; mtpLoss: number };
  const gradients = new Map(Array.from(store.keys(), (key) => [key, Float32Array.from(store.gradient(key, 0).data)]));
  program.dispose();
  return { mainLoss, mtpLoss, gradients };
}

describe("tokens that are read and not trained", () => {
  it("two halves that leave out each other's tokens make up the whole: losses and every gradient, the embedding's too", async () => {
    const whole = await step((id) => id);
    const [even, odd] = [
      await step((id, at) => (at % 2 === 0 ? ~id : id)),
      await step((id, at) => (at % 2 === 1 ? ~id : id)),
    ];
    expect(even.mainLoss).not.toBeCloseTo(odd.mainLoss, 3);
    for (const name of ["mainLoss", "mtpLoss"] as const)
      expect((even[name] + odd[name]) / 2).toBeCloseTo(whole[name], 5);
    for (const [key, gradient] of whole.gradients) {
      const size = Math.hypot(...gradient);
      const off = Math.hypot(
        ...gradient.map(
          (x, i) => x - ((even.gradients.get(key)?.[i] ?? NaN) + (odd.gradients.get(key)?.[i] ?? NaN)) / 2,
        ),
      );
      expect(off, key).toBeLessThan(1e-4 * size + 1e-9);
    }
  });

  it("where none is trained nothing is learned, and nothing breaks", async () => {
    const { mainLoss, mtpLoss, gradients } = await step((id) => ~id);
    expect([mainLoss, mtpLoss]).toEqual([0, 0]);
    for (const [key, gradient] of gradients) expect(Math.hypot(...gradient), key).toBe(0);
  });
});
