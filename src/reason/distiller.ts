/** One step of on-policy distillation: ask, draw, let the teacher read, learn. Knows no files. arXiv:2306.13649, 2505.09388 §4.5. */
import { Decoder, ModelEngine } from "../infer/index.ts";
import { type ModelConfig, mixtureOf, mtpDepth, routedLayers } from "../model/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import {
  type Batch,
  type BatchShape,
  distillation,
  ForwardProgram,
  hiddenStates,
  type Learner,
  type ParameterStore,
} from "../train/index.ts";
import { type AnswerStatistics, answerStatistics } from "./answerStatistics.ts";
import type { DistillOptions } from "./distillOptions.ts";
import { ROLLOUTS_AT_ONCE, seedOf } from "./grpo.ts";
import { adamwLearner, rowsFor } from "./learner.ts";
import { checkStep } from "./memory.ts";
import { type Answer, microBatches, type RowShape, tokensFor } from "./microBatches.ts";
import type { Aggregation } from "./policy.ts";
import { PolicyStatistics, type UpdateReport } from "./policyStatistics.ts";
import type { Rewards } from "./rewards.ts";
import { type Group, Rollouts, tokensIn } from "./rollouts.ts";
import type { Teacher } from "./teacher.ts";

/** What hangs on earlier steps besides weights and moments. */
export interface DistillProgress {
  step: number;
  /** The next problem of the task's list. */
  problem: number;
  /** Answer tokens drawn. */
  tokens: number;
  seconds: number;
  /** Of these, what the teacher took. */
  teacherSeconds: number;
}

export const FIRST_DISTILL: DistillProgress = { step: 0, problem: 0, tokens: 0, seconds: 0, teacherSeconds: 0 };

/** What a step was like. Answers are scored to be looked at: the reward teaches nothing here. */
export interface DistillReport extends UpdateReport, AnswerStatistics {
  step: number;
  /** KL(student ‖ teacher) over the whole vocabulary, nats a token. */
  teacherKl: number;
  /** Answers that were trained on. */
  trained: number;
  rolloutSeconds: number;
  teacherSeconds: number;
  trainSeconds: number;
  stepSeconds: number;
  tokensPerSecond: number;
}

export interface DistillerParts {
  config: ModelConfig;
  store: ParameterStore;
  tokenizer: Tokenizer;
  rewards: Rewards;
  options: DistillOptions;
  teacher: Teacher;
}

/** A student with its engine over the same weights, and a teacher that reads what it says. */
export class Distiller {
  /** Shape that the teacher's program and the learner's are made for. */
  #made = "";
  #reading: ForwardProgram | undefined;

  private constructor(
    readonly parts: DistillerParts,
    readonly rollouts: Rollouts,
    readonly learner: Learner,
  ) {}

  static async create(parts: DistillerParts): Promise<Distiller> {
    const { config, store, tokenizer, rewards, options } = parts;
    const learner = await adamwLearner(store, config, options);
    const engine = new ModelEngine(await Decoder.create(config, store, { experts: true }), {
      maxActive: ROLLOUTS_AT_ONCE,
    });
    return new Distiller(parts, new Rollouts(engine, tokenizer, rewards), learner);
  }

