import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SafetensorsFile } from "../../src/checkpoint/index.ts";
import { CheckpointError, ConfigError } from "../../src/errors.ts";
import { temporaryFolder } from "../folders.ts";
import { type Change, changedFixture, FIXTURES, logitsOf, tokensOf } from "../support/changed.ts";
import { distance } from "./harness.ts";

// written by scripts/fixtures/settings.py: what transformers makes of each changed checkpoint
const { cases } = JSON.parse(readFileSync(join(FIXTURES, "settings.json"), "utf8")) as {
  cases: Record<string, Change & { fixture: string }>;
};
const temporary = temporaryFolder();
let expected: SafetensorsFile;
beforeAll(async () => void (expected = await SafetensorsFile.open(join(FIXTURES, "settings.safetensors"))));
afterAll(async () => {
  await expected.close();
  temporary[Symbol.dispose]();
});
let count = 0;
const fresh = () => join(temporary.dir, String(count++));

describe("a changed checkpoint computes what transformers computes", () => {
  it.each(Object.entries(cases))("%s", async (name, { fixture, ...change }) => {
    const { logits, notes } = await logitsOf(await changedFixture(fresh(), fixture, change), await tokensOf(fixture));
    expect(distance(logits, (await expected.read(name)).data as Float32Array)).toBeLessThan(1e-4);
    expect(notes.filter((note) => note.includes("lm_head.weight")).length).toBe(
      name === "tied, with another head in the file" ? 1 : 0,
    );
  });
});

