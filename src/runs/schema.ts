/** What a run's files may hold. Everything that is read back from a run's folder is checked against these. */
import { z } from "zod";

const step = z.number().int().nonnegative();
const count = z.number().int().nonnegative();
/** A number that may not have been measured. */
const figure = z.number().optional();

/** One training step. */
const stepRecord = z.object({
  type: z.literal("step"),
  step,
  steps: count,
  tokens: z.number().nonnegative(),
  loss: z.number(),
  mainLoss: figure,
  mtpLoss: figure,
  balanceLoss: figure,
  lr: figure,
  gradNorm: figure,
  tokensPerSecond: figure,
  flopsPerSecond: figure,
  /** Share of the machine's measured GEMM peak, 0 to 1. */
  gemmShare: figure,
  /** Elapsed since the run began. */
  seconds: figure,
  etaSeconds: figure,
  usd: figure,
  joules: figure,
  batch: figure,
  stepSeconds: figure,
});

/** Expert load: per MoE layer and expert, the share of the mean (1 is even), as a moving average. */
const loadRecord = z.object({ type: z.literal("load"), step, load: z.array(z.array(z.number())), busiest: z.number() });
const evalRecord = z.object({ type: z.literal("eval"), step, loss: z.number(), tokens: figure });
const checkpointRecord = z.object({ type: z.literal("checkpoint"), step, path: z.string() });
const sampleRecord = z.object({ type: z.literal("sample"), step, prompt: z.string(), text: z.string() });
const eventRecord = z.object({
  type: z.literal("event"),
  step,
  level: z.enum(["info", "warn", "error"]),
  message: z.string(),
  /** What a warning of the diagnosis is about: it is told again only when it had been over. */
  topic: z.string().max(64).optional(),
});
/** One step of reinforcement, or of learning from a teacher: what the answers drawn were like. Shares are from 0 to 1. */
const policyRecord = z.object({
  type: z.literal("policy"),
  step,
  reward: z.number(),
  /** Mean of each part of the reward. */
  parts: z.record(z.string(), z.number()),
  /** Tokens of an answer, mean. */
  length: z.number(),
  /** Answers that think; right ones among those, and among the others. */
  longShare: z.number(),
  longRight: figure,
  shortRight: figure,
  truncated: z.number(),
  /** Answers whose form is wrong, by in what. */
  malformed: z.record(z.string(), z.number()).optional(),
  /** Groups that teach nothing; all right; all wrong. Absent where answers are not held against those of their group. */
  dead: figure,
  solved: figure,
  hopeless: figure,
  groups: count,
  trained: count,
  entropy: figure,
  /** Largest and mean difference of log-probabilities between drawing and training. */
  driftMax: figure,
  driftMean: figure,
  /** KL to a teacher over the whole vocabulary, nats a token, where one is learned from, and what reading the answers took it. */
  teacherKl: figure,
  teacherSeconds: figure,
  /** KL to the reference, nats a token; tokens whose ratio was clipped; choices of experts that differ between drawing and training. */
  kl: figure,
  klK1: figure,
  clipShare: figure,
  clipLow: figure,
  clipHigh: figure,
  /** Extremes of the ratio; answers dropped as too far from the policy; updates made of the step's answers. */
  ratioMin: figure,
  ratioMax: figure,
  offPolicyShare: figure,
  updates: figure,
  flips: figure,
  rolloutSeconds: figure,
  trainSeconds: figure,
});
/** Problems never trained on, answered greedily. */
const scoreRecord = z.object({
  type: z.literal("score"),
  step,
  problems: count,
  right: z.number(),
  length: z.number(),
  longShare: z.number(),
});
/** A problem of a step of reinforcement with some of its answers: a line of transcripts.jsonl, whose answers are read early against late. */
export const rolloutSchema = z.object({
  step,
  prompt: z.string(),
  reference: z.string(),
  answers: z
    .array(z.object({ text: z.string(), reward: z.number(), tokens: figure, opened: z.boolean().optional() }))
    .max(64),
});
export type RolloutRecord = z.infer<typeof rolloutSchema>;

const endRecord = z.object({ type: z.literal("end"), step, reason: z.enum(["done", "stopped", "failed"]) });

