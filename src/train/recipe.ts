/** The recipe of a training run: its fields, all faults at once, settings, phases. */
import { z } from "zod";
import { ConfigError, FaultsError } from "../errors.ts";
import { JSON_DEPTH, JsonBoundError, parseJson } from "../json.ts";
import { isIndexed, type ModelConfig, parseConfig } from "../model/index.ts";
import { divisorUpTo, pretrainingSteps } from "./ramp.ts";

const positive = z.number().positive();
const whole = z.number().int().nonnegative();
const count = z.number().int().positive();
const share = z.number().min(0).max(1);
/** Bounds far over what anybody trains, so that no count is looped over for minutes or loses its last digit. */
const TOKENS_MAX = 1e15;
const BATCH_MAX = 2 ** 24;
const SEQUENCE_MAX = 2 ** 20;
/** Tokens that a graph is written for. */
const TOKENS_AT_ONCE_MAX = 2 ** 24;
const sequences = count.max(BATCH_MAX);
/** Of a moving average: at 1 it would never take in anything. */
const decay = z.number().min(0).lt(1);

/** One stage of the learning rate: V3 has constant, cosine, constant, constant (arXiv:2412.19437 §4.2). */
const stage = z.strictObject({
  /** Tokens this stage lasts. The last stage may leave it out: it lasts to the end. */
  tokens: positive.optional(),
  shape: z.enum(["constant", "cosine", "linear"]).default("constant"),
  /** Rate at the start of the stage; the rate before it when left out. */
  from: positive.optional(),
  /** Rate at the end of the stage; `from` when left out. */
  to: z.number().nonnegative().optional(),
});

const adamw = z.strictObject({
  beta1: decay.default(0.9),
  beta2: decay.default(0.95),
  epsilon: positive.default(1e-8),
  weightDecay: z.number().nonnegative().default(0.1),
});

const muon = z.strictObject({
  momentum: decay.default(0.95),
  /** Newton–Schulz iterations. */
  iterations: count.max(100).default(5),
  weightDecay: z.number().nonnegative().default(0.1),
  /** Rate as a multiple of the schedule's; updates are scaled to AdamW's size (0.2·√max(out, in)), arXiv:2502.16982. */
  rate: positive.default(1),
});

/** What an hour of a machine costs, and what it draws: for the running total. */
export const costSchema = z
  .strictObject({
    usdPerHour: z.number().nonnegative().default(0),
    watts: z.number().nonnegative().default(65),
    usdPerKwh: z.number().nonnegative().default(0.15),
  })
  .default({ usdPerHour: 0, watts: 65, usdPerKwh: 0.15 });
export type Cost = z.output<typeof costSchema>;

