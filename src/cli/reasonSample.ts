/** `sumbi reason sample`: right answers of a model or a teacher as a data set. */
import type { Command } from "commander";
import pc from "picocolors";
import { UsageError } from "../errors.ts";
import { type SampleRequest, sampleDataset } from "../reason/index.ts";
import { progressLine, shellCommand } from "./print.ts";
import { numberBetween } from "./quantities.ts";
import { percent } from "./reasonView.ts";
import { listenForStop } from "./stop.ts";

interface Flags extends Omit<SampleRequest, "want" | "endpoint" | "signal" | "onProgress"> {
  want: string[];
  keyEnv?: string;
  concurrency: number;
  json?: boolean;
}

export function registerSample(reason: Command): void {
  reason
    .command("sample")
    .description(
      "rejection sampling: draw answers, verify them by the task's rules, keep the shortest right ones as a data set",
    )
    .requiredOption(
      "--model <dir|url>",
      "a model, or a teacher behind an OpenAI-compatible endpoint (http://…/v1, #NAME behind it for one of its models)",
    )
    .requiredOption("--task <name>", "the task")
    .requiredOption("--out <file.jsonl>", "the data set; it must not be there yet")
    .option("--n <number>", "problems", numberBetween("--n", 1, 1e6), 1000)
    .option("--k <number>", "answers drawn to each", numberBetween("--k", 1, 1024), 8)
    .option("--keep <number>", "right answers kept of each, the shortest", numberBetween("--keep", 1, 1024), 1)
    .option("--split <name>", "problems of train or rl (those of test are never sampled)", splitOption, "train")
    .option("--want <part=least...>", "least values of the reward's parts, besides being right", ["format=1"])
    .option("--language <code>", "the script of the part `language`, say en")
    .option("--max-tokens <number>", "longest answer", numberBetween("--max-tokens", 1, 32_768), 128)
    .option("--temperature <number>", "", numberBetween("--temperature", 0.01, 10, "any"), 1)
    .option("--top-p <share>", "", numberBetween("--top-p", 0.01, 1, "any"), 1)
    .option("--seed <number>", "another seed, other problems", numberBetween("--seed", 0, 2 ** 31), 1)
    .option("--key-env <variable>", "an endpoint's key: the environment variable that holds it")
    .option("--concurrency <number>", "requests to an endpoint at once", numberBetween("--concurrency", 1, 256), 4)
    .option("--json", "the statistics as one JSON object")
    .action(sample);
}

function splitOption(text: string): "train" | "rl" {
  if (text === "train" || text === "rl") return text;
  throw new UsageError(`--split: expected train or rl, got ${text}`);
}

function wanted(list: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    list.map((one) => {
      const [, part, least] = /^([\w-]+)=(0|1|0?\.\d+)$/.exec(one) ?? [];
      if (part === undefined) throw new UsageError(`--want: expected part=least with a number from 0 to 1, got ${one}`);
      return [part, Number(least)];
    }),
  );
}

async function sample({ want, keyEnv, concurrency, json, ...request }: Flags): Promise<void> {
  const line = progressLine();
  const stop = listenForStop(() => "ending; start the same command again to go on");
  try {
    const report = await sampleDataset({
      ...request,
      want: wanted(want),
      endpoint: {
        concurrency,
        ...(keyEnv === undefined ? {} : { keyVariable: keyEnv }),
        onRetry: (reason, wait) => void process.stderr.write(`${pc.yellow("again")} in ${wait} s: ${reason}\n`),
      },
      signal: stop.signal,
      onProgress: line,
    });
    line.end();
    if (json) {
      process.stdout.write(`${JSON.stringify(report)}\n`);
      return;
    }
    const { out, kept, problems, answers, rightShare, solvedShare, dropped, tokens, keptLength, faults } = report;
    const rows = [
      `${pc.bold(`${kept} conversations in ${out}`)}, ${keptLength.toFixed(1)} tokens an answer`,
      `  ${answers} answers to ${problems} problems (${tokens} tokens): ${percent(rightShare)} right; ${percent(solvedShare)} of the problems have a right one`,
      ...Object.entries(dropped).map(([why, count]) => `  ${count} right ones left out: ${why}`),
      ...(faults === undefined ? [] : [pc.yellow(faults)]),
      ...(kept === 0
        ? [pc.yellow("nothing was right and as wanted: an easier task, a larger --k, or a --want that asks for less")]
        : []),
      `Learn from them: ${shellCommand("reason", "sft", "--model", "DIR", "--data", out)}`,
    ];
    process.stdout.write(`${rows.join("\n")}\n`);
  } finally {
    line.end();
    stop.end();
  }
}
