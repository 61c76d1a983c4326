/** R1's way as one command: cold start, reinforcement, rejection sampling, fine-tuning, reinforcement; each a run of its own. */
import { resolve } from "node:path";
import { z } from "zod";
import { resolveModel } from "../checkpoint/index.ts";
import { CheckpointError, ConfigError } from "../errors.ts";
import { validate } from "../validate.ts";
import { Chain } from "./chain.ts";
import type { ReinforceReport } from "./grpo.ts";
import { parseReinforce } from "./options.ts";
import { reinforce } from "./reinforce.ts";
import { type SampleReport, sampleDataset } from "./sample.ts";
import { type SftReport, sft } from "./sft.ts";
import { parseSft } from "./sftOptions.ts";
import type { StageResult, StageStart } from "./stage.ts";
import { givenSettings, type StageRequest } from "./stageOpen.ts";
import { openTask } from "./tasks/named.ts";

/** A stage's own values, as its own command takes them; and the task, if it is another: an easier one first, say. */
const stageValues = z.looseObject({ task: z.string().optional() }).prefault({});

/** Values of rejection sampling within a chain. */
export const samplingSchema = z.strictObject({
  task: z.string().optional(),
  n: z.number().int().min(1).max(1e6).default(1000),
  k: z.number().int().min(1).max(1024).default(8),
  keep: z.number().int().min(1).max(1024).default(1),
  temperature: z.number().min(0.01).max(10).default(1),
  want: z.record(z.string(), z.number()).default({ format: 1 }),
});

const planSchema = z.strictObject({
  /** Fine-tuning on the task's worked texts. */
  coldStart: stageValues,
  grpo1: stageValues,
  sample: samplingSchema.prefault({}),
  sft: stageValues,
  grpo2: stageValues,
  /** What the second fine-tuning begins from: the model reinforced before, or, as R1 did, the one that all began with. */
  restart: z.enum(["last", "base"]).default("last"),
  /** Longest answer of all stages that draw some. */
  maxTokens: z.number().int().min(1).max(32_768).default(128),
  seed: z.number().int().nonnegative().default(1),
});
export type R1Plan = z.infer<typeof planSchema>;

export const R1_STAGES = ["coldStart", "grpo1", "sample", "sft", "grpo2"] as const;
export type R1Stage = (typeof R1_STAGES)[number];

export interface R1Request extends Omit<StageRequest, "resume" | "model" | "out"> {
  model: string;
  task: string;
  /** Where the model goes. Beside it, in `OUT.r1`, stand the plan and what the stages before made. */
  out: string;
  /** Told of the plan before anything is done, and of each stage when it begins. */
  onPlan?(plan: R1Plan, done: readonly R1Stage[]): void;
  onStage?(stage: R1Stage): void;
  onStart?(stage: R1Stage, run: StageStart): void;
  onReinforce?(stage: R1Stage, report: ReinforceReport, etaSeconds: number): void;
  onTune?(stage: R1Stage, report: SftReport, etaSeconds: number): void;
  onSample?(report: SampleReport): void;
}

export interface R1Result {
  reason: "done" | "stopped";
  stage: R1Stage;
  model?: string;
}

/** Values of each stage, checked; defaults put in. Throws ConfigError for what no stage knows. */
export function parsePlan(value: unknown, where = "--set"): R1Plan {
  const plan = validate(planSchema, value, where, (message) => new ConfigError(message));
  const { maxTokens, seed } = plan;
  const own = ({ task, ...values }: z.infer<typeof stageValues>) => ({ task, values });
  const complete = (stage: R1Stage, check: (value: unknown, where: string) => object, defaults: object) => {
    const { task, values } = own(plan[stage] as z.infer<typeof stageValues>);
    if (values["lora"] !== undefined)
      throw new ConfigError(
        `${where}: ${stage}: lora: the chain trains all weights, since each stage goes on with the model of the one before; train adapters stage by stage (sumbi reason zero, sft, distill)`,
      );
    return {
      ...(task === undefined ? {} : { task }),
      ...check({ ...defaults, seed, ...values }, `${where}: ${stage}`),
    };
  };
  return {
    ...plan,
    coldStart: complete("coldStart", parseSft, { evaluate: { maxTokens } }),
    sft: complete("sft", parseSft, { evaluate: { maxTokens } }),
    grpo1: complete("grpo1", parseReinforce, { maxTokens }),
    grpo2: complete("grpo2", parseReinforce, { maxTokens }),
  };
}

