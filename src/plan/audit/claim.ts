/** A claim as JSON: its fields, checked one by one and against each other, and what is read from it. */
import { z } from "zod";
import { ConfigError } from "../../errors.ts";
import { briefJson } from "../../json.ts";
import { type ModelConfig, parseConfig } from "../../model/config.ts";
import { presetConfig } from "../../model/presets.ts";

/** `14.8T`, `2.664M`, `180K`, `5.576e6` or a plain number. */
const SUFFIX: Record<string, number> = { k: 1e3, m: 1e6, b: 1e9, t: 1e12 };
const amount = (what: string) =>
  z
    .union([z.number(), z.string()], { error: what })
    .transform((value, context) => {
      if (typeof value === "number") return value;
      const found = /^\s*\$?([\d.,]+(?:e\d+)?)\s*([kmbt])?\s*$/i.exec(value);
      const number = found
        ? Number(found[1]!.replaceAll(",", "")) * (SUFFIX[(found[2] ?? "").toLowerCase()] ?? 1)
        : NaN;
      if (Number.isNaN(number)) context.addIssue({ code: "custom", message: what });
      return number;
    })
    .refine((n) => Number.isNaN(n) || (Number.isFinite(n) && n > 0), { error: what });
const positive = amount('a positive number such as 2048, "14.8T" or "2.664M"');
const whole = positive.refine((n) => Number.isNaN(n) || Number.isSafeInteger(n), { error: "a positive whole number" });
const text = z.string({ error: "text" }).min(1, { error: "text" });
const date = z
  .string({ error: 'a date such as "2024-12-27"' })
  .refine((d) => /^\d{4}(-\d{2}(-\d{2})?)?$/.test(d) && !Number.isNaN(Date.parse(d)), {
    error: 'a date such as "2024-12-27"',
  });
const source = z.strictObject(
  {
    title: text,
    date,
    mark: z.enum(["primary", "secondary", "derived", "unconfirmed"], {
      error: '"primary", "secondary", "derived" or "unconfirmed"',
    }),
    url: text.optional(),
  },
  { error: "a source {title, date, mark, url}" },
);

const work = {
  tokens: positive.optional(),
  steps: whole.optional(),
  sequence: whole.optional(),
  batch: whole.optional(),
};

const phase = z.strictObject({
  name: text,
  /** pretrain and extend have work that the audit can count; rl generates and trains; other is taken as stated. */
  kind: z
    .enum(["pretrain", "extend", "sft", "rl", "other"], { error: '"pretrain", "extend", "sft", "rl" or "other"' })
    .default("pretrain"),
  ...work,
  /** Where one phase has several lengths: each its steps, batch and sequence. */
  stretches: z.array(z.strictObject({ steps: whole, batch: whole, sequence: whole })).optional(),
  gpus: whole.optional(),
  gpuHours: positive.optional(),
  /** Wall time. */
  hours: positive.optional(),
  days: positive.optional(),
  usd: positive.optional(),
  /** Reinforcement learning: answers a step learns from, answers sampled at a time, tokens of an answer. */
  outputsPerStep: whole.optional(),
  outputsPerRollout: whole.optional(),
  meanTokens: positive.optional(),
  maxTokens: whole.optional(),
});

const layout = z.strictObject({
  dp: whole.optional(),
  tp: whole.optional(),
  cp: whole.optional(),
  pp: whole.optional(),
  vp: whole.optional(),
  ep: whole.optional(),
  zero: z.literal([0, 1, 2, 3], { error: "0, 1, 2 or 3" }).optional(),
  microBatch: whole.optional(),
  recompute: z.enum(["none", "selective", "full"], { error: '"none", "selective" or "full"' }).optional(),
});

