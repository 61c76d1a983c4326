/** Whether a run fits into the machine's memory. */
import { ConfigError } from "../errors.ts";
import { bytes } from "../format.ts";
import { threads } from "../runtime/index.ts";
import { estimateMemory, type Phase, phasesOf, type Recipe, suitableLanes } from "../train/index.ts";

/** As many lanes as suit the machine, fewer when memory is short. */
export function lanesThatFit(recipe: Recipe, modelJson: Record<string, unknown>): number {
  let lanes = suitableLanes(recipe, threads());
  const fits = () => {
    const trial = { ...recipe, lanes };
    return estimateMemory(phasesOf(trial, modelJson), trial).total <= process.availableMemory();
  };
  while (lanes > 1 && !fits()) lanes = suitableLanes(recipe, lanes - 1);
  return lanes;
}

/** Refuses a run that will not fit, before it starts. */
export function checkMemory(phases: Phase[], recipe: Recipe): void {
  const { parameters, activations, total } = estimateMemory(phases, recipe);
  const free = process.availableMemory();
  if (total > free)
    throw new ConfigError(
      `train: expected about ${bytes(total)} of memory (parameters with gradients and moments ${bytes(parameters)}, activations ${bytes(activations)}), ` +
        `but ${bytes(free)} are free. Try --set microBatch=${Math.max(1, Math.floor(recipe.microBatch! / 2))}, a shorter sequence or a smaller model`,
    );
}
