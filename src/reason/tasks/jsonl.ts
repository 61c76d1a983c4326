/** Problems in a .jsonl file, in the shapes of GSM8K (`question`, `answer` with `####`) and MATH (`problem`, `solution` with \boxed). */
import { readRegularFile } from "../../checkpoint/index.ts";
import { hashText, permute } from "../../data/index.ts";
import { DataError } from "../../errors.ts";
import { briefJson, parseJson } from "../../json.ts";
import { answerPart, sameAnswer } from "../answers/index.ts";
import { contentId, type Problem, SPLITS, type Split, splitOf, type Task } from "../task.ts";
import { answerIn, ask } from "./answerTask.ts";

/** Larger files are refused: all problems are kept in memory. */
const BYTES_MAX = 2 ** 28;
const INSTRUCTION = "\nPut your final answer within \\boxed{}.";

export interface JsonlOptions {
  /** A file whose problems are the tests, all of them; the first file's problems of the same text are left out. Without one a tenth is held out by hash. */
  testPath?: string;
  /** Said after every question. */
  instruction?: string;
}

export interface JsonlData {
  /** How the file works it out; empty when it does not. */
  working: string;
}

/**
 * A task of a file, or of a file and one with its tests. The right answer is what follows `####`, or the last \boxed, of `answer`, else of
 * `solution`; else `answer` as it stands. Problems of the same text are one. Throws DataError naming file and line.
 */
export function jsonlTask(path: string, options: JsonlOptions = {}): Task<JsonlData> {
  const { testPath, instruction = INSTRUCTION } = options;
  const lists: Record<Split, Problem<JsonlData>[]> = { train: [], rl: [], test: [] };
  const tests = testPath === undefined ? [] : readProblems(testPath, instruction);
  const held = new Set(tests.map(({ group }) => group));
  lists.test.push(...tests);
  for (const problem of readProblems(path, instruction)) {
    if (held.has(problem.group)) continue;
    const split = splitOf(problem.group);
    // with tests of its own, the tenth is for learning, too
    lists[split === "test" && testPath !== undefined ? "rl" : split].push(problem);
  }
  const has = SPLITS.map((split) => `${split} ${lists[split].length}`).join(", ");
  return {
    name: path,
    about: `problems of ${path} (${has})`,
    weights: { answer: 1 },
    size: (split) => lists[split].length,
    problem(seed, split, index) {
      const list = lists[split];
      if (list.length === 0)
        throw new DataError(`${path}: expected problems for "${split}", got none (${has}); add more lines`);
      const pass = Math.floor(index / list.length);
      return list[
        permute(index % list.length, list.length, hashText(`${seed} ${split} ${pass}`))
      ] as Problem<JsonlData>;
    },
    score: (problem, reply) => ({ parts: { answer: sameAnswer(answerIn(reply) ?? "", problem.reference) ? 1 : 0 } }),
    answer: (_, reply) => answerIn(reply),
    same: sameAnswer,
    solve: ({ data, reference }, _, form) => ({
      thought: form === "long" ? data.working : "",
      answer: `\\boxed{${reference}}`,
    }),
  };
}

/** The problems of a file, each text once. */
function readProblems(path: string, instruction: string): Problem<JsonlData>[] {
  const found = new Map<string, Problem<JsonlData>>();
  const text = readRegularFile(path, BYTES_MAX, DataError).toString("utf8");
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const problem = problemOf(line, `${path}:${i + 1}`, instruction);
    if (!found.has(problem.group)) found.set(problem.group, problem);
  }
  if (found.size === 0) throw new DataError(`${path}: expected a problem on each line, got an empty file`);
  return [...found.values()];
}

function problemOf(line: string, where: string, instruction: string): Problem<JsonlData> {
  const row = rowOf(line, where);
  const textAt = (...keys: string[]): string | undefined => {
    const value = keys.map((key) => row[key]).find((one) => one !== undefined && one !== null);
    return typeof value === "number"
      ? `${value}`
      : typeof value === "string" && value.trim() !== ""
        ? value
        : undefined;
  };
  const question = textAt("question", "problem");
  const answer = textAt("answer");
  const solution = textAt("solution");
  const given = answer ?? solution;
  if (question === undefined || given === undefined)
    throw new DataError(
      `${where}: expected "question" or "problem" and "answer" or "solution", got ${Object.keys(row).slice(0, 8).join(", ") || "no fields"}`,
    );
  const { answer: found, marked } = answerPart(given);
  if (answer === undefined && !marked)
    throw new DataError(`${where}: expected \\boxed{…} or #### in "solution", got ${briefJson(given, 60)}`);
  // an answer that works it out is a solution, too: GSM8K's
  const working = (solution ?? (marked ? given : "")).replace(/<<[^<>]*>>/g, "").replace(/\n?####[^\n]*\s*$/, "");
  const group = contentId("jsonl", question.toLowerCase().replace(/\s+/g, " ").trim());
  const level = textAt("level", "subject", "type");
  return {
    id: group,
    group,
    prompt: ask(question + instruction),
    reference: marked ? found : given.trim(),
    data: { working: working.trim() },
    facts: level === undefined ? {} : { level },
  };
}

function rowOf(line: string, where: string): Record<string, unknown> {
  let row: unknown;
  try {
    row = parseJson(line);
  } catch (error) {
    throw new DataError(`${where}: expected a line of JSON, got ${briefJson(line, 40)}: ${(error as Error).message}`);
  }
  if (typeof row !== "object" || row === null || Array.isArray(row))
    throw new DataError(`${where}: expected an object, got ${briefJson(row, 40)}`);
  return row as Record<string, unknown>;
}