const recipeSchema = z.strictObject({
  $schema: z.string().optional(),
  name: z.string().min(1),
  seed: whole.default(1),
  /** config.json's fields, verbatim; or a folder with a checkpoint to start from. */
  model: z.union([z.record(z.string(), z.unknown()), z.string().min(1)]),
  tokenizer: z
    .union([
      z.strictObject({ from: z.string().min(1) }),
      // A size left out is the model's vocab_size.
      z.strictObject({ vocabSize: count.optional(), digits: z.union([z.literal(1), z.literal(3)]).default(3) }),
    ])
    .default({ digits: 3 }),
  data: z.strictObject({
    /** Files, folders, globs or builtin: names. */
    paths: z.array(z.string().min(1)).default([]),
    /** Share of the documents held out. */
    holdout: share.default(0.01),
    /** Fill-in-the-middle rate (V3: 0.1). */
    fimRate: share.default(0),
    broken: z.enum(["skip", "fail"]).default("skip"),
    workers: count.max(256).default(2),
  }),
  /** Tokens to train on in all. */
  tokens: positive.max(TOKENS_MAX),
  sequence: count.max(SEQUENCE_MAX).default(256),
  /** Sequences a step, grown in equal steps from `start` to `end` over `rampTokens` (V3: 3072 → 15360 over 469B). */
  batch: z.strictObject({
    start: sequences.optional(),
    end: sequences,
    rampTokens: z.number().nonnegative().max(TOKENS_MAX).default(0),
  }),
  /** Sequences computed at once; a batch is a whole number of these. The whole starting batch when left out. */
  microBatch: sequences.optional(),
  /**
   * Parts of a micro-batch computed at the same time, each on a core of its own, with gradients of its own that are added up after. What suits
   * the machine when left out. Sums are taken in another order by another number: a run keeps the one it began with.
   */
  lanes: count.max(256).optional(),
  optimizer: z.enum(["adamw", "muon"]).default("adamw"),
  adamw: adamw.default(adamw.parse({})),
  muon: muon.default(muon.parse({})),
  /** Global gradient norm (V3: 1.0). */
  clip: positive.default(1),
  learningRate: z.strictObject({
    warmupSteps: whole.default(0),
    stages: z.array(stage).min(1).max(1000),
  }),
  balance: z
    .strictObject({
      /** Bias update speed γ, and the tokens after which it is 0. */
      gamma: z.number().nonnegative().default(0.001),
      gammaEndTokens: positive.optional(),
      /** Weight α of the sequence-wise balance loss. */
      alpha: z.number().nonnegative().default(0.0001),
    })
    .default({ gamma: 0.001, alpha: 0.0001 }),
  mtp: z
    .strictObject({
      /** Loss weight λ, and what it becomes after `changeTokens`. Depth is config.json's num_nextn_predict_layers. */
      lambda: z.number().nonnegative().default(0.3),
      changeTokens: positive.optional(),
      lambdaAfter: z.number().nonnegative().default(0.1),
    })
    .default({ lambda: 0.3, lambdaAfter: 0.1 }),
  precision: z.enum(["f32", "fp8", "int8"]).default("f32"),
  /** Context extension after pretraining: V3 has two phases of 1,000 steps (§4.3). */
  extension: z
    .array(
      z.strictObject({
        sequence: count.max(SEQUENCE_MAX),
        steps: count.max(1e9),
        batch: sequences,
        learningRate: positive,
        /** config.json's rope_scaling from this phase on (V3: YaRN). Left out: positions turn as before, and training alone teaches the length. */
        ropeScaling: z.record(z.string(), z.unknown()).optional(),
      }),
    )
    .max(64)
    .default([]),
  /** NaN, or `steps` losses in a row over `factor` × the moving average, roll back to the last saved state. */
  spike: z
    .strictObject({ factor: z.number().gt(1).default(1.5), steps: count.default(3), rollbacks: whole.default(5) })
    .default({ factor: 1.5, steps: 3, rollbacks: 5 }),
  /** Held-out loss: on so many tokens, the same at every evaluation and in every run on the same data. */
  evaluate: z
    .strictObject({ everySteps: count.default(50), tokens: count.default(16_384) })
    .default({ everySteps: 50, tokens: 16_384 }),
  save: z
    .strictObject({ everySteps: count.default(200), keep: count.default(2) })
    .default({ everySteps: 200, keep: 2 }),
  /** Answered in the log at every evaluation: a text to go on with, or {ask} for a question in the chat template. */
  samples: z.array(z.union([z.string().min(1), z.strictObject({ ask: z.string().min(1) })])).default([]),
  cost: costSchema,
});

type Parsed = z.output<typeof recipeSchema>;

/** A recipe with nothing left open. `config` is the model to train; `start` the checkpoint folder to begin from, if any. */
export interface Recipe extends Omit<Parsed, "model"> {
  model: Record<string, unknown> | string;
}

/** One phase of a run: pretraining, then each extension. */
export interface Phase {
  name: string;
  /** What the recipe says of an extension; pretraining has none. */
  extension?: Recipe["extension"][number];
  sequence: number;
  microBatch: number;
  /** Parts that a micro-batch is computed in at the same time. */
  lanes: number;
  config: ModelConfig;
  configJson: Record<string, unknown>;
  /** Tokens trained on in it. */
  tokens: number;
  /** First step of the phase, and the first after it. */
  fromStep: number;
  toStep: number;
}

