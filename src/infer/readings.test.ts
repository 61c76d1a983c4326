import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { fakeModel, hashLogits, stateOf } from "../../test/support/fake-model.ts";
import { openCheckpoint, SafetensorsFile } from "../checkpoint/index.ts";
import { parseConfig } from "../model/index.ts";
import { openDecoder } from "./decoder.ts";
import { ModelEngine } from "./model-engine.ts";

const dir = fileURLToPath(new URL("../../test/fixtures/parity/deepseek_v3", import.meta.url));

const normalized = (x: readonly number[]): number[] => x.map((v) => v / Math.hypot(...x));
const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));

test("vectors are what the head of transformers' model is given", async () => {
  const config = parseConfig(JSON.parse(readFileSync(`${dir}/config.json`, "utf8")));
  const reference = await SafetensorsFile.open(`${dir}/reference.safetensors`);
  const ids = await reference.read("input_ids");
  const logits = (await reference.read("logits")).data as Float32Array;
  await reference.close();
  const checkpoint = await openCheckpoint(dir);
  const head = await checkpoint.readF32("lm_head.weight");
  await checkpoint.close();
  const [V, D] = head.shape as [number, number];
  const scoresOf = (vector: ArrayLike<number>): number[] =>
    Array.from({ length: V }, (_, v) =>
      Array.from(vector).reduce((sum, x, d) => sum + x * (head.data[v * D + d] as number), 0),
    );
  const T = 7;
  const tokens = Array.from(ids.data.slice(0, T) as BigInt64Array, Number);
  const engine = new ModelEngine(await openDecoder(dir, config), { prefillTokens: 3 });
  expect(engine.vectorSize).toBe(D);
  const lasts = await Promise.all(tokens.map((_, t) => engine.embed(tokens.slice(0, t + 1), "last")));
  const sum = new Array<number>(D).fill(0);
  for (const [t, last] of lasts.entries()) {
    const row = Array.from(logits.subarray(t * V, (t + 1) * V));
    const own = scoresOf(last);
    expect(worst(normalized(own), normalized(row))).toBeLessThan(1e-5);
    const length = Math.hypot(...row) / Math.hypot(...own);
    for (let d = 0; d < D; d++) sum[d]! += last[d]! * length;
  }
  const mean = await engine.embed(tokens, "mean");
  expect(worst(mean, normalized(sum))).toBeLessThan(1e-5);
  // alone and in company, to the bit
  const [again] = await Promise.all([engine.embed(tokens, "mean"), engine.embed(tokens.slice(2), "mean")]);
  expect(again).toEqual(mean);
  await engine.close();
});

test("the engine pools whatever the chunks, beside answers, and remembers nothing wrong", async () => {
  const engine = new ModelEngine(fakeModel(hashLogits), { prefillTokens: 5 });
  const tokens = Array.from({ length: 40 }, (_, i) => (7 * i) % 250);
  const states = tokens.map((_, t) => stateOf(tokens.slice(0, t + 1)));
  const sum = states[0]!.map((_, d) => states.reduce((all, state) => all + state[d]!, 0));
  for (let turn = 0; turn < 2; turn++) {
    const [mean, last] = await Promise.all([engine.embed(tokens, "mean"), engine.embed(tokens, "last")]);
    expect(mean).toEqual(Float32Array.from(normalized(sum)));
    expect(last).toEqual(Float32Array.from(normalized(states.at(-1)!)));
  }
  await expect(engine.embed([], "mean")).rejects.toThrow(/at least one/);
  const silent = new ModelEngine({ ...fakeModel(hashLogits), hiddenSize: undefined });
  await expect(silent.embed([1], "mean")).rejects.toThrow(/does not tell/);
});
