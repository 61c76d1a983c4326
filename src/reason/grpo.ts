/** One step of reinforcement: ask, draw, reward, learn. Knows no files. GRPO: arXiv:2402.03300; without deviation and by length: arXiv:2503.20783. */

import { Decoder, ModelEngine } from "../infer/index.ts";
import type { ModelConfig } from "../model/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { ParameterStore } from "../train/index.ts";
import { type AnswerStatistics, answerStatistics } from "./answerStatistics.ts";
import { cuts } from "./formulas.ts";
import type { ReinforceOptions } from "./options.ts";
import { groupStatistics } from "./policy.ts";
import type { UpdateReport } from "./policyStatistics.ts";
import type { Rewards } from "./rewards.ts";
import { type DrawOptions, type Group, permuted, Rollouts, teaching, tokensIn } from "./rollouts.ts";
import { type Learned, Updates } from "./updates.ts";

/** What hangs on earlier steps besides weights and moments. */
export interface ReinforceProgress {
  step: number;
  /** The next problem of the task's list. */
  problem: number;
  /** Updates of the weights. */
  updates: number;
  /** Answer tokens drawn. */
  tokens: number;
  seconds: number;
}

export const FIRST_PROGRESS: ReinforceProgress = { step: 0, problem: 0, updates: 0, tokens: 0, seconds: 0 };

/** What a step was like. Shares are of all answers drawn, dead groups' too. */
export interface ReinforceReport extends UpdateReport, AnswerStatistics {
  step: number;
  /** Shares of groups that teach nothing: all alike, all right, all 0. */
  dead: number;
  solved: number;
  hopeless: number;
  /** Answers that were trained on. */
  trained: number;
  /** Updates made. */
  updates: number;
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
  private constructor(
    readonly parts: GrpoParts,
    readonly rollouts: Rollouts,
    readonly learning: Updates,
  ) {}

  static async create(parts: GrpoParts): Promise<Grpo> {
    const { config, store, tokenizer, rewards } = parts;
    const learning = await Updates.create(parts);
    const decoder = await Decoder.create(config, store, { experts: true });
    const engine = new ModelEngine(decoder, { maxActive: ROLLOUTS_AT_ONCE });
    return new Grpo(parts, new Rollouts(engine, tokenizer, rewards), learning);
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
    const learned = taught.length > 0 ? await this.learning.learn(taught, step, progress.updates) : NOTHING;
    this.learning.afterStep(step);
    const ended = performance.now();
    const tokens = tokensIn(groups);
    const rewards = groups.map(({ rollouts }) => rollouts.map(({ reward }) => reward.total));
    const { dead, solved, hopeless } = groupStatistics(rewards, this.parts.rewards.most);
    const report: ReinforceReport = {
      step,
      ...answerStatistics(groups),
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
        updates: progress.updates + learned.updates,
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
    const { problems, seed, resample, scale, maxTokens, permuteRewards, deadGroups } = this.parts.options;
    const most = Math.floor(problems * resample);
    const groups: Group[] = [];
    let taught: Group[] = [];
    while (taught.length < problems && groups.length < most) {
      const count = Math.min(problems - taught.length, most - groups.length);
      const from = first + groups.length;
      const asked = await this.rollouts.ask("rl", seed, from, count, maxTokens);
      const drawSeed = seedOf(seed, step, groups.length);
      const drawn = await this.rollouts.draw(
        asked,
        { ...drawOptions(this.parts.options), seed: drawSeed },
        scale,
        signal,
      );
      groups.push(...drawn);
      const dealt = permuteRewards ? permuted(drawn, seed, drawSeed, scale) : drawn;
      taught = [...taught, ...(deadGroups === "count" ? dealt : teaching(dealt))];
    }
    return { groups, taught, next: first + groups.length };
  }

  async close(): Promise<void> {
    this.learning.dispose();
    await this.rollouts.engine.close();
  }
}

const NOTHING: Learned = { updates: 0, loss: 0, gradNorm: 0, learningRate: 0, entropy: 0, driftMax: 0, driftMean: 0 };

/** Sequences that are sampled side by side. */
export const ROLLOUTS_AT_ONCE = 256;

/** How answers are drawn. */
export function drawOptions(options: ReinforceOptions): DrawOptions {
  const { group, maxTokens, temperature, topP, topK, seed, samplingMask } = options;
  return { group, maxTokens, temperature, topP, topK, seed, kept: cuts(options) && samplingMask !== false };
}

/** Each draw of each step has seeds of its own: below 2³², since answers of a draw are numbered above. */
export const seedOf = (seed: number, step: number, draw: number): number =>
  (Math.imul(seed + 1, 0x9e3779b1) + Math.imul(step, 0x85ebca6b) + Math.imul(draw, 0xc2b2ae35)) >>> 0;
