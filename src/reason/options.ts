/** What a stage of reinforcement is told: a recipe's keys, their defaults, how they are set and checked. */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { isRecord } from "../json.ts";
import { applySettings, costSchema } from "../train/index.ts";
import { validate } from "../validate.ts";
import { contradictionsOf, FORMULAS, withFormula } from "./formulas.ts";
import { loraSchema, withRate } from "./lora.ts";

export const whole = (least: number, most: number) => z.number().int().min(least).max(most);

/** Everything that decides how a policy is reinforced, and nothing of where files are. */
export const reinforceSchema = z.strictObject({
  /** A published formula: it sets keys below that are not set otherwise (`FORMULAS`); null takes away what it sets. */
  formula: z.enum(Object.keys(FORMULAS) as [keyof typeof FORMULAS]).default("mended"),
  steps: whole(1, 1_000_000).default(40),
  /** Problems of a step, and answers drawn to each: G. */
  problems: whole(1, 4096).default(16),
  group: whole(2, 1024).default(16),
  /** At most so many tokens of an answer. */
  maxTokens: whole(1, 32_768).default(128),
  temperature: z.number().min(0.01).max(10).default(1),
  /** Tokens are drawn from the likeliest that hold this share of the probability, or from so many; 1 and 0 cut nothing. */
  topP: z.number().gt(0).max(1).default(1),
  topK: whole(0, 1_000_000).default(0),
  /** Where tokens are cut: those cut in drawing are cut in training's softmax too. Default true. */
  samplingMask: z.boolean().nullish(),
  /** Groups whose answers are all alike teach nothing: up to so many times `problems` are asked until enough groups teach. 1: none are drawn anew. */
  resample: z.number().min(1).max(64).default(2),
  /** Groups that teach nothing: left out of a step's means (and of its KL), or counted in them. */
  deadGroups: z.enum(["leave", "count"]).default("leave"),
  /** What advantages are divided by: nothing (Dr. GRPO), or the group's deviation over n − 1 or n (R1). */
  scale: z.enum(["none", "sample", "population"]).default("none"),
  /** How tokens add up: ÷ (answers · maxTokens) (Dr. GRPO), mean of all tokens (DAPO), mean of each answer's mean (R1). */
  aggregation: z.enum(["longest", "token", "sequence"]).default("longest"),
  /** Updates that a batch of answers is divided into, at random, and how often it is gone through. */
  minibatches: whole(1, 4096).default(1),
  epochs: whole(1, 64).default(1),
  /** ρ of each token, or of whole answers: e to the mean of log ρ (GSPO). */
  ratio: z.enum(["token", "sequence"]).default("token"),
  /** min(ρA, clip(ρ)A), or the clipped ρ as a weight without a gradient of its own: sg(clip(ρ)) A log π (CISPO). */
  surrogate: z.enum(["clip", "weight"]).default("clip"),
  /** ρ counts down to 1 − low (where A < 0), up to 1 + high (where A > 0), and where A < 0 up to `dual`. Each may be left out. */
  ratioClip: z
    .strictObject({
      low: z.number().min(0).max(1e6).optional(),
      high: z.number().min(0).max(1e6).optional(),
      dual: z.number().gt(1).max(1e6).optional(),
    })
    .nullish(),
  /** δ: an answer with A < 0 is dropped from an update where its mean log π_old/π exceeds it (DeepSeek-V3.2). */
  offPolicyDelta: z.number().positive().max(1e6).nullish(),
  /** Tokens weigh min(π_old/π_drawn, `most`): where they were not drawn from π itself. */
  importance: z.strictObject({ most: z.number().min(1).max(1e6).default(3) }).nullish(),
  /** − β · KL(π ‖ π_ref): k3 = eᵈ − d − 1 (R1), or ρ · k3, whose gradient is the KL's (DeepSeek-V3.2). */
  kl: z
    .strictObject({ beta: z.number().positive().max(1000), estimator: z.enum(["k3", "unbiased"]).default("unbiased") })
    .nullish(),
  /** The reference is the policy as it began, replaced by the policy after every so many steps. */
  reference: z.strictObject({ everySteps: whole(1, 1_000_000) }).nullish(),
  /** Answers cut off at `maxTokens` count nothing in training. `buffer` is that of the reward's part `length`, which falls over so many tokens before the limit. */
  overlong: z.strictObject({ mask: z.boolean().default(false), buffer: whole(1, 32_768).optional() }).nullish(),
  /** Speed of the router's balance bias. It moves after a step and is still within its batch; 0 holds it. */
  gamma: z.number().min(0).max(1).default(0),
  /** Left out: 1e-4, ten times that where adapters are trained. */
  learningRate: z.number().positive().max(1).optional(),
  /** Over so many updates the rate rises. */
  warmupSteps: whole(0, 1_000_000).default(5),
  /** Gradients are clipped to this norm. */
  clip: z.number().positive().default(1),
  adamw: z
    .strictObject({
      beta1: z.number().min(0).lt(1).default(0.9),
      beta2: z.number().min(0).lt(1).default(0.95),
      epsilon: z.number().positive().default(1e-8),
      weightDecay: z.number().min(0).default(0),
    })
    .prefault({}),
  /** Weight of the MTP modules' own loss on the sampled tokens, where the model has such; the policy does not feel it. */
  mtp: z.number().positive().max(10).default(0.1),
  /** Weights of reward parts, instead of the task's own. */
  weights: z.record(z.string(), z.number()).default({}),
  format: z.enum(["think", "think-answer"]).default("think"),
  /** The gate before the first step is asked so many answers. */
  gateSamples: whole(16, 65_536).default(256),
  /** Rewards are shuffled within each group: a control, in which nothing may rise. */
  permuteRewards: z.boolean().default(false),
  evaluate: z
    .strictObject({ everySteps: whole(1, 1_000_000).default(10), problems: whole(1, 100_000).default(200) })
    .prefault({}),
  save: z.strictObject({ everySteps: whole(1, 1_000_000).default(10), keep: whole(1, 1000).default(2) }).prefault({}),
  /** Products of the gradients: in f32, or in int8 with the forward pass in f32, so that probabilities stay those that answers were drawn by. */
  gradients: z.enum(["f32", "int8"]).default("f32"),
  /** Sequences of a micro-batch: fewer take less memory and as long. */
  microBatch: whole(1, 4096).default(16),
  cost: costSchema,
  seed: whole(0, 2 ** 31).default(1),
  /** Trains adapters beside the model's weights instead of these. */
  lora: loraSchema.optional(),
});
export type ReinforceOptions = z.infer<typeof reinforceSchema> & { learningRate: number };

/** Checks them, the formula's values and defaults put in. Throws ConfigError, also for settings that contradict each other or would do nothing. */
export function parseReinforce(value: unknown, where = "reason"): ReinforceOptions {
  const fault = (message: string) => new ConfigError(message);
  const given = validate(reinforceSchema, isRecord(value) ? withFormula(value) : value, where, fault);
  const options = withRate(given, RATE);
  const [contradiction] = contradictionsOf(options);
  if (contradiction !== undefined) throw fault(`${where}: ${contradiction}`);
  return options;
}

const RATE = 1e-4;

/** `key=value` settings as nested values: `evaluate.problems=50`. Values are JSON, or text. Throws ConfigError, as `applySettings`. */
export const settingsOf = (settings: readonly string[]): Record<string, unknown> => applySettings({}, settings);
