/** What a task is: problems without end, a score by rule for every reply, and splits that hold through all stages. */
import { createHash } from "node:crypto";
import { conversationDocument, hashText, Random, type TrainingMessage } from "../data/index.ts";
import { DataError } from "../errors.ts";
import type { ChatMessage } from "../tokenizer/index.ts";

/** Where a problem may appear: in texts to pretrain and fine-tune on, in reinforcement, or only in tests. */
export type Split = "train" | "rl" | "test";
export const SPLITS: readonly Split[] = ["train", "rl", "test"];

/** Of all contents, by their hash. */
const TEST_SHARE = 0.1;
const RL_SHARE = 0.3;

/** One question. `data` is what its task needs to score a reply: plain JSON. */
export interface Problem<Data = unknown> {
  /** Hash of the content that makes it this problem and no other. 16 hex digits. */
  id: string;
  /** Hash of what must not be divided between splits: the content, or the numbers of it whatever is asked of them. */
  group: string;
  /** What is asked, the user's message last. */
  prompt: ChatMessage[];
  /** The right answer, or one of them, as people write it. */
  reference: string;
  data: Data;
  /** For reports: how hard it is, what it is made of. */
  facts: Readonly<Record<string, number | string>>;
}

/** What a model said. */
export interface Reply {
  /** All that it said, `<think>` and `</think>` too; without the mark that ends it. */
  text: string;
  /** The prompt ended within an open thought: `text` begins inside it. */
  opened?: boolean;
  /** It met the limit before it ended by itself. */
  truncated?: boolean;
  /** Its length. */
  tokens?: number;
}

/** Parts by name, each 0 to 1; what they count is the task's `weights`. `facts` are only reported. */
export interface Score {
  parts: Record<string, number>;
  facts?: Record<string, number>;
  /** Why it is 0 when the scorer itself failed. */
  fault?: string;
}

/** A right reply: with its working (long) or only the answer (short). */
export interface Solution {
  thought: string;
  answer: string;
}
export type Form = "long" | "short";

/** What needs no model: the best answer by one fixed rule, and an answer drawn at random; shares that are right. */
export interface Baselines {
  bestConstant: { rule: string; share: number };
  randomDraw: number;
}

export interface Task<Data = unknown> {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** What each part of a score counts. */
  readonly weights: Readonly<Record<string, number>>;
  /** Problem `index` of a split's list: the same seed, split and index give the same problem. */
  problem(seed: number, split: Split, index: number): Problem<Data> | Promise<Problem<Data>>;
  /** Different problems of a split, where they can be counted; the list begins anew after them. */
  size?(split: Split): number;
  /** Of any text; never throws. Whatever is wrong with a reply is a 0. */
  score(problem: Problem<Data>, reply: Reply): Score | Promise<Score>;
  /** The answer in a reply, for majorities; undefined when there is none. */
  answer(problem: Problem<Data>, reply: Reply): string | undefined;
  /** Whether two answers to a problem are the same. */
  same(a: string, b: string): boolean;
  /** A right reply to learn from. */
  solve?(problem: Problem<Data>, random: Random, form: Form): Solution | Promise<Solution>;
  baselines?(problems: readonly Problem<Data>[]): Baselines;
  /** What scores say together beside their parts: shares by name, for reports. */
  summary?(scores: readonly Pick<Score, "parts" | "facts">[]): Record<string, number>;
  close?(): Promise<void>;
}

/** What a problem is before its split is known. */
export interface Draft<Data> extends Omit<Problem<Data>, "id" | "group"> {
  /** What makes it this problem. */
  content: unknown;
  /** What decides its split: parts that do not matter (names, order of a sum) are left out or sorted. The content when left out. */
  group?: unknown;
}

/** The hash of a content within a task's family: 16 hex digits of SHA-256. */
export const contentId = (family: string, content: unknown): string =>
  createHash("sha256")
    .update(`${family} ${JSON.stringify(content)}`)
    .digest("hex")
    .slice(0, 16);

/** The one split in which problems of a group may appear. */
export function splitOf(group: string): Split {
  const place = Number.parseInt(group.slice(0, 8), 16) / 2 ** 32;
  return place < TEST_SHARE ? "test" : place < TEST_SHARE + RL_SHARE ? "rl" : "train";
}

const DRAWS_MAX = 10_000;

/** Draws drafts until one belongs to the split. Throws DataError when 10,000 do not: the task has too few problems. */
export function drawProblem<Data>(
  family: string,
  draft: (random: Random) => Draft<Data>,
  seed: number,
  split: Split,
  index: number,
): Problem<Data> {
  const random = new Random(hashText(family), seed, SPLITS.indexOf(split), index);
  for (let draws = 0; draws < DRAWS_MAX; draws++) {
    const { content, group: kept = content, ...problem } = draft(random);
    const group = contentId(family, kept);
    if (splitOf(group) === split) return { id: contentId(family, content), group, ...problem };
  }
  throw new DataError(
    `task ${family}: expected problems for "${split}", got none in ${DRAWS_MAX} draws; it has too few`,
  );
}

/** Up to `count` different problems of a split, in the order of its list; fewer when the task has no more. */
export async function distinctProblems<Data>(
  task: Task<Data>,
  seed: number,
  split: Split,
  count: number,
): Promise<Problem<Data>[]> {
  const found = new Map<string, Problem<Data>>();
  const most = Math.min(count, task.size?.(split) ?? count);
  for (let index = 0, misses = 0; found.size < most && misses < 1000 + count; index++) {
    const problem = await task.problem(seed, split, index);
    if (found.has(problem.id)) misses++;
    else found.set(problem.id, problem);
  }
  return [...found.values()];
}

/** A problem and a reply to it as a conversation to train on. The question is read, not learned: nobody can foresee its numbers. */
export interface TaskText {
  messages: TrainingMessage[];
}

export interface TextOptions {
  seed: number;
  /** Share of texts that show the working; the rest have only the answer. */
  longShare: number;
  /** Each question stands behind 0 to so many turns of a conversation about other things, read and not learned; 0 when left out. */
  turns?: number;
}

/**
 * Text `index` to pretrain or fine-tune on, from the train split alone. Throws DataError for a task that cannot solve its own problems.
 */
export async function taskText(task: Task, index: number, options: TextOptions): Promise<TaskText> {
  if (!task.solve) throw new DataError(`task ${task.name}: has no solutions to train on; only RL can use it`);
  const problem = await task.problem(options.seed, "train", index);
  const random = new Random(hashText(task.name), options.seed, 0x7e47, index);
  const { thought, answer } = await task.solve(problem, random, random.chance(options.longShare) ? "long" : "short");
  const content = thought === "" ? answer : `<think>${thought}</think>${answer}`;
  const past = pastTurns(task.name, index, options);
  const asked = [...past, ...problem.prompt].map((message) => ({ ...message, weight: 0 }));
  return { messages: [...asked, { role: "assistant", content }] };
}

/** What was said before, as chats send it: without thoughts. */
function pastTurns(name: string, index: number, { seed, turns = 0 }: TextOptions): ChatMessage[] {
  const count = new Random(hashText(name), seed, 0x7a57, index).int(0, turns);
  const { messages } = conversationDocument(seed, index);
  return messages.slice(0, 2 * count).map(({ role, content }) => ({
    role,
    content: role === "assistant" ? (content.split("</think>").at(-1) ?? "") : content,
  }));
}