/** The JSON schema of a recipe, for editors. */
export const recipeJsonSchema = (): object => z.toJSONSchema(recipeSchema, { io: "input" });

/** Parses a recipe and reports all its faults at once. */
export function parseRecipe(json: unknown, where = "recipe"): Recipe {
  const result = recipeSchema.safeParse(json);
  const faults = result.success
    ? crossFaults(result.data)
    : result.error.issues.map((issue) => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
  const model = (json as { model?: unknown } | null)?.model;
  if (typeof model === "object" && model !== null) faults.push(...modelFaults(model as Record<string, unknown>));
  if (!result.success || faults.length > 0)
    throw new ConfigError(
      `${where}: ${faults.length} fault${faults.length === 1 ? "" : "s"}\n${faults.map((fault) => `  ${fault}`).join("\n")}`,
    );
  const recipe = result.data as Recipe;
  const start = recipe.batch.start ?? recipe.batch.end;
  return { ...recipe, batch: { ...recipe.batch, start }, microBatch: recipe.microBatch ?? start };
}

function modelFaults(model: Record<string, unknown>): string[] {
  try {
    const config = parseConfig(model, "model", { sizes: "stated" });
    if (!isIndexed(config)) return [];
    return [
      `model.model_type: expected an architecture of which all can be trained, got "${config.model_type}", whose indexer learns by a loss of its own that is not built. Train deepseek_v3, or start from a checkpoint: its indexer stays as it is`,
    ];
  } catch (error) {
    if (!(error instanceof FaultsError)) throw error;
    return error.faults.map((fault) => `model.${fault}`);
  }
}

/** What no single field can say. */
function crossFaults(recipe: Parsed): string[] {
  const faults: string[] = [];
  const { batch, microBatch, learningRate, tokenizer, model } = recipe;
  const start = batch.start ?? batch.end;
  const micro = microBatch ?? start;
  if (start > batch.end) faults.push(`batch: expected start ≤ end, got ${start} > ${batch.end}`);
  for (const [name, size] of [
    ["batch.start", start],
    ["batch.end", batch.end],
  ] as const)
    if (size % micro !== 0)
      faults.push(
        `${name}: expected a multiple of microBatch ${micro}, got ${size}; nearest: ${Math.max(micro, Math.round(size / micro) * micro)}`,
      );
  if (micro * recipe.sequence > TOKENS_AT_ONCE_MAX)
    faults.push(
      `microBatch: expected at most ${TOKENS_AT_ONCE_MAX} tokens at once, got ${micro} × sequence ${recipe.sequence}; nearest: ${divisorUpTo(start, Math.max(1, Math.floor(TOKENS_AT_ONCE_MAX / recipe.sequence)))}`,
    );
  if (recipe.lanes !== undefined && micro % recipe.lanes !== 0)
    faults.push(
      `lanes: expected a divisor of microBatch ${micro}, got ${recipe.lanes}; nearest: ${divisorUpTo(micro, recipe.lanes)}`,
    );
  if (start !== batch.end && batch.rampTokens <= 0)
    faults.push(
      `batch.rampTokens: expected more than 0 to grow from ${start} to ${batch.end}, got ${batch.rampTokens}`,
    );
  learningRate.stages.forEach((stage, i) => {
    if (stage.tokens === undefined && i < learningRate.stages.length - 1)
      faults.push(`learningRate.stages.${i}.tokens: expected a number in every stage but the last`);
    if (i === 0 && stage.from === undefined) faults.push("learningRate.stages.0.from: expected the peak rate");
    if (stage.shape !== "constant" && stage.to === undefined)
      faults.push(`learningRate.stages.${i}.to: expected the rate a ${stage.shape} stage ends at`);
    if (stage.shape !== "constant" && stage.tokens === undefined && i < learningRate.stages.length - 1)
      faults.push(`learningRate.stages.${i}.tokens: expected how long a ${stage.shape} stage lasts`);
  });
  if (recipe.tokens < start * recipe.sequence)
    faults.push(
      `tokens: expected at least one batch of ${start} × ${recipe.sequence} = ${start * recipe.sequence}, got ${recipe.tokens}`,
    );
  const longest = typeof model === "object" ? model["max_position_embeddings"] : undefined;
  if (typeof longest === "number")
    [recipe, ...recipe.extension].forEach(({ sequence }, i) => {
      if (sequence > longest)
        faults.push(
          `${i === 0 ? "" : `extension.${i - 1}.`}sequence: expected at most model.max_position_embeddings ${longest}, got ${sequence}; raise that too`,
        );
    });
  const vocab = typeof model === "object" ? model["vocab_size"] : undefined;
  if (
    "vocabSize" in tokenizer &&
    tokenizer.vocabSize !== undefined &&
    typeof vocab === "number" &&
    tokenizer.vocabSize > vocab
  )
    faults.push(`tokenizer.vocabSize: expected at most model.vocab_size ${vocab}, got ${tokenizer.vocabSize}`);
  return faults;
}

/**
 * Applies `key=value` settings: keys are dotted paths, values JSON or plain text. Where the recipe takes text and not what the JSON
 * says (`name=123`), the text is meant. Throws ConfigError.
 */
export function applySettings(json: Record<string, unknown>, settings: readonly string[]): Record<string, unknown> {
  const out = structuredClone(json);
  for (const setting of settings) {
    const at = setting.indexOf("=");
    if (at < 1) throw new ConfigError(`--set: expected key=value, got ${JSON.stringify(setting)}`);
    const path = setting.slice(0, at).split(".");
    if (path.length > JSON_DEPTH)
      throw new ConfigError(`--set ${path[0]}: expected a key of at most ${JSON_DEPTH} parts, got ${path.length}`);
    const text = setting.slice(at + 1);
    let target = out;
    path.slice(0, -1).forEach((key, i) => {
      if (["__proto__", "constructor", "prototype"].includes(key))
        throw new ConfigError(`--set: ${key} is not a recipe key`);
      const inner = (target[key] ??= {});
      if (typeof inner !== "object")
        throw new ConfigError(`--set: ${path.slice(0, i + 1).join(".")} is not a group of settings`);
      target = inner as Record<string, unknown>;
    });
    target[path.at(-1) ?? ""] = parsedValue(text, path);
  }
  return out;
}

function parsedValue(text: string, path: readonly string[]): unknown {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    if (error instanceof JsonBoundError)
      throw new ConfigError(`--set ${path[0]}: expected a value, got one ${error.message}`);
    return text;
  }
  const schemas = schemasAt(recipeSchema, path);
  const takes = (candidate: unknown): boolean => schemas.some((schema) => schema.safeParse(candidate).success);
  return !takes(value) && takes(text) ? text : value;
}

