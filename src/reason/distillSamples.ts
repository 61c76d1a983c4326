/** Verified distillation as one command: a teacher answers, the task verifies, the student is fine-tuned on what was right. */
import { z } from "zod";
import { atomicFile, readRegularText } from "../checkpoint/index.ts";
import { CheckpointError, ConfigError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { spentIn } from "../runs/index.ts";
import { validate } from "../validate.ts";
import { Chain } from "./chain.ts";
import type { EndpointOptions } from "./endpoint.ts";
import { samplingSchema } from "./r1.ts";
import { type SampleReport, sampleDataset } from "./sample.ts";
import { type SftReport, sft } from "./sft.ts";
import { parseSft, type SftOptions } from "./sftOptions.ts";
import type { StageStart } from "./stage.ts";
import { givenSettings, type StageRequest } from "./stageOpen.ts";
import { openTask } from "./tasks/named.ts";

const planSchema = z.strictObject({
  sample: samplingSchema.omit({ task: true }).prefault({}),
  /** As `sumbi reason sft` takes them. */
  sft: z.looseObject({}).prefault({}),
  /** Longest answer. */
  maxTokens: z.number().int().min(1).max(32_768).default(128),
  seed: z.number().int().nonnegative().default(1),
});
export type SamplesPlan = Omit<z.infer<typeof planSchema>, "sft"> & { sft: SftOptions };

export const SAMPLES_STAGES = ["sample", "sft"] as const;
export type SamplesStage = (typeof SAMPLES_STAGES)[number];

export interface DistillSamplesRequest extends Omit<StageRequest, "resume" | "model" | "out"> {
  /** The student. */
  model: string;
  /** A folder, a GGUF file, the name of a bundled model, or the address of an endpoint. */
  teacher: string;
  task: string;
  /** Where the student goes. Beside it, in `OUT.distill`, stand the plan and the samples. */
  out: string;
  /** How an endpoint is asked. */
  endpoint?: Omit<EndpointOptions, "url" | "model">;
  onPlan?(plan: SamplesPlan, done: readonly SamplesStage[]): void;
  onStage?(stage: SamplesStage): void;
  onStart?(run: StageStart & { about: string }): void;
  onStep?(report: SftReport, etaSeconds: number): void;
  onSample?(report: SampleReport): void;
}

/** What a teacher spent on the samples. */
const spentSchema = z.object({ answers: z.number(), tokens: z.number(), seconds: z.number() });

export interface DistillSamplesResult {
  reason: "done" | "stopped";
  stage: SamplesStage;
  model?: string;
  /** What the teacher's answers took, and cost at the price of this machine; undefined before the samples are done. */
  teacher?: z.infer<typeof spentSchema> & { joules: number; usd: number };
}

/** Values of both stages, checked; defaults put in. Throws ConfigError. */
export function parseSamplesPlan(value: unknown, where = "--set"): SamplesPlan {
  const plan = validate(planSchema, value, where, (message) => new ConfigError(message));
  const { maxTokens, seed } = plan;
  return { ...plan, sft: parseSft({ evaluate: { maxTokens }, seed, ...plan.sft }, `${where}: sft`) };
}

/**
 * Samples a teacher and fine-tunes the student. One that was ended, also by kill -9, goes on when it is asked for again with the same models, task
 * and values. Throws what its stages throw; CheckpointError for another plan, and where nothing was right.
 */
export async function distillSamples(request: DistillSamplesRequest): Promise<DistillSamplesResult> {
  const { model, teacher, task, out, overwrite, signal, onProgress, runs, onRecord } = request;
  const plan = parseSamplesPlan(givenSettings(request));
  await (await openTask(task)).close?.();
  const about = { kind: "distill", stages: SAMPLES_STAGES, data: ["sample"], model, out, overwrite } as const;
  const chain = await Chain.open<SamplesStage>({ ...about, told: { teacher, task, plan } });
  request.onPlan?.(plan, chain.done());
  const samples = chain.place("sample");
  const spentAt = `${samples}.spent.json`;
  if (!chain.isDone("sample")) {
    request.onStage?.("sample");
    const { maxTokens, seed } = plan;
    const options = { ...plan.sample, task, model: teacher, maxTokens, topP: 1, seed, split: "train" as const };
    const report = await sampleDataset({
      ...options,
      out: samples,
      endpoint: request.endpoint,
      signal,
      onProgress,
    }).catch((error: unknown) => {
      if (signal?.aborted) return undefined;
      throw error;
    });
    if (report === undefined) return { reason: "stopped", stage: "sample" };
    request.onSample?.(report);
    const { answers, tokens, seconds } = report;
    await atomicFile(spentAt, `${JSON.stringify({ answers, tokens, seconds })}\n`);
    if (report.kept === 0)
      throw new CheckpointError(
        `${samples}: expected right answers to learn from, got none of ${answers}; a larger sample.k, or an easier task. Remove the file to sample anew`,
      );
  }
  const text = readRegularText(spentAt, 1 << 16);
  const spent = text && validate(spentSchema, parseJson(text), spentAt, (message) => new CheckpointError(message));
  const told = spent ? { teacher: { ...spent, ...spentIn(spent.seconds, plan.sft.cost) } } : {};
  if (chain.isDone("sft")) return { reason: "done", stage: "sft", model: chain.place("sft"), ...told };
  if (signal?.aborted) return { reason: "stopped", stage: "sft", ...told };
  request.onStage?.("sft");
  const earlier = chain.runOf("sft");
  let kept: Promise<void> = Promise.resolve();
  try {
    const result = await sft({
      ...(earlier === undefined ? { model, data: [samples], set: plan.sft } : { resume: earlier }),
      out: chain.place("sft"),
      overwrite,
      runs,
      signal,
      onProgress,
      onRecord,
      onStep: request.onStep,
      onStart(run) {
        kept = chain.keepRun("sft", run.id);
        kept.catch(() => {});
        request.onStart?.(run);
      },
    });
    return { reason: result.reason, stage: "sft", model: result.model, ...told };
  } finally {
    await kept;
  }
}
