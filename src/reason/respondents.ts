/** Who answers problems in an evaluation: a model here, or one behind an OpenAI-compatible endpoint. */
import { loadTokenizer } from "../data/index.ts";
import { ModelEngine, openDecoder } from "../infer/index.ts";
import { parseConfig } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { checkpointConfig } from "../runs/index.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Reward, Rewards } from "./rewards.ts";
import { Rollouts } from "./rollouts.ts";
import type { Problem, Reply } from "./task.ts";

/** One reply and what it is worth. */
export interface Scored {
  reply: Reply;
  reward: Reward;
}

export interface AskOptions {
  /** Replies to each problem. */
  n: number;
  maxTokens: number;
  /** 0: greedily. */
  temperature: number;
  topP: number;
  /** Below 2³². */
  seed: number;
}

export interface Respondent {
  /** Tokens that its context leaves for an answer to the longest of these; undefined where nobody can tell. */
  roomFor(rewards: Rewards, problems: readonly Problem[]): number | undefined;
  /** Replies to each problem, in their order; `onReply` is told of each problem that is done. */
  ask(
    rewards: Rewards,
    problems: readonly Problem[],
    options: AskOptions,
    signal?: AbortSignal,
    onReply?: () => void,
  ): Promise<Scored[][]>;
  close(): Promise<void>;
}

/** A model folder or GGUF file. Throws CheckpointError, ConfigError. */
export async function openModel(
  dir: string,
  { adapter, onProgress }: { adapter?: string; onProgress?: OnProgress } = {},
): Promise<Respondent> {
  const config = parseConfig(await checkpointConfig(dir), dir);
  const tokenizer = loadTokenizer(dir);
  const engine = new ModelEngine(await openDecoder(dir, config, { adapter, onProgress }));
  const rolloutsOf = (rewards: Rewards): Rollouts => new Rollouts(engine, tokenizer, rewards);
  return {
    roomFor: (rewards, problems) => rolloutsOf(rewards).roomFor(problems),
    async ask(rewards, problems, { n: group, ...options }, signal) {
      const rollouts = rolloutsOf(rewards);
      const asked = problems.map((problem) => rollouts.prompt(problem, options.maxTokens));
      const groups = await rollouts.draw(asked, { group, ...options }, "none", signal);
      return groups.map((one) => one.rollouts);
    },
    close: () => engine.close(),
  };
}

/** A model behind an endpoint. Its lengths are as the server counts them. */
export function askEndpoint(endpoint: Endpoint): Respondent {
  const one = async (
    rewards: Rewards,
    problem: Problem,
    { maxTokens, temperature, topP }: AskOptions,
    seed: number,
    signal?: AbortSignal,
  ): Promise<Scored> => {
    const request = { messages: problem.prompt, maxTokens, temperature, topP, seed };
    const { text, finish, tokens } = await endpoint.complete(request, signal);
    const reply: Reply = { text, truncated: finish === "length", tokens };
    return { reply, reward: await rewards.reward(problem, reply) };
  };
  return {
    roomFor: () => undefined,
    async ask(rewards, problems, options, signal, onReply) {
      // the first that fails ends the others: they would be asked for nothing
      const failed = new AbortController();
      const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
      try {
        return await Promise.all(
          problems.map(async (problem, p) => {
            const seeds = Array.from({ length: options.n }, (_, i) => (options.seed + p * options.n + i) % 2 ** 31);
            const replies = await Promise.all(seeds.map((seed) => one(rewards, problem, options, seed, either)));
            onReply?.();
            return replies;
          }),
        );
      } finally {
        failed.abort();
      }
    },
    close: async () => {},
  };
}
