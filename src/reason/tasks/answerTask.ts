/** Tasks whose replies end with one answer that is compared by its value. */
import type { Random } from "../../data/index.ts";
import { finalAnswer, sameAnswer } from "../answers/index.ts";
import { type Draft, drawProblem, type Form, type Problem, type Reply, type Solution, type Task } from "../task.ts";
import { partReply } from "../thought.ts";

/** The answer in a reply; none while its thought is unfinished. */
export const answerIn = (reply: Reply): string | undefined => finalAnswer(partReply(reply).answer);

export interface AnswerTask<Data> {
  name: string;
  /** Tasks of a family share their splits: what one tests, no other trains on. The name when left out. */
  family?: string;
  about: string;
  draft(random: Random): Draft<Data>;
  /** The working; the answer behind it is the reference. */
  working(data: Data): string;
}

/** A task with one part, `answer`: right when it is the reference's value. */
export function answerTask<Data>({ name, family = name, about, draft, working }: AnswerTask<Data>): Task<Data> {
  return {
    name,
    about,
    weights: { answer: 1 },
    problem: (seed, split, index) => drawProblem(family, draft, seed, split, index),
    score: (problem, reply) => ({ parts: { answer: sameAnswer(answerIn(reply) ?? "", problem.reference) ? 1 : 0 } }),
    answer: (_, reply) => answerIn(reply),
    same: sameAnswer,
    solve: (problem: Problem<Data>, _: Random, form: Form): Solution => ({
      thought: form === "long" ? working(problem.data) : "",
      answer: problem.reference,
    }),
  };
}

/** A user's question. */
export const ask = (content: string): { role: string; content: string }[] => [{ role: "user", content }];
