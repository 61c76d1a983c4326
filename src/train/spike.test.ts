import { describe, expect, it } from "vitest";
import { judgeLoss, type LossHistory } from "./spike.ts";

const rule = { factor: 1.5, steps: 3 };

/** Steps at which a spike is told, over a list of losses. */
function spikesIn(losses: number[]): number[] {
  let history: LossHistory = { averageLoss: 0, lossVariance: 0, spikes: 0 };
  return losses.flatMap((loss, step) => {
    const { spike, ...next } = judgeLoss(history, loss, step, rule);
    history = next;
    return spike ? [step] : [];
  });
}

describe("the spike rule", () => {
  const calm = Array.from({ length: 300 }, (_, i) => 0.4 + 0.02 * Math.sin(i));

  it("tells a loss that has jumped and stays up, at the third step", () => {
    expect(spikesIn([...calm, 2, 2.2, 2.4])).toEqual([302]);
  });

  it("lets one or two hard batches pass", () => {
    expect(spikesIn([...calm, 2, 2.2, ...calm])).toEqual([]);
  });

  it("grows used to a mixture in which every third batch has more than twice the loss", () => {
    // Runs of hard batches come rarely at first, then, by chance, three and four in a row.
    const mixed = Array.from({ length: 600 }, (_, i) => (i % 3 === 0 ? 0.92 : 0.4));
    expect(spikesIn([...calm, ...mixed, 0.92, 0.93, 0.92, 0.92, ...mixed])).toEqual([]);
  });

  it("gives back its three numbers and the verdict, whatever else the history carries", () => {
    const history = { averageLoss: 1, lossVariance: 0, spikes: 0, step: 30 };
    for (const loss of [1, 9])
      expect(Object.keys(judgeLoss(history, loss, 30, rule)).sort()).toEqual([
        "averageLoss",
        "lossVariance",
        "spike",
        "spikes",
      ]);
  });

  it("does not look at the first steps, where the loss falls from its start", () => {
    expect(spikesIn([9, 9, 30, 30, 30, 30, 8, 7])).toEqual([]);
  });
});