/** The schemas that may stand at a path: several where a value may have one of several shapes. */
function schemasAt(schema: z.core.$ZodType, path: readonly string[]): z.ZodType[] {
  const { def } = schema as z.ZodType & {
    def: z.core.$ZodTypeDef & {
      innerType?: z.ZodType;
      options?: z.ZodType[];
      shape?: Record<string, z.ZodType>;
      element?: z.ZodType;
    };
  };
  if (def.innerType) return schemasAt(def.innerType, path);
  if (def.options) return def.options.flatMap((option) => schemasAt(option, path));
  const [key, ...rest] = path;
  if (key === undefined) return [schema as z.ZodType];
  const inner = def.shape && Object.hasOwn(def.shape, key) ? def.shape[key] : def.element;
  return inner ? schemasAt(inner, rest) : [];
}

/**
 * The phases of a run, with the model config each is traced with and would be exported with: its max_position_embeddings is the longest
 * sequence trained so far, or what the checkpoint it starts from says, if that is more. Faults of the model config come as one ConfigError.
 */
export function phasesOf(recipe: Recipe, modelJson: Record<string, unknown>): Phase[] {
  const start = typeof recipe.model === "string" ? parseConfig(modelJson).max_position_embeddings : 0;
  if (start > 0 && recipe.sequence > start)
    throw new ConfigError(
      `sequence: expected at most max_position_embeddings ${start} of ${String(recipe.model)}, got ${recipe.sequence}. An extension can go beyond it`,
    );
  const lanesIn = (microBatch: number): number => divisorUpTo(microBatch, recipe.lanes ?? 1);
  const configJson = withContext(modelJson, Math.max(start, recipe.sequence));
  const pretraining: Phase = {
    name: "pretrain",
    sequence: recipe.sequence,
    microBatch: recipe.microBatch!,
    lanes: lanesIn(recipe.microBatch!),
    config: parseConfig(configJson),
    configJson,
    tokens: recipe.tokens,
    fromStep: 0,
    toStep: pretrainingSteps(recipe),
  };
  const phases = [pretraining];
  let before = pretraining;
  for (const [i, extension] of recipe.extension.entries()) {
    const json = withContext(
      before.configJson,
      Math.max(before.config.max_position_embeddings, extension.sequence),
      extension.ropeScaling,
    );
    // Longer sequences, fewer at a time: the same tokens at once, as far as the batch divides.
    const microBatch = divisorUpTo(
      extension.batch,
      Math.floor((recipe.microBatch! * recipe.sequence) / extension.sequence),
    );
    before = {
      name: `extend-${i + 1}`,
      extension,
      sequence: extension.sequence,
      microBatch,
      lanes: lanesIn(microBatch),
      config: parseConfig(json),
      configJson: json,
      tokens: extension.steps * extension.batch * extension.sequence,
      fromStep: before.toStep,
      toStep: before.toStep + extension.steps,
    };
    phases.push(before);
  }
  return phases;
}

