import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { completion, fakeEndpoint } from "../../test/support/fakeEndpoint.ts";
import { loadTokenizer } from "../data/index.ts";
import { loadExamples } from "./examples.ts";
import type { Scored } from "./respondents.ts";
import { chosenOf, type SampleRequest, sampleDataset } from "./sample.ts";
import { distinctProblems, type Problem, splitOf } from "./task.ts";
import { openTask } from "./tasks/named.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const place = (name: string): string => join(temporary.dir, name);

const REQUEST: Omit<SampleRequest, "model" | "out"> = {
  task: "sum-3",
  n: 70,
  k: 2,
  keep: 1,
  split: "train",
  maxTokens: 40,
  temperature: 1,
  topP: 1,
  seed: 1,
};
/** What a teacher says who can add; with every third seed it is wrong, so with one of two at most. */
const sumOf = (question: string): number => (question.match(/\d+/g) ?? []).reduce((sum, part) => sum + Number(part), 0);
const teacher = () =>
  fakeEndpoint(({ messages, seed = 0 }) => ({
    body: completion({
      content: String(sumOf(messages.at(-1)!.content) + (seed % 3 === 0 ? 1 : 0)),
      reasoning_content: `I add, try ${seed}.`,
    }),
  }));
interface Line {
  messages: { role: string; content: string }[];
  group: string;
  id: string;
}
const linesOf = (path: string): Line[] =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

it("keeps verified answers of a teacher, from the train split alone, as a data set that fine-tuning takes", async () => {
  await using server = await teacher();
  const out = place("taught.jsonl");
  const report = await sampleDataset({ ...REQUEST, model: server.url, out });
  expect(report).toMatchObject({ problems: 70, answers: 140, kept: 70, solvedShare: 1 });
  expect(report.rightShare).toBeCloseTo(2 / 3, 1);
  const lines = linesOf(out);
  for (const { messages, group } of lines) {
    expect(splitOf(group)).toBe("train");
    expect(messages.at(-1)!.content).toBe(
      `<think>${/I add, try \d+\./.exec(messages.at(-1)!.content)![0]}</think>${sumOf(messages[0]!.content)}`,
    );
  }
  expect(new Set(lines.map(({ id }) => id)).size).toBe(70);
  const task = await openTask("sum-3");
  const asked = new Set(lines.map(({ messages }) => messages[0]!.content));
  for (const { prompt } of await distinctProblems(task, 1, "test", 300))
    expect(asked.has(prompt[0]!.content)).toBe(false);
  const { trained } = await loadExamples({
    data: [out],
    tokenizer: loadTokenizer("models/nano"),
    longest: 500,
    onBroken: "fail",
    holdout: 0,
  });
  expect(trained).toHaveLength(70);
  await expect(sampleDataset({ ...REQUEST, model: server.url, out })).rejects.toThrow(
    /taught\.jsonl: expected a new file/,
  );
});

it("goes on where it was interrupted, behind a line that was cut short, and refuses another's beginning", async () => {
  await using server = await teacher();
  const out = place("pieces.jsonl");
  const stop = new AbortController();
  const request = { ...REQUEST, model: server.url, out };
  const onProgress: SampleRequest["onProgress"] = ({ done }) => void (done >= 32 && stop.abort(new Error("stopped")));
  await expect(sampleDataset({ ...request, signal: stop.signal, onProgress })).rejects.toThrow("stopped");
  expect(existsSync(out)).toBe(false);
  const part = readFileSync(`${out}.part`, "utf8");
  writeFileSync(`${out}.part`, `${part}{"done": 64, "lin`);
  await expect(sampleDataset({ ...request, k: 3 })).rejects.toThrow(
    /pieces\.jsonl\.part: expected an unfinished data set of this very command/,
  );
  const before = server.asked.length;
  expect(await sampleDataset(request)).toMatchObject({ problems: 70, answers: 140, kept: 70 });
  expect(server.asked.length - before).toBe(2 * (70 - 32));
  expect(linesOf(out)).toHaveLength(70);
  expect(existsSync(`${out}.part`)).toBe(false);
});

it("takes the shortest right answers, each once, in the form that is wanted", () => {
  const problem = { id: "a", group: "b", prompt: [{ role: "user", content: "2+2" }] } as Problem;
  const one = (text: string, right: number, tokens: number, more: object = {}): Scored =>
    ({
      reply: { text, tokens, ...more },
      reward: { total: right, parts: { answer: right, format: /<think>.+<\/think>/.test(text) ? 1 : 0 }, facts: {} },
    }) as Scored;
  const drawn = [
    one("<think>a long way</think>4", 1, 9),
    one("<think>two</think>4", 1, 5),
    one("<think>two</think>4", 1, 5),
    one("4", 1, 1),
    one("<think>x</think>5", 0, 4),
    one("<think>cut</think>4", 1, 3, { truncated: true }),
  ];
  const { lines, counts } = chosenOf([problem], [drawn], { keep: 1, task: "t" });
  expect(lines).toMatchObject([
    { messages: [{ role: "user" }, { role: "assistant", content: "<think>two</think>4" }], tokens: 5, right: 4 / 6 },
  ]);
  expect(counts).toMatchObject({
    answers: 6,
    right: 4,
    solved: 1,
    "dropped format below 1": 1,
    "dropped the same again": 1,
    "dropped longer than those kept": 1,
  });
  expect(chosenOf([problem], [drawn], { keep: 3, want: {}, task: "t" }).lines).toHaveLength(3);
});
