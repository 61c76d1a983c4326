import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SafetensorsFile } from "../../src/checkpoint/index.ts";
import { type Batch, type Objective, policy, supervised } from "../../src/train/index.ts";
import { distance, loadFixture, numbers } from "../model/harness.ts";
import { modelStore, stepOf } from "./objectiveSteps.ts";

const ROOT = new URL("../fixtures/objectives/", import.meta.url);

interface About {
  model: string;
  mtp: number;
  temperature: number;
  low: number | null;
  high: number;
  dual: number;
  beta: number;
  estimator: "k3" | "unbiased";
}

async function fixture(name: string) {
  const about = JSON.parse(readFileSync(new URL(`${name}/about.json`, ROOT), "utf8")) as About;
  const { config, weights } = await loadFixture(about.model);
  const file = await SafetensorsFile.open(new URL(`${name}/reference.safetensors`, ROOT).pathname);
  const reference = new Map<string, number[]>();
  for (const key of file.tensors.keys()) reference.set(key, numbers(await file.read(key)));
  await file.close();
  return { about, config, weights, reference };
}

const objectiveOf: Record<string, (about: About) => Objective> = {
  supervised: ({ mtp }) => supervised({ mtp }),
  policy: ({ mtp, temperature, low, high, dual, beta, estimator }) =>
    policy({ mtp, temperature, clip: { low: low!, high, dual }, kl: { beta, estimator } }),
  "policy-k3": ({ mtp, temperature, beta, estimator }) => policy({ mtp, temperature, kl: { beta, estimator } }),
};
const INPUTS = {
  tokenWeights: "token_weights",
  advantages: "advantages",
  oldLogProbabilities: "old_log_probabilities",
  referenceLogProbabilities: "reference_log_probabilities",
};

describe.each(Object.keys(objectiveOf))("%s", (name) => {
  it("gives PyTorch's loss, its parts, values of each token and every gradient", async () => {
    const { about, config, weights, reference } = await fixture(name);
    const store = modelStore(config);
    for (const key of store.keys()) store.parameter(key).data.set(weights.get(key)!.data as Float32Array);
    const inputs: Batch["inputs"] = {};
    for (const [input, key] of Object.entries(INPUTS))
      if (reference.has(key)) inputs[input] = Float32Array.from(reference.get(key)!);
    const ids = Int32Array.from(reference.get("input_ids")!);
    const microBatch = 2;
    const sequence = ids.length / microBatch - 2;
    const step = await stepOf(store, config, objectiveOf[name]!(about), [{ ids, inputs }], { microBatch, sequence });

    expect(step.loss).toBeCloseTo(reference.get("loss")![0]!, 5);
    const parts = [...reference.keys()].filter((key) => key.startsWith("metric."));
    for (const key of parts)
      expect(step.metrics[key.slice("metric.".length)], key).toBeCloseTo(reference.get(key)![0]!, 5);
    for (const [ours, theirs] of [
      ["logProbabilities", "log_probabilities"],
      ["entropies", "entropies"],
    ] as const)
      if (reference.has(theirs))
        expect(distance(step.perToken[ours]!, reference.get(theirs)!), ours).toBeLessThan(1e-4);
    const wrong = [...step.gradients]
      .map(([key, gradient]) => [key, distance(gradient, reference.get(`grad.${key}`)!)] as const)
      .filter(([, off]) => !(off < 1e-3));
    expect(wrong).toEqual([]);
  });
});
