import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { CheckpointError } from "../errors.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { tokenizerFiles } from "./files.ts";
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from "./floats.ts";
import { dequantizeBlocks, quantizeBlocks } from "./fp8.ts";
import { writeSafetensors } from "./safetensors.ts";
import { type SavedTensor, saveCheckpoint } from "./save.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let dir = "";
beforeEach(() => void (dir = join(temporary.dir, `model-${count++}`)));

const bytesOf = (x: ArrayBufferView): Uint8Array => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
const ramp = (n: number, start = 0): Float32Array => new Float32Array(n).map((_, i) => Math.sin(start + i));
const readAll = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), "hex")]),
  );

test("anything saved is read back, rounded as its dtype says, over any number of shards", async () => {
  const tensor = fc.record({
    key: fc
      .string({ minLength: 1, maxLength: 8, unit: "binary" })
      .filter((key) => key !== "__metadata__" && !key.endsWith("_scale_inv")),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
    seed: fc.float({ noNaN: true, noDefaultInfinity: true }),
  });
  const dtype = fc.constantFrom("bf16", "f16", "f32");
  const tensors = fc.uniqueArray(tensor, { selector: (t) => t.key, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(tensors, dtype, fc.integer({ min: 1, max: 200 }), async (specs, checkpointDType, shardBytes) => {
      const saved = specs.map(({ key, shape, seed }): SavedTensor & { data: Float32Array } => {
        const size = shape.reduce((a, b) => a * b, 1);
        return { key, shape, data: Float32Array.from({ length: size }, (_, i) => seed * (1 + i / 7)) };
      });
      await saveCheckpoint(dir, {
        config: { n: 1 },
        tensors: saved,
        dtype: checkpointDType,
        shardBytes,
        overwrite: true,
      });
      await using checkpoint = await openCheckpoint(dir);
      expect(checkpoint.keys()).toEqual(saved.map(({ key }) => key).sort());
      for (const { key, shape, data } of saved) {
        const expected =
          checkpointDType === "f32"
            ? data
            : checkpointDType === "bf16"
              ? decodeBf16(encodeBf16(data))
              : decodeF16(encodeF16(data));
        const read = await checkpoint.readF32(key);
        expect(read.shape).toEqual(shape);
        expect(bytesOf(read.data)).toEqual(bytesOf(expected));
        expect(checkpoint.info(key)).toMatchObject({
          dtype: checkpointDType,
          bytes: data.length * (checkpointDType === "f32" ? 4 : 2),
        });
      }
    }),
    { numRuns: 20 },
  );
});

describe("saveCheckpoint", () => {
  const tensors = (): SavedTensor[] => [
    { key: "b.weight", shape: [3, 2], data: ramp(6) },
    { key: "a.weight", shape: [4], data: () => Promise.resolve(ramp(4, 9)) },
    { key: "model.layers.1.mlp.gate.e_score_correction_bias", shape: [2], data: Float32Array.of(1e-9, 1.0000001) },
    { key: "c.weight", shape: [1], data: ramp(1), dtype: "f16" },
  ];

  test("writes the layout that Hugging Face's tools expect", async () => {
    await saveCheckpoint(dir, {
      config: { model_type: "deepseek_v3" },
      tensors: tensors(),
      dtype: "bf16",
      shardBytes: 20,
      files: { "tokenizer.json": "{}" },
    });
    expect(readdirSync(dir).sort()).toEqual([
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
      "sumbi.json",
      "tokenizer.json",
    ]);
    expect(JSON.parse(readFileSync(join(dir, "model.safetensors.index.json"), "utf8"))).toEqual({
      metadata: { total_size: 12 + 8 + 8 + 2 },
      weight_map: {
        "a.weight": "model-00001-of-00002.safetensors",
        "b.weight": "model-00001-of-00002.safetensors",
        "c.weight": "model-00002-of-00002.safetensors",
        "model.layers.1.mlp.gate.e_score_correction_bias": "model-00002-of-00002.safetensors",
      },
    });
    const shard = readFileSync(join(dir, "model-00001-of-00002.safetensors"));
    const headerBytes = Number(shard.readBigUInt64LE());
    expect(headerBytes % 8).toBe(0);
    expect(shard.length).toBe(8 + headerBytes + 20);
    expect(JSON.parse(shard.toString("utf8", 8, 8 + headerBytes))).toEqual({
      __metadata__: { format: "pt" },
      "b.weight": { dtype: "BF16", shape: [3, 2], data_offsets: [0, 12] },
      "a.weight": { dtype: "BF16", shape: [4], data_offsets: [12, 20] },
    });
  });

  test("keeps the balance bias in f32 and heeds a tensor's own dtype", async () => {
    await saveCheckpoint(dir, { config: {}, tensors: tensors(), dtype: "bf16" });
    await using checkpoint = await openCheckpoint(dir);
    const bias = await checkpoint.read("model.layers.1.mlp.gate.e_score_correction_bias");
    expect(bias).toEqual({ dtype: "f32", shape: [2], data: Float32Array.of(1e-9, 1.0000001) });
    expect(checkpoint.info("c.weight").dtype).toBe("f16");
    expect(readdirSync(dir).sort()).toEqual(["config.json", "model.safetensors", "sumbi.json"]);
  });

  test("the same input gives the same bytes", async () => {
    const options = { config: { b: 1, a: [2] }, dtype: "f32", shardBytes: 30, files: { "x.txt": "x" } } as const;
    await saveCheckpoint(`${dir}-1`, { ...options, tensors: tensors() });
    await saveCheckpoint(`${dir}-2`, { ...options, tensors: new Set(tensors()) });
    expect(readAll(`${dir}-1`)).toEqual(readAll(`${dir}-2`));
  });

  test("holds one tensor at a time when data is given as functions", async () => {
    const events: string[] = [];
    let living = 0;
    const lazy = ["a", "b", "c"].map((key) => ({
      key,
      shape: [2],
      data: () => {
        events.push(key);
        expect(++living).toBe(1);
        queueMicrotask(() => living--);
        return ramp(2);
      },
    }));
    await saveCheckpoint(dir, { config: {}, tensors: lazy, dtype: "f32" });
    expect(events).toEqual(["a", "b", "c"]);
  });

  test("replaces a checkpoint only when asked, and someone's own folder never", async () => {
    const save = (value: number, overwrite?: boolean) =>
      saveCheckpoint(dir, {
        config: { value },
        tensors: [{ key: "w", shape: [1], data: Float32Array.of(value) }],
        dtype: "f32",
        overwrite,
      });
    mkdirSync(dir);
    await save(1);
    await expect(save(2)).rejects.toThrow(/exists already/);
    const before = readAll(dir);
    await save(3, true);
    expect(readAll(dir)).not.toEqual(before);
    const own = `${dir}-own`;
    mkdirSync(own);
    writeFiles(own, { "thesis.txt": "ten years" });
    const onOwn = saveCheckpoint(own, { config: {}, tensors: [], dtype: "f32", overwrite: true });
    await expect(onOwn).rejects.toThrow(
      /holds files that Sumbi did not put there \(thesis\.txt\); nothing in it was changed/,
    );
    expect(readdirSync(own)).toEqual(["thesis.txt"]);
    expect(readdirSync(temporary.dir).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test.each([
    ["too few values", [{ key: "w", shape: [3], data: ramp(2) }], {}, /tensor "w": expected 3 values for \[3\], got 2/],
    [
      "a name given twice",
      [
        { key: "w", shape: [1], data: ramp(1) },
        { key: "w", shape: [1], data: ramp(1) },
      ],
      {},
      /"w" is given twice/,
    ],
    [
      "a name given twice, in two shards",
      [
        { key: "w", shape: [1], data: ramp(1) },
        { key: "w", shape: [1], data: ramp(1) },
      ],
      { shardBytes: 1 },
      /two tensors have the same name/,
    ],
    ["the metadata's name", [{ key: "__metadata__", shape: [1], data: ramp(1) }], {}, /given twice/],
    ["a file that climbs out", [], { files: { "../x": "" } }, /expected a plain file name, got "..\/x"/],
  ])("%s is refused and leaves nothing", async (_, bad, options, message) => {
    const saving = saveCheckpoint(dir, { config: {}, tensors: bad, dtype: "f32", ...options });
    await expect(saving).rejects.toThrow(message);
    await expect(saving).rejects.toBeInstanceOf(CheckpointError);
    expect(readdirSync(temporary.dir).filter((name) => name.includes(dir.split("/").at(-1)!))).toEqual([]);
  });
});

describe("reading", () => {
  test("FP8 blocks as V3 stores them, the scales hidden from keys()", async () => {
    const [rows, cols] = [200, 300];
    const weights = ramp(rows * cols).map((x, i) => x * (1 + Math.floor(i / cols)));
    const { codes, scaleInv } = quantizeBlocks(weights, rows, cols);
    mkdirSync(dir);
    writeFiles(dir, { "config.json": '{"quantization_config":{"quant_method":"fp8","weight_block_size":[128,128]}}' });
    await writeSafetensors(join(dir, "model.safetensors"), [
      { key: "w.weight", dtype: "f8e4m3", shape: [rows, cols], bytes: () => codes },
      { key: "w.weight_scale_inv", dtype: "f32", shape: [2, 3], bytes: () => bytesOf(scaleInv) },
    ]);
    await using checkpoint = await openCheckpoint(dir);
    expect(checkpoint.keys()).toEqual(["w.weight"]);
    const { data } = await checkpoint.readF32("w.weight");
    expect(Buffer.compare(bytesOf(data), bytesOf(dequantizeBlocks({ rows, cols, codes, scaleInv })))).toBe(0);
    for (const i of [0, 127 * cols + 127, 128 * cols, 199 * cols + 299])
      expect(Math.abs(data[i]! - weights[i]!)).toBeLessThanOrEqual(Math.abs(weights[i]!) * 0.0625 + 0.2);
    expect(Buffer.compare((await checkpoint.read("w.weight")).data as Uint8Array, codes)).toBe(0);
  });

  test("tensors longer than one read, into the caller's memory, several at once", async () => {
    const size = 4_300_011;
    const x = ramp(size);
    const half = { key: "half", shape: [size], data: x, dtype: "bf16" } as const;
    await saveCheckpoint(dir, { config: {}, tensors: [half, { key: "full", shape: [size], data: x }], dtype: "f32" });
    await using checkpoint = await openCheckpoint(dir);
    const room = new Float32Array(size);
    const [full, decoded] = await Promise.all([checkpoint.readF32("full", room), checkpoint.readF32("half")]);
    expect(full.data).toBe(room);
    expect(Buffer.compare(bytesOf(room), bytesOf(x))).toBe(0);
    expect(Buffer.compare(bytesOf(decoded.data), bytesOf(decodeBf16(encodeBf16(x))))).toBe(0);
    await expect(checkpoint.readF32("full", new Float32Array(3))).rejects.toThrow(
      /expected room for 4300011 values, got 3/,
    );
  });

  test("a tensor that is not there", async () => {
    await saveCheckpoint(dir, { config: {}, tensors: [], dtype: "f32" });
    await using checkpoint = await openCheckpoint(dir);
    expect(checkpoint.keys()).toEqual([]);
    expect(checkpoint.has("toString")).toBe(false);
    expect(() => checkpoint.info("lm_head.weight")).toThrow(/no tensor "lm_head.weight"/);
  });

  test("tokenizerFiles takes what belongs to the tokenizer and nothing else", async () => {
    mkdirSync(dir);
    writeFiles(dir, {
      "tokenizer.json": "{}",
      "chat_template.jinja": "{{x}}",
      "model.safetensors": "x",
      "notes.md": "",
    });
    const files = await tokenizerFiles(dir);
    expect(Object.keys(files)).toEqual(["chat_template.jinja", "tokenizer.json"]);
    expect(new TextDecoder().decode(files["chat_template.jinja"])).toBe("{{x}}");
    await expect(tokenizerFiles(`${dir}-gone`)).rejects.toThrow(CheckpointError);
  });
});
