/** Supervised fine-tuning on conversations, as a stage: the loss is on replies alone, thoughts among them. */
import { z } from "zod";
import { absolutePaths, loadTokenizer } from "../data/index.ts";
import { DataError, UsageError } from "../errors.ts";
import { count } from "../format.ts";
import { Decoder, ModelEngine } from "../infer/index.ts";
import { type ModelConfig, mtpDepth, parseConfig } from "../model/index.ts";
import { checkpointConfig } from "../runs/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { type BatchShape, EvaluationProgram, supervised } from "../train/index.ts";
import { exampleAt, exampleBatches, tokensOf, trainedIn } from "./exampleBatches.ts";
import { type Example, type Examples, loadExamples } from "./examples.ts";
import { adamwLearner, checkGamma, rowsFor } from "./learner.ts";
import { checkStep } from "./memory.ts";
import type { RowShape } from "./microBatches.ts";
import { Rewards } from "./rewards.ts";
import { Rollouts } from "./rollouts.ts";
import { scoreGreedily } from "./score.ts";
import { parseSft, type SftOptions } from "./sftOptions.ts";
import { runStage, type StageContext, type StageResult, type StageStart, type StageWork } from "./stage.ts";
import { beginStage, givenSettings, modelFolder, type StageKind, type StageRequest } from "./stageOpen.ts";
import { openTask } from "./tasks/named.ts";

export interface SftRequest extends StageRequest {
  /** Files, folders, globs: .jsonl and .parquet of `messages`. Not with `resume`. */
  data?: readonly string[];
  /** Texts of its train split are learned from too, and its test problems are answered on the way. Not with `resume`. */
  task?: string;
  onStart?(run: StageStart & { about: string }): void;
  onStep?(report: SftReport, etaSeconds: number): void;
}

export interface SftReport {
  step: number;
  /** Mean over the trained tokens of the step. */
  loss: number;
  gradNorm: number;
  learningRate: number;
  tokensPerSecond: number;
  stepSeconds: number;
}

export interface SftProgress {
  step: number;
  /** Tokens trained. */
  tokens: number;
  seconds: number;
}

type Inputs = {
  data: string[];
  task?: string;
  /** Of all that is learned from. */
  hash: string;
};

const SFT: StageKind<SftOptions, Inputs> = {
  stage: "sft",
  parse: parseSft,
  mayChange: ["evaluate", "save", "learningRate", "cost"],
  inputs: z.strictObject({ data: z.array(z.string()), task: z.string().optional(), hash: z.string() }),
};

const progressSchema = z.object({
  step: z.number().int().nonnegative(),
  tokens: z.number().int().nonnegative(),
  seconds: z.number().nonnegative(),
});

/**
 * Fine-tunes a model on what assistants say in conversations, and writes it as a Hugging Face folder. Throws DataError naming file and line,
 * SumbiError for what else will not do. A `signal` saves and resolves with `stopped`; go on with `{ resume: id }`, step for step the same.
 */
export async function sft(request: SftRequest): Promise<StageResult> {
  const { resume, task, data = [] } = request;
  if (resume !== undefined && (data.length > 0 || task !== undefined))
    throw new UsageError("--resume: a run goes on with the texts that it began with; leave --data and --task out");
  let read: Examples | undefined;
  let about = "";
  return runStage({
    kind: SFT,
    request,
    async begin() {
      const asked = { data: absolutePaths(data), ...(task === undefined ? {} : { task }) };
      if (task === undefined && data.length === 0)
        throw new UsageError(
          "reason sft: expected conversations to learn from, got none; give files with --data, or a task with --task",
        );
      const from = modelFolder(request);
      const config = parseConfig(await checkpointConfig(from), `${from}/config.json`);
      const options = parseSft(givenSettings(request), "--set");
      read = await examplesFor(asked, options, loadTokenizer(from), config, request);
      return beginStage(SFT, request, { ...asked, hash: read.hash }, `sft-${await nameOf(asked)}`);
    },
    async open(context) {
      const { inputs, options, tokenizer, config } = context;
      const examples = read ?? (await examplesFor(inputs, options, tokenizer, config, request));
      if (examples.hash !== inputs.hash)
        throw new DataError(
          `${[...inputs.data, ...(inputs.task ? [inputs.task] : [])].join(", ")}: expected the texts that the run began with, got others; put those back, or start a new run`,
        );
      about = described(examples);
      return fineTuning(request, context, examples);
    },
    onStart: (run) => request.onStart?.({ ...run, about }),
  });
}

async function nameOf({ task: name }: Pick<Inputs, "task">): Promise<string> {
  if (name === undefined) return "messages";
  const task = await openTask(name);
  await task.close?.();
  return task.name;
}

async function examplesFor(
  { data, task: name }: Pick<Inputs, "data" | "task">,
  { texts, longShare, seed, longest, holdout, broken }: SftOptions,
  tokenizer: Tokenizer,
  config: ModelConfig,
  { onProgress, signal }: SftRequest,
): Promise<Examples> {
  const task = name === undefined ? undefined : await openTask(name);
  try {
    return await loadExamples({
      data,
      ...(task ? { task: { task, count: texts, longShare, seed } } : {}),
      tokenizer,
      longest: Math.min(longest ?? Infinity, config.max_position_embeddings),
      onBroken: broken,
      holdout,
      onProgress,
      signal,
    });
  } finally {
    await task?.close?.();
  }
}

