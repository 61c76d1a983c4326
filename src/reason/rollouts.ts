/** Problems become groups of answers with their rewards: sampled by the engine from the weights as they are at the moment. */
import { Random } from "../data/index.ts";
import { ConfigError } from "../errors.ts";
import type { ModelEngine, Sampled } from "../infer/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { advantages, isDead, type Scale } from "./policy.ts";
import type { Reward, Rewards } from "./rewards.ts";
import type { Problem, Reply, Split, Task } from "./task.ts";
import { isLong } from "./thought.ts";

/** One answer as it was drawn: what is trained are these ids, never the text read again. */
export interface Rollout extends Sampled {
  reply: Reply;
  /** It thought before it answered. */
  long: boolean;
  reward: Reward;
  advantage: number;
}

/** The answers to one problem. */
export interface Group {
  problem: Problem;
  /** Ids. */
  prompt: readonly number[];
  rollouts: Rollout[];
}

export interface DrawOptions {
  /** Answers to each problem. */
  group: number;
  maxTokens: number;
  temperature: number;
  seed: number;
  topP?: number;
  topK?: number;
  /** Keeps which ids each token was drawn from, where others were cut. */
  kept?: boolean;
}

/** A problem as the model is asked it. */
export interface Asked {
  problem: Problem;
  prompt: readonly number[];
  /** The prompt ends within an open thought. */
  opened: boolean;
}

/** Asks a model problems of one task, by its chat template, and scores what it says. */
export class Rollouts {
  constructor(
    readonly engine: ModelEngine,
    readonly tokenizer: Tokenizer,
    readonly rewards: Rewards,
  ) {}

  get task(): Task {
    return this.rewards.task;
  }

  /** `count` problems of a split's list from number `first` on, as ids. Throws ConfigError where prompt and answer exceed the context. */
  async ask(split: Split, seed: number, first: number, count: number, maxTokens: number): Promise<Asked[]> {
    const asked: Asked[] = [];
    for (let i = 0; i < count; i++) asked.push(this.prompt(await this.task.problem(seed, split, first + i), maxTokens));
    return asked;
  }

  /** Tokens that the context leaves for an answer to the longest of these questions; at least 1. */
  roomFor(problems: readonly Problem[]): number {
    const longest = problems.reduce((most, problem) => Math.max(most, this.prompt(problem, 0).prompt.length), 0);
    return Math.max(1, this.engine.limits.contextTokens - longest);
  }

  prompt(problem: Problem, maxTokens: number): Asked {
    const { ids, opensThought } = this.tokenizer.encodeChat(problem.prompt, { addGenerationPrompt: true });
    const { contextTokens } = this.engine.limits;
    if (ids.length + maxTokens > contextTokens)
      throw new ConfigError(
        `${this.task.name}: expected question and answer within the model's ${contextTokens} tokens, got ${ids.length} and up to ${maxTokens}; set maxTokens to at most ${Math.max(0, contextTokens - ids.length)}`,
      );
    return { problem, prompt: ids, opened: opensThought };
  }

  /** Draws and scores; a group's advantages are by its own rewards. */
  async draw(asked: readonly Asked[], options: DrawOptions, scale: Scale, signal?: AbortSignal): Promise<Group[]> {
    const { group, maxTokens, temperature, seed, topP = 1, topK = 0, kept } = options;
    const sampled = await this.engine.sample(
      {
        prompts: asked.map(({ prompt }) => prompt),
        n: group,
        maxTokens,
        sampling: { temperature, topP, topK },
        seed,
        kept,
        stopIds: this.tokenizer.eosIds,
      },
      signal,
    );
    return Promise.all(
      asked.map(async ({ problem, prompt, opened }, p) => {
        const scored = await Promise.all(
          sampled.slice(p * group, (p + 1) * group).map(async (one) => {
            const reply = this.#replyOf(one, opened);
            return { ...one, reply, long: isLong(reply), reward: await this.rewards.reward(problem, reply) };
          }),
        );
        const values = advantages(
          scored.map(({ reward }) => reward.total),
          scale,
        );
        return { problem, prompt, rollouts: scored.map((one, i) => ({ ...one, advantage: values[i] ?? 0 })) };
      }),
    );
  }

  #replyOf({ ids, finish }: Sampled, opened: boolean): Reply {
    const said = finish === "stop" ? ids.subarray(0, -1) : ids;
    return { text: textOf(this.tokenizer, said), opened, truncated: finish === "length", tokens: ids.length };
  }
}

/** What ids say; one that the model has and its tokenizer lacks is U+FFFD. */
function textOf(tokenizer: Tokenizer, ids: Int32Array): string {
  const stream = tokenizer.stream();
  let text = "";
  for (const id of ids) text += id < tokenizer.vocabSize ? stream.push(id) : `${stream.flush()}\uFFFD`;
  return text + stream.flush();
}

/** Tokens of all answers. */
export const tokensIn = (groups: readonly Group[]): number =>
  groups.reduce((sum, { rollouts }) => rollouts.reduce((own, { ids }) => own + ids.length, sum), 0);

/** A control: each group's rewards dealt out anew among its answers. */
export function permuted(groups: readonly Group[], seed: number, step: number, scale: Scale): Group[] {
  const random = new Random(0x9e37, seed, step);
  return groups.map(({ rollouts, ...group }) => {
    const totals = rollouts.map(({ reward }) => reward.total);
    for (let i = totals.length - 1; i > 0; i--) {
      const j = random.int(0, i);
      [totals[i], totals[j]] = [totals[j] as number, totals[i] as number];
    }
    const values = advantages(totals, scale);
    return { ...group, rollouts: rollouts.map((one, i) => ({ ...one, advantage: values[i] ?? 0 })) };
  });
}

/** Groups that teach: not all of their rewards are the same. */
export const teaching = (groups: readonly Group[]): Group[] =>
  groups.filter(({ rollouts }) => !isDead(rollouts.map(({ reward }) => reward.total)));
