/** `sumbi evaluate`: how often a model is right on a task's test problems. */
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import type { Command } from "commander";
import pc from "picocolors";
import { resolveModel } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { type Estimate, evaluateTask, openRollouts, openTask } from "../reason/index.ts";
import { progressLine } from "./print.ts";
import { numberBetween } from "./quantities.ts";
import { listenForStop } from "./stop.ts";

interface Flags {
  task: string;
  n: number;
  k: number;
  seed: number;
  maxTokens?: number;
  temperature: number;
  topP: number;
  transcripts?: string;
  json?: boolean;
}

const inWords = ({ mean, low, high }: Estimate, unit: (x: number) => string): string =>
  `${unit(mean)} (${unit(low)} to ${unit(high)})`;
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

/** Countdown's summary in words. */
const SUMMARY: Record<string, string> = {
  trueFacts: "facts true",
  soundLines: "lines sound",
  trueVerdicts: "verdicts true",
  tried: "tries",
  firstTryRight: "first try right",
  retried: "tries again",
  rightAfterWrong: "right after a wrong try",
  withoutRetries: "right without retries",
};
const LABEL = 24;

/** `sumbi evaluate MODEL --task NAME`. */
export function register(program: Command): void {
  program
    .command("evaluate")
    .description(
      "measure a model on a task: pass@1, pass@k, majority of k, length, each with a 95 % interval over questions",
    )
    .argument("<model>", "a Hugging Face folder, a GGUF file, or the name of a bundled model")
    .requiredOption("--task <name>", "a task (docs/reason.md)")
    .option("--n <number>", "test problems", numberBetween("--n", 2, 1e6), 500)
    .option("--k <number>", "samples of each", numberBetween("--k", 1, 1024), 8)
    .option("--seed <number>", "the same seed asks every model the same", numberBetween("--seed", 0, 2 ** 31), 1)
    .option(
      "--max-tokens <number>",
      "longest answer (default 128, or what the context leaves)",
      numberBetween("--max-tokens", 1, 32_768),
    )
    .option("--temperature <number>", "of the samples", numberBetween("--temperature", 0.01, 10, "any"), 0.6)
    .option("--top-p <share>", "of the samples", numberBetween("--top-p", 0.01, 1, "any"), 0.95)
    .option("--transcripts <file.jsonl>", "write every answer there; the file must not be there yet")
    .option("--json", "one JSON object")
    .action(async (model: string, flags: Flags) => {
      const { task: name, transcripts: path, json, ...options } = flags;
      const line = progressLine();
      const stop = listenForStop(() => "ending");
      const task = await openTask(name);
      const rollouts = await openRollouts(resolveModel(model), task, line);
      try {
        const began = performance.now();
        const result = await evaluateTask(rollouts, options, line, stop.signal);
        line.end();
        const { transcripts, ...figures } = result;
        if (path !== undefined) keep(path, transcripts);
        const seconds = (performance.now() - began) / 1000;
        if (json) {
          process.stdout.write(
            `${JSON.stringify({ model: basename(model), task: name, ...options, seconds, ...figures })}\n`,
          );
          return;
        }
        const {
          greedy,
          greedyLength,
          passAt1,
          passAtK,
          consAtK,
          length,
          longShare,
          truncated,
          parts,
          baselines,
          summary = {},
          questions,
          k,
        } = figures;
        const rows = [
          ["greedy", inWords(greedy, percent)],
          ["pass@1", inWords(passAt1, percent)],
          [`pass@${k}`, inWords(passAtK, percent)],
          [`cons@${k}`, inWords(consAtK, percent)],
          ["length", inWords(length, (x) => x.toFixed(1))],
          ["greedy length", inWords(greedyLength, (x) => x.toFixed(1))],
          ["thinks", percent(longShare)],
          ["cut off", percent(truncated)],
        ];
        rows.push(...Object.entries(parts).map(([name, part]) => [name, inWords(part, percent)]));
        rows.push(...Object.entries(summary).map(([name, share]) => [SUMMARY[name] ?? name, percent(share)]));
        if (baselines)
          rows.push(
            ["best constant", `${percent(baselines.bestConstant.share)} (${baselines.bestConstant.rule})`],
            ["random draw", percent(baselines.randomDraw)],
          );
        process.stdout.write(
          `${pc.bold(`${basename(model)} on ${name}`)}: ${questions} test problems, ${k} samples each\n`,
        );
        for (const [label, text] of rows) process.stdout.write(`  ${label!.padEnd(LABEL)} ${text}\n`);
      } finally {
        line.end();
        stop.end();
        await rollouts.engine.close();
        await task.close?.();
      }
    });
}

function keep(path: string, transcripts: readonly object[]): void {
  try {
    writeFileSync(path, `${transcripts.map((one) => JSON.stringify(one)).join("\n")}\n`, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new CheckpointError(`${path}: exists already; choose another name with --transcripts`);
  }
}