const alternative = z.discriminatedUnion(
  "kind",
  [
    z.strictObject({ kind: z.literal("understated"), factor: positive, source: source.optional() }),
    z.strictObject({ kind: z.literal("chip"), chip: text, source: source.optional() }),
    z.strictObject({ kind: z.literal("fleet"), chip: text, gpus: whole, source: source.optional() }),
    z.strictObject({
      kind: z.literal("mixed"),
      fleet: z
        .array(z.strictObject({ chip: text, gpus: whole }), { error: "a list of chip and gpus" })
        .min(2, { error: "two kinds of chips or more" }),
      source: source.optional(),
    }),
  ],
  { error: 'kind "understated" (factor), "chip" (chip), "fleet" (chip, gpus) or "mixed" (fleet)' },
);

const schema = z.strictObject({
  name: text,
  title: text.optional(),
  who: text,
  /** When it was published. */
  date,
  /** Where its makers sit: what export rules look at. */
  seat: z
    .string({ error: 'a country code such as "CN"' })
    .regex(/^[A-Z]{2}$/, { error: 'a country code such as "CN"' })
    .optional(),
  /** Before this day the work cannot have begun (an earlier release of the same people, say). */
  notBefore: date.optional(),
  /** A preset's name, or a whole config.json. */
  model: z.union([text, z.record(z.string(), z.unknown())], {
    error: "a preset's name, a config.json's path or its content",
  }),
  ...work,
  chip: text,
  gpus: whole.optional(),
  precision: z.enum(["bf16", "fp8"], { error: '"bf16" or "fp8"' }).default("bf16"),
  mtp: z.boolean({ error: "true or false" }).default(false),
  layout: layout.optional(),
  schedule: z.enum(["1f1b", "interleaved", "zero-bubble", "dualpipe", "dualpipev"]).optional(),
  stepSeconds: positive.optional(),
  /** A step's parts as published, by name; `1F1B` is the time in which forwards and backwards run in pairs. */
  stepParts: z.record(z.string(), positive, { error: "seconds by name" }).optional(),
  /** A kernel trace that anyone can open: one forward and backward of one micro-batch through one pipeline stage. */
  trace: z.strictObject({ pairSeconds: positive, source }).optional(),
  phases: z.array(phase, { error: "a list of phases" }).min(1, { error: "at least one phase" }),
  usdPerGpuHour: positive.optional(),
  /** Totals and rates as the claim states them; each is worked out again and compared. */
  stated: z
    .strictObject({
      gpuHours: positive.optional(),
      usd: positive.optional(),
      days: positive.optional(),
      tokensPerSecondPerGpu: positive.optional(),
      gpuHoursPerTrillionTokens: positive.optional(),
      daysPerTrillionTokens: positive.optional(),
      /** Per GPU, by the causal and the whole attention square. */
      flopsPerSecCausal: positive.optional(),
      flopsPerSecFull: positive.optional(),
      /** Of the BF16 peak, as a share of 1. */
      mfuCausal: positive.optional(),
      mfuFull: positive.optional(),
    })
    .default({}),
  /** Costs of its own that the claim says it includes nothing of; the audit names the rest. */
  excludes: z.array(text).default([]),
  /** Hours of earlier work it stands on, and whose they are. */
  standsOn: z
    .array(z.strictObject({ what: text, gpuHours: positive.optional(), usd: positive.optional(), source }))
    .default([]),
  /** What others said must be true instead. */
  alternatives: z.array(alternative).optional(),
  sources: z.array(source).default([]),
  notes: z.array(text).default([]),
});

export type Claim = z.output<typeof schema>;
export type ClaimInput = z.input<typeof schema>;
export type Phase = Claim["phases"][number];
export type ClaimAlternative = NonNullable<Claim["alternatives"]>[number];

/**
 * A claim, read and checked. Numbers may say `14.8T`, `2.664M`, `180K`. Only name, who, date, model, chip and phases must stand.
 * Throws ConfigError listing every fault as `field: expected …, got …`.
 */
