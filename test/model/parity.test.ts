import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  languageModel,
  type ModelBuilder,
  ropeFromStart,
  trainableShapes,
  trainingLoss,
} from "../../src/model/index.ts";
import { grad, type HostTensor, input, type Tensor } from "../../src/tensor/index.ts";
import { distance, evaluate, type Fixture, loadFixture, numbers } from "./harness.ts";

const FIXTURES = new URL("../fixtures/", import.meta.url);
const names = (kind: string) => readdirSync(new URL(kind, FIXTURES)).map((name) => `${kind}/${name}`);
const LOGITS = 1e-4;
const GRADIENTS = 1e-3;

/** Builds the loss of a fixture's ids with every gradient; the embedding's comes as rows. */
function lossAndGradients(model: ModelBuilder, shape: readonly number[], options: Parameters<typeof trainingLoss>[2]) {
  const out = trainingLoss(model, input("input_ids", "i64", shape), options);
  const keys = [...model.used.keys()].filter((key) => !key.endsWith("e_score_correction_bias"));
  const gradients = grad(out.loss, [...keys.map((key) => model.weight(key)), out.embedded]);
  const outputs: Record<string, Tensor> = {
    loss: out.loss,
    mainLoss: out.mainLoss,
    rows: gradients.at(-1)!,
    rowIds: out.embeddedIds,
  };
  if (out.balanceLoss) outputs.balanceLoss = out.balanceLoss;
  out.mtpLosses.forEach((loss, k) => (outputs[`mtpLoss${k}`] = loss));
  keys.forEach((key, i) => {
    if (gradients[i]) outputs[`grad.${key}`] = gradients[i];
  });
  return outputs;
}

/** The embedding's gradient: rows added up by id, on top of what came through a tied head. */
function withRows(result: Record<string, HostTensor>, key: string, size: number, width: number): Float64Array {
  const total = new Float64Array(size);
  result[`grad.${key}`]?.data.forEach((value, i) => (total[i]! += Number(value)));
  numbers(result.rowIds!).forEach((id, row) => {
    for (let d = 0; d < width; d++) total[id * width + d]! += Number(result.rows!.data[row * width + d]);
  });
  return total;
}

function expectGradients(fixture: Fixture, result: Record<string, HostTensor>): void {
  const { config, reference } = fixture;
  const wrong: string[] = [];
  for (const key of trainableShapes(config).keys()) {
    const expected = reference.get(`grad.${key}`)!.data as Float32Array;
    const actual =
      key === "model.embed_tokens.weight"
        ? withRows(result, key, expected.length, config.hidden_size)
        : (result[`grad.${key}`]?.data as Float32Array | undefined);
    const apart = actual === undefined ? Infinity : distance(actual, expected);
    if (!(apart < GRADIENTS)) wrong.push(`${key}: ${apart}`);
  }
  expect(wrong).toEqual([]);
}

describe.each(names("parity"))("%s", (name) => {
  it("logits are transformers'", async () => {
    const fixture = await loadFixture(name);
    const ids = fixture.reference.get("input_ids")!;
    const [B, T] = ids.shape;
    const build = (model: ModelBuilder) => ({
      logits: languageModel(model, input("input_ids", "i64", [B!, T!]), ropeFromStart(fixture.config, B!, T!)).logits,
    });
    const { logits } = await evaluate(fixture, build, { input_ids: ids });
    expect(distance(logits!.data as Float32Array, fixture.reference.get("logits")!.data as Float32Array)).toBeLessThan(
      LOGITS,
    );
  });

  it("loss and every gradient are PyTorch's", async () => {
    const fixture = await loadFixture(name);
    const ids = fixture.reference.get("input_ids")!;
    const result = await evaluate(fixture, (model) => lossAndGradients(model, ids.shape, { depth: 0 }), {
      input_ids: ids,
    });
    expect(numbers(result.loss!)[0]).toBeCloseTo(numbers(fixture.reference.get("loss")!)[0]!, 4);
    expectGradients(fixture, result);
  });
});

describe.each(names("mtp"))("%s", (name) => {
  it("MTP and balance losses and every gradient are the reference's", async () => {
    const fixture = await loadFixture(name);
    const { reference, about } = fixture;
    const ids = reference.get("input_ids")!;
    const options = { lambda: about.lambda, alpha: about.alpha };
    const result = await evaluate(fixture, (model) => lossAndGradients(model, ids.shape, options), { input_ids: ids });
    expect(numbers(result.mainLoss!)[0]).toBeCloseTo(numbers(reference.get("main_loss")!)[0]!, 4);
    numbers(reference.get("mtp_losses")!).forEach((loss, k) =>
      expect(numbers(result[`mtpLoss${k}`]!)[0]).toBeCloseTo(loss, 4),
    );
    const balance = numbers(reference.get("balance_losses")!).reduce((a, b) => a + b);
    expect(numbers(result.balanceLoss!)[0]).toBeCloseTo(balance, 4);
    expect(numbers(result.loss!)[0]).toBeCloseTo(numbers(reference.get("loss")!)[0]!, 4);
    expectGradients(fixture, result);
  });
});
