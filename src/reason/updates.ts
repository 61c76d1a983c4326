/** Learning from a batch of answers: one update or several, with a reference and old log-probabilities where the formula wants them. */
import { Random } from "../data/index.ts";
import { type ModelConfig, mixtureOf, mtpDepth, routedLayers } from "../model/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import {
  type BatchShape,
  ForwardProgram,
  type Learner,
  ParameterCopy,
  type ParameterStore,
  type Parameters,
  type PolicyOptions,
  policy,
} from "../train/index.ts";
import { updatesOf } from "./formulas.ts";
import { adamwLearner, checkGamma, rowsFor } from "./learner.ts";
import { type Answer, answersOf, keptFor, microBatches, type RowShape, tokensFor } from "./microBatches.ts";
import type { ReinforceOptions } from "./options.ts";
import type { Aggregation } from "./policy.ts";
import { PolicyStatistics, type UpdateReport } from "./policyStatistics.ts";
import type { Group } from "./rollouts.ts";

export interface UpdateParts {
  config: ModelConfig;
  store: ParameterStore;
  tokenizer: Tokenizer;
  options: ReinforceOptions;
}

/** What a batch taught. */
export interface Learned extends UpdateReport {
  /** Updates made. */
  updates: number;
}

/** The objective of these options. */
export const objectiveOptions = (options: ReinforceOptions): PolicyOptions => {
  const { ratioClip, ratio, surrogate, offPolicyDelta, kl, importance, temperature } = options;
  return {
    temperature,
    ratio,
    surrogate,
    onPolicy: updatesOf(options) === 1,
    clip: ratioClip ?? undefined,
    offPolicyDelta: offPolicyDelta ?? undefined,
    kl: kl ?? undefined,
    importance: importance ?? undefined,
  };
};

/** Answers dealt to `count` updates of like size, in an order that hangs on the seeds alone. */
export function dealt(answers: readonly Answer[], count: number, seeds: readonly number[]): Answer[][] {
  if (count === 1) return [[...answers]];
  const order = answers.slice();
  const random = new Random(...seeds);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.int(0, i);
    [order[i], order[j]] = [order[j] as Answer, order[i] as Answer];
  }
  const parts = Math.min(count, order.length);
  return Array.from({ length: parts }, (_, i) =>
    order.slice(Math.floor((i * order.length) / parts), Math.floor(((i + 1) * order.length) / parts)),
  );
}

/** Moves a store's weights by batches of answers. What it keeps from step to step is `reference` alone. */
export class Updates {
  /** The policy that KL is measured to, as it was; undefined without KL. */
  readonly reference: ParameterCopy | undefined;
  /** Shape and width of kept ids that the programs below are made for. */
  #made = "";
  #ofReference: ForwardProgram | undefined;
  #ofOld: ForwardProgram | undefined;

  private constructor(
    readonly parts: UpdateParts,
    readonly learner: Learner,
  ) {
    if (parts.options.kl) this.reference = new ParameterCopy(parts.store);
  }

  static async create(parts: UpdateParts): Promise<Updates> {
    const { config, store, options } = parts;
    checkGamma(store, options.gamma);
    return new Updates(parts, await adamwLearner(store, config, options));
  }

  /** Learns from groups. `updates` were made before; `step` seeds the order of several. */
  async learn(groups: readonly Group[], step: number, updates: number): Promise<Learned> {
    const { options } = this.parts;
    const answers = answersOf(groups, options.overlong?.mask);
    const row = await this.#prepare(answers);
    await this.#look(answers, row);
    const statistics = new PolicyStatistics(options, mixtureOf(this.parts.config).perToken);
    const loads = this.#noLoads();
    let made = 0;
    for (let epoch = 0; epoch < options.epochs; epoch++)
      for (const part of dealt(answers, options.minibatches, [0x6d696e69, options.seed, step, epoch])) {
        await this.#update(part, row, updates + made, statistics, made === 0, loads);
        made++;
      }
    // the bias was still while the batch was learned from: it would have moved the policy outside of the gradient
    if (options.gamma > 0) {
      this.learner.balance.update(loads, options.gamma);
      this.parts.store.changed();
    }
    return { ...statistics.report(), updates: made };
  }

  /** Takes the policy as it is for the reference where its time has come. */
  afterStep(step: number): void {
    const { reference } = this.parts.options;
    if (this.reference && reference && step % reference.everySteps === 0) this.reference.take();
  }

