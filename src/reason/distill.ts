/** On-policy distillation as a stage: a student answers, a teacher says at each token what it would have said, the student moves towards that. */
import { resolve } from "node:path";
import { z } from "zod";
import { resolveModel } from "../checkpoint/index.ts";
import { loadTokenizer } from "../data/index.ts";
import { CheckpointError, UsageError } from "../errors.ts";
import { duration } from "../format.ts";
import { parseConfig } from "../model/index.ts";
import { checkpointConfig, RunReader, spentIn } from "../runs/index.ts";
import { Diagnosis } from "./diagnose.ts";
import { Distiller, type DistillProgress, type DistillReport, FIRST_DISTILL } from "./distiller.ts";
import { type DistillOptions, parseDistill } from "./distillOptions.ts";
import { isUrl } from "./endpoint.ts";
import { Rewards } from "./rewards.ts";
import { scoreGreedily } from "./score.ts";
import { runStage, type StageContext, type StageResult, type StageStart, type StageWork } from "./stage.ts";
import { beginStage, givenSettings, modelFolder, type StageKind, type StageRequest } from "./stageOpen.ts";
import { keepTranscripts, recordsOf } from "./stepRecords.ts";
import { openTask } from "./tasks/named.ts";
import { openTeacher, type Teacher } from "./teacher.ts";

export interface DistillRequest extends StageRequest {
  /** As `openTask` takes it. Not with `resume`. */
  task?: string;
  /** A folder, a GGUF file or the name of a bundled model whose tokens are the student's. Not with `resume`. */
  teacher?: string;
  onStart?(run: StageStart): void;
  onStep?(report: DistillReport, etaSeconds: number): void;
}

const whole = z.number().int().nonnegative();
const progressSchema = z.object({
  step: whole,
  problem: whole,
  tokens: whole,
  seconds: z.number().nonnegative(),
  teacherSeconds: z.number().nonnegative(),
});

type Inputs = {
  task: string;
  teacher: string;
  /** Of the teacher's weights. */
  teacherDigest: string;
};

const DISTILL: StageKind<DistillOptions, Inputs> = {
  stage: "distill",
  parse: parseDistill,
  mayChange: ["steps", "evaluate", "save", "learningRate", "cost"],
  inputs: z.strictObject({ task: z.string(), teacher: z.string(), teacherDigest: z.string() }),
};

/**
 * Distils a teacher into a student on the student's own answers: reverse KL over the whole vocabulary at each of their tokens. Writes the student as a
 * Hugging Face folder. Throws UsageError for an endpoint as teacher, ConfigError for other tokens, SumbiError for what else will not do. A `signal`
 * saves and resolves with `stopped`; go on with `{ resume: id }`, step for step the same.
 */
export async function distill(request: DistillRequest): Promise<StageResult> {
  const { resume, task: name, teacher: from } = request;
  if (resume !== undefined && (name !== undefined || from !== undefined))
    throw new UsageError(
      "--resume: a run goes on with the task and teacher that it began with; leave --task and --teacher out",
    );
  let teacher: Teacher | undefined;
  return runStage({
    kind: DISTILL,
    request,
    async begin() {
      if (name === undefined) throw new UsageError("reason: expected a task, got none; name one with --task");
      parseDistill(givenSettings(request), "--set");
      const task = await openTask(name);
      await task.close?.();
      const dir = teacherFolder(from);
      const student = modelFolder(request);
      const config = parseConfig(await checkpointConfig(student), `${student}/config.json`);
      teacher = await openTeacher(dir, { config, tokenizer: loadTokenizer(student) }, request.onProgress);
      const inputs = { task: name, teacher: dir, teacherDigest: teacher.digest };
      return beginStage(DISTILL, request, inputs, `distill-${task.name}`);
    },
    async open(context) {
      const { inputs, config, tokenizer } = context;
      const opened = teacher ?? (await openTeacher(inputs.teacher, { config, tokenizer }, request.onProgress));
      if (opened.digest !== inputs.teacherDigest)
        throw new CheckpointError(
          `${inputs.teacher}: expected the teacher that the run began with, got other weights; put those back, or start a new run`,
        );
      return distilling(request, context, opened);
    },
    onStart: request.onStart,
  });
}

/** Where a teacher's weights are. Throws UsageError for one whose weights are elsewhere. */
function teacherFolder(teacher: string | undefined): string {
  if (teacher === undefined)
    throw new UsageError("reason distill: expected a teacher, got none; name one with --teacher");
  if (isUrl(teacher))
    throw new UsageError(
      `--teacher ${teacher}: on-policy distillation wants the teacher's whole distribution at every token, which no endpoint gives; give its folder, or leave --on-policy out: verified samples are learned from`,
    );
  return resolve(resolveModel(teacher));
}

/** Answers drawn, read by the teacher and learned from, on the stage's weights. */
async function distilling(
  request: DistillRequest,
  { config, store, tokenizer, options, inputs, dir, write }: StageContext<DistillOptions, Inputs>,
  teacher: Teacher,
): Promise<StageWork<DistillProgress>> {
  const task = await openTask(inputs.task);
  const { evaluate, group, maxTokens, steps, weights, format, cost } = options;
  const rewards = new Rewards(task, { weights, format });
  const distiller = await Distiller.create({ config, store, tokenizer, rewards, options, teacher }).catch(
    async (error: unknown) => {
      await task.close?.();
      throw error;
    },
  );
  const diagnosis = new Diagnosis({ group, maxTokens, weights: rewards.weights, topics: ["drift", "still"] });
  if (request.resume !== undefined)
    for (const record of (await new RunReader(request.runs ?? "runs").read(request.resume)).log) diagnosis.see(record);
  return {
    first: FIRST_DISTILL,
    saved: progressSchema,
    steps,
    async step(progress, signal) {
      const { report, groups, progress: made } = await distiller.step(progress, signal);
      const { step } = made;
      if (step === 1 || step === steps || step % evaluate.everySteps === 0) await keepTranscripts(dir, groups, step);
      return {
        progress: made,
        tell(etaSeconds) {
          for (const record of recordsOf(report, made, steps, etaSeconds)) {
            write(record);
            for (const event of diagnosis.see(record)) write(event);
          }
          if (step === steps) write({ type: "event", step, level: "info", message: costOfTeacher(made, cost) });
          request.onStep?.(report, etaSeconds);
        },
      };
    },
    evaluate: (step) =>
      scoreGreedily(distiller.rollouts, { ...options, problems: options.evaluate.problems }, step, write),
    faults: () => rewards.describeFaults(),
    async close() {
      await distiller.close();
      await task.close?.();
    },
  };
}

/** What the teacher cost of all steps, in words. */
function costOfTeacher({ teacherSeconds, seconds }: DistillProgress, cost: DistillOptions["cost"]): string {
  const { joules, usd } = spentIn(teacherSeconds, cost);
  const share = Math.round((100 * teacherSeconds) / Math.max(1e-9, seconds));
  return `the teacher read for ${duration(teacherSeconds)}, ${share} % of the steps' ${duration(seconds)}: ${(joules / 3.6e6).toFixed(4)} kWh, $${usd.toFixed(4)}. Making it is not counted`;
}
