/** Everything that changes over a run, at one step: learning rate, weights of losses. */
import { batchAt } from "./ramp.ts";
import type { Phase, Recipe } from "./recipe.ts";

/** Every number that changes over a run, at one step. */
export interface Knobs {
  learningRate: number;
  /** Sequences in this step's batch. */
  batch: number;
  gamma: number;
  lambda: number;
}

/** The learning rate after `tokens`, without warm-up: walks the recipe's stages. */
export function rateAt(recipe: Recipe, tokens: number): number {
  let from = 0;
  let start = 0;
  const stages = recipe.learningRate.stages;
  for (const [i, stage] of stages.entries()) {
    from = stage.from ?? from;
    const to = stage.to ?? from;
    const length = stage.tokens ?? Math.max(1, recipe.tokens - start);
    const t = Math.min(1, (tokens - start) / length);
    if (t < 1 || i === stages.length - 1) {
      if (stage.shape === "constant") return from;
      if (stage.shape === "linear") return from + (to - from) * t;
      return to + (from - to) * 0.5 * (1 + Math.cos(Math.PI * t));
    }
    start += length;
    from = stage.shape === "constant" ? from : to;
  }
  return from;
}

/** The knobs at a step, given the tokens trained on before it. A pure function: a resumed run sees the same. */
export function knobsAt(recipe: Recipe, phase: Phase, step: number, tokens: number): Knobs {
  const { balance, mtp, learningRate } = recipe;
  const { extension } = phase;
  const warm = learningRate.warmupSteps > 0 ? Math.min(1, (step + 1) / learningRate.warmupSteps) : 1;
  return {
    learningRate: extension ? extension.learningRate : rateAt(recipe, tokens) * warm,
    batch: extension ? extension.batch : batchAt(recipe, tokens),
    gamma: balance.gammaEndTokens !== undefined && tokens >= balance.gammaEndTokens ? 0 : balance.gamma,
    lambda: mtp.changeTokens !== undefined && tokens >= mtp.changeTokens ? mtp.lambdaAfter : mtp.lambda,
  };
}
