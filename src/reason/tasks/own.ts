/** A task that somebody wrote: a module that exports problem(random) and score(problem, reply). */
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { DataError } from "../../errors.ts";
import { sameAnswer } from "../answers/index.ts";
import { Confined, type Outcome } from "../confined/confined.ts";
import type { OwnAbout, OwnJob } from "../confined/ownChild.ts";
import type { Problem, Score, Solution, Task } from "../task.ts";
import { answerIn } from "./answerTask.ts";

export interface OwnOptions {
  /** The longest that one call of score may take. */
  scoreMillis?: number;
  /** The same for problem, which may be drawn some times until it is one of its split. */
  problemMillis?: number;
  memoryMiB?: number;
}

/**
 * Runs the module in a process of its own. A score that throws, is no number from 0 to 1, takes too long or too much memory is 0 with its
 * `fault`, and the run goes on; a problem that cannot be made ends it. Throws DataError when the module is none.
 */
export async function ownTask(path: string, options: OwnOptions = {}): Promise<Task> {
  const { scoreMillis = 1000, problemMillis = 10_000, memoryMiB = 512 } = options;
  const file = resolve(path);
  if (!existsSync(file))
    throw new DataError(`${path}: no such file; a task is a module that exports problem and score`);
  const confined = new Confined({
    name: path,
    program: "ownChild",
    setup: { path: file, name: basename(path) },
    memoryMiB,
    prints: true,
  });
  const { weights = { answer: 1 }, about, solves } = (await confined.begin()) as OwnAbout;
  const call = <Result>(job: OwnJob, millis: number): Promise<Outcome<Result>> => confined.call<Result>(job, millis);
  const solve: Task["solve"] = async ({ data }, random, form) => {
    const made = await call<Partial<Solution> | undefined>({ kind: "solve", data, seed: random.next() }, problemMillis);
    if ("fault" in made) throw new DataError(`${path}: solve: ${made.message}`);
    const { thought = "", answer } = made.result ?? {};
    if (typeof answer !== "string" || typeof thought !== "string")
      throw new DataError(`${path}: solve: expected { thought, answer }, both texts, got answer: ${typeof answer}`);
    return { thought: form === "long" ? thought : "", answer };
  };
  return {
    name: basename(path).replace(/\.\w+$/, ""),
    about: about ?? `problems of ${path}${solves ? ", with solutions" : ""}`,
    weights,
    async problem(seed, split, index) {
      const made = await call<Problem>({ kind: "problem", seed, split, index }, problemMillis);
      if ("fault" in made) throw new DataError(`${path}: problem(random): ${made.message}`);
      return made.result;
    },
    async score({ data }, reply) {
      const scored = await call<Score>({ kind: "score", data, reply }, scoreMillis);
      return "fault" in scored ? { parts: { answer: 0 }, fault: `${scored.fault}: ${scored.message}` } : scored.result;
    },
    answer: (_, reply) => answerIn(reply),
    same: sameAnswer,
    ...(solves ? { solve } : {}),
    close: () => confined.close(),
  };
}
