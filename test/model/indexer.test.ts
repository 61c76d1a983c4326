/** What the indexer of DeepSeek-V3.2 changes: nothing until a token sees more than index_topk others, then what it attends to. */
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { SafetensorsFile } from "../../src/checkpoint/index.ts";
import { temporaryFolder } from "../folders.ts";
import { type Change, changedFixture, FIXTURES, logitsOf, tokensOf } from "../support/changed.ts";
import { distance } from "./harness.ts";

const NAME = "deepseek_v32";
const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const logits = async (name: string, change: Change) =>
  (await logitsOf(await changedFixture(join(temporary.dir, name), NAME, change), await tokensOf(NAME))).logits;

describe("the indexer", () => {
  it("leaves V3 as it is while index_topk holds every token, and changes only rows beyond it", async () => {
    const file = await SafetensorsFile.open(join(FIXTURES, "parity", NAME, "model.safetensors"));
    const drop = [...file.tensors.keys()].filter((key) => key.includes(".indexer."));
    await file.close();
    expect(drop.length).toBe(10);
    const remove = ["index_topk", "index_n_heads", "index_head_dim", "layer_types", "mlp_layer_types"];
    const v3 = await logits("v3", { drop, remove, set: { model_type: "deepseek_v3" } });
    const wide = await logits("wide", { set: { index_topk: 13 } });
    expect(distance(wide, v3)).toBeLessThan(1e-5);
    const five = await logits("five", {});
    const V = 53;
    expect(distance(five.subarray(0, 5 * V), v3.subarray(0, 5 * V))).toBeLessThan(1e-5);
    for (let t = 5; t < 13; t++)
      expect(distance(five.subarray(t * V, (t + 1) * V), v3.subarray(t * V, (t + 1) * V)), `row ${t}`).toBeGreaterThan(
        1e-3,
      );
  });

  it("takes the order of mixtures from mlp_layer_types, or from first_k_dense_replace", async () => {
    const listed = await logits("listed", {});
    expect(await logits("counted", { remove: ["mlp_layer_types"] })).toEqual(listed);
    expect(await logits("both", { set: { first_k_dense_replace: 2 } })).toEqual(listed);
  });
});
