import { describe, expect, it } from "vitest";
import { presetConfig } from "../../src/model/index.ts";
import { readRecipe, recipeNames } from "../../src/runs/index.ts";
import {
  applySettings,
  batchAt,
  knobsAt,
  parseRecipe,
  phasesOf,
  pretrainingSteps,
  rateAt,
  suitableLanes,
} from "../../src/train/index.ts";
import { MODEL, recipeOf } from "./fixture.ts";

/** Every number of V3's own recipe (arXiv:2412.19437 §4.2), as knobs. */
const V3 = {
  name: "v3",
  model: { ...MODEL, max_position_embeddings: 163840 },
  data: { fimRate: 0.1 },
  tokens: 14.8e12,
  sequence: 4096,
  batch: { start: 3072, end: 15360, rampTokens: 469e9 },
  microBatch: 3072,
  clip: 1,
  adamw: { beta1: 0.9, beta2: 0.95, weightDecay: 0.1 },
  learningRate: {
    warmupSteps: 2000,
    stages: [
      { from: 2.2e-4, tokens: 10e12 },
      { to: 2.2e-5, shape: "cosine", tokens: 4.3e12 },
      { tokens: 333e9 },
      { from: 7.3e-6, tokens: 167e9 },
    ],
  },
  balance: { gamma: 0.001, gammaEndTokens: 14.3e12, alpha: 1e-4 },
  mtp: { lambda: 0.3, changeTokens: 10e12, lambdaAfter: 0.1 },
  extension: [
    {
      sequence: 32768,
      steps: 1000,
      batch: 1920,
      learningRate: 7.3e-6,
      ropeScaling: {
        type: "yarn",
        factor: 40,
        original_max_position_embeddings: 4096,
        beta_fast: 32,
        beta_slow: 1,
        mscale: 1,
        mscale_all_dim: 1,
      },
    },
    {
      sequence: 131072,
      steps: 1000,
      batch: 480,
      learningRate: 7.3e-6,
      ropeScaling: {
        type: "yarn",
        factor: 40,
        original_max_position_embeddings: 4096,
        beta_fast: 32,
        beta_slow: 1,
        mscale: 1,
        mscale_all_dim: 1,
      },
    },
  ],
  precision: "fp8",
};

