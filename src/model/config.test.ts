import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../errors.ts";
import { headDims, isMoeLayer, parseConfig } from "./config.ts";
import { parameterShapes, trainableShapes } from "./parameters.ts";
import { PRESETS, presetConfig } from "./presets.ts";

const FIXTURES = new URL("../../test/fixtures/", import.meta.url);

/** Shapes by key from a safetensors header. */
function headerShapes(file: URL): Map<string, number[]> {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, { shape: number[] }>;
  delete header.__metadata__;
  return new Map(Object.entries(header).map(([key, { shape }]) => [key, shape]));
}

describe("parameterShapes", () => {
  const folders = ["parity", "mtp"].flatMap((kind) =>
    readdirSync(new URL(kind, FIXTURES)).map((name) => `${kind}/${name}`),
  );
  it.each(folders)("%s: keys and shapes are those transformers wrote", (folder) => {
    const config = parseConfig(JSON.parse(readFileSync(new URL(`${folder}/config.json`, FIXTURES), "utf8")));
    const sorted = (map: Map<string, number[]>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(sorted(parameterShapes(config))).toEqual(
      sorted(headerShapes(new URL(`${folder}/model.safetensors`, FIXTURES))),
    );
    const gradients = [...headerShapes(new URL(`${folder}/reference.safetensors`, FIXTURES))]
      .filter(([key]) => key.startsWith("grad."))
      .map(([key, shape]) => [key.slice(5), shape] as [string, number[]]);
    expect(sorted(trainableShapes(config))).toEqual(sorted(new Map(gradients)));
  });
});

describe("parseConfig", () => {
  const v3 = PRESETS["deepseek-v3"]!.config;
  it("keeps config.json's fields and reads rope in both forms", () => {
    const config = presetConfig("deepseek-v3");
    expect(config).toMatchObject({ hidden_size: 7168, kv_lora_rank: 512, n_group: 8, tie_word_embeddings: false });
    expect(config.rope_parameters).toMatchObject({
      rope_type: "yarn",
      rope_theta: 10000,
      factor: 40,
      mscale_all_dim: 1,
    });
    expect(headDims(config)).toEqual({ nope: 128, rope: 64, query: 192, value: 128 });
    expect([2, 3, 60].map((i) => isMoeLayer(config, i))).toEqual([false, true, true]);
    const { rope_theta, rope_scaling, ...rest } = v3;
    const modern = { ...rest, rope_parameters: { ...(rope_scaling as object), rope_theta, rope_type: "yarn" } };
    expect(parseConfig(modern).rope_parameters).toEqual(config.rope_parameters);
  });

  describe("fields that are absent are transformers'", () => {
    const file = new URL("transformers-defaults.json", FIXTURES);
    const { defaults } = JSON.parse(readFileSync(file, "utf8")) as {
      defaults: Record<string, Record<string, unknown>>;
    };
    /** What transformers has fields for and no forward pass in f32 reads, or what follows from others. */
    const NOT_COMPUTED = [
      "attention_dropout",
      "output_router_logits",
      "pretraining_tp",
      "router_aux_loss_coef",
      "use_cache",
      "qk_head_dim",
    ];
    /** Here null means: from another field. */
    const DERIVED_LISTS = { mlp_layer_types: null };
    const WINDOWS = ["layer_types", "max_window_layers", "sliding_window", "use_sliding_window"];
    /** Fields that only DeepSeek's own code knows: their one value is what transformers computes. */
    const ONE_VALUE = {
      moe_layer_freq: 1,
      scoring_func: { deepseek_v3: "sigmoid", deepseek_v32: "sigmoid", deepseek_v2: "softmax" },
      topk_method: { deepseek_v3: "noaux_tc", deepseek_v32: "noaux_tc" },
      rope_interleave: { deepseek_v32: true },
    };

    it.each(Object.keys(defaults))("%s", (type) => {
      const { num_local_experts, ...theirs } = { ...defaults[type] };
      if (type === "qwen3_moe") theirs.num_experts = num_local_experts;
      const ours: Record<string, unknown> = {
        ...parseConfig(type === "deepseek_v2" ? { model_type: type, num_experts_per_tok: 6 } : { model_type: type }),
      };
      // where they say null or nothing, ours says what that means
      const meaning: Record<string, unknown> = {
        rope_parameters: expect.objectContaining(theirs.rope_parameters as object),
        ...(type === "deepseek_v2" && { n_group: 1, topk_group: 1, num_experts_per_tok: 6 }),
        ...(type.startsWith("deepseek_v3") && { num_nextn_predict_layers: 0 }),
        ...(type === "deepseek_v32" && DERIVED_LISTS),
        ...(["llama", "qwen2", "qwen3_moe"].includes(type) && { head_dim: null }),
      };
      for (const field of [...NOT_COMPUTED, ...WINDOWS, ...(type.startsWith("deepseek") ? ["head_dim"] : [])])
        delete theirs[field];
      for (const [field, value] of Object.entries(ONE_VALUE)) {
        const one =
          typeof value === "object"
            ? (value as Record<string, string>)[type]
            : type.startsWith("deepseek")
              ? value
              : undefined;
        if (one === undefined) continue;
        expect(ours[field]).toBe(one);
        delete ours[field];
      }
      delete ours.model_type;
      expect(ours).toEqual({ ...theirs, ...meaning });
      if (type === "llama") expect(headDims(parseConfig({ model_type: type })).query).toBe(defaults.llama!.head_dim);
    });

    it("but sizes must be there in what people write by hand", () => {
      const { hidden_size: _, kv_lora_rank: __, ...rest } = v3;
      expect(() => parseConfig(rest, "x", { sizes: "stated" })).toThrow(
        /2 faults\n {2}hidden_size: expected a positive whole number, got nothing\n {2}kv_lora_rank: /,
      );
      expect(parseConfig(rest)).toMatchObject({ hidden_size: 7168, kv_lora_rank: 512 });
      expect(() => parseConfig(v3, "x", { sizes: "stated" })).not.toThrow();
    });
  });

  it("lists every fault with what was expected and what came", () => {
    const broken = {
      ...v3,
      hidden_size: -1,
      vocab_size: "many",
      num_experts_per_tok: 8,
      rope_scaling: { type: "dynamic" },
    };
    expect(() => parseConfig(broken, "x/config.json")).toThrow(
      expect.objectContaining({
        message:
          "x/config.json: 3 faults\n" +
          '  vocab_size: expected a positive whole number, got "many"\n' +
          "  hidden_size: expected a positive whole number, got -1\n" +
          '  rope_scaling.rope_type: expected one of default, linear, llama3, yarn, got "dynamic"',
      }),
    );
  });

  it.each([
    [{ n_group: 7 }, "n_group: expected a divisor of n_routed_experts 256, got 7"],
    [{ topk_group: 9 }, "topk_group: expected at most n_group 8, got 9"],
    [
      { num_experts_per_tok: 200 },
      "num_experts_per_tok: expected at most 128, the experts of topk_group 4 groups, got 200",
    ],
    [{ scoring_func: "softmax" }, 'scoring_func: expected "sigmoid", got "softmax"'],
    [{ hidden_act: "gelu" }, 'hidden_act: expected "silu", got "gelu"'],
    [{ rope_scaling: { type: "yarn" } }, "rope_scaling.factor: expected a positive number, got nothing"],
  ])("refuses %j", (change, message) => {
    expect(() => parseConfig({ ...v3, ...change })).toThrow(message);
  });

  it("refuses unknown architectures and things that are no object", () => {
    expect(() => parseConfig({ model_type: "gpt2" })).toThrow(/model_type: expected one of .*, got "gpt2"/);
    expect(() => parseConfig({ model_type: "__proto__" })).toThrow(ConfigError);
    expect(() => parseConfig([])).toThrow("expected an object, got []");
  });

  it("never fails with anything but a ConfigError", () => {
    const fields = fc.constantFrom(...Object.keys(v3), "head_dim", "rope_parameters", "moe_layer_freq");
    const values = fc.oneof(fc.jsonValue(), fc.constant(0), fc.constant(-0.5), fc.integer());
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(PRESETS)), fields, values, ({ config }, field, value) => {
        try {
          const parsed = parseConfig({ ...config, [field]: value });
          expect(parsed.rope_parameters.rope_theta).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
