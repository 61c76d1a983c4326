/** Counts are closed forms over kinds of layers: the same as counting tensor by tensor, at any size. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMoeLayer, type ModelConfig, mixtureOf, parseConfig } from "./config.ts";
import { countParameters, flopsPerDecodedToken, flopsPerToken, type ParameterCount, weightBytes } from "./flops.ts";
import { listParameters, type Part, parameterKinds, tensorCount } from "./parameters.ts";
import { PRESETS, presetConfig } from "./presets.ts";

/** Counted tensor by tensor, as the closed form must come out. */
function countOneByOne(config: ModelConfig, mtp: boolean): ParameterCount {
  const parts = new Map<Part, { total: number; active: number }>();
  for (const { key, shape, part, layer, sameAs } of listParameters(config)) {
    if (sameAs || (part === "MTP" && !mtp)) continue;
    const size = shape.reduce((a, b) => a * b, 1);
    const entry = parts.get(part) ?? { total: 0, active: 0 };
    entry.total += size;
    // tied, the embedding is the head too, and all of it counts there, once
    if (part === "embedding") entry.active += config.tie_word_embeddings ? 0 : config.hidden_size;
    else if (key.includes(".mlp.experts.") && layer !== undefined && isMoeLayer(config, layer))
      entry.active += (size * mixtureOf(config).perToken) / mixtureOf(config).experts;
    else entry.active += size;
    parts.set(part, entry);
  }
  if (config.tie_word_embeddings) parts.set("head", { total: 0, active: config.vocab_size * config.hidden_size });
  const list = Array.from(parts, ([part, count]) => ({ part, total: count.total, active: Math.round(count.active) }));
  const sum = (pick: "total" | "active") => list.reduce((a, entry) => a + entry[pick], 0);
  return { total: sum("total"), active: sum("active"), parts: list };
}

const small = (max: number, min = 1) => fc.integer({ min, max });
const deepseek = fc
  .record({
    model_type: fc.constantFrom("deepseek_v3", "deepseek_v32", "deepseek_v2"),
    vocab_size: small(50),
    hidden_size: small(20),
    intermediate_size: small(30),
    num_hidden_layers: small(6),
    num_attention_heads: small(4),
    q_lora_rank: fc.option(small(9)),
    kv_lora_rank: small(9),
    qk_nope_head_dim: small(8),
    qk_rope_head_dim: small(4).map((n) => 2 * n),
    v_head_dim: small(8),
    moe_intermediate_size: small(9),
    experts: fc.option(small(12)),
    n_shared_experts: small(2, 0),
    first_k_dense_replace: small(9, 0),
    num_nextn_predict_layers: small(3, 0),
    attention_bias: fc.boolean(),
    tie_word_embeddings: fc.boolean(),
  })
  .map(({ experts, ...config }) => ({
    ...config,
    ...(config.model_type === "deepseek_v32" && {
      q_lora_rank: config.q_lora_rank ?? 7,
      index_head_dim: config.qk_rope_head_dim + config.kv_lora_rank,
      index_n_heads: config.v_head_dim,
    }),
    num_key_value_heads: config.num_attention_heads,
    n_routed_experts: experts ?? 0,
    num_experts_per_tok: Math.min(experts ?? 0, 3),
    n_group: 1,
    topk_group: 1,
  }));
const grouped = fc
  .record({
    model_type: fc.constantFrom("llama", "qwen2", "qwen3", "qwen3_moe", "deepseek"),
    vocab_size: small(50),
    hidden_size: small(20),
    intermediate_size: small(30),
    num_hidden_layers: small(6),
    key: small(3),
    per: small(3),
    head_dim: small(6).map((n) => 2 * n),
    moe_intermediate_size: small(9),
    num_experts: small(12, 0),
    num_experts_per_tok: fc.constant(1),
    decoder_sparse_step: small(3),
    n_routed_experts: small(12, 0),
    n_shared_experts: small(2, 0),
    first_k_dense_replace: small(9, 0),
    moe_layer_freq: small(3),
    mlp_only_layers: fc.array(small(6, 0)),
    attention_bias: fc.boolean(),
    tie_word_embeddings: fc.boolean(),
    mlp_bias: fc.boolean(),
  })
  .map(({ key, per, head_dim, ...config }) => ({
    ...config,
    ...(config.model_type === "deepseek" ? { hidden_size: key * per * head_dim } : { head_dim }),
    num_attention_heads: key * per,
    num_key_value_heads: key,
  }));

describe("parameterKinds", () => {
  it("counts what listParameters lists: tensors, numbers, active numbers, of any model", () => {
    fc.assert(
      fc.property(fc.oneof(deepseek, grouped), (json) => {
        const config = parseConfig(json);
        const listed = [...listParameters(config)];
        expect(tensorCount(config)).toBe(listed.length);
        expect(tensorCount(config, { mtp: false })).toBe(listed.filter(({ part }) => part !== "MTP").length);
        const keys = new Map(listed.map((p) => [p.key, p]));
        for (const { key, count, routed, ...kind } of parameterKinds(config)) {
          const { layer: _, key: __, ...first } = keys.get(key) ?? { key };
          expect(first).toEqual(kind);
          expect(count).toBeGreaterThan(0);
          expect(routed).toBe(key.includes(".experts."));
        }
        for (const mtp of [false, true]) expect(countParameters(config, { mtp })).toEqual(countOneByOne(config, mtp));
      }),
      { numRuns: 100 },
    );
  });

  it.each(Object.keys(PRESETS))("%s is counted as tensor by tensor", (name) => {
    const config = presetConfig(name);
    for (const mtp of [false, true]) expect(countParameters(config, { mtp })).toEqual(countOneByOne(config, mtp));
  });

  it("takes 4,096 layers of 65,536 experts and whatever else a config.json may say", () => {
    const config = parseConfig({
      ...PRESETS["deepseek-v3"]!.config,
      num_hidden_layers: 4096,
      n_routed_experts: 65_536,
      n_group: 1,
      topk_group: 1,
      num_nextn_predict_layers: 64,
    });
    // Per layer: 2 norms, 7 of attention, router and its bias, 3 an expert, 3 shared; dense layers 3 instead; 6 more a module.
    const mixture = 2 + 7 + 2 + 3 * 65_536 + 3;
    expect(tensorCount(config)).toBe(3 + 3 * (2 + 7 + 3) + 4093 * mixture + 64 * (mixture + 6));
    expect(countParameters(config).total).toBeGreaterThan(4093 * 65_536 * 3 * 7168 * 2048);
    const absurd = parseConfig({
      ...PRESETS["deepseek-v3"]!.config,
      vocab_size: 2 ** 53 - 1,
      hidden_size: 2 ** 53 - 1,
      moe_intermediate_size: 2 ** 53 - 1,
      num_hidden_layers: 4096,
      n_routed_experts: 65_536,
      n_group: 1,
      topk_group: 1,
    });
    for (const count of [
      countParameters(absurd).total,
      countParameters(absurd).active,
      flopsPerToken(absurd, { sequence: 2 ** 53 - 1, mtp: true }).training,
      flopsPerDecodedToken(absurd, { context: 1e15 }),
      weightBytes(absurd),
    ])
      expect(Number.isFinite(count)).toBe(true);
  });
});