describe("recipe", () => {
  it("says V3's own schedule", () => {
    const recipe = parseRecipe(V3);
    const phases = phasesOf(recipe, MODEL);
    const [pretrain, extend] = phases as [(typeof phases)[0], (typeof phases)[0]];
    const at = (step: number, tokens: number) => knobsAt(recipe, pretrain, step, tokens);
    expect(at(999, 1e9).learningRate).toBeCloseTo(1.1e-4, 9);
    expect(at(5000, 5e12)).toEqual({ learningRate: 2.2e-4, batch: 15360, gamma: 0.001, lambda: 0.3 });
    expect(rateAt(recipe, 12.15e12)).toBeCloseTo((2.2e-4 + 2.2e-5) / 2, 9);
    expect(rateAt(recipe, 14.5e12)).toBeCloseTo(2.2e-5, 12);
    expect(rateAt(recipe, 14.7e12)).toBeCloseTo(7.3e-6, 12);
    expect(at(200_000, 14.4e12)).toMatchObject({ gamma: 0, lambda: 0.1 });
    expect([0, 100e9, 300e9, 468e9, 470e9].map((tokens) => batchAt(recipe, tokens))).toEqual([
      3072, 6144, 12288, 15360, 15360,
    ]);
    // 14.8T / (15360 · 4096) = 235,239 steps at the full batch; the ramp's smaller batches add a few thousand.
    expect(pretrainingSteps(recipe)).toBeGreaterThan(235_239);
    expect(pretrainingSteps(recipe)).toBeLessThan(245_000);
    expect(phases.map((p) => [p.name, p.sequence, p.toStep - p.fromStep])).toEqual([
      ["pretrain", 4096, pretrainingSteps(recipe)],
      ["extend-1", 32768, 1000],
      ["extend-2", 131072, 1000],
    ]);
    expect(knobsAt(recipe, extend, extend.fromStep, 14.8e12)).toMatchObject({ learningRate: 7.3e-6, batch: 1920 });
  });

  it("lists all faults at once, before any work", () => {
    const bad = {
      ...V3,
      clip: -1,
      batch: { start: 100, end: 15360, rampTokens: 1 },
      model: { ...MODEL, num_experts_per_tok: 99 },
      extra: 1,
    };
    expect(() => parseRecipe(bad, "bad.jsonc")).toThrow(
      /^bad\.jsonc: 3 faults\n {2}clip: .*\n {2}\(top\): Unrecognized key.*extra.*\n {2}model\.num_experts_per_tok: expected 1 to n_routed_experts 8, got 99$/,
    );
    expect(() => parseRecipe({ ...V3, batch: { start: 4000, end: 15360, rampTokens: 0 } })).toThrow(
      /batch\.start: expected a multiple of microBatch 3072, got 4000; nearest: 3072[\s\S]*batch\.rampTokens/,
    );
    expect(() => parseRecipe({ ...V3, learningRate: { stages: [{ shape: "cosine" }, {}] } })).toThrow(
      /stages\.0\.tokens[\s\S]*stages\.0\.from[\s\S]*stages\.0\.to/,
    );
    expect(() => parseRecipe(null)).toThrow(/1 fault/);
  });

  it("takes settings by dotted path", () => {
    const json = applySettings({ tokens: 1, adamw: { beta1: 0.9 } }, [
      "adamw.beta2=0.99",
      "name=abc",
      'learningRate.stages=[{"from":1}]',
    ]);
    expect(json).toEqual({
      tokens: 1,
      adamw: { beta1: 0.9, beta2: 0.99 },
      name: "abc",
      learningRate: { stages: [{ from: 1 }] },
    });
    expect(() => applySettings({}, ["novalue"])).toThrow(/expected key=value/);
    expect(() => applySettings({}, ["__proto__.x=1"])).toThrow(/not a recipe key/);
    expect(() => applySettings({ tokens: 1 }, ["tokens.x=1"])).toThrow(/not a group/);
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  it("every recipe that comes with Sumbi is whole", () => {
    expect(recipeNames()).toContain("nano");
    for (const name of recipeNames()) {
      const recipe = parseRecipe(readRecipe(name).json, name);
      expect(recipe.name).toBe(name);
      // What the recipe says of its length is what the model will have been trained at.
      expect(phasesOf(recipe, recipe.model as Record<string, unknown>).at(-1)!.config.max_position_embeddings).toBe(
        (recipe.model as Record<string, unknown>)["max_position_embeddings"],
      );
      expect(phasesOf(recipe, recipe.model as Record<string, unknown>)[0]!.toStep).toBeGreaterThan(10);
    }
  });

  it("splits an extension's batch so that no more tokens are held at once", () => {
    const recipe = recipeOf({
      extension: [
        {
          sequence: 64,
          steps: 2,
          batch: 6,
          learningRate: 1e-3,
          ropeScaling: { type: "yarn", factor: 4, original_max_position_embeddings: 128 },
        },
      ],
    });
    expect(phasesOf(recipe, MODEL)[1]).toMatchObject({ microBatch: 2, sequence: 64 });
    expect(presetConfig("deepseek-v3")).toBeDefined();
  });

  it("an extension keeps the model's theta, wherever config.json has it, and its own original length", () => {
    const ropeScaling = { type: "yarn", factor: 4, original_max_position_embeddings: 128 };
    const recipe = recipeOf({ extension: [{ sequence: 64, steps: 2, batch: 6, learningRate: 1e-3, ropeScaling }] });
    const { rope_theta: _, ...rest } = MODEL;
    const [before, after] = phasesOf(recipe, {
      ...rest,
      rope_parameters: { rope_type: "default", rope_theta: 5e5 },
      original_max_position_embeddings: 7,
    });
    expect(before!.config.rope_parameters).toMatchObject({ rope_type: "default", rope_theta: 5e5 });
    expect(after!.config.rope_parameters).toMatchObject({
      rope_type: "yarn",
      factor: 4,
      rope_theta: 5e5,
      original_max_position_embeddings: 128,
    });
  });

  it("a sequence longer than the model's positions is refused, in any phase", () => {
    const extension = [
      { sequence: 64, steps: 2, batch: 6, learningRate: 1e-3 },
      { sequence: 129, steps: 2, batch: 6, learningRate: 1e-3 },
    ];
    expect(() => recipeOf({ sequence: 129, tokens: 1e6, extension })).toThrow(
      /2 faults\n {2}sequence: expected at most model\.max_position_embeddings 128, got 129; raise that too\n {2}extension\.1\.sequence: expected at most .* 128, got 129; raise that too$/,
    );
    expect(recipeOf({ sequence: 128, tokens: 1e6 }).sequence).toBe(128);
    expect(() => phasesOf(recipeOf({ model: "a/folder", sequence: 129, tokens: 1e6 }), MODEL)).toThrow(
      /sequence: expected at most max_position_embeddings 128 of a\/folder, got 129/,
    );
  });

  it("each phase's config says the longest sequence trained so far, however long the recipe lets it be", () => {
    const lengths = (recipe: ReturnType<typeof recipeOf>) =>
      phasesOf(recipe, MODEL).map((phase) => [
        phase.config.max_position_embeddings,
        phase.configJson["max_position_embeddings"],
      ]);
    const extension = [
      { sequence: 64, steps: 2, batch: 6, learningRate: 1e-3 },
      { sequence: 32, steps: 2, batch: 6, learningRate: 1e-3 },
    ];
    expect(lengths(recipeOf({ extension }))).toEqual([
      [16, 16],
      [64, 64],
      [64, 64],
    ]);
    // A checkpoint was trained by others to what it says; an extension goes beyond.
    expect(lengths(recipeOf({ model: "a/folder", extension: [{ ...extension[0], sequence: 256 }] }))).toEqual([
      [128, 128],
      [256, 256],
    ]);
  });

  it("an extension without ropeScaling turns positions as before; with it, from the length before", () => {
    const phase = { steps: 2, batch: 6, learningRate: 1e-3 };
    const extension = [
      { ...phase, sequence: 32 },
      { ...phase, sequence: 64, ropeScaling: { type: "yarn", factor: 2 } },
      { ...phase, sequence: 128 },
    ];
    const model = { ...MODEL, rope_theta: undefined, rope_parameters: { rope_type: "default", rope_theta: 5e4 } };
    const ropes = phasesOf(recipeOf({ model, extension }), model).map(({ config: { rope_parameters: rope } }) => [
      rope.rope_type,
      rope.rope_theta,
      rope.factor,
      rope.original_max_position_embeddings,
    ]);
    expect(ropes.map(([type, theta, factor]) => [type, theta, factor])).toEqual([
      ["default", 5e4, 1],
      ["default", 5e4, 1],
      ["yarn", 5e4, 2],
      ["yarn", 5e4, 2],
    ]);
    expect(ropes.slice(2).map((rope) => rope[3])).toEqual([32, 32]);
    // A stretched rope that counts from max_position_embeddings keeps what it counted from.
    const stretched = { ...MODEL, rope_scaling: { type: "yarn", factor: 4 } };
    expect(phasesOf(recipeOf({ model: stretched }), stretched)[0]!.config).toMatchObject({
      max_position_embeddings: 16,
      rope_parameters: { original_max_position_embeddings: 128 },
    });
  });

  it("lanes: those that suit the machine, a divisor of the micro-batch, each worth its while", () => {
    const of = (microBatch: number, sequence: number, threads: number) =>
      suitableLanes(
        recipeOf({
          model: { ...MODEL, max_position_embeddings: sequence },
          batch: { end: microBatch },
          sequence,
          tokens: 1e6,
        }),
        threads,
      );
    expect([
      of(8, 256, 1),
      of(8, 256, 2),
      of(8, 256, 6),
      of(8, 256, 16),
      of(6, 512, 4),
      of(8, 32, 4),
      of(1, 4096, 8),
    ]).toEqual([1, 2, 4, 4, 3, 1, 1]);
    expect(() => recipeOf({ lanes: 3 })).toThrow(/lanes: expected a divisor of microBatch 8, got 3; nearest: 2/);
  });

  it("refuses moving averages that would never move, and threads without number", () => {
    for (const adamw of [{ beta1: 1 }, { beta2: 1 }, { beta1: -0.1 }])
      expect(() => recipeOf({ adamw })).toThrow(/adamw\.beta[12]/);
    expect(() => recipeOf({ muon: { momentum: 1 } })).toThrow(/muon\.momentum/);
    expect(() => recipeOf({ data: { workers: 100_000 } })).toThrow(/data\.workers/);
  });

  it("refuses numbers that nobody trains with, at once, and takes the largest that it allows", () => {
    const refused = (more: Record<string, unknown>, what: RegExp) => expect(() => recipeOf(more)).toThrow(what);
    refused({ tokens: 1e30 }, /tokens: .*<=1000000000000000/);
    refused({ tokens: 1e30, batch: { start: 8, end: 16, rampTokens: 1e30 } }, /tokens: [\s\S]*batch\.rampTokens: /);
    refused({ batch: { end: 1e9 } }, /batch\.end: /);
    refused({ sequence: 1e9 }, /sequence: /);
    refused(
      { batch: { end: 2 ** 20 }, sequence: 1024, tokens: 1e12 },
      /microBatch: expected at most 16777216 tokens at once, got 1048576 × sequence 1024; nearest: 16384/,
    );
    refused({ lanes: 1e6 }, /lanes: /);
    refused({ muon: { iterations: 1e9 } }, /muon\.iterations: /);
    refused(
      { learningRate: { stages: Array.from({ length: 1e5 }, () => ({ from: 1e-3, tokens: 1 })) } },
      /learningRate\.stages: /,
    );
    refused(
      { extension: [{ sequence: 64, steps: 1e12, batch: 6, learningRate: 1e-3, ropeScaling: {} }] },
      /extension\.0\.steps: /,
    );
    const recipe = recipeOf({ tokens: 1e15, batch: { start: 8, end: 2 ** 24, rampTokens: 469e9 }, microBatch: 8 });
    expect(phasesOf(recipe, MODEL)[0]?.toStep).toBe(pretrainingSteps(recipe));
  });

  it("takes a setting as text where the recipe wants text", () => {
    const set = (...settings: string[]) => applySettings({ name: "a", tokenizer: { from: "x" } }, settings);
    expect(set("name=123")["name"]).toBe("123");
    expect(set("model=2024")["model"]).toBe("2024");
    expect(set("tokenizer.from=7")).toMatchObject({ tokenizer: { from: "7" } });
    expect(set("seed=7", "clip=0.5", 'data.paths=["a"]', "learningRate.stages=[]")).toMatchObject({
      seed: 7,
      clip: 0.5,
      data: { paths: ["a"] },
      learningRate: { stages: [] },
    });
    // What is wrong as both stays as it was typed, for the message.
    expect(set("clip=true")["clip"]).toBe(true);
    expect(set("nothing.here=1")).toMatchObject({ nothing: { here: 1 } });
  });
});
