/** What on-policy distillation is told: keys, their defaults, how they are checked. */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { validate } from "../validate.ts";
import { withRate } from "./lora.ts";
import { reinforceSchema, whole } from "./options.ts";

const { steps, maxTokens, temperature, warmupSteps, clip, adamw, mtp, weights, format } = reinforceSchema.shape;
const { aggregation, evaluate, save, microBatch, cost, seed, lora } = reinforceSchema.shape;

/** Everything that decides how a student learns from a teacher on its own answers, and nothing of where files are. */
export const distillSchema = z.strictObject({
  steps,
  /** Problems of a step, and answers drawn to each: every token teaches, so that one is enough. */
  problems: whole(1, 4096).default(64),
  group: whole(1, 1024).default(1),
  maxTokens,
  /** Answers are drawn at it; the distributions that are compared are the models' own. */
  temperature,
  /** How tokens add up: ÷ (answers · maxTokens), mean of all tokens, mean of each answer's mean. */
  aggregation,
  /** Left out: 3e-4, ten times that where adapters are trained. */
  learningRate: z.number().positive().max(1).optional(),
  warmupSteps,
  clip,
  adamw,
  mtp,
  /** Weights of reward parts, instead of the task's own: answers are scored to see how they become, and learn nothing from it. */
  weights,
  format,
  evaluate,
  save,
  microBatch,
  cost,
  seed,
  lora,
});
export type DistillOptions = z.infer<typeof distillSchema> & { learningRate: number };

/** Checks them, defaults put in. Throws ConfigError. */
export function parseDistill(value: unknown, where = "reason distill"): DistillOptions {
  return withRate(
    validate(distillSchema, value, where, (message) => new ConfigError(message)),
    RATE,
  );
}

const RATE = 3e-4;