  /** One step from the weights as they are. Moves `progress` only when all is done, so that a step that was interrupted is simply made again. */
  async step(
    progress: DistillProgress,
    signal?: AbortSignal,
  ): Promise<{ report: DistillReport; groups: Group[]; progress: DistillProgress }> {
    const { options, config } = this.parts;
    const began = performance.now();
    const step = progress.step + 1;
    const { problems, group, maxTokens, temperature, seed } = options;
    const asked = await this.rollouts.ask("rl", seed, progress.problem, problems, maxTokens);
    const draw = { group, maxTokens, temperature, seed: seedOf(seed, step, 0) };
    const groups = await this.rollouts.draw(asked, draw, "none", signal);
    const drawn = performance.now();
    const answers = answersOf(groups);
    const row = await this.#prepare(answers);
    const aggregation: Aggregation = options.aggregation === "longest" ? { longest: maxTokens } : options.aggregation;
    const { batches, place } = microBatches(answers, row, aggregation);
    const prepared = performance.now();
    await this.#read(answers, row, batches);
    const read = performance.now();
    signal?.throwIfAborted();
    await this.learner.begin(batches.length);
    for (const batch of batches) await this.learner.accumulate(batch);
    const sums = this.learner.finish();
    const learningRate = options.learningRate * Math.min(1, step / Math.max(1, options.warmupSteps));
    const gradNorm = await this.learner.gradientNorm();
    const statistics = new PolicyStatistics({ ratio: "token", surrogate: "clip" }, mixtureOf(config).perToken);
    statistics.add({ answers, place, sums, fresh: true, gradNorm, learningRate });
    // routers stay as they are: a bias that moves would move the student outside the gradient
    await this.learner.apply({ step: step - 1, learningRate, gamma: 0 });
    const ended = performance.now();
    const tokens = tokensIn(groups);
    const report: DistillReport = {
      step,
      ...answerStatistics(groups),
      ...statistics.report(),
      teacherKl: meanAt(sums.perToken["kls"], answers, place),
      trained: answers.length,
      rolloutSeconds: (drawn - began) / 1000,
      teacherSeconds: (read - prepared) / 1000,
      trainSeconds: (ended - read + prepared - drawn) / 1000,
      stepSeconds: (ended - began) / 1000,
      tokensPerSecond: tokens / ((drawn - began) / 1000),
    };
    return {
      report,
      groups,
      progress: {
        step,
        problem: progress.problem + problems,
        tokens: progress.tokens + tokens,
        seconds: progress.seconds + report.stepSeconds,
        teacherSeconds: progress.teacherSeconds + report.teacherSeconds,
      },
    };
  }

  async close(): Promise<void> {
    this.learner.dispose();
    this.#reading?.dispose();
    await this.rollouts.engine.close();
  }

  /** Compiles what answers of these lengths need; says how they are laid out. */
  async #prepare(answers: readonly Answer[]): Promise<RowShape> {
    const { config, store, tokenizer, options, teacher } = this.parts;
    const lanes = store.lanes.length;
    const rows = rowsFor(store, options.microBatch, options.problems * options.group);
    const tokens = tokensFor(answers);
    const mtp = mtpDepth(config) > 0 ? options.mtp : 0;
    const shape: BatchShape = { name: "distill", config, sequence: tokens, microBatch: rows, lanes };
    const made = `${rows} ${tokens}`;
    if (made !== this.#made) {
      const head = teacher.head(config.vocab_size);
      const objective = distillation({ head, mtp, experts: routedLayers(config) > 0 });
      if (this.#made === "") checkStep(shape, objective, store);
      await this.learner.prepare(shape, objective, { precision: "f32", accumulate: true });
      this.#reading?.dispose();
      this.#reading = undefined;
      const read = { ...shape, name: "teacher", config: teacher.config };
      this.#reading = await ForwardProgram.create(read, hiddenStates, teacher.parameters, "hidden");
      this.#made = made;
    }
    return { rows, tokens, extra: 1 + (mtp > 0 ? mtpDepth(config) : 0), pad: tokenizer.eosIds[0] ?? 0 };
  }

  /** Puts what the teacher makes of the answers beside them. */
  async #read(answers: readonly Answer[], row: RowShape, batches: readonly Batch[]): Promise<void> {
    const reading = this.#reading;
    if (reading === undefined) return;
    // the student's batches have ids for MTP modules besides, which the teacher is not asked about
    const laid = microBatches(answers, { ...row, extra: 1 }, "sequence");
    for (const [i, batch] of batches.entries()) batch.inputs["teacherHidden"] = await reading.run([laid.batches[i]!]);
  }
}

/** The answers as they are trained on; their log-probabilities are the model's own, whatever they were drawn at. */
const answersOf = (groups: readonly Group[]): Answer[] =>
  groups.flatMap(({ prompt, rollouts }) =>
    rollouts.map(({ ids, logprobs, experts }) => ({
      prompt,
      ids,
      advantage: 0,
      drawnLogProbabilities: logprobs,
      experts,
    })),
  );

/** Mean over the answers' tokens of a value of each place. */
function meanAt(values: Float32Array | undefined, answers: readonly Answer[], place: readonly number[]): number {
  let [sum, count] = [0, 0];
  for (const [i, { ids }] of answers.entries()) {
    const from = place[i] ?? 0;
    for (const value of values?.subarray(from, from + ids.length) ?? []) sum += value;
    count += ids.length;
  }
  return sum / Math.max(1, count);
}