/**
 * Runs the chain to its end. One that was ended, also by kill -9, goes on when it is asked for again with the same model, task and values:
 * stages that are done are not made again, the one under way goes on step for step. Throws what its stages throw; CheckpointError for another plan.
 */
export async function r1(request: R1Request): Promise<R1Result> {
  const plan = parsePlan(givenSettings(request));
  for (const stage of R1_STAGES) await (await openTask(plan[stage].task ?? request.task)).close?.();
  const { model, task, out, overwrite } = request;
  const about = {
    kind: "r1",
    stages: R1_STAGES,
    data: ["sample"],
    model,
    out,
    overwrite,
    told: { task, plan },
  } as const;
  const chain = await Chain.open<R1Stage>(about);
  const stages = new Stages(request, plan, chain);
  request.onPlan?.(plan, chain.done());
  for (const stage of R1_STAGES) {
    if (chain.isDone(stage)) continue;
    if (request.signal?.aborted) return { reason: "stopped", stage };
    request.onStage?.(stage);
    const result = await stages.run(stage);
    if (result.reason === "stopped") return { reason: "stopped", stage };
  }
  return { reason: "done", stage: "grpo2", model: chain.place("grpo2") };
}

/** The stages at work in their chain. */
class Stages {
  constructor(
    private readonly request: R1Request,
    private readonly plan: R1Plan,
    private readonly chain: Chain<R1Stage>,
  ) {}

  async run(stage: R1Stage): Promise<{ reason: "done" | "stopped" }> {
    if (stage === "sample") return this.#sample();
    const earlier = this.chain.runOf(stage);
    if (earlier !== undefined) return this.#stage(stage, { resume: earlier });
    return this.#stage(stage, { model: this.#modelFor(stage), set: this.#valuesOf(stage) });
  }

  #modelFor(stage: R1Stage): string {
    const base = resolve(resolveModel(this.request.model));
    if (stage === "coldStart" || (stage === "sft" && this.plan.restart === "base")) return base;
    return this.chain.place(stage === "grpo1" ? "coldStart" : stage === "sft" ? "grpo1" : "sft");
  }

  #valuesOf(stage: Exclude<R1Stage, "sample">): Record<string, unknown> {
    const { task: _, ...values } = this.plan[stage];
    return values;
  }

  async #stage(
    stage: Exclude<R1Stage, "sample">,
    how: Pick<StageRequest, "model" | "resume" | "set">,
  ): Promise<StageResult> {
    const { request } = this;
    const { runs, signal, onProgress, onRecord } = request;
    const { task = request.task } = this.plan[stage];
    const shared = {
      ...how,
      runs,
      signal,
      onProgress,
      onRecord,
      out: this.chain.place(stage),
      overwrite: stage === "grpo2" && request.overwrite,
    };
    const isNew = how.resume === undefined;
    let started: Promise<void> = Promise.resolve();
    const onStart = (run: StageStart): void => {
      started = this.chain.keepRun(stage, run.id);
      started.catch(() => {});
      request.onStart?.(stage, run);
    };
    try {
      if (stage === "grpo1" || stage === "grpo2")
        return await reinforce({
          ...shared,
          ...(isNew ? { task } : {}),
          // after a cold start every answer thinks: what the gate asks has been decided
          force: true,
          onStart,
          onStep: (report, eta) => request.onReinforce?.(stage, report, eta),
        });
      const learned = stage === "coldStart" ? { task } : { data: [this.chain.place("sample")] };
      return await sft({
        ...shared,
        ...(isNew ? learned : {}),
        onStart,
        onStep: (report, eta) => request.onTune?.(stage, report, eta),
      });
    } finally {
      await started;
    }
  }

  async #sample(): Promise<{ reason: "done" | "stopped" }> {
    const { request, plan } = this;
    const { task = request.task, ...values } = plan.sample;
    const report = await sampleDataset({
      ...values,
      task,
      model: this.chain.place("grpo1"),
      out: this.chain.place("sample"),
      split: "train",
      maxTokens: plan.maxTokens,
      topP: 1,
      seed: plan.seed,
      signal: request.signal,
      onProgress: request.onProgress,
    }).catch((error: unknown) => {
      if (request.signal?.aborted) return undefined;
      throw error;
    });
    if (report === undefined) return { reason: "stopped" };
    request.onSample?.(report);
    if (report.kept === 0)
      throw new CheckpointError(
        `${report.out}: expected right answers to learn from, got none of ${report.answers}; a larger sample.k, more steps of grpo1, or an easier task. Remove the file to sample anew`,
      );
    return { reason: "done" };
  }
}
