import { afterEach, expect, it, vi } from "vitest";
import { MODEL, recipeOf } from "../../test/train/fixture.ts";
import { estimateMemory, phasesOf } from "../train/index.ts";
import { checkMemory } from "./memory.ts";

afterEach(() => void vi.restoreAllMocks());

it("refuses what a machine cannot hold, whatever this one can, and says what would be smaller", () => {
  const recipe = recipeOf();
  const phases = phasesOf(recipe, MODEL);
  const { total } = estimateMemory(phases, recipe);
  const free = vi.spyOn(process, "availableMemory").mockReturnValue(total);
  checkMemory(phases, recipe);
  free.mockReturnValue(total - 1);
  expect(() => checkMemory(phases, recipe)).toThrow(
    /train: expected about [\d.]+ MB of memory .*, but [\d.]+ MB are free\. Try --set microBatch=4/,
  );
  free.mockReturnValue(1e5);
  expect(() => checkMemory(phases, recipe)).toThrow(
    /train: expected at least [\d.]+ .B of memory .*, but 100\.0 kB are free\. Try a smaller model/,
  );
});
