/** Whether a loss is a spike, by the losses before it. */

/** What is remembered of the losses so far: moving average and variance, and how many losses in a row lay over the limit. */
export interface LossHistory {
  averageLoss: number;
  lossVariance: number;
  spikes: number;
}

/** Weight of a step in the moving average of the loss. */
const WEIGHT = 0.1;
/** Steps before a loss can be a spike: the first ones fall too steeply. */
const AFTER = 20;
/** Standard deviations over the average that a spike has at least: batches of mixed texts differ much without harm. */
const DEVIATIONS = 5;

/**
 * Takes in the loss of a step of a phase (0-based: longer sequences begin with another loss): `spike` when it is the `patience`th in a row
 * over factor × average and five deviations. Losses over the limit that pass without a spike enter the average as the limit: left out, a
 * kind of batch that is harder than the rest would stay a spike for ever.
 */
export function judgeLoss(
  history: LossHistory,
  loss: number,
  step: number,
  { factor, steps: patience }: { factor: number; steps: number },
): LossHistory & { spike: boolean } {
  if (step === 0) return { averageLoss: loss, lossVariance: 0, spikes: 0, spike: false };
  const limit =
    step >= AFTER
      ? Math.max(factor * history.averageLoss, history.averageLoss + DEVIATIONS * Math.sqrt(history.lossVariance))
      : Infinity;
  const { averageLoss, lossVariance } = history;
  const spikes = history.spikes + 1;
  if (loss > limit) return { averageLoss, lossVariance, spikes, spike: spikes >= patience };
  let next: Omit<LossHistory, "spikes"> = history;
  for (let i = 0; i < history.spikes; i++) next = averaged(next, limit);
  return { ...averaged(next, loss), spikes: 0, spike: false };
}

function averaged(
  { averageLoss, lossVariance }: Omit<LossHistory, "spikes">,
  loss: number,
): Omit<LossHistory, "spikes"> {
  const deviation = loss - averageLoss;
  return {
    averageLoss: averageLoss + WEIGHT * deviation,
    lossVariance: (1 - WEIGHT) * (lossVariance + WEIGHT * deviation ** 2),
  };
}
