/** `sumbi reason r1`: the whole chain as one command. */
import type { Command } from "commander";
import pc from "picocolors";
import { R1_STAGES, type R1Plan, type R1Stage, r1 } from "../reason/index.ts";
import { say, watchChain } from "./chainView.ts";
import { shortPath } from "./trainEnd.ts";

interface Flags {
  model: string;
  task: string;
  out: string;
  overwrite?: boolean;
  set?: string[];
  runs: string;
  json?: boolean;
}

export function registerR1(reason: Command): void {
  reason
    .command("r1")
    .description(
      "R1's way: cold start (SFT), reinforcement, rejection sampling, SFT, reinforcement; goes on where it was ended when the same command is given again",
    )
    .requiredOption("--model <dir>", "the model to begin with")
    .requiredOption("--task <name>", "the task; a stage may have another: --set grpo1.task=countdown-3")
    .requiredOption("--out <dir>", "folder for the model; the stages before stand in DIR.r1")
    .option("--overwrite", "let the model replace one that Sumbi wrote into that folder before")
    .option(
      "--set <key=value...>",
      "change a value: --set coldStart.epochs=3 grpo1.steps=60 sample.n=2000 maxTokens=96",
    )
    .option("--runs <dir>", "where runs are kept", "runs")
    .option("--json", "log records on stdout, one JSON object a line")
    .action(chain);
}

const NAMES: Record<R1Stage, string> = {
  coldStart: "cold start: fine-tuning on worked texts",
  grpo1: "reinforcement",
  sample: "rejection sampling",
  sft: "fine-tuning on its own right answers",
  grpo2: "reinforcement again",
};

/** The plan in lines, a stage each, with what matters most of it. */
function planLines(plan: R1Plan, task: string, done: readonly R1Stage[]): string[] {
  const told: Record<R1Stage, readonly string[]> = {
    coldStart: ["texts", "epochs", "learningRate"],
    grpo1: ["steps", "problems", "group", "learningRate"],
    sample: ["n", "k", "keep"],
    sft: ["epochs", "learningRate"],
    grpo2: ["steps", "problems", "group", "learningRate"],
  };
  return R1_STAGES.map((stage, i) => {
    const values: Record<string, unknown> = plan[stage];
    const few = told[stage].map((key) => `${key} ${String(values[key])}`).join(", ");
    return `  ${i + 1}. ${NAMES[stage]} on ${plan[stage].task ?? task}: ${few}${done.includes(stage) ? pc.green("  done") : ""}`;
  });
}

const chain = (flags: Flags): Promise<void> =>
  watchChain(
    { stages: R1_STAGES, names: NAMES, out: flags.out, json: flags.json },
    ({ begin, ...watch }) =>
      r1({
        ...flags,
        ...watch,
        onPlan(plan, done) {
          say(`${pc.bold(`${flags.model} to ${flags.out}`)}, answers of at most ${plan.maxTokens} tokens:`);
          for (const text of planLines(plan, flags.task, done)) say(text);
        },
        onStart: (_, { id, steps, out }) => begin(id, `${id}: ${steps} steps; the model will be in ${shortPath(out)}`),
      }),
    (made) => [made, "--task", flags.task],
  );
