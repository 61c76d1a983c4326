import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { safetensorsBytes, temporaryFolder, writeFiles } from "../../test/folders.ts";
import { CheckpointError } from "../errors.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { parseHeader } from "./header.ts";
import { SafetensorsFile } from "./safetensors.ts";
import { saveCheckpoint } from "./save.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let dir = "";
beforeEach(() => mkdirSync((dir = join(temporary.dir, String(count++)))));

/** Opening must fail with a CheckpointError that names the file and matches, using little memory. */
async function expectRefused(open: () => Promise<unknown>, file: string, message: RegExp): Promise<void> {
  const before = process.memoryUsage();
  const error = await open().then(
    () => expect.fail("opened"),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  expect((error as Error).message).toContain(file);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message.length).toBeLessThan(1500);
  const after = process.memoryUsage();
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(64 * 2 ** 20);
}

async function expectFileRefused(bytes: Uint8Array, message: RegExp): Promise<void> {
  const path = join(dir, "bad.safetensors");
  writeFileSync(path, bytes);
  await expectRefused(() => SafetensorsFile.open(path), path, message);
}

const entry = (dtype: unknown, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets });
const data = (n: number) => new Uint8Array(n);

describe("the length of the header", () => {
  test.each([
    ["an empty file", new Uint8Array(0), /found 0 bytes/],
    ["seven bytes", new Uint8Array(7), /found 7 bytes/],
    ["2^63", safetensorsBytes("{}", data(0), 2n ** 63n), /9223372036854775808 bytes, over the limit/],
    ["2^64 - 1", safetensorsBytes("{}", data(0), 2n ** 64n - 1n), /over the limit/],
    ["just over the limit", safetensorsBytes("{}", data(0), 100_000_001n), /over the limit/],
    ["at the limit but past the file", safetensorsBytes("{}", data(0), 100_000_000n), /the file has 10 \(truncated/],
    ["one byte past the file", safetensorsBytes("{}", data(0), 3n), /the file has 10/],
    ["zero", safetensorsBytes("{}", data(0), 0n), /expected JSON/],
  ])("%s", (_, bytes, message) => expectFileRefused(bytes, message));
});

describe("the header's JSON", () => {
  test.each([
    ["not JSON", "{nonsense", /header: expected JSON/],
    ["not UTF-8", Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), /expected JSON in UTF-8/],
    ["a byte order mark", "\ufeff{}", /expected JSON/],
    ["comments", "{/* */}", /expected JSON/],
    ["an array", "[]", /to be a JSON object/],
    ["null", "null", /to be a JSON object/],
    ["a number", "7", /to be a JSON object/],
    [
      "a repeated tensor",
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      /"a" appears twice/,
    ],
    ["a repeated tensor, spelled otherwise", '{"a":1,"\\u0061":2}', /"a" appears twice/],
    ["a repeated field", '{"a":{"dtype":"U8","dtype":"F32","shape":[],"data_offsets":[0,4]}}', /"dtype" appears twice/],
    ["deep nesting", "[".repeat(200_000) + "]".repeat(200_000), /header/],
    ["deep nesting inside a tensor", `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, /header|"a"/],
    ["metadata of numbers", '{"__metadata__":{"a":1}}', /__metadata__/],
    ["metadata that is a list", '{"__metadata__":["a"]}', /__metadata__/],
    ["a tensor that is null", '{"a":null}', /tensor "a": expected \{dtype/],
    ["a tensor that is a list", '{"a":[]}', /tensor "a": expected \{dtype/],
    ["__proto__ as a tensor without fields", '{"__proto__":{"x":1}}', /tensor "__proto__": expected dtype/],
  ])("%s", (_, header, message) => expectFileRefused(safetensorsBytes(header, data(1)), message));
});

describe("a tensor's entry", () => {
  test.each([
    ["unknown dtype", entry("F8_E9M9", [1], [0, 1]), 1, /expected dtype .*got "F8_E9M9"/],
    ["dtype in lower case", entry("f32", [1], [0, 4]), 4, /got "f32"/],
    ["dtype missing", { shape: [1], data_offsets: [0, 4] }, 4, /expected dtype/],
    ["dtype toString", entry("toString", [1], [0, 4]), 4, /got "toString"/],
    ["shape missing", { dtype: "U8", data_offsets: [0, 4] }, 4, /expected a shape/],
    ["negative size", entry("U8", [-4], [0, 4]), 4, /expected a shape/],
    ["two negative sizes", entry("U8", [-2, -2], [0, 4]), 4, /expected a shape/],
    ["fractional size", entry("U8", [2.5], [0, 4]), 4, /expected a shape/],
    ["size as text", entry("U8", ["4"], [0, 4]), 4, /expected a shape/],
    ["shape overflows 2^53", entry("U8", [2 ** 31, 2 ** 31], [0, 4]), 4, /larger than any file/],
    ["shape overflows 2^64 to zero", entry("F32", [2 ** 32, 2 ** 32], [0, 0]), 0, /larger than any file/],
    ["shape overflows to infinity", entry("U8", Array(60).fill(2 ** 52), [0, 4]), 4, /larger than any file/],
    ["a zero after an overflow", entry("U8", [2 ** 52, 2 ** 52, 0], [0, 0]), 0, /larger than any file/],
    ["size of 1e300", entry("U8", [1e300], [0, 4]), 4, /expected a shape/],
    ["offsets missing", { dtype: "U8", shape: [4] }, 4, /expected data_offsets/],
    ["one offset", entry("U8", [4], [0]), 4, /expected data_offsets/],
    ["three offsets", entry("U8", [4], [0, 4, 4]), 4, /expected data_offsets/],
    ["negative offset", entry("U8", [4], [-4, 0]), 4, /expected data_offsets/],
    ["fractional offset", entry("U8", [4], [0.5, 4.5]), 4, /expected data_offsets/],
    ["offset of 2^63", entry("U8", [4], [0, 2 ** 63]), 4, /expected data_offsets/],
    ["reversed offsets", entry("U8", [4], [4, 0]), 4, /run backwards/],
    ["past the end", entry("F32", [1000], [0, 4000]), 8, /pass the end of the file, which holds 8/],
    ["fewer bytes than the shape", entry("F32", [4], [0, 8]), 8, /takes 16 bytes, data_offsets \[0, 8\] hold 8/],
    ["more bytes than the shape", entry("U8", [2], [0, 8]), 8, /takes 2 bytes/],
    ["a hole before it", entry("U8", [4], [4, 8]), 8, /hole of 4 bytes/],
    ["bytes left at the end", entry("U8", [4], [0, 4]), 8, /4 bytes at the end belong to no tensor/],
  ])("%s", async (_, tensor, bytes, message) => {
    const file = safetensorsBytes({ "model.weight": tensor }, data(bytes));
    await expectFileRefused(file, message);
    await expectFileRefused(file, /tensor "model\.weight"|the last one is "model\.weight"/);
  });

  test("overlaps and holes between tensors name both", async () => {
    const overlap = { a: entry("U8", [6], [0, 6]), b: entry("U8", [4], [4, 8]) };
    await expectFileRefused(safetensorsBytes(overlap, data(8)), /tensor "b": data_offsets \[4, 8\] overlap tensor "a"/);
    const same = { a: entry("U8", [8], [0, 8]), b: entry("U8", [8], [0, 8]) };
    await expectFileRefused(safetensorsBytes(same, data(8)), /tensor "b": .* overlap tensor "a"/);
    const hole = { b: entry("U8", [2], [6, 8]), a: entry("U8", [4], [0, 4]) };
    await expectFileRefused(safetensorsBytes(hole, data(8)), /tensor "b": .*hole of 2 bytes/);
  });

  test("a name made to fool a terminal is shown escaped and clipped", async () => {
    const name = `\u001b[2J\u202e${"x".repeat(100_000)}`;
    await expectFileRefused(safetensorsBytes({ [name]: entry("U8", [4], [4, 0]) }, data(4)), /\\u001b\[2J\\u202ex+…/);
  });
});

test("a right header is read whatever the order of its tensors", async () => {
  const path = join(dir, "good.safetensors");
  const header = {
    b: entry("U8", [2], [4, 6]),
    empty: entry("F32", [0, 3], [4, 4]),
    a: entry("I32", [1], [0, 4]),
    __metadata__: { format: "pt" },
  };
  writeFileSync(path, safetensorsBytes(header, Uint8Array.of(1, 2, 0, 0, 7, 8)));
  const file = await SafetensorsFile.open(path);
  expect((await file.read("b")).data).toEqual(Uint8Array.of(7, 8));
  expect((await file.read("a")).data).toEqual(Int32Array.of(513));
  expect((await file.read("empty")).data.length).toBe(0);
  await file.close();
});

test("any change of one byte in a header gives a good file or a CheckpointError", () => {
  const header = JSON.stringify({
    __metadata__: { format: "pt" },
    "a.weight": entry("BF16", [2, 3], [0, 12]),
    "b.weight": entry("F32", [2], [12, 20]),
  });
  const bytes = new TextEncoder().encode(header);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(40), (at, value, dataBytes) => {
      const changed = bytes.slice();
      changed[at] = value;
      try {
        let end = 0;
        for (const tensor of parseHeader(changed, dataBytes, "f").tensors.values()) end = Math.max(end, tensor.end);
        expect(end).toBe(dataBytes);
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
      }
    }),
    { numRuns: 2000 },
  );
});

test("any JSON as a header gives a good file or a CheckpointError", () => {
  const number = fc.oneof(fc.integer({ min: -2, max: 9 }), fc.double(), fc.constantFrom(2 ** 53, 2 ** 63, -1));
  const numbers = fc.oneof(fc.array(number, { maxLength: 4 }), fc.tuple(number, number));
  const tensor = fc.oneof(
    fc.jsonValue(),
    fc.record(
      { dtype: fc.constantFrom("U8", "F32", "BF16", "X"), shape: numbers, data_offsets: numbers },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), tensor), fc.nat(20), (header, dataBytes) => {
      try {
        const { tensors } = parseHeader(new TextEncoder().encode(JSON.stringify(header)), dataBytes, "f");
        const covered = [...tensors.values()].reduce((sum, { begin, end }) => sum + end - begin, 0);
        expect(covered).toBe(dataBytes);
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
      }
    }),
    { numRuns: 2000 },
  );
});

describe("a folder", () => {
  const config = "{}";
  const good = safetensorsBytes({ a: entry("U8", [2], [0, 2]) }, Uint8Array.of(1, 2));
  const two = safetensorsBytes({ a: entry("U8", [1], [0, 1]), b: entry("U8", [1], [1, 2]) }, Uint8Array.of(1, 2));
  const index = (map: unknown) => JSON.stringify({ metadata: {}, weight_map: map });

  test.each([
    ["no config.json", { "model.safetensors": good }, "config.json", /no such file/],
    ["config.json that is no JSON", { "model.safetensors": good, "config.json": "{" }, "config.json", /expected JSON/],
    [
      "config.json that is a list",
      { "model.safetensors": good, "config.json": "[]" },
      "config.json",
      /expected a JSON object/,
    ],
    [
      "config.json with a repeated key",
      { "model.safetensors": good, "config.json": '{"a":1,"a":2}' },
      "config.json",
      /appears twice/,
    ],
    ["no weights", { "config.json": config }, "", /found neither/],
    [
      "index without weight_map",
      { "config.json": config, "model.safetensors.index.json": "{}" },
      "index.json",
      /expected weight_map/,
    ],
    [
      "index with a repeated tensor",
      { "config.json": config, "model.safetensors.index.json": '{"weight_map":{"a":"x","a":"y"}}' },
      "index.json",
      /"a" appears twice/,
    ],
    [
      "missing shard",
      { "config.json": config, "model.safetensors.index.json": index({ a: "model-00001-of-00001.safetensors" }) },
      "index.json",
      /tensor "a": .*which is missing/,
    ],
    [
      "key missing in its shard",
      {
        "config.json": config,
        "m.safetensors": good,
        "model.safetensors.index.json": index({ a: "m.safetensors", b: "m.safetensors" }),
      },
      "index.json",
      /tensor "b": expected in "m.safetensors", which does not have it/,
    ],
    [
      "truncated shard",
      {
        "config.json": config,
        "m.safetensors": good.slice(0, -1),
        "model.safetensors.index.json": index({ a: "m.safetensors" }),
      },
      "m.safetensors",
      /tensor "a": .*truncated/,
    ],
    [
      "a tensor in two shards",
      {
        "config.json": config,
        "m.safetensors": good,
        "n.safetensors": two,
        "model.safetensors.index.json": index({ a: "m.safetensors", b: "n.safetensors" }),
      },
      "index.json",
      /tensor "a": expected it in one file, "m\.safetensors" and "n\.safetensors" have it/,
    ],
    [
      "an adapter beside the weights",
      { "config.json": config, "model.safetensors": good, "adapter_config.json": "{}" },
      "adapter_config.json",
      /expected a whole model, found the adapter of another .* this folder with --adapter/,
    ],
    [
      "nonsense FP8 block size",
      {
        "config.json": '{"quantization_config":{"quant_method":"fp8","weight_block_size":[0,128]}}',
        "model.safetensors": good,
      },
      "config.json",
      /weight_block_size/,
    ],
  ])("%s", async (_, files, file, message) => {
    writeFiles(dir, files);
    await expectRefused(() => openCheckpoint(dir), join(dir, ""), message);
    await expectRefused(() => openCheckpoint(dir), file, message);
  });

  test.each(
    [
      "../m.safetensors",
      "/etc/passwd",
      "sub/../../m.safetensors",
      "..",
      ".",
      "",
      "a//b",
      "..\\m",
      "C:m",
      "a\0b",
      7,
      null,
      ["m"],
    ].map((name) => ({ name })),
  )("index naming $name", async ({ name }) => {
    writeFiles(temporary.dir, { "m.safetensors": good });
    writeFiles(dir, { "config.json": config, "model.safetensors.index.json": index({ a: name }) });
    await expectRefused(() => openCheckpoint(dir), "index.json", /tensor "a": expected a file inside the folder/);
  });

  test("what an index forgets is there all the same, since transformers loads whole files", async () => {
    writeFiles(dir, {
      "config.json": config,
      "m.safetensors": two,
      "model.safetensors.index.json": index({ a: "m.safetensors" }),
    });
    await using checkpoint = await openCheckpoint(dir);
    expect(checkpoint.keys()).toEqual(["a", "b"]);
  });

  test("links that lead out are refused, links within and the Hugging Face cache's are followed", async () => {
    writeFiles(temporary.dir, { "outside.safetensors": good });
    writeFiles(dir, {
      "config.json": config,
      "real.safetensors": good,
      "model.safetensors.index.json": index({ a: "link.safetensors" }),
    });
    symlinkSync("../outside.safetensors", join(dir, "link.safetensors"));
    await expectRefused(
      () => openCheckpoint(dir),
      "index.json",
      /tensor "a": "link.safetensors" is a link that leads out/,
    );
    symlinkSync("../outside.safetensors", join(dir, "model.safetensors"));
    await expectRefused(() => openCheckpoint(dir), dir, /"model.safetensors" is a link that leads out/);

    const snapshot = join(dir, "models--x--y", "snapshots", "abc");
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(join(dir, "models--x--y", "blobs"));
    writeFiles(join(dir, "models--x--y", "blobs"), { "123": good });
    writeFiles(snapshot, { "config.json": config });
    symlinkSync("../../blobs/123", join(snapshot, "model.safetensors"));
    await using checkpoint = await openCheckpoint(snapshot);
    expect((await checkpoint.read("a")).data).toEqual(Uint8Array.of(1, 2));
  });

  test("a pipe, a folder and a missing folder in a file's place", async () => {
    writeFiles(dir, { "config.json": config });
    if (process.platform !== "win32") {
      execFileSync("mkfifo", [join(dir, "model.safetensors")]);
      await expectRefused(() => openCheckpoint(dir), "model.safetensors", /expected a file, found a pipe/);
    }
    mkdirSync(join(dir, "sub", "model.safetensors"), { recursive: true });
    writeFiles(join(dir, "sub"), { "config.json": config });
    await expectRefused(
      () => openCheckpoint(join(dir, "sub")),
      "model.safetensors",
      /expected a file|cannot be opened/,
    );
    await expectRefused(() => openCheckpoint(join(dir, "gone")), "gone", /no such folder/);
    await expectRefused(
      () => openCheckpoint(join(dir, "config.json")),
      "config.json",
      /expected a model folder, found a file/,
    );
  });

  test("a file that shrinks after it was opened names the tensor that is cut", async () => {
    await saveCheckpoint(join(dir, "m"), {
      config: {},
      dtype: "f32",
      tensors: [{ key: "w", shape: [1000], data: new Float32Array(1000) }],
    });
    await using checkpoint = await openCheckpoint(join(dir, "m"));
    truncateSync(join(dir, "m", "model.safetensors"), 2000);
    await expectRefused(() => checkpoint.read("w"), "model.safetensors", /tensor "w": .*truncated/);
    await expectRefused(() => checkpoint.readF32("w"), "model.safetensors", /tensor "w": .*truncated/);
  });

  test("a sparse file of eight terabytes is no reason to run out of memory", async () => {
    const size = 2 ** 43;
    const path = join(dir, "model.safetensors");
    writeFiles(dir, {
      "config.json": config,
      "model.safetensors": safetensorsBytes({ w: entry("U8", [size], [0, size]) }),
    });
    truncateSync(path, readFileSync(path).length + size);
    await using checkpoint = await openCheckpoint(dir);
    await expectRefused(
      () => checkpoint.read("w"),
      "model.safetensors",
      /tensor "w": 8796093022208 bytes do not fit in memory/,
    );
  });
});

describe("FP8 scales", () => {
  const fp8 = (scale: { dtype: string; shape: number[]; bytes: number } | undefined, shape = [2, 3]) =>
    safetensorsBytes(
      {
        w: entry("F8_E4M3", shape, [0, 6]),
        ...(scale && { w_scale_inv: entry(scale.dtype, scale.shape, [6, 6 + scale.bytes]) }),
      },
      data(6 + (scale?.bytes ?? 0)),
    );
  const quantized = '{"quantization_config":{"quant_method":"fp8"}}';

  test.each([
    ["missing", fp8(undefined), /tensor "w": expected its scales \("w_scale_inv" or "w_scale"\), found none/],
    [
      "of another shape",
      fp8({ dtype: "F32", shape: [1, 2], bytes: 8 }),
      /tensor "w": expected "w_scale_inv" of shape \[1,1\].*got \[1,2\]/,
    ],
    ["of integers", fp8({ dtype: "I32", shape: [1, 1], bytes: 4 }), /tensor "w_scale_inv": expected floating-point/],
    ["in fp8 themselves", fp8({ dtype: "F8_E4M3", shape: [1, 1], bytes: 1 }), /expected "w_scale_inv" in f32/],
    ["of a vector", fp8({ dtype: "F32", shape: [1, 1], bytes: 4 }, [6]), /expected an FP8 matrix/],
  ])("%s", async (_, file, message) => {
    writeFiles(dir, { "config.json": quantized, "model.safetensors": file });
    await using checkpoint = await openCheckpoint(dir);
    await expectRefused(() => checkpoint.readF32("w"), "model.safetensors", message);
  });
});
