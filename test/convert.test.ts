import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { readGgufHeader } from "../src/checkpoint/gguf/header.ts";
import { quantize } from "../src/checkpoint/gguf/quantize.ts";
import {
  convertModel,
  loadWeights,
  openCheckpoint,
  readGguf,
  SafetensorsFile,
  saveCheckpoint,
} from "../src/checkpoint/index.ts";
import { main } from "../src/cli/main.ts";
import { loadTokenizer } from "../src/data/index.ts";
import { type BlockWeight, fromBlocks, listParameters, parseConfig } from "../src/model/index.ts";
import { type HostTensor, sizeOf } from "../src/tensor/index.ts";
import { changedFixture } from "./support/changed.ts";
import { printed } from "./support/cli.ts";

const FIXTURES = fileURLToPath(new URL("fixtures/", import.meta.url));
const NANO = fileURLToPath(new URL("../models/nano", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "sumbi-convert-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const parity = (name: string): string => `${FIXTURES}parity/${name}`;
/** Every weight's SHA-256: comparing millions of numbers one by one takes long. */
async function weightsOf(path: string): Promise<Record<string, string>> {
  const { weights } = await loadWeights(path, (json) => parseConfig(json, path));
  return Object.fromEntries(
    [...weights].map(([key, weight]) => {
      const { buffer, byteOffset, byteLength } = (weight as HostTensor).data;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      return [key, `${weight.shape} ${createHash("sha256").update(bytes).digest("hex")}`];
    }),
  );
}

test.each(["F16", "Q8_0", "Q4_0"] as const)("%s: the same bytes as gguf.quantize", async (type) => {
  const reference = await SafetensorsFile.open(`${FIXTURES}gguf/types.safetensors`);
  const values = (await reference.read("values")).data as Float32Array;
  const expected = (await reference.read(`quantized.${type}`)).data as Uint8Array;
  await reference.close();
  expect(quantize(type, values)).toEqual(expected);
  expect(
    quantize(
      type,
      Float32Array.from({ length: 32 }, () => 1e9),
    ),
  ).toBeUndefined();
});

/** What gguf's own writer wrote of the same checkpoints (scripts/fixtures/gguf_files.py); those below llama.cpp loads and agrees with (docs/log.md). */
describe.each([
  "llama",
  "llama-llama3-rope",
  "llama-biases",
  "qwen2",
  "qwen2-tied",
  "qwen3",
  "qwen3_moe",
  "deepseek_v2",
  "deepseek_v3",
  "deepseek_v3-yarn",
])("%s", (name) => {
  test("is written as llama.cpp has it, and read back to the same model", async () => {
    const out = join(scratch, `${name}.gguf`);
    const { type, tensors } = await convertModel(parity(name), out, { type: "f32" });
    expect(type).toBe("f32");
    const [own, theirs] = [out, `${FIXTURES}gguf/${name}.gguf`].map((path) => {
      const { tensors, metadata } = readGgufHeader(path);
      const file = readFileSync(path);
      const data = [...tensors.values()].map((tensor): [string, object] => [
        tensor.name,
        // factors go through another cosine
        tensor.name === "rope_freqs.weight"
          ? tensor.shape
          : { shape: tensor.shape, data: file.subarray(tensor.begin, tensor.begin + tensor.bytes).toString("hex") },
      ]);
      const fields = [...metadata].filter(([key]) => /^(?:llama|qwen|deepseek)/.test(key));
      return { tensors: new Map(data), fields: new Map(fields) };
    });
    expect(own!.tensors).toEqual(theirs!.tensors);
    expect(tensors).toBe(theirs!.tensors.size);
    // theirs leaves out what has a default
    for (const [key, value] of theirs!.fields) expect(own!.fields.get(key), key).toEqual(value);

    const folder = join(scratch, `${name} folder`);
    expect(await convertModel(out, folder)).toMatchObject({ form: "folder", type: "f32" });
    const [before, after] = await Promise.all([weightsOf(parity(name)), weightsOf(folder)]);
    expect(after).toEqual(before);
    expect(readdirSync(folder)).toContain("sumbi.json");
  });
});

test("4 and 8 bits: the head in 8, routers and vectors in f32, rows that are no whole blocks in f16, all told", async () => {
  const out = join(scratch, "nano.gguf");
  const { notes, tensors } = await convertModel(NANO, out, { type: "q4_0" });
  expect(tensors).toBe(62);
  expect(notes).toContain(
    "not used: the 66 tensors of the MTP modules (multi-token prediction: for training and drafts)",
  );
  const { header } = readGguf(out);
  const typeOf = (name: string) => header.tensors.get(name)?.type.name;
  expect(typeOf("token_embd.weight")).toBe("Q4_0");
  expect(typeOf("output.weight")).toBe("Q8_0");
  expect(typeOf("blk.1.ffn_gate_inp.weight")).toBe("F32");
  expect(typeOf("blk.1.exp_probs_b.bias")).toBe("F32");
  expect(typeOf("blk.1.ffn_down_exps.weight")).toBe("Q4_0");
  expect(header.metadata.get("general.file_type")).toBe(2);
  const again = join(scratch, "again.gguf");
  await convertModel(NANO, again, { type: "q4_0" });
  expect(readFileSync(again).equals(readFileSync(out))).toBe(true);
  const small = await convertModel(parity("llama"), join(scratch, "small.gguf"), { type: "q8_0" });
  expect(small.notes).toContain("16 matrices are in f16, since their rows are no multiple of 32");
});

test("the tokenizer goes along: the same ids, control tokens, ends and template", async () => {
  const out = join(scratch, "words.gguf");
  await convertModel(NANO, out);
  const [before, after] = [NANO, out].map((path) => loadTokenizer(path));
  const texts = JSON.parse(readFileSync(`${FIXTURES}gguf/tokenizers.json`, "utf8")) as { strings: string[] };
  for (const text of [...texts.strings, "12345 <think>6789</think>"]) {
    expect(after!.encode(text), text).toEqual(before!.encode(text));
    expect(after!.encode(text, { special: false }), text).toEqual(before!.encode(text, { special: false }));
  }
  expect(after!.eosIds).toEqual(before!.eosIds);
  expect(after!.bosId).toBe(before!.bosId);
  expect(after!.chatTemplate).toBe(before!.chatTemplate);
  expect(after!.surrounding).toEqual(before!.surrounding);
  expect(after!.isSpecial(after!.idOf("<think>")!)).toBe(false);
});

test("as the file has it where nothing is said: bf16 stays bf16, blocks become f32", async () => {
  const gguf = join(scratch, "bf16.gguf");
  await convertModel(NANO, gguf, { type: "f16" });
  const out = join(scratch, "f16 folder");
  expect(await convertModel(gguf, out)).toMatchObject({ type: "f16" });
  await using checkpoint = await openCheckpoint(out);
  expect(checkpoint.config.dtype).toBe("float16");
  expect(checkpoint.info("model.layers.1.mlp.gate.weight").dtype).toBe("f32");
  const copy = join(scratch, "copy");
  expect(await convertModel(NANO, copy)).toMatchObject({ type: "bf16" });
  expect(await weightsOf(copy)).toEqual(await weightsOf(NANO));
  expect(existsSync(join(copy, "tokenizer.json"))).toBe(true);
});

test.each(["q8_0", "q4_0"] as const)(
  "%s is loaded as the blocks that the file has, heads turned back",
  async (type) => {
    const config = parseConfig({
      model_type: "llama",
      vocab_size: 40,
      hidden_size: 64,
      intermediate_size: 96,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      num_key_value_heads: 2,
    });
    const dir = join(scratch, `llama ${type}`);
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.5;
    const tensors = Array.from(listParameters(config), ({ key, shape }) => ({
      key,
      shape,
      data: Float32Array.from({ length: sizeOf(shape) }, random),
    }));
    await saveCheckpoint(dir, { config, tensors, dtype: "f32" });
    const out = join(scratch, `llama-${type}.gguf`);
    await convertModel(dir, out, { type });
    const [kept, plain, asked] = await Promise.all(
      (["kept", "f32", type === "q8_0" ? 8 : 4] as const).map((form) =>
        loadWeights(out, config, { form: (_, shape) => (shape.length > 1 ? form : "f32") }),
      ),
    );
    const key = "model.layers.0.self_attn.k_proj.weight";
    const [blocks, values] = [
      kept!.weights.get(key) as BlockWeight,
      plain!.weights.get(key) as HostTensor<Float32Array>,
    ];
    expect(blocks).toMatchObject({ dtype: "blocks", bits: type === "q8_0" ? 8 : 4, shape: [32, 64] });
    expect(fromBlocks(blocks)).toEqual(values);
    expect(asked!.weights.get(key)).toEqual(blocks);
    // asked for as bf16 (the embedding of a model in f32) they are what they stand for: a product with blocks would round its rows
    const short = await loadWeights(out, config, { form: (_, shape) => (shape.length > 1 ? "bf16" : "f32") });
    expect(short.weights.get(key)).toEqual(values);
    // within half a step of what was written, in its place
    const written = tensors.find((tensor) => tensor.key === key)!.data;
    const step = type === "q8_0" ? 0.5 / 127 : 0.5 / 8;
    values.data.forEach((x, i) => expect(Math.abs(x - written[i]!)).toBeLessThan(1.1 * step));
    expect((kept!.weights.get("model.norm.weight") as HostTensor).dtype).toBe("f32");
  },
);

describe("what is in the way", () => {
  const at = (name: string) => join(scratch, "way", name);
  mkdirSync(join(scratch, "way"));
  const convert = (name: string, overwrite = false) => convertModel(parity("llama"), at(name), { overwrite });

  test("a file that Sumbi wrote is replaced when asked to; one that was changed since, or is another's, never", async () => {
    await convert("own.gguf");
    const bytes = readFileSync(at("own.gguf"));
    await expect(convert("own.gguf")).rejects.toThrow(/own\.gguf: is a model that Sumbi wrote.+--overwrite/);
    await convert("own.gguf", true);
    expect(readFileSync(at("own.gguf")).equals(bytes)).toBe(true);
    appendFileSync(at("own.gguf"), "note");
    await expect(convert("own.gguf", true)).rejects.toThrow(/not as Sumbi wrote it; it was left alone/);
    writeFileSync(at("theirs.gguf"), readFileSync(`${FIXTURES}gguf/llama.gguf`));
    await expect(convert("theirs.gguf", true)).rejects.toThrow(/not as Sumbi wrote it/);
    writeFileSync(at("text.gguf"), "mine");
    await expect(convert("text.gguf", true)).rejects.toThrow(/not as Sumbi wrote it/);
    expect(readFileSync(at("text.gguf"), "utf8")).toBe("mine");
    mkdirSync(at("folder.gguf"));
    await expect(convert("folder.gguf", true)).rejects.toThrow(/not as Sumbi wrote it/);
    symlinkSync("nowhere", at("link.gguf"));
    await expect(convert("link.gguf", true)).rejects.toThrow(/not as Sumbi wrote it/);
    writeFileSync(at("empty.gguf"), "");
    await convert("empty.gguf");
  });

  test("a folder by the rules of every folder (021), and nothing half done is left", async () => {
    mkdirSync(at("notes"));
    writeFileSync(at("notes/plan.txt"), "mine");
    await expect(convert("notes", true)).rejects.toThrow(/holds files that Sumbi did not put there \(plan\.txt\)/);
    await convert("model");
    await expect(convert("model")).rejects.toThrow(/holds a model that Sumbi put there/);
    await convert("model", true);
    await expect(convertModel(parity("llama"), parity("llama"))).rejects.toThrow(/another place than the model's own/);
    expect(readdirSync(join(scratch, "way")).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe("what the other form has no word for", () => {
  test.each<[from: string, change: Record<string, unknown>, message: RegExp]>([
    ["deepseek_v3-yarn-uneven-mscale", {}, /mscale: expected mscale_all_dim, the same number/],
    ["deepseek_v3-odd-sizes", {}, /attention_bias: expected false, since llama\.cpp would compute another model/],
    ["deepseek_v3-plain-weights", {}, /rms_norm_eps: expected 1e-6/],
    ["deepseek_v3", { rope_interleave: false }, /rope_interleave: expected true/],
    ["qwen3-yarn-tied", {}, /attention_bias: expected false/],
    ["qwen3_moe", { norm_topk_prob: false }, /norm_topk_prob: expected true/],
  ])("%s %o", async (name, change, message) => {
    const dir =
      Object.keys(change).length === 0
        ? parity(name)
        : await changedFixture(join(scratch, name), name, { set: change });
    const convert = convertModel(dir, join(scratch, "refused.gguf"));
    await expect(convert).rejects.toThrow(message);
    await expect(convert).rejects.toThrow(dir);
    expect(existsSync(join(scratch, "refused.gguf"))).toBe(false);
  });

  test("types of the other form", async () => {
    await expect(convertModel(NANO, join(scratch, "x.gguf"), { type: "bf16" })).rejects.toThrow(
      /f32, f16, q8_0, q4_0 for a GGUF file, got bf16/,
    );
    await expect(convertModel(NANO, join(scratch, "x"), { type: "q8_0" })).rejects.toThrow(
      /f32, f16, bf16 for a folder, got q8_0/,
    );
  });
});

test("the verb says what it wrote, as text and as JSON, and what was wrong", async () => {
  const out = join(scratch, "verb.gguf");
  const run = (...args: string[]) => printed(() => main(["node", "sumbi", "convert", ...args]));
  const said = await run(parity("llama"), out, "--type", "f32");
  expect(said.out).toMatch(
    /^21 tensors \(f32, \d+\.\d kB\) in .*verb\.gguf\. Talk to it: npx sumbi chat .*verb\.gguf\n$/,
  );
  expect(said.err).toContain("llama has no tokenizer, so the file has none");
  const json = await run(parity("llama"), out, "--type", "f32", "--overwrite", "--json");
  expect(JSON.parse(json.out)).toMatchObject({ out, form: "gguf", type: "f32", tensors: 21 });
  expect(await run(parity("llama"), out)).toMatchObject({ result: 1, err: expect.stringContaining("--overwrite") });
  expect((await run(parity("llama"), out, "--type", "q5_1")).result).toBe(2);
  expect(await run("nowhere", out)).toMatchObject({
    result: 1,
    err: expect.stringContaining("nowhere: there is no such"),
  });
});
