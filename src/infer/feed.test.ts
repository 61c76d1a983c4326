/** Decoders fed with weights in every form: the same numbers, whatever holds them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { OneSequence } from "../../test/support/sequence.ts";
import { decodeBf16, encodeBf16, loadWeights, SafetensorsFile } from "../checkpoint/index.ts";
import { fromBlocks, parseConfig, type Weight } from "../model/index.ts";
import { f32, type HostTensor } from "../tensor/index.ts";
import { Decoder } from "./decoder.ts";

const FIXTURES = fileURLToPath(new URL("../../test/fixtures/parity/", import.meta.url));

async function fixture(name: string) {
  const dir = FIXTURES + name;
  const config = parseConfig(JSON.parse(readFileSync(`${dir}/config.json`, "utf8")));
  const file = await SafetensorsFile.open(`${dir}/reference.safetensors`);
  const ids = await file.read("input_ids");
  await file.close();
  return { dir, config, tokens: Array.from(ids.data.slice(0, ids.shape[1]!) as BigInt64Array, Number) };
}

/** Logits of every token: the first few in one pass, the next one by one, the rest in one pass. */
async function logitsOf(decoder: Decoder, tokens: readonly number[]): Promise<number[]> {
  const sequence = new OneSequence(decoder);
  const out: number[] = [];
  const cuts = [0, 4, 5, 6, 8, tokens.length];
  for (const [i, from] of cuts.slice(0, -1).entries())
    out.push(...(await sequence.forward(tokens.slice(from, cuts[i + 1]), { all: true })));
  return out;
}

function distance(actual: readonly number[], expected: readonly number[]): number {
  const largest = (values: readonly number[]) =>
    values.reduce((max, x) => Math.max(max, Number.isNaN(x) ? Infinity : Math.abs(x)), 0);
  return largest(actual.map((x, i) => x - expected[i]!)) / largest(expected);
}

/** Matrices of linear layers and tables, without the routers. */
const isBlocks = (key: string, shape: readonly number[]): boolean =>
  shape.length === 2 && !key.includes("mlp.gate.weight");

// MLA absorbed and expanded with experts, sizes that are no multiples of 32, biases, a tied head
const MODELS = [
  "deepseek_v3",
  "deepseek_v3-odd-sizes",
  "deepseek_v32",
  "deepseek_v2",
  "deepseek",
  "qwen2-tied",
  "qwen3",
  "qwen3_moe",
];

describe.each(MODELS)("%s", (name) => {
  test.each([4, 8] as const)("blocks of %i bits compute what they stand for", async (bits) => {
    const { dir, config, tokens } = await fixture(name);
    const { weights } = await loadWeights(dir, config, { form: (key, shape) => (isBlocks(key, shape) ? bits : "f32") });
    expect([...weights.values()].filter((weight) => weight.dtype === "blocks").length).toBeGreaterThan(8);
    const plain = new Map([...weights].map(([key, w]) => [key, w.dtype === "blocks" ? fromBlocks(w) : w] as const));
    const [fed, reference] = [
      await Decoder.create(config, weights, { products: { exact: true } }),
      await Decoder.create(config, plain),
    ];
    // the kernel multiplies and sums in f32, in another order
    expect(distance(await logitsOf(fed, tokens), await logitsOf(reference, tokens))).toBeLessThan(1e-5);
    fed.dispose();
    reference.dispose();
  });

  test("what a frozen decoder released is not read: spoiled, for any number of rows", async () => {
    const { dir, config, tokens } = await fixture(name);
    const { weights } = await loadWeights(dir, config);
    const reference = await Decoder.create(config, new Map(weights));
    const expected = await logitsOf(reference, tokens);
    reference.dispose();
    const decoder = await Decoder.create(config, weights, { frozen: true });
    const before = await logitsOf(decoder, tokens);
    expect(distance(before, expected)).toBeLessThan(1e-5);
    expect(decoder.released.length).toBeGreaterThan(8);
    for (const key of decoder.released) (weights.get(key) as HostTensor<Float32Array>).data.fill(NaN);
    expect(await logitsOf(decoder, tokens)).toEqual(before);
    // and nothing was kept that could have been let go, but what is read beside products
    const kept = [...weights.keys()].filter((key) => !decoder.released.includes(key));
    for (const key of kept) expect(key).toMatch(/norm|bias$|embed_tokens|kv_b_proj/);
    decoder.dispose();
  });
});

test("bf16 weights are read as they are", async () => {
  const { dir, config, tokens } = await fixture("qwen2-tied");
  const { weights } = await loadWeights(dir, config);
  const short = new Map<string, Weight>();
  const long = new Map<string, Weight>();
  for (const [key, { shape, data }] of weights as Map<string, HostTensor<Float32Array>>) {
    const bits = encodeBf16(data);
    short.set(key, { dtype: "bf16", shape, data: bits });
    long.set(key, f32(shape, decodeBf16(bits)));
  }
  for (const frozen of [false, true]) {
    const [fed, reference] = [
      await Decoder.create(config, short, { frozen }),
      await Decoder.create(config, long, { frozen }),
    ];
    expect(await logitsOf(fed, tokens)).toEqual(await logitsOf(reference, tokens));
    fed.dispose();
    reference.dispose();
  }
});

test("large products in parts have the numbers of the whole", async () => {
  const { dir, config, tokens } = await fixture("qwen2-tied");
  const { weights } = await loadWeights(dir, config, { form: (key, shape) => (isBlocks(key, shape) ? 8 : "f32") });
  const whole = await Decoder.create(config, weights, { products: { exact: true } });
  const parts = await Decoder.create(config, weights, { products: { exact: true, partWeights: 1000 } });
  expect(distance(await logitsOf(parts, tokens), await logitsOf(whole, tokens))).toBeLessThan(1e-6);
  for (const decoder of [whole, parts]) decoder.dispose();
});

test("a weight of another shape is refused", async () => {
  const { dir, config } = await fixture("qwen3");
  const { weights } = await loadWeights(dir, config);
  weights.set("model.norm.weight", f32([2], [1, 1]));
  await expect(Decoder.create(config, weights)).rejects.toThrow(
    /expected a weight model\.norm\.weight of \[\d+\], got one of \[2\]/,
  );
});
