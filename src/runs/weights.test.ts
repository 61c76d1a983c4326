import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { changedFixture, FIXTURES } from "../../test/support/changed.ts";
import { parseConfig } from "../model/index.ts";
import { checkpointConfig } from "./weights.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
const fresh = () => join(temporary.dir, String(count++));

test("a run from an FP8 checkpoint has its sizes, and no word of FP8 to export", async () => {
  const json = await checkpointConfig(join(FIXTURES, "fp8/fp8-blocks"));
  expect(json).not.toHaveProperty("quantization_config");
  expect(parseConfig(json)).toMatchObject({ hidden_size: 16, tie_word_embeddings: false });
});

test("a run from a checkpoint whose head only config.json ties trains that head", async () => {
  const dir = await changedFixture(fresh(), "llama", { set: { tie_word_embeddings: true } });
  expect(await checkpointConfig(dir)).toMatchObject({ tie_word_embeddings: false });
  const tied = await changedFixture(fresh(), "qwen2-tied", {});
  expect(await checkpointConfig(tied)).toMatchObject({ tie_word_embeddings: true });
});

test("a run needs the MTP modules that config.json counts", async () => {
  const dir = await changedFixture(fresh(), "deepseek_v3", { set: { num_nextn_predict_layers: 1 } });
  await expect(checkpointConfig(dir)).rejects.toThrow(/expected .*tensors? /);
  expect(await checkpointConfig(join(FIXTURES, "mtp/depth-2"))).toMatchObject({ num_nextn_predict_layers: 2 });
  const own = await changedFixture(fresh(), "mtp/depth-1", { copy: { "model.embed_tokens.weight": "lm_head.weight" } });
  await expect(checkpointConfig(own)).rejects.toThrow(
    /embed_tokens\.weight: expected a copy of model\.embed_tokens\.weight, got other values/,
  );
});
