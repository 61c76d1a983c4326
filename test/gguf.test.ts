import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findModel, loadWeights, readGguf, resolveModel, SafetensorsFile } from "../src/checkpoint/index.ts";
import { inspect } from "../src/cli/inspect.ts";
import { loadTokenizer } from "../src/data/index.ts";
import { openDecoder } from "../src/infer/index.ts";
import { parseConfig } from "../src/model/index.ts";
import { tokenizerFingerprint } from "../src/runs/binding.ts";
import { keepTokenizer, tokenizerOf } from "../src/runs/tokenizer.ts";
import { checkpointConfig } from "../src/runs/weights.ts";
import { OneSequence } from "./support/sequence.ts";

const ROOT = "test/fixtures/gguf";
const scratch = mkdtempSync(join(tmpdir(), "sumbi-gguf-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each([
  "llama-llama3-rope",
  "qwen2",
  "qwen3-yarn-tied",
  "deepseek_v2",
  "deepseek_v3",
  "deepseek_v3-yarn",
  "qwen3_moe",
])("%s", (name) => {
  test("logits are those of transformers", async () => {
    const path = join(ROOT, `${name}.gguf`);
    const reference = await SafetensorsFile.open(`test/fixtures/parity/${name}/reference.safetensors`);
    const [ids, logits] = [await reference.read("input_ids"), await reference.read("logits")];
    await reference.close();
    const T = ids.shape[1]!;
    const decoder = await openDecoder(path, parseConfig(readGguf(path).json, path));
    const tokens = Array.from(ids.data.slice(0, T) as BigInt64Array, Number);
    const got = await new OneSequence(decoder).forward(tokens, { all: true });
    const expected = (logits.data as Float32Array).subarray(0, got.length);
    const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const worst = got.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0);
    expect(worst / scale).toBeLessThan(1e-4);
    decoder.dispose();
  });
});

interface Expected {
  strings: string[];
  expected: Record<string, { size: number; bos: number | null; ids: number[][] }>;
}
const made = JSON.parse(readFileSync(join(ROOT, "tokenizers.json"), "utf8")) as Expected;

describe.each(Object.entries(made.expected))("tokenizer of pre type %s", (pre, { size, bos, ids }) => {
  const tokenizer = loadTokenizer(join(ROOT, `tokenizer-${pre}.gguf`));

  test("every text gets the ids that Hugging Face's tokenizers give it", () => {
    made.strings.forEach((text, i) => expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids[i]));
  });

  test("what it decodes, what ends an answer, what is put around a text, how a conversation is written", () => {
    expect(tokenizer.vocabSize).toBe(size);
    if (pre !== "qwen2") expect(tokenizer.decode(tokenizer.encode("naïve 😀\r\n"))).toBe("naïve 😀\r\n");
    expect(tokenizer.eosIds.map((id) => tokenizer.tokenOf(id))).toEqual(["<|end|>", "<|im_end|>"]);
    expect(tokenizer.surrounding).toEqual({ before: bos === null ? [] : [bos], after: [] });
    expect(tokenizer.isSpecial(tokenizer.idOf("<think>")!)).toBe(false);
    const { text, ids: chat } = tokenizer.encodeChat([{ role: "user", content: "a <|im_end|> b" }], {
      addGenerationPrompt: true,
    });
    expect(text).toBe("<|im_start|>user\na <|im_end|> b<|im_end|>\n<|im_start|>assistant\n");
    // what people wrote stays text
    expect(chat.filter((id) => id === tokenizer.idOf("<|im_end|>"))).toHaveLength(1);
  });
});

