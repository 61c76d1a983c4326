import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { decodeE4m3, encodeBf16, encodeE4m3, encodeF16 } from "./floats.ts";

// Written by scripts/make-checkpoint-fixture.py with the Python library.
const fixtures = fileURLToPath(new URL("./fixtures", import.meta.url));
interface Expected {
  dtype: string;
  shape: number[];
  bytesSha256: string;
  f32Sha256?: string;
}
const expected = (JSON.parse(readFileSync(`${fixtures}/fixture.json`, "utf8")) as { tensors: Record<string, Expected> })
  .tensors;

const TORCH_NAMES: Record<string, string> = {
  f32: "float32",
  f64: "float64",
  f16: "float16",
  bf16: "bfloat16",
  f8e4m3: "float8_e4m3fn",
  i64: "int64",
  i32: "int32",
  u8: "uint8",
  i8: "int8",
  bool: "bool",
};

const sha256 = (x: ArrayBufferView): string =>
  createHash("sha256")
    .update(new Uint8Array(x.buffer, x.byteOffset, x.byteLength))
    .digest("hex");

const oneNaN = (x: Float32Array): Float32Array => {
  const bits = new Int32Array(x.slice().buffer);
  for (let i = 0; i < bits.length; i++) if (Number.isNaN(x[i])) bits[i] = 0x7fc00000;
  return new Float32Array(bits.buffer);
};

let checkpoint: Checkpoint;
beforeAll(async () => void (checkpoint = await openCheckpoint(`${fixtures}/python`)));
afterAll(() => checkpoint.close());

test("lists what Python saved, over two shards, the FP8 scales aside", () => {
  expect(checkpoint.keys()).toEqual(
    Object.keys(expected)
      .filter((key) => key !== "layer.weight_scale_inv")
      .sort(),
  );
  expect(new Set(checkpoint.keys().map((key) => checkpoint.info(key).file)).size).toBe(2);
  expect(checkpoint.config).toEqual({ model_type: "deepseek_v3" });
});

test.each(Object.keys(expected))("%s: the same bytes as in Python", async (key) => {
  const tensor = await checkpoint.read(key);
  expect(TORCH_NAMES[tensor.dtype]).toBe(expected[key]!.dtype);
  expect(tensor.shape).toEqual(expected[key]!.shape);
  expect(sha256(tensor.data)).toBe(expected[key]!.bytesSha256);
});

test.each(Object.keys(expected).filter((key) => expected[key]!.f32Sha256))(
  "%s: the same values as PyTorch's as float32",
  async (key) => {
    // codes without scales are no weights: they are decoded only by who asks for them
    const values = key.endsWith(".f8")
      ? decodeE4m3((await checkpoint.read(key)).data as Uint8Array)
      : (await checkpoint.readF32(key)).data;
    expect(sha256(oneNaN(values))).toBe(expected[key]!.f32Sha256);
  },
);

test("integers are not read as floats by mistake", async () => {
  await expect(checkpoint.readF32("ints.i64")).rejects.toThrow(/"ints.i64": expected floating-point numbers, got i64/);
  expect((await checkpoint.read("ints.i64")).data).toEqual(BigInt64Array.of(2n ** 62n, -1n, 0n, -(2n ** 63n)));
});

test.each([
  ["x.f32", "x.bf16", encodeBf16],
  ["x.f32", "x.f16", encodeF16],
  ["awkward.f32", "awkward.f16", encodeF16],
  ["awkward.f32", "awkward.bf16", encodeBf16],
] as const)("%s encodes to PyTorch's %s", async (from, to, encode) => {
  const values = (await checkpoint.readF32(from)).data;
  const theirs = (await checkpoint.read(to)).data;
  // PyTorch's NaN may carry another payload.
  const ours = encode(values).map((code, i) => (Number.isNaN(values[i]) ? Number(theirs[i]) : code));
  expect(ours).toEqual(theirs);
});

test("clamped values encode to PyTorch's e4m3", async () => {
  expect(encodeE4m3((await checkpoint.readF32("x.f32")).data)).toEqual((await checkpoint.read("clamped.f8")).data);
});
