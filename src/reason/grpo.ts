/** One step of reinforcement: ask, draw, reward, learn. Knows no files. GRPO: arXiv:2402.03300; without deviation and by length: arXiv:2503.20783. */
import { Decoder, ModelEngine } from "../infer/index.ts";
import { type ModelConfig, mtpDepth } from "../model/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { type Learner, type ParameterStore, policy } from "../train/index.ts";
import { adamwLearner, rowsFor } from "./learner.ts";
import { microBatches, tokensFor } from "./microBatches.ts";
import type { ReinforceOptions } from "./options.ts";
import { type Aggregation, groupStatistics } from "./policy.ts";
import { type Rewards, rightness } from "./rewards.ts";
import { type Group, permuted, Rollouts, teaching } from "./rollouts.ts";
import { mean } from "./statistics.ts";

/** What hangs on earlier steps besides weights and moments. */
export interface ReinforceProgress {
  step: number;
  /** The next problem of the task's list. */
  problem: number;
  /** Steps in which the weights moved. */
  updates: number;
  /** Answer tokens drawn. */
  tokens: number;
  seconds: number;
}

export const FIRST_PROGRESS: ReinforceProgress = { step: 0, problem: 0, updates: 0, tokens: 0, seconds: 0 };

/** What a step was like. Shares are of all answers drawn, dead groups' too. */
export interface ReinforceReport {
  step: number;
  /** Mean reward, and each part of it. */
  reward: number;
  parts: Record<string, number>;
  /** Tokens of an answer, mean. */
  length: number;
  longShare: number;
  /** Mean of the part `answer` (of the whole reward where there is none) of answers that think, and of the others; absent where there are none. */
  longRight?: number;
  shortRight?: number;
  truncated: number;
  /** Shares of answers whose form is wrong, by in what. */
  malformed: Record<string, number>;
  /** Groups drawn, and shares of those that teach nothing: all alike, all right, all 0. */
  groups: number;
  dead: number;
  solved: number;
  hopeless: number;
  /** Answers that were trained on. */
  trained: number;
  loss: number;
  entropy: number;
  gradNorm: number;
  learningRate: number;
  /** Largest and mean difference of log-probabilities between rollout and training. */
  driftMax: number;
  driftMean: number;
  rolloutSeconds: number;
  trainSeconds: number;
  stepSeconds: number;
  tokensPerSecond: number;
}

export interface GrpoParts {
  config: ModelConfig;
  store: ParameterStore;
  tokenizer: Tokenizer;
  rewards: Rewards;
  options: ReinforceOptions;
}

/** A policy with its engine over the same weights: no copy, and no compiling when they change. */
export class Grpo {
  /** The shape that the learner is prepared for. */
  #tokens = 0;
  #rows = 0;

  private constructor(
    readonly parts: GrpoParts,
    readonly rollouts: Rollouts,
    readonly learner: Learner,
  ) {}

  static async create(parts: GrpoParts): Promise<Grpo> {
    const { config, store, tokenizer, rewards, options } = parts;
    const engine = new ModelEngine(await Decoder.create(config, store), { maxActive: ROLLOUTS_AT_ONCE });
    const learner = await adamwLearner(store, config, options);
    return new Grpo(parts, new Rollouts(engine, tokenizer, rewards), learner);
  }

  /** One step from the weights as they are. Moves `progress` only when all is done, so that a step that was interrupted is simply made again. */
  async step(
    progress: ReinforceProgress,
    signal?: AbortSignal,
  ): Promise<{ report: ReinforceReport; groups: Group[]; progress: ReinforceProgress }> {
    const { options } = this.parts;
    const began = performance.now();
    const step = progress.step + 1;
    const { groups, taught, next } = await this.#draw(step, progress.problem, signal);
    const drawn = performance.now();
    const learned = taught.length > 0 ? await this.#learn(taught, progress.updates) : NOTHING;
    const ended = performance.now();
    const all = groups.flatMap(({ rollouts }) => rollouts);
    const tokens = all.reduce((sum, { ids }) => sum + ids.length, 0);
    const rewards = groups.map(({ rollouts }) => rollouts.map(({ reward }) => reward.total));
    const { dead, solved, hopeless } = groupStatistics(rewards, this.parts.rewards.most);
    const partNames = Object.keys(all[0]?.reward.parts ?? {});
    const rightOf = (long: boolean): number | undefined => {
      const some = all.filter((one) => one.long === long);
      return some.length === 0 ? undefined : mean(some.map(({ reward }) => rightness(reward)));
    };
    const report: ReinforceReport = {
      step,
      reward: mean(rewards.flat()),
      parts: Object.fromEntries(
        partNames.map((name) => [name, mean(all.map(({ reward }) => reward.parts[name] ?? 0))]),
      ),
      length: tokens / all.length,
      longShare: mean(all.map(({ long }) => (long ? 1 : 0))),
      longRight: rightOf(true),
      shortRight: rightOf(false),
      truncated: mean(all.map(({ finish }) => (finish === "length" ? 1 : 0))),
      malformed: malformedShares(all.map(({ reward }) => reward.malformed)),
      groups: groups.length,
      dead,
      solved,
      hopeless,
      trained: taught.length * options.group,
      ...learned,
      rolloutSeconds: (drawn - began) / 1000,
      trainSeconds: (ended - drawn) / 1000,
      stepSeconds: (ended - began) / 1000,
      tokensPerSecond: tokens / ((drawn - began) / 1000),
    };
    return {
      report,
      groups,
      progress: {
        step,
        problem: next,
        updates: progress.updates + (taught.length > 0 ? 1 : 0),
        tokens: progress.tokens + tokens,
        seconds: progress.seconds + report.stepSeconds,
      },
    };
  }

