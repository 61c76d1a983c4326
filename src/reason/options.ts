/** What a stage of reinforcement is told: a recipe's keys, their defaults, how they are set and checked. */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { applySettings, costSchema } from "../train/index.ts";
import { validate } from "../validate.ts";
import { LORA_RATE, loraSchema } from "./lora.ts";

export const whole = (least: number, most: number) => z.number().int().min(least).max(most);

/** Everything that decides how a policy is reinforced, and nothing of where files are. */
export const reinforceSchema = z.strictObject({
  steps: whole(1, 1_000_000).default(40),
  /** Problems of a step, and answers drawn to each: G. */
  problems: whole(1, 4096).default(16),
  group: whole(2, 1024).default(16),
  /** At most so many tokens of an answer. */
  maxTokens: whole(1, 32_768).default(128),
  temperature: z.number().min(0.01).max(10).default(1),
  /** Groups whose answers are all alike teach nothing: up to so many times `problems` are asked until enough groups teach. 1: none are drawn anew. */
  resample: z.number().min(1).max(64).default(2),
  /** What advantages are divided by: nothing (Dr. GRPO), or the group's deviation over n − 1 or n (R1). */
  scale: z.enum(["none", "sample", "population"]).default("none"),
  /** How tokens add up: ÷ (answers · maxTokens) (Dr. GRPO), mean of all tokens (DAPO), mean of each answer's mean (R1). */
  aggregation: z.enum(["longest", "token", "sequence"]).default("longest"),
  /** Left out: 1e-4, ten times that where adapters are trained. */
  learningRate: z.number().positive().max(1).optional(),
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
  /** Sequences of a micro-batch: fewer take less memory and as long. */
  microBatch: whole(1, 4096).default(16),
  cost: costSchema,
  seed: whole(0, 2 ** 31).default(1),
  /** Trains adapters beside the model's weights instead of these. */
  lora: loraSchema.optional(),
});
export type ReinforceOptions = z.infer<typeof reinforceSchema> & { learningRate: number };

/** Checks them, defaults put in. Throws ConfigError. */
export function parseReinforce(value: unknown, where = "reason"): ReinforceOptions {
  const options = validate(reinforceSchema, value, where, (message) => new ConfigError(message));
  return { ...options, learningRate: options.learningRate ?? RATE * (options.lora ? LORA_RATE : 1) };
}

const RATE = 1e-4;

/** `key=value` settings as nested values: `evaluate.problems=50`. Values are JSON, or text. Throws ConfigError, as `applySettings`. */
export const settingsOf = (settings: readonly string[]): Record<string, unknown> => applySettings({}, settings);