  dispose(): void {
    this.learner.dispose();
    this.#ofReference?.dispose();
    this.#ofOld?.dispose();
  }

  async #update(
    answers: readonly Answer[],
    row: RowShape,
    updates: number,
    statistics: PolicyStatistics,
    fresh: boolean,
    loads: Float64Array[],
  ): Promise<void> {
    const { learningRate, warmupSteps, aggregation, maxTokens } = this.parts.options;
    const how: Aggregation = aggregation === "longest" ? { longest: maxTokens } : aggregation;
    const { batches, place } = microBatches(answers, row, how);
    await this.learner.begin(batches.length);
    for (const batch of batches) await this.learner.accumulate(batch);
    const sums = this.learner.finish();
    const rate = learningRate * Math.min(1, (updates + 1) / Math.max(1, warmupSteps));
    statistics.add({ answers, place, sums, fresh, gradNorm: await this.learner.gradientNorm(), learningRate: rate });
    countLoads(loads, answers, place, sums.perToken["experts"]);
    await this.learner.apply({ step: updates, learningRate: rate, gamma: 0 });
  }

  /** Compiles what answers of these lengths need; says how they are laid out. */
  async #prepare(answers: readonly Answer[]): Promise<RowShape> {
    const { config, store, tokenizer, options } = this.parts;
    const lanes = store.lanes.length;
    // by what is asked for, not by how many groups taught: the shape stays
    const each = Math.ceil((options.problems * options.group) / options.minibatches);
    const rows = rowsFor(store, options.microBatch, each);
    const tokens = tokensFor(answers);
    const kept = options.samplingMask === false ? 0 : keptFor(answers);
    const mtp = mtpDepth(config) > 0 ? options.mtp : 0;
    const extra = 1 + (mtp > 0 ? mtpDepth(config) : 0);
    const shape: BatchShape = { name: "reason", config, sequence: tokens, microBatch: rows, lanes };
    const made = [rows, tokens, kept].join();
    if (made !== this.#made) {
      const about = { ...objectiveOptions(options), kept, experts: routedLayers(config) > 0 };
      const precision = options.gradients === "int8" ? "int8-gradients" : "f32";
      await this.learner.prepare(shape, policy({ ...about, mtp }), { precision, accumulate: true });
      this.#ofReference?.dispose();
      this.#ofOld?.dispose();
      const forward = (of: Parameters) => ForwardProgram.create(shape, policy(about), of);
      this.#ofReference = this.reference && (await forward(this.reference));
      this.#ofOld = options.importance && !about.onPolicy ? await forward(store) : undefined;
      this.#made = made;
    }
    return { rows, tokens, extra, kept, pad: tokenizer.eosIds[0] ?? 0 };
  }

  /** What the weights before the first update, and the reference, say of the answers. */
  async #look(answers: Answer[], row: RowShape): Promise<void> {
    const laid = microBatches(answers, { ...row, extra: 1 }, "sequence");
    const told = async (program: ForwardProgram, key: "oldLogProbabilities" | "referenceLogProbabilities") => {
      const values = await program.run(laid.batches);
      for (const [i, answer] of answers.entries()) {
        const from = laid.place[i] ?? 0;
        answer[key] = values.slice(from, from + answer.ids.length);
      }
    };
    if (this.#ofReference) await told(this.#ofReference, "referenceLogProbabilities");
    if (this.#ofOld) await told(this.#ofOld, "oldLogProbabilities");
    else if (updatesOf(this.parts.options) > 1)
      for (const answer of answers) answer.oldLogProbabilities = answer.drawnLogProbabilities;
  }

  #noLoads(): Float64Array[] {
    const { config } = this.parts;
    const { experts } = mixtureOf(config);
    return Array.from({ length: routedLayers(config) }, () => new Float64Array(experts));
  }
}

/** Adds up how many of the answers' tokens went to each expert; what fills rows up is left out. */
function countLoads(
  loads: readonly Float64Array[],
  answers: readonly Answer[],
  place: readonly number[],
  experts: Float32Array | undefined,
): void {
  const layers = loads.length;
  const each = answers[0]?.experts ? answers[0].experts.length / answers[0].ids.length : 0;
  if (experts === undefined || each === 0) return;
  for (const [i, { prompt, ids }] of answers.entries()) {
    const from = place[i] ?? 0;
    for (let t = from - prompt.length + 1; t < from + ids.length; t++)
      for (let c = 0; c < each; c++) loads[Math.floor((c * layers) / each)]![experts[t * each + c]!]!++;
  }
}