  /** Groups until enough of them teach, or the bound is reached. A function of weights, seed, step and first problem alone. */
  async #draw(
    step: number,
    first: number,
    signal?: AbortSignal,
  ): Promise<{ groups: Group[]; taught: Group[]; next: number }> {
    const { problems, group, maxTokens, temperature, seed, resample, scale, permuteRewards } = this.parts.options;
    const most = Math.floor(problems * resample);
    const groups: Group[] = [];
    let taught: Group[] = [];
    while (taught.length < problems && groups.length < most) {
      const count = Math.min(problems - taught.length, most - groups.length);
      const from = first + groups.length;
      const asked = await this.rollouts.ask("rl", seed, from, count, maxTokens);
      const drawSeed = seedOf(seed, step, groups.length);
      const drawn = await this.rollouts.draw(asked, { group, maxTokens, temperature, seed: drawSeed }, scale, signal);
      groups.push(...drawn);
      taught = [...taught, ...teaching(permuteRewards ? permuted(drawn, seed, drawSeed, scale) : drawn)];
    }
    return { groups, taught, next: first + groups.length };
  }

  async #learn(groups: readonly Group[], updates: number): Promise<Learned> {
    const { config, store, tokenizer, options } = this.parts;
    const { aggregation, learningRate, warmupSteps, temperature, maxTokens } = options;
    const lanes = store.lanes.length;
    const answers = groups.reduce((sum, { rollouts }) => sum + rollouts.length, 0);
    const rows = rowsFor(store, options.microBatch, answers);
    const tokens = tokensFor(groups);
    const mtp = mtpDepth(config) > 0 ? options.mtp : 0;
    if (tokens !== this.#tokens || rows !== this.#rows) {
      const objective = policy({ onPolicy: true, temperature, mtp });
      const shape = { name: "reason", config, sequence: tokens, microBatch: rows, lanes };
      await this.learner.prepare(shape, objective, { precision: "f32", accumulate: true });
      [this.#tokens, this.#rows] = [tokens, rows];
    }
    const extra = 1 + (mtp > 0 ? mtpDepth(config) : 0);
    const pad = tokenizer.eosIds[0] ?? 0;
    const how: Aggregation = aggregation === "longest" ? { longest: maxTokens } : aggregation;
    const { batches, place } = microBatches(groups, { rows, tokens, extra, pad }, how);
    await this.learner.begin(batches.length);
    for (const batch of batches) await this.learner.accumulate(batch);
    const { loss, metrics, perToken } = this.learner.finish();
    const drift = driftOf(groups, place, perToken["logProbabilities"]);
    const gradNorm = await this.learner.gradientNorm();
    const rate = learningRate * Math.min(1, (updates + 1) / Math.max(1, warmupSteps));
    // the balance bias stays: it would move the policy outside of the gradient
    await this.learner.apply({ step: updates, learningRate: rate, gamma: 0 });
    return {
      loss,
      entropy: (metrics["entropy"] ?? 0) / meanWeight(groups, how),
      gradNorm,
      learningRate: rate,
      ...drift,
    };
  }

  async close(): Promise<void> {
    this.learner.dispose();
    await this.rollouts.engine.close();
  }
}

function malformedShares(all: readonly (string | undefined)[]): Record<string, number> {
  const names = new Set(all.filter((name) => name !== undefined));
  return Object.fromEntries([...names].map((name) => [name, mean(all.map((one) => (one === name ? 1 : 0)))]));
}

type Learned = Pick<ReinforceReport, "loss" | "entropy" | "gradNorm" | "learningRate" | "driftMax" | "driftMean">;
const NOTHING: Learned = { loss: 0, entropy: 0, gradNorm: 0, learningRate: 0, driftMax: 0, driftMean: 0 };

/** Sequences that are sampled side by side. */
const ROLLOUTS_AT_ONCE = 256;

/** Each draw of each step has seeds of its own: below 2³², since answers of a draw are numbered above. */
const seedOf = (seed: number, step: number, draw: number): number =>
  (Math.imul(seed + 1, 0x9e3779b1) + Math.imul(step, 0x85ebca6b) + Math.imul(draw, 0xc2b2ae35)) >>> 0;

/** The weight of all trained tokens together: what the sum of entropies is divided by. */
function meanWeight(groups: readonly Group[], how: Aggregation): number {
  if (typeof how === "string") return 1;
  return mean(groups.flatMap(({ rollouts }) => rollouts.map(({ ids }) => ids.length))) / how.longest;
}

/** How far training's log-probabilities are from those that the tokens were drawn with. */
function driftOf(
  groups: readonly Group[],
  place: readonly number[],
  trained: Float32Array | undefined,
): { driftMax: number; driftMean: number } {
  let [most, sum, count, i] = [0, 0, 0, 0];
  for (const { rollouts } of groups)
    for (const { drawnLogprobs } of rollouts) {
      const from = place[i++] ?? 0;
      for (const [t, drawn] of drawnLogprobs.entries()) {
        const apart = Math.abs((trained?.[from + t] ?? NaN) - drawn);
        most = Math.max(most, apart);
        sum += apart;
        count++;
      }
    }
  return { driftMax: most, driftMean: sum / Math.max(1, count) };
}
