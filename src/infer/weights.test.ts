/** Which form weights are opened in, and that a model answers alike however its blocks came into memory. */
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { OneSequence } from "../../test/support/sequence.ts";
import { parseConfig, presetConfig } from "../model/index.ts";
import { openDecoder } from "./decoder.ts";
import { formThatFits, openingBytes } from "./weights.ts";

const FIXTURES = fileURLToPath(new URL("../../test/fixtures/parity/", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "sumbi-weights-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("the most exact form that memory has room for", () => {
  const qwen = presetConfig("qwen2.5-1.5b");
  // 1.54 B weights: 2 × 4 bytes each in f32, about 1.5 and 1 byte each in blocks of 8 and 4 bits
  expect([32e9, 12e9, 2.4e9, 1e9].map((free) => formThatFits(qwen, free))).toEqual(["f32", "q8", "q4", "q4"]);
  // a block of 4 bits: 16 bytes, a scale and a sum, and a quarter of its 20 bytes in the file; embedding and head have 8
  const [layers, ends] = [1.3106e9, 151_936 * 1536];
  expect(openingBytes(qwen, "q4") / ((layers * (24 + 5) + ends * (40 + 9)) / 32)).toBeCloseTo(1, 2);
});

test.each(["deepseek_v3", "qwen2-tied"])("%s: packed weights answer alike, made, found and not kept", async (name) => {
  const dir = join(root, name);
  cpSync(FIXTURES + name, dir, { recursive: true });
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const answers: number[][] = [];
  for (const keepPacked of [true, true, false]) {
    const decoder = await openDecoder(dir, config, { weights: "q8", keepPacked });
    expect(decoder.weightsAbout).toMatchObject({ form: "q8", chosen: "asked" });
    const sequence = new OneSequence(decoder);
    answers.push([...(await sequence.forward([1, 2, 3])), ...(await sequence.forward([4]))]);
    decoder.dispose();
  }
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[2]).toEqual(answers[0]);
  const decoder = await openDecoder(dir, config);
  expect(decoder.weightsAbout).toMatchObject({ form: "f32", chosen: "by memory" });
  const exact = await new OneSequence(decoder).forward([1, 2, 3]);
  const largest = Math.max(...exact.map(Math.abs));
  exact.forEach((x, i) => expect(Math.abs(x - answers[0]![i]!)).toBeLessThan(0.05 * largest));
  decoder.dispose();
});

test("in blocks of 4 bits too, a sequence gets the same bits alone and beside another", async () => {
  const dir = `${FIXTURES}qwen2-tied`;
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const decoder = await openDecoder(dir, config, { weights: "q4", deterministic: true });
  const sequences = [0, 1, 2].map(() => new OneSequence(decoder));
  for (const sequence of sequences) await sequence.forward([1, 2, 3]);
  const [first, second, third] = sequences as [OneSequence, OneSequence, OneSequence];
  const alone = [...(await first.forward([4]))];
  const lines = [second, third].map(({ table, length: start }, i) => ({
    ids: [4 + i],
    start,
    table,
    wants: "last" as const,
    temperature: 1,
  }));
  const { logits } = await decoder.run({ kind: "step", lines });
  expect([...logits.slice(0, config.vocab_size)]).toEqual(alone);
  decoder.dispose();
});
