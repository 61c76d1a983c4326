/** Rewards by rule: a task's own score, and what can be said of any reply: format, language, length, repetition. */
import { ConfigError } from "../errors.ts";
import { languageShare } from "./language.ts";
import type { Problem, Reply, Task } from "./task.ts";
import { malformed, partReply } from "./thought.ts";

/** What a reply must look like. */
export type Format =
  /** One thought, closed, and an answer after it. */
  | "think"
  /** R1-Zero's: the answer within <answer>…</answer> besides. */
  | "think-answer";

export interface RewardOptions {
  /** Weights of parts: the task's own, and `format`, `language`, `length`, `repetition`. What is left out has the task's weight, or 0. */
  weights?: Readonly<Record<string, number>>;
  format?: Format;
  /** Two letters (BCP 47): the share of words in its script. */
  language?: string;
  /** Tokens allowed, and how many before that end the part `length` begins to fall from 1 to 0 (DAPO's soft punishment). */
  length?: { most: number; buffer: number };
}

/** One reply's reward. `total` is Σ weight · part; every part is from 0 to 1 and kept whether it counts or not. */
export interface Reward {
  total: number;
  parts: Record<string, number>;
  facts: Record<string, number>;
  fault?: string;
  /** In what its form is wrong, as what replies like it do. */
  malformed?: string;
}

/** Parts that are known of every reply. */
const GENERAL = ["format", "language", "length", "repetition"];

/** How right a reply is, 0 to 1: its part `answer`, or the whole reward of a task that has no such part. */
export const rightness = ({ parts, total }: Pick<Reward, "parts" | "total">): number => parts["answer"] ?? total;

/** Whether it is wholly right, but for rounding. */
export const isRight = (reward: Pick<Reward, "parts" | "total">): boolean => rightness(reward) >= 1 - 1e-9;

/** Scores replies to a task's problems, and counts what went wrong in the scoring itself. */
export class Rewards {
  readonly weights: Readonly<Record<string, number>>;
  /** Scores that failed, by why: the task threw, gave no number, took too long. */
  readonly faults = new Map<string, number>();

  /** Throws ConfigError for a weight that is no number, and for rules that lack what they need. */
  constructor(
    readonly task: Task,
    readonly options: RewardOptions = {},
  ) {
    this.weights = { ...task.weights, ...options.weights };
    for (const [name, weight] of Object.entries(this.weights))
      if (!Number.isFinite(weight))
        throw new ConfigError(`rewards: expected a number as weight of ${name}, got ${weight}`);
    const known = [...Object.keys(task.weights), ...GENERAL];
    const unknown = Object.keys(this.weights).find((name) => !known.includes(name));
    if (unknown !== undefined)
      throw new ConfigError(
        `rewards: expected weights of ${known.join(", ")}, got ${unknown}; ${task.name} has no such part`,
      );
    if (options.language !== undefined) languageShare("", options.language);
    if (this.weights["language"] && !options.language)
      throw new ConfigError("rewards: language has a weight, expected which one, got none; set language, say to en");
    if (this.weights["length"] && !options.length)
      throw new ConfigError(
        "rewards: length has a weight, expected how many tokens are allowed, got nothing; set length",
      );
  }

  /** The reward of a reply in which nothing is wrong. */
  get most(): number {
    return Object.values(this.weights).reduce((sum, weight) => sum + Math.max(0, weight), 0);
  }

  /** Never throws: a task that fails gives 0 for its own parts, counted and told as `fault`. */
  async reward(problem: Problem, reply: Reply): Promise<Reward> {
    const { parts, facts, fault } = await this.#score(problem, reply);
    const all = { ...parts, ...generalParts(reply, this.options) };
    const wrong = all["format"] === 1 ? undefined : (malformed(reply) ?? "lack the tags of an answer");
    const total = Object.entries(this.weights).reduce((sum, [name, weight]) => sum + weight * (all[name] ?? 0), 0);
    if (fault !== undefined) {
      const kind = fault.split(":")[0] ?? fault;
      this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    }
    return {
      total,
      parts: all,
      facts,
      ...(fault === undefined ? {} : { fault }),
      ...(wrong === undefined ? {} : { malformed: wrong }),
    };
  }

  async #score(problem: Problem, reply: Reply): Promise<Omit<Reward, "total">> {
    try {
      const { parts, facts = {}, fault } = await this.task.score(problem, reply);
      const wrong = Object.entries(parts).find(([, value]) => !(value >= 0 && value <= 1));
      if (wrong === undefined) return { parts, facts, fault };
      return { parts: {}, facts, fault: `value: expected 0 to 1, got ${wrong[0]} ${wrong[1]}` };
    } catch (error) {
      return { parts: {}, facts: {}, fault: `threw: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  /** What went wrong in scoring, in words; undefined when nothing did. */
  describeFaults(): string | undefined {
    if (this.faults.size === 0) return undefined;
    const counts = [...this.faults].map(([kind, count]) => `${count} × ${WORDS[kind] ?? kind}`);
    return `${this.task.name}: scores that failed and count as 0: ${counts.join(", ")}`;
  }
}

const WORDS: Readonly<Record<string, string>> = {
  threw: "threw an error or gave no number",
  time: "took too long",
  memory: "took too much memory",
  ended: "ended its process",
  value: "a number outside of 0 to 1",
};

/** The general parts of a reply, each 0 to 1, 1 where nothing is wrong. */
function generalParts(reply: Reply, { format = "think", language, length }: RewardOptions): Record<string, number> {
  const { answer, wellFormed } = partReply(reply);
  const tagged =
    format === "think" || /^\s*<answer>(?:(?!<answer>)[\s\S])+<\/answer>\s*$/.test(answer.slice(0, LOOK_CHARS));
  return {
    format: wellFormed && tagged && reply.truncated !== true ? 1 : 0,
    language: language === undefined ? 1 : languageShare(reply.text.slice(0, LOOK_CHARS), language),
    length:
      length === undefined || reply.tokens === undefined ? 1 : softLength(reply.tokens, length.most, length.buffer),
    repetition: 1 - repeatedShare(reply.text.slice(0, LOOK_CHARS)),
  };
}

/** Longer replies are looked at so far. */
const LOOK_CHARS = 100_000;

/** 1 up to `most` − `buffer` tokens, then falling evenly to 0 at `most` (arXiv:2503.14476 §3.4, there from 0 to −1). */
export function softLength(tokens: number, most: number, buffer: number): number {
  if (tokens <= most - buffer) return 1;
  return tokens >= most ? 0 : (most - tokens) / buffer;
}

/** Words in a row that count as repeated when they were there before. */
const RUN = 8;

/** Share of runs of eight words that were there before: 0 for most texts, near 1 for one that goes in a circle. */
export function repeatedShare(text: string): number {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const runs = words.length - RUN + 1;
  if (runs < 1) return 0;
  const seen = new Set<string>();
  for (let i = 0; i < runs; i++) seen.add(words.slice(i, i + RUN).join(" "));
  return 1 - seen.size / runs;
}