describe("what would compute something else is refused by name", () => {
  const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 };
  it.each<[string, string, Change, RegExp]>([
    [
      "rope by layer type",
      "qwen3",
      { set: { rope_parameters: { full_attention: yarn } } },
      /rope_parameters\.full_attention: expected one set of parameters for all layers/,
    ],
    [
      "rope by layer type in rope_scaling",
      "llama",
      { set: { rope_scaling: { full_attention: yarn } } },
      /rope_scaling\.full_attention: expected one set/,
    ],
    [
      "heads turned in part, with YaRN",
      "deepseek_v3",
      { set: { rope_parameters: { ...yarn, partial_rotary_factor: 0.5 } } },
      /rope_parameters\.partial_rotary_factor: expected 1/,
    ],
    [
      "heads turned in part, beside",
      "llama",
      { set: { partial_rotary_factor: 0.5 } },
      /partial_rotary_factor: expected 1/,
    ],
    [
      "a theta that rope_scaling loses",
      "qwen3",
      { set: { rope_parameters: { rope_theta: 1e6 }, rope_scaling: yarn } },
      /rope_scaling\.rope_theta: expected a number, since rope_scaling replaces rope_parameters and its rope_theta 1000000, got nothing/,
    ],
    [
      "dynamic angles",
      "llama",
      { set: { rope_parameters: { rope_type: "dynamic", factor: 2 } } },
      /rope_type: expected one of default, linear, llama3, yarn, got "dynamic"/,
    ],
    [
      "longrope",
      "qwen3",
      { set: { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } } },
      /rope_scaling\.rope_type: expected one of/,
    ],
    [
      "truncation that is neither",
      "qwen3",
      { set: { rope_parameters: { ...yarn, truncate: null } } },
      /rope_parameters\.truncate: expected true or false/,
    ],
    [
      "sliding layers",
      "qwen3",
      { set: { layer_types: ["full_attention", "sliding_attention"], sliding_window: 4 } },
      /layer_types\[1\]: expected "full_attention".*"sliding_attention"/,
    ],
    [
      "chunked layers",
      "llama",
      { set: { layer_types: ["chunked_attention", "full_attention"] } },
      /layer_types\[0\]: expected "full_attention"/,
    ],
    [
      "types for other layers",
      "qwen2",
      { set: { layer_types: ["full_attention"] } },
      /layer_types: expected one type for each of the 2 layers, got "1 of them"/,
    ],
    [
      "Qwen's windows",
      "qwen2",
      { set: { use_sliding_window: true, sliding_window: 4, max_window_layers: 1 }, remove: ["layer_types"] },
      /use_sliding_window: expected false/,
    ],
    ["a window in llama", "llama", { set: { sliding_window: 8 } }, /sliding_window: expected nothing/],
    ["attention in chunks", "llama", { set: { attention_chunk_size: 8 } }, /attention_chunk_size: expected nothing/],
    ["attention to later tokens", "llama", { set: { is_causal: false } }, /is_causal: expected true/],
    [
      "layers that differ",
      "llama",
      { set: { per_layer_config: { 1: { num_key_value_heads: 4 } } } },
      /per_layer_config: expected nothing/,
    ],
    [
      "fewer key heads in MLA",
      "deepseek_v3",
      { set: { num_key_value_heads: 1 } },
      /num_key_value_heads: expected num_attention_heads 3.*got 1/,
    ],
    [
      "key heads by default in MLA",
      "deepseek_v3",
      { remove: ["num_key_value_heads"] },
      /num_key_value_heads: expected num_attention_heads 3.*absent means 128.*got nothing/,
    ],
    [
      "V3.2's indexer",
      "deepseek_v3",
      { set: { index_topk: 4 } },
      /index_topk: expected nothing: deepseek_v3 has no indexer/,
    ],
    [
      "V3.2 with pairs turned by halves",
      "deepseek_v32",
      { set: { rope_interleave: false } },
      /rope_interleave: expected true/,
    ],
    [
      "V3.2 without a query latent",
      "deepseek_v32",
      { set: { q_lora_rank: null } },
      /q_lora_rank: expected a positive whole number, got null/,
    ],
    [
      "V3.2 read as V3",
      "deepseek_v32",
      { set: { model_type: "deepseek_v3" } },
      /index_topk: expected nothing: deepseek_v3 has no indexer/,
    ],
    [
      "layers of V3.2 that attend otherwise",
      "deepseek_v32",
      { set: { layer_types: ["indexed_attention", "full_attention"] } },
      /layer_types\[1\]: expected "indexed_attention".*"full_attention"/,
    ],
    [
      "blocks of V3.2 for other layers",
      "deepseek_v32",
      { set: { mlp_layer_types: ["dense"] } },
      /mlp_layer_types: expected one type for each of the 2 layers/,
    ],
    [
      "mixtures of V3.2 where the file has dense blocks",
      "deepseek_v32",
      { set: { mlp_layer_types: ["sparse", "sparse"] } },
      /expected a tensor model\.layers\.0\.mlp\.gate\.weight/,
    ],
    [
      "heads of the indexer narrower than what is turned",
      "deepseek_v32",
      { set: { index_head_dim: 2 } },
      /index_head_dim: expected at least qk_rope_head_dim 4, got 2/,
    ],
    [
      "angles that DeepSeekMoE's own code does not know",
      "deepseek",
      { set: { rope_scaling: yarn } },
      /rope_scaling\.type: expected "linear", the one that deepseek knows, got "yarn"/,
    ],
    [
      "Qwen's windows in mixtures, which all layers have",
      "qwen3_moe",
      { set: { use_sliding_window: true, sliding_window: 4, max_window_layers: 9 } },
      /use_sliding_window: expected false/,
    ],
    [
      "experts in layers that the file has dense",
      "qwen3_moe-sparse-steps",
      { set: { decoder_sparse_step: 1 } },
      /expected a tensor model\.layers\.0\.mlp\.gate\.weight/,
    ],
    [
      "dense layers that the file has experts in",
      "deepseek",
      { set: { moe_layer_freq: 3 } },
      /expected a tensor model\.layers\.1\.mlp\.gate_proj\.weight/,
    ],
    [
      "two names that disagree",
      "deepseek_v3",
      { set: { num_local_experts: 4 } },
      /num_local_experts: expected n_routed_experts 8/,
    ],
    [
      "no group counts for groups",
      "deepseek_v2",
      { remove: ["n_group"] },
      /n_group: expected a positive whole number, for group_limited_greedy/,
    ],
    [
      "null where it means nothing",
      "deepseek_v3",
      { set: { n_group: null } },
      /n_group: expected a positive whole number, got null/,
    ],
    [
      "another vocabulary",
      "llama",
      { set: { vocab_size: 54 } },
      /model\.embed_tokens\.weight: expected \[54, 24\] by config\.json, got \[53, 24\]/,
    ],
    [
      "layers that config.json leaves out",
      "llama",
      { set: { num_hidden_layers: 1 } },
      /got 9 more that nothing reads: "model\.layers\.1\./,
    ],
    [
      "biases that config.json leaves out",
      "llama-biases",
      { set: { attention_bias: false, mlp_bias: false } },
      /got 14 more that nothing reads: "model\.layers\.0\.mlp\.down_proj\.bias"/,
    ],
    [
      "norms of another architecture",
      "qwen3",
      { set: { model_type: "llama" } },
      /nothing reads: "model\.layers\.0\.self_attn\.k_norm\.weight"/,
    ],
    [
      "a bias of the head",
      "llama",
      { put: [{ key: "lm_head.bias", dtype: "f32", shape: [53], bytes: () => new Uint8Array(53 * 4) }] },
      /nothing reads: "lm_head\.bias"/,
    ],
    [
      "an indexer's tensors",
      "deepseek_v3",
      {
        put: [
          {
            key: "model.layers.0.self_attn.indexer.wk.weight",
            dtype: "f32",
            shape: [1],
            bytes: () => new Uint8Array(4),
          },
        ],
      },
      /nothing reads: "model\.layers\.0\.self_attn\.indexer/,
    ],
    [
      "a head that is missing",
      "llama",
      { drop: ["lm_head.weight"] },
      /expected a tensor lm_head\.weight of \[53, 24\], found none/,
    ],
  ])("%s", async (_, fixture, change, message) => {
    const dir = await changedFixture(fresh(), fixture, change);
    const error: unknown = await logitsOf(dir, [1, 2]).then(
      () => expect.fail("computed"),
      (thrown: unknown) => thrown,
    );
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(dir);
    expect(error instanceof ConfigError || error instanceof CheckpointError).toBe(true);
  });

  it.each([
    [NaN, "NaN"],
    [Infinity, "Infinity"],
    [-Infinity, "-Infinity"],
  ])("a weight of %s", async (value, name) => {
    const norm = new Float32Array(24).fill(1);
    norm[7] = value;
    const put = [
      {
        key: "model.layers.1.input_layernorm.weight",
        dtype: "f32" as const,
        shape: [24],
        bytes: () => new Uint8Array(norm.buffer),
      },
    ];
    const dir = await changedFixture(fresh(), "llama", { put });
    await expect(logitsOf(dir, [1])).rejects.toThrow(
      `model.layers.1.input_layernorm.weight: expected finite numbers, got ${name} at 7 of 24`,
    );
  });
});