export function parseClaim(json: unknown, where = "claim"): Claim {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new ConfigError(`${where}: expected an object, got ${show(json)}`);
  const parsed = schema.safeParse(json);
  const faults: string[] = [];
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code === "unrecognized_keys") {
        const at = issue.path.length > 0 ? `${issue.path.join(".")}.` : "";
        for (const key of issue.keys)
          faults.push(`${at}${key}: expected no such field, got ${show(valueAt(json, [...issue.path, key]))}`);
      } else
        faults.push(
          `${issue.path.join(".") || "claim"}: expected ${issue.message}, got ${show(valueAt(json, issue.path))}`,
        );
    }
  } else {
    crossCheck(parsed.data, faults);
    if (faults.length === 0) return parsed.data;
  }
  throw new ConfigError(
    faults.length === 1 ? `${where}: ${faults[0]}` : `${where}: ${faults.length} faults\n  ${faults.join("\n  ")}`,
  );
}

/** What no single field can say. */
function crossCheck(claim: Claim, faults: string[]): void {
  claim.phases.forEach((phase, i) => {
    const time = phase.gpuHours ?? phase.hours ?? phase.days ?? phase.usd;
    if (time === undefined) faults.push(`phases.${i}: expected gpuHours, hours, days or usd, got none`);
    else if (phase.gpuHours === undefined && phase.usd === undefined && (phase.gpus ?? claim.gpus) === undefined)
      faults.push(`phases.${i}: expected gpuHours, or gpus to multiply the time by, got neither`);
    else if (
      phase.gpuHours === undefined &&
      phase.hours === undefined &&
      phase.days === undefined &&
      claim.usdPerGpuHour === undefined
    )
      faults.push(`phases.${i}: expected gpuHours, or usdPerGpuHour to divide the money by, got neither`);
  });
}

/** The config that a claim's `model` names; `load` reads a path for those who have a file system. Throws ConfigError. */
export function claimConfig(claim: Claim, load?: (path: string) => ModelConfig): ModelConfig {
  if (typeof claim.model !== "string") return parseConfig(claim.model, `${claim.name}: model`, { sizes: "stated" });
  if (load && /[/\\.]json$|[/\\]/.test(claim.model)) return load(claim.model);
  return presetOf(claim.model);
}

/** A preset's config, read once, so that what is counted of it can be remembered with it. */
export function presetOf(name: string): ModelConfig {
  const config = presets.get(name) ?? presetConfig(name);
  presets.set(name, config);
  return config;
}
const presets = new Map<string, ModelConfig>();

/** GPU-hours of a phase: stated, or wall time × GPUs, or money ÷ price. */
export function phaseHours(claim: Claim, phase: Phase): number {
  if (phase.gpuHours !== undefined) return phase.gpuHours;
  const gpus = phase.gpus ?? claim.gpus;
  if (gpus !== undefined && phase.hours !== undefined) return phase.hours * gpus;
  if (gpus !== undefined && phase.days !== undefined) return phase.days * 24 * gpus;
  return phase.usd! / claim.usdPerGpuHour!;
}

/** Runs of equal steps that a phase consists of, as far as the claim says; the claim's own sequence and batch stand in. */
export function phaseStretches(claim: Claim, phase: Phase): { tokens: number; sequence: number }[] {
  if (phase.kind === "rl" || phase.kind === "other") return [];
  if (phase.stretches)
    return phase.stretches.map(({ steps, batch, sequence }) => ({ tokens: steps * batch * sequence, sequence }));
  const sequence = phase.sequence ?? claim.sequence ?? 4096;
  const batch = phase.batch ?? claim.batch;
  const own = phase.tokens ?? (phase.steps && batch ? phase.steps * batch * sequence : undefined);
  const tokens =
    own ??
    (phase.kind === "pretrain"
      ? (claim.tokens ?? (claim.steps && batch ? claim.steps * batch * sequence : undefined))
      : undefined);
  return tokens === undefined ? [] : [{ tokens, sequence }];
}

const valueAt = (value: unknown, path: PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (v, key) => (typeof v === "object" && v !== null ? (v as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );

function show(value: unknown): string {
  const text = value === undefined ? "nothing" : briefJson(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
