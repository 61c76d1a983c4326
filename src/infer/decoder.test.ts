import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { OneSequence } from "../../test/support/sequence.ts";
import { openCheckpoint, SafetensorsFile } from "../checkpoint/index.ts";
import { parseConfig, tensorCount } from "../model/index.ts";
import type { HostTensor } from "../tensor/index.ts";
import { Decoder, openDecoder } from "./decoder.ts";
import { SAMPLING_DEFAULTS } from "./engine.ts";
import { ModelEngine } from "./model-engine.ts";
import { argmax, logSumExp } from "./sampling.ts";

const FIXTURES = fileURLToPath(new URL("../../test/fixtures/parity/", import.meta.url));

async function fixture(name: string) {
  const dir = FIXTURES + name;
  const config = parseConfig(JSON.parse(readFileSync(`${dir}/config.json`, "utf8")));
  const file = await SafetensorsFile.open(`${dir}/reference.safetensors`);
  const ids = await file.read("input_ids");
  const logits = await file.read("logits");
  await file.close();
  const T = ids.shape[1]!;
  const V = config.vocab_size;
  const all = logits.data as Float32Array;
  return {
    dir,
    config,
    tokens: Array.from(ids.data.slice(0, T) as BigInt64Array, Number),
    row: (t: number) => all.subarray(t * V, (t + 1) * V),
    V,
    T,
  };
}

function close(actual: Float32Array, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const worst = actual.reduce((max, x, i) => Math.max(max, Math.abs(x - expected[i]!)), 0);
  expect(worst / scale).toBeLessThan(1e-4);
}

describe.each(["deepseek_v3", "deepseek_v32", "deepseek_v2", "deepseek", "qwen3", "qwen3_moe"])("%s", (name) => {
  test("logits are those of transformers, for any cut into passes, alone and beside another sequence", async () => {
    const { dir, config, tokens, row, V, T } = await fixture(name);
    const decoder = await openDecoder(dir, config);
    const one = new OneSequence(decoder);
    const two = new OneSequence(decoder);
    // token by token, with passes of another sequence in between
    for (let t = 0; t < T; t++) {
      close(await one.forward([tokens[t]!]), row(t));
      if (t % 4 === 0) await two.forward(tokens.slice(t, t + 4).reverse());
    }
    expect(one.length).toBe(T);
    const three = new OneSequence(decoder);
    close(await three.forward(tokens.slice(0, 5)), row(4));
    const rest = await three.forward(tokens.slice(5), { all: true });
    for (let t = 5; t < T; t++) close(rest.subarray((t - 5) * V, (t - 4) * V), row(t));
    decoder.dispose();
  });
});

test("the engine over a decoder scores and generates as transformers' logits say", async () => {
  const { dir, config, tokens, row, T } = await fixture("deepseek_v3");
  const engine = new ModelEngine(await openDecoder(dir, config), { prefillTokens: 3 });
  const scores = await engine.score(tokens, 1);
  for (let t = 1; t < T; t++)
    expect(scores[t]!.logprob).toBeCloseTo(row(t - 1)[tokens[t]!]! - logSumExp(row(t - 1)), 3);
  const sampling = { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 };
  for await (const token of engine.generate({ prompt: tokens, maxTokens: 1, sampling, stopIds: [] }))
    expect(token.id).toBe(argmax(row(T - 1)));
  await engine.close();
});

test("caches grow, and hold as much as the context", async () => {
  const { dir, config, tokens } = await fixture("deepseek_v3");
  const checkpoint = await openCheckpoint(dir);
  const weights = new Map<string, HostTensor>();
  for (const key of checkpoint.keys()) weights.set(key, await checkpoint.readF32(key));
  await checkpoint.close();
  const decoder = await Decoder.create(config, weights, { contextTokens: 100 });
  const long = Array.from({ length: 99 }, (_, i) => tokens[i % tokens.length]!);
  const whole = new OneSequence(decoder);
  const expected = (await whole.forward([...long, 1])).slice();
  const parts = new OneSequence(decoder);
  await parts.forward(long.slice(0, 40));
  await parts.forward(long.slice(40));
  close(await parts.forward([1]), expected);
  await expect(parts.forward([1])).rejects.toThrow(/after 100, got 1/);
  // weights are used in place
  (weights.get("model.norm.weight")!.data as Float32Array).fill(0);
  const zero = await new OneSequence(decoder).forward([1, 2]);
  expect(zero.every((x) => x === 0)).toBe(true);
  decoder.dispose();
  weights.delete("model.norm.weight");
  await expect(Decoder.create(config, weights)).rejects.toThrow(
    /expected a weight model.norm.weight of \[\d+\], got none/,
  );
});

test("a config.json that means millions of tensors is refused by counting them, and one too large to write as a graph too", async () => {
  const { dir, config } = await fixture("deepseek_v3");
  const checkpoint = await openCheckpoint(dir);
  const held = checkpoint.keys().length;
  await checkpoint.close();
  const huge = { ...config, num_hidden_layers: 4096, n_routed_experts: 65_536 } as typeof config;
  const expected = tensorCount({ ...huge, num_nextn_predict_layers: 0 } as typeof config);
  expect(expected).toBeGreaterThan(4095 * 65_536 * 3);
  await expect(openDecoder(dir, huge)).rejects.toThrow(
    `${dir}: expected ${expected} tensors by config.json, the files hold ${held}; expected a tensor model.layers.1.mlp.experts.`,
  );
  await expect(Decoder.create(huge, new Map())).rejects.toThrow(
    /expected at most 50,000 tensors for a model to be run here, its config means 805,/,
  );
  const { config: dense } = await fixture("qwen3");
  await expect(
    Decoder.create({ ...dense, num_key_value_heads: 1e9, num_attention_heads: 1e9 }, new Map()),
  ).rejects.toThrow(/expected a weight model\.embed_tokens\.weight of \[\d+, \d+\], got none/);
});