describe("tensors that are read past", () => {
  const buffer = (key: string) => ({ key, dtype: "f32" as const, shape: [2], bytes: () => new Uint8Array(8) });
  it("are the angles that old releases saved, and what holds no number", async () => {
    const empty = {
      key: "model.layers.1.mlp.shared_experts.up_proj.weight",
      dtype: "f32" as const,
      shape: [0, 24],
      bytes: () => new Uint8Array(0),
    };
    const put = [
      buffer("model.layers.0.self_attn.rotary_emb.inv_freq"),
      buffer("model.rotary_emb.inv_freq"),
      buffer("model.position_ids"),
      empty,
    ];
    const dir = await changedFixture(fresh(), "llama", { put });
    const tokens = await tokensOf("llama");
    const plain = await logitsOf(join(FIXTURES, "parity/llama"), tokens);
    expect((await logitsOf(dir, tokens)).logits).toEqual(plain.logits);
  });

  it("are MTP modules, and that is told; also where config.json does not count them", async () => {
    const tokens = [3, 1, 4, 1, 5];
    const plain = await logitsOf(join(FIXTURES, "mtp/depth-1"), tokens);
    expect(plain.notes).toEqual([expect.stringMatching(/^not used: the \d+ tensors of the MTP modules/)]);
    const dropped = await changedFixture(fresh(), "mtp/depth-1", { remove: ["num_nextn_predict_layers"] });
    expect(await logitsOf(dropped, tokens)).toEqual(plain);
  });
});
