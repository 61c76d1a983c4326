/** Experts saved in stacks by transformers (scripts/fixtures/stacks.py) are the experts of the folder they came from. */
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { bytesOf, type Change, changedFixture, FIXTURES } from "../../test/support/changed.ts";
import { parseConfig } from "../model/index.ts";
import { encodeBf16, loadWeights, openCheckpoint, tensorsHeld } from "./index.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const load = (dir: string) => loadWeights(dir, (json) => parseConfig(json, dir));
const fresh = (() => {
  let count = 0;
  return () => join(temporary.dir, String(count++));
})();

describe.each(["qwen3_moe", "deepseek_v3"])("%s", (name) => {
  const dir = join(FIXTURES, "stacks", name);
  it("holds the same weights, number by number", async () => {
    const { weights } = await load(dir);
    expect(weights).toEqual((await load(join(FIXTURES, "parity", name))).weights);
    const folder = await openCheckpoint(dir);
    expect(folder.keys().length).toBeLessThan(weights.size);
    expect(tensorsHeld(folder, parseConfig(folder.config))).toBe(weights.size);
    await folder.close();
  });
});

describe("stacks that are not what config.json says", () => {
  const at = "model.layers.1.mlp.experts";
  const stack = (shape: number[], dtype: "f32" | "f8e4m3" = "f32") => ({
    key: `${at}.gate_up_proj`,
    dtype,
    shape,
    bytes: () => new Uint8Array(shape.reduce((a, b) => a * b, dtype === "f32" ? 4 : 1)),
  });
  it.each<[string, Change, RegExp]>([
    [
      "turned",
      { put: [stack([8, 20, 16])] },
      /gate_up_proj: expected \[8, 16, 20\] by config\.json, got \[8, 20, 16\]/,
    ],
    ["of other experts", { put: [stack([7, 16, 20])] }, /gate_up_proj: expected \[8, 16, 20\]/],
    ["in FP8", { put: [stack([8, 16, 20], "f8e4m3")] }, /expected experts in FP8 one by one/],
    ["missing", { drop: [`${at}.down_proj`] }, /experts\.0\.down_proj\.weight of \[20, 8\], found none/],
    [
      "beside experts one by one",
      { put: [0, 1, 2, 3, 4, 5, 6, 7].map((e) => ({ ...stack([20, 8]), key: `${at}.${e}.down_proj.weight` })) },
      /nothing reads: "model\.layers\.1\.mlp\.experts\.down_proj"/,
    ],
  ])("%s", async (_, change, message) => {
    await expect(load(await changedFixture(fresh(), "stacks/qwen3_moe", change))).rejects.toThrow(message);
  });

  it("bf16 stacks are read by their parts", async () => {
    const { weights } = await load(join(FIXTURES, "parity/qwen3_moe"));
    const keys = Array.from({ length: 8 }, (_, e) => `${at}.${e}.down_proj.weight`);
    const values = keys.flatMap((key) => [...(weights.get(key) as { data: Float32Array }).data]);
    const short = encodeBf16(Float32Array.from(values));
    const put = [{ key: `${at}.down_proj`, dtype: "bf16" as const, shape: [8, 20, 8], bytes: () => bytesOf(short) }];
    const read = await load(await changedFixture(fresh(), "stacks/qwen3_moe", { put }));
    keys.forEach((key, e) => {
      const { data } = read.weights.get(key) as { data: Float32Array };
      expect(encodeBf16(data)).toEqual(short.subarray(e * 160, (e + 1) * 160));
    });
  });
});
