/** Problems in a .jsonl file, in the shapes of GSM8K (`question`, `answer` with `####`) and MATH (`problem`, `solution` with \boxed). */
import { readRegularFile } from "../../checkpoint/index.ts";
import { hashText, permute } from "../../data/index.ts";
import { DataError } from "../../errors.ts";
import { sameAnswer } from "../answers/index.ts";
import { type Problem, SPLITS, type Split, splitOf, type Task } from "../task.ts";
import { partReply } from "../thought.ts";
import { answerIn } from "./answerTask.ts";
import { CodeRunner, codeIn } from "./codeRunner.ts";
import { type JsonlData, problemOf } from "./jsonlRow.ts";

/** Larger files are refused: all problems are kept in memory. */
const BYTES_MAX = 2 ** 28;
const INSTRUCTION = "\nPut your final answer within \\boxed{}.";

export interface JsonlOptions {
  /** A file whose problems are the tests, all of them; the first file's problems of the same text are left out. Without one a tenth is held out by hash. */
  testPath?: string;
  /** Said after every question. */
  instruction?: string;
}

/**
 * A task of a file, or of a file and one with its tests. The right answer is what follows `####`, or the last \boxed, of `answer`, else of
 * `solution`; else `answer` as it stands. A row with `entry` and `cases` asks for a JavaScript function, which is run. Problems of the same
 * text are one. Throws DataError naming file and line.
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
  const runner = new CodeRunner();
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
    async score({ data: { code }, reference }, reply) {
      if (!code) return { parts: { answer: sameAnswer(answerIn(reply) ?? "", reference) ? 1 : 0 } };
      const source = codeIn(partReply(reply).answer);
      const { passed } = source === "" ? { passed: 0 } : await runner.run(source, code.entry, code.cases);
      return { parts: { answer: passed === code.cases.length ? 1 : 0 } };
    },
    answer: ({ data }, reply) => (data.code ? codeIn(partReply(reply).answer) || undefined : answerIn(reply)),
    same: sameAnswer,
    solve({ data, reference }, _, form) {
      if (!data.code) return { thought: form === "long" ? data.working : "", answer: `\\boxed{${reference}}` };
      if (reference === "")
        throw new DataError(`${path}: expected a "solution" to learn from beside "cases", got none`);
      return { thought: "", answer: `\`\`\`js\n${reference}\n\`\`\`` };
    },
    close: () => runner.close(),
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