/** What is learned from, in a line. */
function described({ trained, heldout, leftOut }: Examples): string {
  const tokens = trained.reduce((sum, { ids }) => sum + ids.length, 0);
  const replies = trained.reduce((sum, example) => sum + trainedIn(example), 0);
  const filled = tokens / (trained.length * (tokensOf(trained) + 1));
  return (
    `${count(trained.length)} examples of ${count(tokens)} tokens, ${share(replies / tokens)} of them replies, which are trained; ${count(heldout.length)} held out; ` +
    `${share(1 - filled)} of what is computed is padding${leftOut === undefined ? "" : `; ${leftOut}`}`
  );
}

const share = (of: number): string => `${Math.round(100 * of)} %`;

/** Steps over the examples, in another order each epoch, on the stage's weights. */
async function fineTuning(
  request: SftRequest,
  { config, store, tokenizer, options, inputs, write }: StageContext<SftOptions, Inputs>,
  { trained, heldout, leftOut }: Examples,
): Promise<StageWork<SftProgress>> {
  const total = Math.ceil(options.epochs * trained.length);
  const steps = Math.ceil(total / options.batch);
  const depth = mtpDepth(config);
  const tokens = tokensOf([...trained, ...heldout]);
  const rows = rowsFor(store, options.microBatch, Math.min(options.batch, total));
  const rowShape: RowShape = { rows, tokens, extra: 1 + depth, pad: tokenizer.eosIds[0] ?? 0 };
  const shape = { name: "sft", config, sequence: tokens, microBatch: rows, lanes: store.lanes.length };
  checkGamma(store, options.gamma);
  const objective = supervised({ mtp: depth > 0 ? options.mtp : 0 });
  checkStep(shape, objective, store);
  const learner = await adamwLearner(store, config, options);
  await learner.prepare(shape, objective, { precision: "f32", accumulate: true });
  const measure = await measuring({ config, store, tokenizer, options, inputs, write }, shape, heldout);
  if (leftOut !== undefined) write({ type: "event", step: 0, level: "warn", message: leftOut });
  return {
    first: { step: 0, tokens: 0, seconds: 0 },
    saved: progressSchema,
    steps,
    async step(progress, signal) {
      const began = performance.now();
      const { step } = progress;
      const examples = Array.from(
        { length: Math.min(options.batch, total - step * options.batch) },
        (_, i) => trained[exampleAt(step * options.batch + i, trained.length, options.seed)]!,
      );
      const batches = exampleBatches(examples, rowShape);
      await learner.begin(batches.length);
      for (const batch of batches) {
        signal.throwIfAborted();
        await learner.accumulate(batch);
      }
      const { metrics } = learner.finish();
      const gradNorm = await learner.gradientNorm();
      const learningRate = rateAt(options, step, steps);
      await learner.apply({ step, learningRate, gamma: options.gamma });
      const stepSeconds = (performance.now() - began) / 1000;
      const learned = examples.reduce((sum, example) => sum + trainedIn(example), 0);
      const report: SftReport = {
        step: step + 1,
        loss: metrics["mainLoss"] ?? NaN,
        gradNorm,
        learningRate,
        tokensPerSecond: examples.reduce((sum, { ids }) => sum + ids.length, 0) / stepSeconds,
        stepSeconds,
      };
      const made = { step: step + 1, tokens: progress.tokens + learned, seconds: progress.seconds + stepSeconds };
      return {
        progress: made,
        tell(etaSeconds) {
          const { learningRate: lr, ...rest } = report;
          write({
            type: "step",
            steps,
            ...rest,
            ...made,
            lr,
            mtpLoss: metrics["mtpLoss"],
            batch: examples.length,
            etaSeconds,
          });
          request.onStep?.(report, etaSeconds);
        },
      };
    },
    evaluate: measure.evaluate,
    async close() {
      learner.dispose();
      await measure.close();
    },
  };
}

/** Rises evenly, then falls along a cosine to its end. A function of the step alone. */
export function rateAt({ learningRate, warmupSteps, end }: SftOptions, step: number, steps: number): number {
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  const done = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return learningRate * (end + (1 - end) * 0.5 * (1 + Math.cos(Math.PI * done)));
}

/** The validation loss, and test problems of the task, by the weights as they are. */
async function measuring(
  { config, store, tokenizer, options, inputs, write }: Omit<StageContext<SftOptions, Inputs>, "dir">,
  shape: BatchShape,
  heldout: readonly Example[],
): Promise<{ evaluate(step: number): Promise<void>; close(): Promise<void> }> {
  const validation = heldout.length > 0 ? await EvaluationProgram.create(shape, store) : undefined;
  const targets = heldout.reduce((sum, example) => sum + trainedIn(example), 0);
  const { problems, maxTokens } = options.evaluate;
  const task = inputs.task === undefined ? undefined : await openTask(inputs.task);
  const engine = task && new ModelEngine(await Decoder.create(config, store));
  const rollouts = task && engine && new Rollouts(engine, tokenizer, new Rewards(task));
  let lowest = Infinity;
  return {
    async evaluate(step) {
      if (validation !== undefined) {
        let sum = 0;
        for (let at = 0; at < heldout.length; at += shape.microBatch)
          sum += await validation.run(heldout.slice(at, at + shape.microBatch).map(({ ids }) => ids));
        const loss = sum / targets;
        write({ type: "eval", step, loss, tokens: targets });
        if (loss > lowest * RISES)
          write({
            type: "event",
            step,
            level: "warn",
            message: `the validation loss rises (${lowest.toFixed(3)} → ${loss.toFixed(3)}): the examples are being learned by heart; fewer epochs, a lower learningRate, or more examples`,
          });
        lowest = Math.min(lowest, loss);
      }
      if (rollouts) await scoreGreedily(rollouts, { problems, maxTokens, seed: options.seed }, step, write);
    },
    async close() {
      validation?.dispose();
      await engine?.close();
      await task?.close?.();
    },
  };
}

/** A rise of the validation loss over its lowest that is told. */
const RISES = 1.05;