test("every verb finds it by its path", async () => {
  const path = join(ROOT, "deepseek_v3.gguf");
  expect(resolveModel(path)).toBe(findModel(path));
  const report = await inspect(path, 16);
  expect(report).toMatchObject({ modelType: "deepseek_v3", layers: { total: 2, moe: 1 } });
  expect(report.tensors).toEqual({
    expected: report.tensors.expected,
    withMtp: report.tensors.expected,
    inFiles: report.tensors.expected,
  });
  expect(report.files).toEqual([{ name: "deepseek_v3.gguf", bytes: 50336 }]);
  // without the name, by its first bytes
  const blob = join(scratch, "sha256-0123");
  writeFileSync(blob, readFileSync(path));
  expect(resolveModel(blob)).toBe(blob);
  expect(() => findModel(ROOT)).toThrow(/config\.json, it has none; for its GGUF file name that: .*\.gguf/);
  writeFileSync(blob, "{}");
  expect(() => resolveModel(blob)).toThrow(/or a GGUF file, got another file/);
});

test("a run can start from one: its tokenizer is kept as a folder's files, read back as the same", async () => {
  const path = join(ROOT, "tokenizer-llama-bpe.gguf");
  const run = join(scratch, "run");
  mkdirSync(run);
  await keepTokenizer(path, run, await tokenizerFingerprint(path));
  const [before, after] = [path, tokenizerOf(run)].map((dir) => loadTokenizer(dir));
  for (const text of made.strings) expect(after!.encode(text)).toEqual(before!.encode(text));
  expect(after).toMatchObject({
    eosIds: before!.eosIds,
    surrounding: before!.surrounding,
    chatTemplate: before!.chatTemplate,
  });
  expect(await checkpointConfig(join(ROOT, "deepseek_v3.gguf"))).toMatchObject({
    model_type: "deepseek_v3",
    n_group: 4,
  });
});

describe("a model in several files", () => {
  const whole = join(ROOT, "llama.gguf");

  test("is one model, whichever file a tensor is in", async () => {
    const parts = readdirSync(ROOT).filter((name) => name.startsWith("qwen2-split-"));
    expect(parts).toHaveLength(3);
    const path = join(ROOT, "qwen2-split-00001-of-00003.gguf");
    const [split, alone] = await Promise.all(
      [path, join(ROOT, "qwen2.gguf")].map((file) => loadWeights(file, (json) => parseConfig(json, file))),
    );
    expect(split).toEqual(alone);
    expect((await inspect(path, 16)).files?.map(({ name }) => name).sort()).toEqual(parts.sort());
    expect(() => readGguf(join(ROOT, "qwen2-split-00002-of-00003.gguf"))).toThrow(/the first of the 3 files/);
    // with one part twice in place of the third
    for (const name of parts)
      writeFileSync(join(scratch, name), readFileSync(join(ROOT, parts[name === parts[2] ? 1 : parts.indexOf(name)]!)));
    expect(() => readGguf(join(scratch, parts[0]!))).toThrow(/tensor ".+" is in another part too/);
  });

  test("is refused where a part is missing, or named by another part", () => {
    // split.count as u16, before the tensors
    const bytes = readFileSync(whole);
    bytes.writeBigUInt64LE(bytes.readBigUInt64LE(16) + 1n, 16);
    const name = Buffer.from("split.count");
    const entry = Buffer.concat([
      Buffer.from(BigUint64Array.of(BigInt(name.length)).buffer),
      name,
      Buffer.from(Uint32Array.of(2).buffer),
      Buffer.from(Uint16Array.of(2).buffer),
    ]);
    const split = Buffer.concat([bytes.subarray(0, 24), entry, bytes.subarray(24)]);
    const write = (file: string) => {
      writeFileSync(join(scratch, file), split);
      return join(scratch, file);
    };
    expect(() => readGguf(write("m.gguf"))).toThrow(/expected a name that ends in -00001-of-00002\.gguf/);
    expect(() => readGguf(write("m-00001-of-00002.gguf"))).toThrow(
      /its part "m-00002-of-00002\.gguf" beside it, found none/,
    );
    expect(() => readGguf(write("m-00002-of-00002.gguf"))).toThrow(/the first of the 2 files/);
  });
});
