/** What fine-tuning is told: keys, their defaults, how they are checked. */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { validate } from "../validate.ts";
import { withRate } from "./lora.ts";
import { reinforceSchema, whole } from "./options.ts";

const { clip, adamw, mtp, save, seed, cost, lora } = reinforceSchema.shape;

/** Everything that decides how a model is fine-tuned, and nothing of where files are. */
export const sftSchema = z.strictObject({
  /** How often every example is seen. */
  epochs: z.number().positive().max(1000).default(2),
  /** Examples of a step; sequences of a micro-batch. */
  batch: whole(1, 65_536).default(32),
  microBatch: whole(1, 4096).default(32),
  /** Rises over `warmupSteps`, then falls along a cosine to `end` times itself. Left out: 3e-4, ten times that where adapters are trained. */
  learningRate: z.number().positive().max(1).optional(),
  warmupSteps: whole(0, 1_000_000).default(10),
  end: z.number().min(0).max(1).default(0.1),
  clip,
  adamw,
  /** Weight of the MTP modules' own loss, where the model has such; the model does not feel it. */
  mtp,
  /** Speed of the balance bias; 0 holds the router's choice still. */
  gamma: z.number().min(0).max(1).default(0),
  /** Longest sequence in tokens, question and reply; left out: the model's context. */
  longest: whole(2, 1_000_000).optional(),
  /** Share of questions that are held out, for the validation loss. */
  holdout: z.number().min(0).max(0.9).default(0.05),
  /** Lines that cannot be used: end, or leave them out. */
  broken: z.enum(["fail", "skip"]).default("fail"),
  /** Texts that a task gives, and the share of them that show the working. */
  texts: whole(1, 10_000_000).default(2000),
  longShare: z.number().min(0).max(1).default(1),
  /** How often the validation loss is measured; of a task besides, so many test problems answered greedily in at most so many tokens. */
  evaluate: z
    .strictObject({
      everySteps: whole(1, 1_000_000).default(25),
      problems: whole(1, 100_000).default(100),
      maxTokens: whole(1, 32_768).default(128),
    })
    .prefault({}),
  save,
  cost,
  seed,
  lora,
});
export type SftOptions = z.infer<typeof sftSchema> & { learningRate: number };

/** Checks them, defaults put in. Throws ConfigError. */
export function parseSft(value: unknown, where = "reason sft"): SftOptions {
  return withRate(
    validate(sftSchema, value, where, (message) => new ConfigError(message)),
    RATE,
  );
}

const RATE = 3e-4;