/** One line of log.jsonl. */
export const runRecordSchema = z.discriminatedUnion("type", [
  stepRecord,
  loadRecord,
  evalRecord,
  checkpointRecord,
  sampleRecord,
  eventRecord,
  policyRecord,
  scoreRecord,
  endRecord,
]);

export type StepRecord = z.infer<typeof stepRecord>;
export type LoadRecord = z.infer<typeof loadRecord>;
export type EvalRecord = z.infer<typeof evalRecord>;
export type CheckpointRecord = z.infer<typeof checkpointRecord>;
export type SampleRecord = z.infer<typeof sampleRecord>;
export type EventRecord = z.infer<typeof eventRecord>;
export type PolicyRecord = z.infer<typeof policyRecord>;
export type ScoreRecord = z.infer<typeof scoreRecord>;
export type EndRecord = z.infer<typeof endRecord>;
export type EndReason = EndRecord["reason"];
export type RunRecord = z.infer<typeof runRecordSchema>;

const hex = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in hex");

/** What a run is bound to, in run.json and in every state. */
export const bindingSchema = z.object({
  /** Of the tokenizer's files, which the run keeps in its folder. */
  tokenizer: hex,
  /** Of the data set: its shards, and how they are read. */
  shards: hex,
  /** Of the recipe without the keys that may change, and of the model's config. */
  recipe: hex,
  /** Of the parameters' names, shapes and places in the state. */
  layout: hex,
});
export type Binding = z.infer<typeof bindingSchema>;

/** run.json: what a run is, written when it starts; its recipe, when it is resumed with other settings. */
export const runInfoSchema = z.object({
  /** ISO 8601. */
  startedAt: z.iso.datetime({ offset: true }),
  recipeName: z.string(),
  /** The resolved recipe. */
  recipe: z.record(z.string(), z.unknown()),
  /** Hash of the whole recipe, written with it: an edit by hand is not a setting that was changed. Missing in older runs. */
  recipeHash: hex.optional(),
  /** Of the model without its MTP modules, and of those. */
  parameters: z.object({ total: count, active: count, mtp: count.optional() }).optional(),
  /** The layers whose load is recorded, from 0; MTP modules count on. Missing in older runs. */
  expertLayers: z.array(count).optional(),
  machine: z.object({ cpu: z.string(), threads: count, gemmFlopsPerSec: z.number().nonnegative() }).optional(),
  /** Folder of the checkpoint that the run writes. */
  out: z.string().optional(),
  /** config.json of the model, with the tokenizer's ids in it. */
  model: z.record(z.string(), z.unknown()).optional(),
  /** Missing in runs of older versions, which cannot be resumed. */
  binding: bindingSchema.optional(),
  /** Hashes of the texts that the run was begun with: of their files' names, sizes and times, and of what they say. */
  texts: z.object({ stamp: hex, contents: hex }).optional(),
  /** Settings that were changed by a resume: when, and each as `key before → after`. */
  changes: z.array(z.object({ at: z.iso.datetime({ offset: true }), settings: z.array(z.string()) })).optional(),
});
/** The id is the name of the run's folder. */
export type RunInfo = z.infer<typeof runInfoSchema> & { id: string };

/** writer-N.json: the process that writes a run, or wrote it last. */
export const writerSchema = z.object({
  host: z.string().max(255),
  boot: z.string().max(255),
  pid: z.number().int().positive(),
  started: z.string().max(64),
  token: z.string().min(1).max(64),
  /** Milliseconds since 1970, at the last sign of life; and how many there were. */
  at: z.number(),
  beats: count,
  released: z.boolean(),
});
export type WriterInfo = z.infer<typeof writerSchema>;

export type RunStatus = "running" | EndReason | "stale" | "unreadable";

/** One line of the list of runs. */
export interface RunSummary {
  id: string;
  recipeName: string;
  /** ISO 8601; empty when run.json cannot be read. */
  startedAt: string;
  status: RunStatus;
  step: number;
  steps: number;
  loss: number | null;
  evalLoss: number | null;
  /** Of reinforcement: mean reward of the last step's answers, and the share of tests that were right last. */
  reward: number | null;
  score: number | null;
  tokensPerSecond: number | null;
  etaSeconds: number | null;
  /** Lines of the log that are no records: damaged, too long, or of a later version. */
  skippedLines: number;
  /** Why the run is unreadable. */
  problem?: string;
}
