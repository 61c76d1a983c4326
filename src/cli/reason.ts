/** `sumbi reason`: texts to learn from, and the stages that teach a model to reason. */
import type { Command } from "commander";
import pc from "picocolors";
import { CheckpointError } from "../errors.ts";
import { openTask, reinforce, sft, TASK_NAMES, writeTaskTexts } from "../reason/index.ts";
import { shellCommand } from "./print.ts";
import { numberBetween } from "./quantities.ts";
import { registerDistill } from "./reasonDistill.ts";
import { registerR1 } from "./reasonR1.ts";
import { registerSample } from "./reasonSample.ts";
import { type StageFlags, stageCommand, stageModel, watchStage } from "./reasonStage.ts";

interface ZeroFlags extends StageFlags {
  task?: string;
  force?: boolean;
}

interface SftFlags extends StageFlags {
  data?: string[];
  task?: string;
}

/** `sumbi reason STAGE`. */
export function register(program: Command): void {
  const reason = program
    .command("reason")
    .description("teach a model to reason on a task that a rule can check")
    .addHelpText(
      "after",
      `\nTasks: ${TASK_NAMES.map(({ form }) => form).join(", ")}, a .jsonl file, or a module of your own (docs/reason.md).`,
    );
  reason
    .command("texts")
    .description(
      "write texts of a task to pretrain on: answered with the working in a share of them, at a glance in the rest",
    )
    .requiredOption("--task <name>", "a task")
    .requiredOption("--out <file.jsonl>", "the file to write; it must not be there yet")
    .option("--count <n>", "texts", numberBetween("--count", 1, 1e8), 20_000)
    .option("--long <share>", "share that shows the working", numberBetween("--long", 0, 1, "any"), 0.15)
    .option(
      "--turns <n>",
      "each question behind 0 to so many turns of builtin:conversations, read and not learned",
      numberBetween("--turns", 0, 20),
      0,
    )
    .option("--seed <n>", "another seed, other texts", numberBetween("--seed", 0, 2 ** 31), 1)
    .action(
      async ({
        task: name,
        out,
        count,
        long,
        turns,
        seed,
      }: {
        task: string;
        out: string;
        count: number;
        long: number;
        turns: number;
        seed: number;
      }) => {
        const task = await openTask(name);
        try {
          await writeTaskTexts(out, task, count, { seed, longShare: long, turns }).catch(
            (error: NodeJS.ErrnoException) => {
              if (error.code === "EEXIST")
                throw new CheckpointError(`${out}: exists already; choose another name with --out`);
              throw error;
            },
          );
          process.stderr.write(`${count} texts of ${name} in ${out}\n`);
        } finally {
          await task.close?.();
        }
      },
    );
  stageCommand(
    reason,
    "zero",
    "R1-Zero's way: reinforcement on a task's rewards alone (GRPO), from a pretrained model",
    "steps=100 group=16 learningRate=3e-4 maxTokens=64",
  )
    .option("--task <name>", "the task")
    .option("--force", "go on where the gate before reinforcement is shut")
    .action(zero);
  stageCommand(
    reason,
    "sft",
    "fine-tune on conversations, the loss on replies alone: worked examples, verified samples",
    "epochs=3 batch=16 learningRate=1e-4 holdout=0.1",
  )
    .option("--data <file...>", ".jsonl or .parquet files of `messages`, folders or globs")
    .option("--task <name>", "learn from texts of a task's train split, and answer its test problems on the way")
    .action(fineTune);
  registerSample(reason);
  registerDistill(reason);
  registerR1(reason);
}

const zero = (flags: ZeroFlags): Promise<void> =>
  watchStage(
    "zero",
    flags,
    ({ started, ...watch }) =>
      reinforce({
        ...flags,
        ...watch,
        onStart({ gate, ...run }) {
          started(
            run,
            (gate?.why ?? []).map((text) => (gate?.open ? text : pc.yellow(text))),
          );
        },
      }),
    (model) => `Measure it: ${shellCommand("evaluate", ...stageModel(model, flags), "--task", flags.task ?? "TASK")}`,
  );

const fineTune = (flags: SftFlags): Promise<void> =>
  watchStage(
    "sft",
    flags,
    ({ started, ...watch }) => sft({ ...flags, ...watch, onStart: ({ about, ...run }) => started(run, [about]) }),
    (model) =>
      flags.task === undefined
        ? `Talk to it: ${shellCommand("chat", ...stageModel(model, flags))}`
        : `Measure it: ${shellCommand("evaluate", ...stageModel(model, flags), "--task", flags.task)}`,
  );
