/** `sumbi reason`: texts to pretrain on, and reinforcement of a model on a task. */
import type { Command } from "commander";
import pc from "picocolors";
import { CheckpointError } from "../errors.ts";
import { openTask, reinforce, TASK_NAMES, writeTaskTexts } from "../reason/index.ts";
import { duration, progressLine, shellCommand } from "./print.ts";
import { numberBetween } from "./quantities.ts";
import { listenForStop } from "./stop.ts";
import { shortPath } from "./trainEnd.ts";

interface ZeroFlags {
  model?: string;
  task?: string;
  out?: string;
  overwrite?: boolean;
  set?: string[];
  runs: string;
  resume?: string;
  force?: boolean;
  json?: boolean;
}

const percent = (share: number | undefined): string =>
  share === undefined ? "–" : `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

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
    .option("--seed <n>", "another seed, other texts", numberBetween("--seed", 0, 2 ** 31), 1)
    .action(
      async ({
        task: name,
        out,
        count,
        long,
        seed,
      }: {
        task: string;
        out: string;
        count: number;
        long: number;
        seed: number;
      }) => {
        const task = await openTask(name);
        try {
          await writeTaskTexts(out, task, count, { seed, longShare: long }).catch((error: NodeJS.ErrnoException) => {
            if (error.code === "EEXIST")
              throw new CheckpointError(`${out}: exists already; choose another name with --out`);
            throw error;
          });
          process.stderr.write(`${count} texts of ${name} in ${out}\n`);
        } finally {
          await task.close?.();
        }
      },
    );
  reason
    .command("zero")
    .description("R1-Zero's way: reinforcement on a task's rewards alone (GRPO), from a pretrained model")
    .option("--model <dir>", "the model to begin with")
    .option("--task <name>", "the task")
    .option("--out <dir>", "folder for the model (default models/zero-TASK)")
    .option("--overwrite", "let the model replace one that Sumbi wrote into that folder before")
    .option("--set <key=value...>", "change a value: --set steps=100 group=16 learningRate=3e-4 maxTokens=64")
    .option("--runs <dir>", "where runs are kept", "runs")
    .option("--resume <run>", "go on with a run by its id, exactly as if it had not been interrupted")
    .option("--force", "go on where the gate before reinforcement is shut")
    .option("--json", "log records on stdout, one JSON object a line")
    .action(zero);
}

async function zero(flags: ZeroFlags): Promise<void> {
  const line = progressLine();
  let saying = "ending; nothing has been learned yet";
  const stop = listenForStop(() => saying);
  let steps = 0;
  try {
    const result = await reinforce({
      ...flags,
      signal: stop.signal,
      onProgress: line,
      onStart({ id, out, steps: all, gate }) {
        line.end();
        steps = all;
        saying = "saving, then ending (Ctrl-C again ends at once, losing the steps since the last save)";
        for (const text of gate?.why ?? []) process.stderr.write(`${gate?.open ? text : pc.yellow(text)}\n`);
        process.stderr.write(`${pc.bold(id)}: ${all} steps; the model will be in ${shortPath(out)}\n`);
      },
      onStep({ step, reward, length, longShare, longRight, shortRight, dead, driftMax, stepSeconds }, etaSeconds) {
        process.stderr.write(
          `step ${step}/${steps}  reward ${reward.toFixed(3)}  length ${length.toFixed(1)}  thinks ${percent(longShare)}` +
            `  right: thinking ${percent(longRight)}, not ${percent(shortRight)}  dead groups ${percent(dead)}` +
            `${driftMax > DRIFT_MOST ? pc.yellow(`  drift ${driftMax.toExponential(1)}`) : ""}  ${stepSeconds.toFixed(1)} s  ${duration(etaSeconds)} left\n`,
        );
      },
      onRecord(record) {
        if (flags.json) process.stdout.write(`${JSON.stringify(record)}\n`);
        if (record.type === "score")
          process.stderr.write(
            `${pc.bold(`test after ${record.step} steps: ${percent(record.right)} right`)} of ${record.problems}, greedily; length ${record.length.toFixed(1)}, thinks ${percent(record.longShare)}\n`,
          );
        if (record.type === "event" && record.level === "warn" && !record.message.startsWith("gate:"))
          process.stderr.write(`${pc.yellow("warn")}: ${record.message}\n`);
      },
    });
    if (result.reason === "done")
      process.stderr.write(
        `done: the model is in ${shortPath(result.model ?? "")}. Measure it: ${shellCommand("evaluate", shortPath(result.model ?? ""), "--task", flags.task ?? "TASK")}\n`,
      );
    else {
      process.stderr.write(
        `stopped at step ${result.step}; go on: ${shellCommand("reason", "zero", "--resume", result.id)}\n`,
      );
      process.exitCode = 130;
    }
  } finally {
    line.end();
    stop.end();
  }
}

/** Beyond this, answers are drawn from another distribution than the one that is trained. */
const DRIFT_MOST = 1e-4;