/**
 * A config.json for `tokens` positions, with other rope_scaling if given. The length that a stretched rope started from, which
 * max_position_embeddings stands for where it is not said, is then said: the context before.
 */
function withContext(
  json: Record<string, unknown>,
  tokens: number,
  ropeScaling?: Record<string, unknown>,
): Record<string, unknown> {
  const { max_position_embeddings, rope_parameters: rope } = parseConfig(json);
  const out: Record<string, unknown> = { ...json, max_position_embeddings: tokens };
  const field =
    ropeScaling !== undefined || Object.keys(json["rope_scaling"] ?? {}).length > 0
      ? "rope_scaling"
      : "rope_parameters";
  const scaling = (ropeScaling ?? json[field]) as Record<string, unknown> | null | undefined;
  if (scaling == null) return out;
  if (ropeScaling !== undefined) {
    delete out["rope_parameters"];
    delete out["original_max_position_embeddings"]; // beside ropeScaling it would win over ropeScaling's own
    out["rope_theta"] = rope.rope_theta;
  }
  const stretched = (scaling["rope_type"] ?? scaling["type"] ?? "default") !== "default";
  const original = ropeScaling === undefined ? rope.original_max_position_embeddings : max_position_embeddings;
  out[field] = stretched ? { original_max_position_embeddings: original, ...scaling } : scaling;
  return out;
}

/** Fewer tokens than this are not worth a lane: adding its gradients to the others' takes longer than it saves. */
const TOKENS_OF_A_LANE = 512;

/** The lanes that suit a machine of so many threads, when the recipe leaves them open. */
export const suitableLanes = ({ microBatch, sequence }: Recipe, threads: number): number =>
  divisorUpTo(microBatch!, Math.min(threads, Math.floor((microBatch! * sequence) / TOKENS_OF_A_LANE)));
