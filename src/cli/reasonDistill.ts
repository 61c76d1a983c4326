/** `sumbi reason distill`: a student learns from a teacher, on verified samples of it or on its own answers. */
import type { Command } from "commander";
import pc from "picocolors";
import { UsageError } from "../errors.ts";
import { distill, distillSamples, SAMPLES_STAGES, type SamplesStage } from "../reason/index.ts";
import { say, watchChain } from "./chainView.ts";
import { duration, shellCommand } from "./print.ts";
import { numberBetween } from "./quantities.ts";
import { type StageFlags, stageCommand, stageModel, watchStage } from "./reasonStage.ts";
import { shortPath } from "./trainEnd.ts";

interface DistillFlags extends StageFlags {
  teacher?: string;
  task?: string;
  onPolicy?: boolean;
  keyEnv?: string;
  concurrency: number;
}

export function registerDistill(reason: Command): void {
  stageCommand(
    reason,
    "distill",
    "learn from a teacher: on its verified answers (the same command goes on where it was ended), or with --on-policy on the student's own",
    "sample.n=2000 sample.k=4 sft.epochs=3 maxTokens=96, or with --on-policy steps=100 problems=64",
  )
    .option(
      "--teacher <dir|url>",
      "a model, or one behind an OpenAI-compatible endpoint (http://…/v1, #NAME behind it for one of its models)",
    )
    .option("--task <name>", "the task")
    .option(
      "--on-policy",
      "the student answers, the teacher's whole distribution at each token is learned from: for teachers in a folder with the student's tokens",
    )
    .option("--key-env <variable>", "an endpoint's key: the environment variable that holds it")
    .option("--concurrency <number>", "requests to an endpoint at once", numberBetween("--concurrency", 1, 256), 4)
    .action((flags: DistillFlags) =>
      flags.onPolicy || flags.resume !== undefined ? onPolicy(flags) : onSamples(flags),
    );
}

const onPolicy = ({ keyEnv, ...flags }: DistillFlags): Promise<void> => {
  if (keyEnv !== undefined)
    throw new UsageError("--key-env: a key is for endpoints, and on-policy distillation wants a teacher in a folder");
  return watchStage(
    "distill",
    flags,
    ({ started, ...watch }) => distill({ ...flags, ...watch, onStart: (run) => started(run, []) }),
    (model) => `Measure it: ${shellCommand("evaluate", ...stageModel(model, flags), "--task", flags.task ?? "TASK")}`,
  );
};

const NAMES: Record<SamplesStage, string> = {
  sample: "the teacher answers, the task verifies",
  sft: "fine-tuning on what was right",
};

async function onSamples(flags: DistillFlags): Promise<void> {
  const { model, teacher, task, out, keyEnv, concurrency, json } = flags;
  if (model === undefined || teacher === undefined || task === undefined || out === undefined)
    throw new UsageError(
      "reason distill: expected --model (the student), --teacher, --task and --out; an on-policy run goes on with --resume ID",
    );
  await watchChain(
    { stages: SAMPLES_STAGES, names: NAMES, out, json },
    ({ begin, ...watch }) =>
      distillSamples({
        ...flags,
        model,
        teacher,
        task,
        out,
        endpoint: {
          concurrency,
          ...(keyEnv === undefined ? {} : { keyVariable: keyEnv }),
          onRetry: (reason, wait) => say(`${pc.yellow("again")} in ${wait} s: ${reason}`),
        },
        ...watch,
        onPlan({ sample: { n, k, keep }, sft, maxTokens }, done) {
          say(`${pc.bold(`${teacher} teaches ${model}`)}, answers of at most ${maxTokens} tokens:`);
          const told = [`n ${n}, k ${k}, keep ${keep}`, `epochs ${sft.epochs}, learningRate ${sft.learningRate}`];
          for (const [i, stage] of SAMPLES_STAGES.entries())
            say(`  ${i + 1}. ${NAMES[stage]}: ${told[i]}${done.includes(stage) ? pc.green("  done") : ""}`);
        },
        onStart: ({ id, steps, about }) =>
          begin(id, `${about}\n${id}: ${steps} steps; the model will be in ${shortPath(out)}`),
      }),
    (made) => [...stageModel(made, flags), "--task", task],
    ({ teacher: cost }) => {
      if (!cost) return;
      const { seconds, answers, tokens, joules, usd } = cost;
      say(
        `the teacher took ${duration(seconds)} for ${answers} answers of ${tokens} tokens (here ${(joules / 3.6e6).toFixed(4)} kWh, $${usd.toFixed(4)}); fine-tuning is in its run's ledger`,
      );
    },
  );
}
