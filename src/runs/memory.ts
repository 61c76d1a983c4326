/** Whether a run fits into the machine's memory. */
import { ConfigError } from "../errors.ts";
import { bytes } from "../format.ts";
import { threads } from "../runtime/index.ts";
import {
  estimateMemory,
  leastActivationBytes,
  type Phase,
  parameterBytes,
  phasesOf,
  type Recipe,
  suitableLanes,
} from "../train/index.ts";

/** As many lanes as suit the machine, fewer when memory is short. */
export function lanesThatFit(recipe: Recipe, modelJson: Record<string, unknown>): number {
  let lanes = suitableLanes(recipe, threads());
  if (leastBytes(phasesOf({ ...recipe, lanes: 1 }, modelJson), recipe) > process.availableMemory()) return 1;
  const fits = () => {
    const trial = { ...recipe, lanes };
    return estimateMemory(phasesOf(trial, modelJson), trial).total <= process.availableMemory();
  };
  while (lanes > 1 && !fits()) lanes = suitableLanes(recipe, lanes - 1);
  return lanes;
}

/** Bytes that a run needs at the least, known without tracing its graphs: what is hopeless is refused at once. */
const leastBytes = (phases: Phase[], recipe: Recipe): number =>
  parameterBytes(phases, recipe) + leastActivationBytes(phases);

/** Refuses a run that will not fit, before it starts. */
export function checkMemory(phases: Phase[], recipe: Recipe): void {
  const free = process.availableMemory();
  const least = leastBytes(phases, recipe);
  if (least > free)
    throw new ConfigError(
      `train: expected at least ${bytes(least)} of memory (parameters with gradients and moments ${bytes(parameterBytes(phases, recipe))}), but ${bytes(free)} are free. ` +
        "Try a smaller model, a smaller microBatch or a shorter sequence",
    );
  const { parameters, activations, total } = estimateMemory(phases, recipe);
  if (total > free)
    throw new ConfigError(
      `train: expected about ${bytes(total)} of memory (parameters with gradients and moments ${bytes(parameters)}, activations ${bytes(activations)}), ` +
        `but ${bytes(free)} are free. Try --set microBatch=${Math.max(1, Math.floor(recipe.microBatch! / 2))}, a shorter sequence or a smaller model`,
    );
}
