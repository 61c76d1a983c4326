/** `sumbi evaluate`: how often a model is right on tasks' test problems, alone or against another. */
import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Command } from "commander";
import pc from "picocolors";
import { resolveModel } from "../checkpoint/index.ts";
import { UsageError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import {
  askEndpoint,
  compareEvaluations,
  Endpoint,
  type Estimate,
  type EvaluateOptions,
  EvaluationFile,
  evaluateTask,
  isUrl,
  openModel,
  openTask,
  type Respondent,
  type Task,
  type TaskEvaluation,
} from "../reason/index.ts";
import { progressLine } from "./print.ts";
import { numberBetween } from "./quantities.ts";
import { listenForStop } from "./stop.ts";

interface Flags extends EvaluateOptions {
  task: string[];
  against?: string;
  adapter?: string;
  out?: string;
  keyEnv?: string;
  concurrency: number;
  json?: boolean;
}

/** `sumbi evaluate MODEL --task NAME`. */
export function register(program: Command): void {
  program
    .command("evaluate")
    .description(
      "measure a model on a task: pass@1, pass@k, majority of k, length, each with a 95 % interval over questions",
    )
    .argument(
      "<model>",
      "a Hugging Face folder, a GGUF file, the name of a bundled model, or the address of an OpenAI-compatible server (http://localhost:8080/v1, #NAME behind it for one of its models)",
    )
    .requiredOption("--task <name>", "a task (docs/reason.md); more of them: --task again", eachOf)
    .option("--adapter <dir>", "an adapter of this model (PEFT's LoRA), merged into its weights as they are read")
    .option("--against <model>", "compare with another model on the same questions; with --adapter it may be this one")
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
    .option("--out <file.jsonl>", "keep every answer there; the same command goes on where an earlier one was stopped")
    .option("--key-env <variable>", "environment variable that holds a server's key")
    .option("--concurrency <number>", "requests at a server at once", numberBetween("--concurrency", 1, 256), 4)
    .option("--json", "one JSON object for each task")
    .action(evaluate);
}

const eachOf = (name: string, before: readonly string[] = []): string[] => [...before, name];

async function evaluate(model: string, flags: Flags): Promise<void> {
  const line = progressLine();
  const stop = listenForStop(() =>
    flags.out === undefined
      ? "ending; what was answered is lost (--out FILE would keep it)"
      : `ending; the same command goes on from what is kept in ${flags.out}`,
  );
  const tasks: Task[] = [];
  try {
    const models = [
      namedModel(model, flags.adapter),
      ...(flags.against === undefined ? [] : [namedModel(flags.against)]),
    ];
    if (new Set(models.map(({ given }) => given)).size < models.length)
      throw new UsageError(`--against: expected another model than ${model}`);
    if (new Set(flags.task).size < flags.task.length) throw new UsageError("--task: expected each task once");
    for (const name of flags.task) tasks.push(await openTask(name));
    const file = flags.out === undefined ? undefined : await openFile(flags.out, models, flags);
    if (file && file.found > 0) process.stderr.write(`going on: ${file.found} problems are answered in ${flags.out}\n`);
    const results: Evaluated[][] = [];
    for (const one of models) results.push(await measure(one, tasks, flags, { file, line, signal: stop.signal }));
    line.end();
    for (const [t, name] of flags.task.entries()) {
      const [first, second] = results.map((all) => all[t]);
      if (first) report(name, first, second, flags);
    }
  } finally {
    line.end();
    stop.end();
    for (const task of tasks) await task.close?.();
  }
}

/** A model as it was given, and as it is told. */
interface NamedModel {
  given: string;
  name: string;
  /** Where it is; absent for one behind a server. */
  dir?: string;
  /** The folder of an adapter of it. */
  adapter?: string;
}

function namedModel(given: string, adapter?: string): NamedModel {
  if (isUrl(given)) {
    if (adapter !== undefined)
      throw new UsageError("--adapter: expected a model of this machine, got one behind a server");
    return { given, name: given };
  }
  const dir = resolveModel(given);
  if (adapter === undefined) return { given, name: basename(given), dir };
  return { given: `${given} + ${adapter}`, name: `${basename(given)} + ${basename(adapter)}`, dir, adapter };
}

/** Kept answers are of one evaluation: the same models, with the same weights, asked the same. */
function openFile(path: string, models: readonly NamedModel[], flags: Flags): Promise<EvaluationFile> {
  const { task, n, k, seed, maxTokens, temperature, topP } = flags;
  return EvaluationFile.open(path, {
    models: models.map(({ given }) => given),
    weights: models.map(({ dir, adapter }) =>
      [dir, adapter].map((at) => (at === undefined ? "" : stampOf(at))).join(""),
    ),
    tasks: task,
    n,
    k,
    seed,
    maxTokens,
    temperature,
    topP,
  });
}

/** Of a model's files: names, sizes and times. */
function stampOf(path: string): string {
  const whole = statSync(path);
  const names = whole.isDirectory() ? readdirSync(path).filter((name) => /\.(safetensors|json|jinja)$/.test(name)) : [];
  const files = whole.isDirectory() ? names.sort().map((name) => [name, statSync(join(path, name))] as const) : [];
  const all = whole.isDirectory() ? files : [[basename(path), whole] as const];
  const told = all.map(([name, { size, mtimeMs }]) => `${name} ${size} ${mtimeMs}`).join("\n");
  return createHash("sha256").update(told).digest("hex").slice(0, 16);
}

interface Evaluated {
  name: string;
  seconds: number;
  result: TaskEvaluation;
}

interface Means {
  file?: EvaluationFile;
  line: OnProgress;
  signal: AbortSignal;
}

async function measure(
  model: NamedModel,
  tasks: readonly Task[],
  flags: Flags,
  { file, line, signal }: Means,
): Promise<Evaluated[]> {
  const respondent = await openRespondent(model, flags, line);
  try {
    const all: Evaluated[] = [];
    for (const [t, task] of tasks.entries()) {
      const began = performance.now();
      const { n, k, seed, maxTokens, temperature, topP } = flags;
      const store = file?.of(model.given, flags.task[t] ?? task.name);
      const onProgress: OnProgress = (report) => line({ ...report, note: model.name });
      const options = { n, k, seed, maxTokens, temperature, topP };
      const result = await evaluateTask(respondent, task, options, { onProgress, signal, store });
      all.push({ name: model.name, seconds: (performance.now() - began) / 1000, result });
    }
    return all;
  } finally {
    await respondent.close();
  }
}

async function openRespondent(named: NamedModel, flags: Flags, line: OnProgress): Promise<Respondent> {
  const { given, dir, adapter } = named;
  if (dir !== undefined) return openModel(dir, { adapter, onProgress: line });
  const { keyEnv: keyVariable, concurrency } = flags;
  const [url = given, model] = given.split("#", 2);
  const onRetry = (reason: string, waitSeconds: number): void =>
    void process.stderr.write(`${pc.yellow("warn")}: ${reason}; again in ${waitSeconds.toFixed(0)} s\n`);
  return askEndpoint(new Endpoint({ url, model, keyVariable, concurrency, onRetry }));
}

function report(task: string, first: Evaluated, second: Evaluated | undefined, flags: Flags): void {
  const difference = second && compareEvaluations(first.result, second.result, [first.name, second.name]);
  for (const { name, result } of [first, ...(second ? [second] : [])])
    if (result.faults !== undefined) process.stderr.write(`${pc.yellow("warn")}: ${name}: ${result.faults}\n`);
  if (flags.json) {
    const { n, k, seed, maxTokens, temperature, topP } = flags;
    const asked = { n, k, seed, maxTokens, temperature, topP };
    const against = second && difference && { against: { ...told(second), difference } };
    process.stdout.write(`${JSON.stringify({ task, ...asked, ...told(first), ...against })}\n`);
    return;
  }
  for (const one of [first, ...(second ? [second] : [])]) {
    process.stdout.write(
      `${pc.bold(`${one.name} on ${task}`)}: ${one.result.questions} test problems, ${one.result.k} samples each\n`,
    );
    for (const [label, text] of rowsOf(one.result)) process.stdout.write(`  ${label.padEnd(LABEL)} ${text}\n`);
  }
  if (!difference) return;
  process.stdout.write(`${pc.bold(difference.sentence)}\n`);
  const { atEqualTokens: best } = difference;
  if (best)
    process.stdout.write(
      `Within the ${first.result.length.mean.toFixed(1)} tokens of an answer of ${first.name}, ${second?.name} does best by ${best.decoding}: ${inWords(best.right, percent)} (${best.tokens.toFixed(1)} tokens)\n`,
    );
}

/** An evaluation's figures, without what they are of question by question. */
function told({ name, seconds, result: { values: _, ...figures } }: Evaluated): object {
  return { model: name, seconds, ...figures };
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

function rowsOf(result: TaskEvaluation): [string, string][] {
  const { k, greedy, greedyLength, passAt1, passAtK, consAtK, length, longShare, truncated } = result;
  const { parts, baselines, summary = {} } = result;
  const tokens = (x: number): string => x.toFixed(1);
  return [
    ["greedy", inWords(greedy, percent)],
    ["pass@1", inWords(passAt1, percent)],
    [`pass@${k}`, inWords(passAtK, percent)],
    [`cons@${k}`, inWords(consAtK, percent)],
    ["length", inWords(length, tokens)],
    ["greedy length", inWords(greedyLength, tokens)],
    ["thinks", percent(longShare)],
    ["cut off", percent(truncated)],
    ...Object.entries(parts).map(([name, part]): [string, string] => [name, inWords(part, percent)]),
    ...Object.entries(summary).map(([name, share]): [string, string] => [SUMMARY[name] ?? name, percent(share)]),
    ...(baselines
      ? ([
          ["best constant", `${percent(baselines.bestConstant.share)} (${baselines.bestConstant.rule})`],
          ["random draw", percent(baselines.randomDraw)],
        ] as [string, string][])
      : []),
  ];
}
