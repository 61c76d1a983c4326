import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { SafetensorsFile } from "../../src/checkpoint/index.ts";
import { CheckpointError } from "../../src/errors.ts";
import { temporaryFolder } from "../folders.ts";
import { bytesOf, type Change, changedFixture, FIXTURES, logitsOf } from "../support/changed.ts";
import { distance } from "./harness.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
const fresh = () => join(temporary.dir, String(count++));
const KEY = "model.layers.0.mlp.up_proj";
const scale = (values: number[], shape: number[], name = "weight_scale"): Change["put"] => [
  { key: `${KEY}.${name}`, dtype: "f32", shape, bytes: () => bytesOf(Float32Array.from(values)) },
];
const quantized = (config: unknown): Change => ({ set: { quantization_config: config } });

// written by scripts/fixtures/fp8.py
describe.each(readdirSync(join(FIXTURES, "fp8")))("%s", (name) => {
  it("computes what transformers computes, which the codes alone would not", async () => {
    const dir = join(FIXTURES, "fp8", name);
    const file = await SafetensorsFile.open(join(dir, "reference.safetensors"));
    const ids = Array.from((await file.read("input_ids")).data as BigInt64Array, Number);
    const expected = (await file.read("logits")).data as Float32Array;
    await file.close();
    const { logits, notes } = await logitsOf(dir, ids);
    expect(distance(logits, expected)).toBeLessThan(1e-4);
    expect(notes).toEqual([]);
    const { errorWithoutScales } = JSON.parse(readFileSync(join(dir, "about.json"), "utf8")) as {
      errorWithoutScales: number;
    };
    expect(errorWithoutScales).toBeGreaterThan(1);
  });
});

describe("refused by name", () => {
  const group = (weights: object, more: object = {}) =>
    quantized({
      quant_method: "compressed-tensors",
      config_groups: { g: { weights: { type: "float", num_bits: 8, ...weights }, ...more } },
    });
  it.each<[string, string, Change, RegExp]>([
    ...["awq", "gptq", "bitsandbytes", "mxfp4", "torchao", "quark", undefined].map(
      (method): [string, string, Change, RegExp] => [
        String(method),
        "fp8-blocks",
        quantized({ quant_method: method }),
        new RegExp(
          `quant_method: expected fp8, .*, got ${method ? `"${method}"` : "undefined"}\\. Take the model's release in bf16`,
        ),
      ],
    ),
    [
      "something that is no object",
      "fp8-blocks",
      quantized("fp8"),
      /quantization_config: expected an object, got "fp8"/,
    ],
    [
      "another kind of FP8",
      "fp8-blocks",
      quantized({ quant_method: "fp8", fmt: "e5m2" }),
      /fmt: expected "e4m3", got "e5m2"/,
    ],
    [
      "blocks that are none",
      "fp8-blocks",
      quantized({ quant_method: "fp8", weight_block_size: [0, 8] }),
      /weight_block_size: expected \[rows, cols\], got \[0,8\]/,
    ],
    [
      "ModelOpt's four bits",
      "modelopt",
      quantized({ quant_method: "modelopt", quant_algo: "NVFP4" }),
      /quant_algo: expected FP8, .*, got "NVFP4"/,
    ],
    [
      "integers",
      "compressed-tensor",
      group({ type: "int" }),
      /config_groups\.g\.weights: expected 8-bit floats, got "8-bit int"/,
    ],
    [
      "groups within a row",
      "compressed-tensor",
      group({ strategy: "group", group_size: 32 }),
      /strategy: expected tensor, channel or block, got "group"/,
    ],
    ["zero points", "compressed-tensor", group({ symmetric: false }), /symmetric: expected true, got false/],
    [
      "another packing",
      "compressed-tensor",
      quantized({ quant_method: "compressed-tensors", format: "pack-quantized" }),
      /format: expected float-quantized or .*, got "pack-quantized"/,
    ],
    [
      "another packing of a group",
      "compressed-tensor",
      group({}, { format: "nvfp4-pack-quantized" }),
      /config_groups\.g\.format: expected/,
    ],
    [
      "weights that are not compressed",
      "compressed-tensor",
      quantized({ quant_method: "compressed-tensors", quantization_status: "frozen" }),
      /quantization_status: expected "compressed", got "frozen"/,
    ],
    [
      "sparse weights",
      "compressed-tensor",
      quantized({ quant_method: "compressed-tensors", sparsity_config: { format: "sparse-24-bitmask" } }),
      /sparsity_config\.format: expected "dense"/,
    ],
    [
      "turned weights",
      "compressed-tensor",
      quantized({ quant_method: "compressed-tensors", transform_config: { config_groups: { r: {} } } }),
      /transform_config: expected no transforms/,
    ],
    [
      "the older name of the field",
      "compressed-tensor",
      {
        set: { compression_config: { quant_method: "compressed-tensors", format: "int-quantized" } },
        remove: ["quantization_config"],
      },
      /compression_config\.format/,
    ],
    [
      "no scales",
      "fp8-blocks",
      { drop: [`${KEY}.weight_scale_inv`] },
      /up_proj\.weight": expected its scales .* found none\. If it was cast to FP8/,
    ],
    [
      "no scales and no word of it",
      "fbgemm",
      { drop: [`${KEY}.weight_scale`], remove: ["quantization_config"] },
      /up_proj\.weight": expected its scales/,
    ],
    ["two kinds of scales", "fp8-blocks", { put: scale([1], [1]) }, /expected scales of one kind, got both/],
    [
      "scales for other blocks",
      "compressed-block",
      { put: scale([1, 1], [1, 2]) },
      /expected ".*weight_scale" of shape \[3,2\] \(one per 8 × 8 block\), got \[1,2\]/,
    ],
    [
      "one scale where there should be blocks",
      "compressed-block",
      { put: scale([1], [1]) },
      /of shape \[3,2\].*got \[1\]/,
    ],
    [
      "scales of other rows",
      "compressed-channel",
      { put: scale([1, 1], [2, 1]) },
      /of one value, or of shape \[24\] or \[24,1\], got \[2,1\]/,
    ],
    [
      "a scale that is no number",
      "fbgemm",
      {
        put: scale(
          Array.from({ length: 24 }, (_, i) => (i === 3 ? NaN : 1)),
          [24, 1],
        ),
      },
      /up_proj\.weight: expected finite numbers, got NaN at 48 of 384/,
    ],
    [
      "FP8 where config.json says there is none",
      "modelopt",
      quantized({ quant_method: "modelopt", quant_algo: "FP8", ignore: ["up_proj"] }),
      /up_proj\.weight": expected a tensor that is not FP8, since config\.json lists its module/,
    ],
    [
      "zero points beside",
      "compressed-tensor",
      { put: scale([0], [1], "weight_zero_point") },
      /nothing reads: ".*up_proj\.weight_zero_point"/,
    ],
    [
      "AWQ's scale of the input",
      "modelopt",
      { put: scale([0], [1], "pre_quant_scale") },
      /nothing reads: ".*up_proj\.pre_quant_scale"/,
    ],
  ])("%s", async (_, name, change, message) => {
    const dir = await changedFixture(fresh(), `fp8/${name}`, change);
    const error: unknown = await logitsOf(dir, [1, 2]).then(
      () => expect.fail("computed"),
      (thrown: unknown) => thrown,
    );
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(dir);
    expect(error).toBeInstanceOf(CheckpointError);
  });
});
