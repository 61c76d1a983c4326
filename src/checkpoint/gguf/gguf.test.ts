import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { fromBlocks, parseConfig } from "../../model/index.ts";
import { openCheckpoint } from "../checkpoint.ts";
import { SafetensorsFile } from "../safetensors.ts";
import { loadWeights } from "../weights.ts";
import { dequantize, keepBlocks } from "./dequantize.ts";
import { readGguf } from "./file.ts";
import { readGgufHeader } from "./header.ts";
import { GGML_TYPE_NAMES } from "./types.ts";

const FIXTURES = fileURLToPath(new URL("../../../test/fixtures/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "sumbi-gguf-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const bits = (x: Float32Array): Int32Array => new Int32Array(x.buffer, x.byteOffset, x.length);

describe("types of blocks", () => {
  const path = `${FIXTURES}gguf/types.gguf`;
  const { tensors } = readGgufHeader(path);
  const file = readFileSync(path);
  const raw = (name: string) => {
    const { begin, bytes } = tensors.get(name)!;
    return new Uint8Array(file.subarray(begin, begin + bytes));
  };

  test("all that are read are in the fixture", () => {
    expect([...tensors.keys()].sort()).toEqual([...GGML_TYPE_NAMES].sort());
  });

  test.each(GGML_TYPE_NAMES)("%s: the same bits as gguf.dequantize", async (name) => {
    const reference = await SafetensorsFile.open(`${FIXTURES}gguf/types.safetensors`);
    const expected = (await reference.read(name)).data as Float32Array;
    await reference.close();
    const out = new Float32Array(expected.length);
    dequantize(name, raw(name), out);
    // −0 of a step of zero is 0 in numpy's whole numbers
    expect(bits(out.map((x) => x + 0))).toEqual(bits(expected.map((x) => x + 0)));
  });

  test.each(["Q4_0", "Q8_0"] as const)("%s stays blocks exactly", (name) => {
    const [rows, columns] = tensors.get(name)!.shape as [number, number];
    const out = new Float32Array(rows * columns);
    dequantize(name, raw(name), out);
    const kept = keepBlocks(name === "Q4_0" ? 4 : 8, raw(name), [rows, columns]);
    expect(fromBlocks(kept).data).toEqual(out);
  });
});

/** Checkpoints of test/fixtures/parity that gguf's writer wrote in llama.cpp's layout. */
const MODELS = [
  "llama",
  "llama-llama3-rope",
  "llama-biases",
  "qwen2",
  "qwen2-tied",
  "qwen3",
  "qwen3-yarn-tied",
  "deepseek_v2",
  "deepseek_v2-lite",
  "deepseek_v3",
  "deepseek_v3-negative-bias",
  "deepseek_v3-yarn",
  "qwen3_moe",
];

describe.each(MODELS)("%s", (name) => {
  test("every weight and what the config computes with are those of the folder", async () => {
    const [folder, gguf] = await Promise.all(
      [`${FIXTURES}parity/${name}`, `${FIXTURES}gguf/${name}.gguf`].map((path) =>
        loadWeights(path, (json) => parseConfig(json, path)),
      ),
    );
    expect([...gguf!.weights.keys()].sort()).toEqual([...folder!.weights.keys()].sort());
    for (const [key, weight] of folder!.weights) expect(gguf!.weights.get(key), key).toEqual(weight);
    // what no number comes of: token ids, initial values; head_dim that only repeats width / heads
    const computed = ({ config }: typeof folder & {}) => {
      const { bos_token_id, eos_token_id, pad_token_id, initializer_range, max_position_embeddings, ...rest } = config;
      const { rope_parameters, ...others } = rest as Record<string, unknown>;
      const { truncate, mscale, mscale_all_dim, original_max_position_embeddings, ...rope } = rope_parameters as Record<
        string,
        unknown
      >;
      const stretched = rope.rope_type === "default" ? {} : { original_max_position_embeddings };
      return { head_dim: null, ...others, rope: { ...rope, ...stretched, mscale, mscale_all_dim } };
    };
    const [ours, theirs] = [computed(gguf!), computed(folder!)];
    if (theirs.head_dim === null) ours.head_dim = null;
    expect(ours).toEqual(theirs);
  });
});

test("tensors are read when asked for, by rows, in the dtype of the file", async () => {
  await using checkpoint = await openCheckpoint(`${FIXTURES}gguf/deepseek_v3.gguf`);
  await using folder = await openCheckpoint(`${FIXTURES}parity/deepseek_v3`);
  expect(checkpoint.keys()).toEqual(folder.keys());
  const key = "model.layers.1.mlp.experts.5.down_proj.weight";
  expect(checkpoint.info(key)).toMatchObject({ dtype: "f32", shape: [20, 8], bytes: 640 });
  expect(await checkpoint.read(key)).toEqual(await folder.read(key));
  await expect(checkpoint.readF32("model.layers.9.mlp.gate.weight")).rejects.toThrow(/no tensor "model\.layers\.9/);
});

describe("files that are refused", () => {
  const llama = readFileSync(`${FIXTURES}gguf/llama.gguf`);

  /** The same file with every occurrence of some bytes replaced by as many others. */
  function changed(from: string | Uint8Array, to: string | Uint8Array, file = llama): string {
    const bytes = Buffer.from(file);
    const [find, put] = [Buffer.from(from), Buffer.from(to)];
    expect(put.length).toBe(find.length);
    let places = 0;
    for (let at = bytes.indexOf(find); at >= 0; at = bytes.indexOf(find, at + 1), places++) put.copy(bytes, at);
    expect(places).toBeGreaterThan(0);
    return written(bytes);
  }
  function written(bytes: Uint8Array, name = "model.gguf"): string {
    const path = join(scratch, name);
    writeFileSync(path, bytes);
    return path;
  }
  const u32 = (n: number) => Buffer.from(Uint32Array.of(n).buffer);
  /** A metadata entry of that name with a u32, its value changed. */
  const entry = (name: string, value: number) => Buffer.concat([Buffer.from(name), u32(4), u32(value)]);
  const field = (name: string, from: number, to: number) => changed(entry(name, from), entry(name, to));

  test.each<[what: string, path: () => string, message: RegExp]>([
    ["no GGUF", () => changed("GGUF", "GGML"), /expected a GGUF file/],
    [
      "version 1",
      () => written(Buffer.concat([llama.subarray(0, 4), u32(1), llama.subarray(8)])),
      /version 2 or 3, got 1/,
    ],
    [
      "big-endian",
      () => written(Buffer.concat([llama.subarray(0, 4), Buffer.from([0, 0, 0, 3]), llama.subarray(8)])),
      /big-endian/,
    ],
    [
      "a truncated file",
      () => written(llama.subarray(0, llama.length - 100)),
      /tensor .+: its data ends at .+ \(truncated\?\)/,
    ],
    ["a truncated header", () => written(llama.subarray(0, 200)), /the file ends after/],
    [
      "another architecture",
      () => changed("llama", "gemma"),
      /general\.architecture: expected llama, qwen2.+got "gemma"/,
    ],
    [
      "a field unknown here",
      () => changed("llama.vocab_size", "llama.vocab_sizf"),
      /"llama\.vocab_sizf": expected nothing of that name/,
    ],
    [
      "a missing field",
      () => changed("llama.embedding_length", "llama.attention.headXX"),
      /llama\.embedding_length: expected a positive whole number, got nothing/,
    ],
    ["experts in llama", () => changed("llama.vocab_size", "llama.expert_cou"), /expected nothing of that name/],
    ["a head that is turned in part", () => field("llama.attention.value_length", 6, 4), /value_length: expected 6/],
    [
      "a tensor nobody reads",
      () => changed("blk.1.ffn_up.weight", "blk.1.ffn_xp.weight"),
      /ffn_up|"blk\.1\.ffn_xp\.weight"|mlp\.up_proj/,
    ],
    ["a tensor twice", () => changed("blk.1.ffn_up.weight", "blk.0.ffn_up.weight"), /appears twice/],
    [
      "a type that is not read",
      () => typed(16),
      /tensor "output_norm\.weight": expected numbers in F32, .+ got IQ2_XXS/,
    ],
    ["rows that are no whole blocks", () => typed(2), /multiple of 32 numbers, since it is in Q4_0; got 24/],
    ["a dimension of zero", () => dimension(0n), /dimensions of 1 and more, got 0/],
    ["a dimension past every file", () => dimension(1n << 62n), /dimensions of 1 and more|larger than any file/],
    ["data that overlaps", () => offset(0n), /expected its data at \d+, after that of the tensor before, got 0/],
    ["data out of line", () => offset(33n), /expected its data at/],
    ["too many entries", () => counted(16, 1n << 40n), /metadata entries: expected at most 65536/],
    ["too many tensors", () => counted(8, 1n << 40n), /number of tensors: expected at most/],
  ])("%s", async (_, make, message) => {
    const path = make();
    const load = loadWeights(path, (json) => parseConfig(json, path));
    await expect(load).rejects.toThrow(message);
    await expect(load).rejects.toThrow(path);
  });

  function counted(at: number, count: bigint): string {
    const bytes = Buffer.from(llama);
    bytes.writeBigUInt64LE(count, at);
    return written(bytes);
  }
  /** Where the description of output_norm.weight, a vector, goes on behind its name. */
  const info = llama.indexOf("output_norm.weight") + "output_norm.weight".length;
  function typed(type: number): string {
    const bytes = Buffer.from(llama);
    bytes.writeUInt32LE(type, info + 12);
    return written(bytes);
  }
  function dimension(dim: bigint): string {
    const bytes = Buffer.from(llama);
    bytes.writeBigUInt64LE(dim, info + 4);
    return written(bytes);
  }
  function offset(at: bigint): string {
    const bytes = Buffer.from(llama);
    bytes.writeBigUInt64LE(at, info + 16);
    return written(bytes);
  }

  test("a number that is not finite", async () => {
    const bytes = Buffer.from(llama);
    bytes.writeFloatLE(
      Number.NaN,
      readGgufHeader(`${FIXTURES}gguf/llama.gguf`).tensors.get("output_norm.weight")!.begin,
    );
    const path = written(bytes);
    await expect(loadWeights(path, (json) => parseConfig(json, path))).rejects.toThrow(
      /model\.norm\.weight: expected finite/,
    );
  });

  test("angles that no rule of Llama 3 gives", () => {
    const path = `${FIXTURES}gguf/llama-llama3-rope.gguf`;
    const bytes = readFileSync(path);
    bytes.writeFloatLE(3.3, readGgufHeader(path).tensors.get("rope_freqs.weight")!.begin + 8);
    expect(() => readGguf(written(bytes))).toThrow(/rope_freqs\.weight: expected the factors of Llama 3\.1's rule/);
  });

  test("version 2 is read as version 3 is", () => {
    const bytes = Buffer.from(llama);
    bytes.writeUInt32LE(2, 4);
    expect(readGguf(written(bytes)).json).toEqual(readGguf(`${FIXTURES}gguf/llama.gguf`).json);
  });
});
