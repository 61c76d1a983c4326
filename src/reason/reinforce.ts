/** R1-Zero's way: reinforcement of a model on a task from its rewards alone, as a stage. */
import { z } from "zod";
import { SumbiError, UsageError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { RunReader } from "../runs/index.ts";
import { Diagnosis } from "./diagnose.ts";
import { type GateVerdict, judgeGate } from "./gate.ts";
import { drawOptions, FIRST_PROGRESS, Grpo, type ReinforceProgress, type ReinforceReport } from "./grpo.ts";
import { parseReinforce, type ReinforceOptions } from "./options.ts";
import { isRight, Rewards } from "./rewards.ts";
import { scoreGreedily } from "./score.ts";
import { runStage, type StageContext, type StageResult, type StageStart, type StageWork } from "./stage.ts";
import { beginStage, type StageKind, type StageRequest } from "./stageOpen.ts";
import { keepTranscripts, recordsOf } from "./stepRecords.ts";
import { openTask } from "./tasks/named.ts";

export interface ReinforceRequest extends StageRequest {
  /** As `openTask` takes it. Not with `resume`. */
  task?: string;
  /** Goes on where the gate is shut. */
  force?: boolean;
  onStart?(run: StageStart & { gate?: GateVerdict }): void;
  onStep?(report: ReinforceReport, etaSeconds: number): void;
}

/** `faults`: scoring that failed. */
export type ReinforceResult = StageResult;

/** The gate before the first step is shut; what to do is in the message. */
export class GateError extends SumbiError {
  constructor(readonly verdict: GateVerdict) {
    super(`the gate before reinforcement is shut. ${verdict.why.join(" ")} (--force goes on all the same)`);
  }
}

const whole = z.number().int().nonnegative();
const progressSchema = z.object({
  step: whole,
  problem: whole,
  updates: whole,
  tokens: whole,
  seconds: z.number().nonnegative(),
});

type Inputs = { task: string };

const ZERO: StageKind<ReinforceOptions, Inputs> = {
  stage: "zero",
  parse: parseReinforce,
  mayChange: ["steps", "evaluate", "save", "resample", "learningRate", "cost"],
  inputs: z.strictObject({ task: z.string() }),
};

/**
 * Reinforces a model on a task from its rewards alone (R1-Zero's way), and writes it as a Hugging Face folder. Throws GateError where RL would not
 * lengthen thoughts, SumbiError for what will not do. A `signal` saves and resolves with `stopped`; go on with `{ resume: id }`, step for step the same.
 */
export async function reinforce(request: ReinforceRequest): Promise<ReinforceResult> {
  if (request.resume !== undefined && request.task !== undefined)
    throw new UsageError("--resume: a run goes on with the task that it began with; leave --task out");
  let gate: GateVerdict | undefined;
  return runStage({
    kind: ZERO,
    request,
    async begin() {
      if (request.task === undefined) throw new UsageError("reason: expected a task, got none; name one with --task");
      const task = await openTask(request.task);
      await task.close?.();
      return beginStage(ZERO, request, { task: request.task }, `zero-${task.name}`);
    },
    open: (context) => reinforcing(request, context, (verdict) => (gate = verdict)),
    onStart: (run) => request.onStart?.({ ...run, gate }),
  });
}

/** Groups drawn, rewarded and learned from, on the stage's weights. */
async function reinforcing(
  request: ReinforceRequest,
  { config, store, tokenizer, options, inputs, dir, write }: StageContext<ReinforceOptions, Inputs>,
  judged: (verdict: GateVerdict) => void,
): Promise<StageWork<ReinforceProgress>> {
  const { onProgress = () => {} } = request;
  const task = await openTask(inputs.task);
  const { evaluate, group, maxTokens, steps, weights, format, overlong } = options;
  const length = overlong?.buffer === undefined ? undefined : { most: maxTokens, buffer: overlong.buffer };
  const rewards = new Rewards(task, { weights, format, length });
  const grpo = await Grpo.create({ config, store, tokenizer, rewards, options }).catch(async (error: unknown) => {
    await task.close?.();
    throw error;
  });
  const diagnosis = new Diagnosis({ group, maxTokens, weights: rewards.weights });
  if (request.resume !== undefined)
    for (const record of (await new RunReader(request.runs ?? "runs").read(request.resume)).log) diagnosis.see(record);
  return {
    first: FIRST_PROGRESS,
    saved: progressSchema,
    kept: grpo.learning.reference ? { reference: grpo.learning.reference.values } : {},
    steps,
    async begin(signal) {
      const gate = await askGate(grpo, options, onProgress, signal);
      judged(gate);
      for (const message of gate.why)
        write({ type: "event", step: 0, level: gate.open ? "info" : "warn", message: `gate: ${message}` });
      if (!gate.open && !request.force) throw new GateError(gate);
    },
    async step(progress, signal) {
      const made = await grpo.step(progress, signal);
      const { step } = made.progress;
      if (step === 1 || step === steps || step % evaluate.everySteps === 0)
        await keepTranscripts(dir, made.groups, step);
      return {
        progress: made.progress,
        tell(etaSeconds) {
          for (const record of recordsOf(made.report, made.progress, steps, etaSeconds)) {
            write(record);
            for (const event of diagnosis.see(record)) write(event);
          }
          request.onStep?.(made.report, etaSeconds);
        },
      };
    },
    evaluate: (step) => scoreGreedily(grpo.rollouts, { ...options, problems: options.evaluate.problems }, step, write),
    faults: () => rewards.describeFaults(),
    async close() {
      await grpo.close();
      await task.close?.();
    },
  };
}

async function askGate(
  grpo: Grpo,
  options: ReinforceOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<GateVerdict> {
  onProgress({ label: "asking the gate", done: 0, total: 0, unit: "" });
  const { gateSamples, maxTokens, seed } = options;
  const asked = await grpo.rollouts.ask("rl", seed, 0, gateSamples, maxTokens);
  const groups = await grpo.rollouts.draw(asked, { ...drawOptions(options), group: 1, kept: false }, "none", signal);
  return judgeGate(
    groups.flatMap(({ rollouts }) => rollouts.map(({ long, reward }) => ({ long, right: isRight(reward) }))),
  );
}
