/** Evaluations by their figures: against right values, behind an endpoint, compared, stopped and gone on with. */
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { type Asked, completion, fakeEndpoint } from "../../test/support/fakeEndpoint.ts";
import { Endpoint } from "./endpoint.ts";
import { compareEvaluations, evaluateTask, type TranscriptStore } from "./evaluate.ts";
import { EvaluationFile } from "./evaluationFile.ts";
import { askEndpoint, type Respondent } from "./respondents.ts";
import type { Problem } from "./task.ts";
import { openTask } from "./tasks/named.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());

const OPTIONS = { n: 40, k: 4, seed: 1, maxTokens: 32, temperature: 0.6, topP: 0.95 };

/** Answers rightly when `right` says so of problem, sample (−1: greedily) and batch seed. */
function scripted(right: (index: number, sample: number) => boolean, asked: number[] = []): Respondent {
  return {
    roomFor: () => 100,
    async ask(rewards, problems, { n, temperature }) {
      asked.push(problems.length * n);
      return Promise.all(
        problems.map((problem, p) =>
          Promise.all(
            Array.from({ length: n }, async (_, i) => {
              const is = right(p, temperature === 0 ? -1 : i);
              const reply = { text: `<think>t</think>${answerOf(problem, is)}`, tokens: is ? 20 : 10 };
              return { reply, reward: await rewards.reward(problem, reply) };
            }),
          ),
        ),
      );
    },
    close: async () => {},
  };
}

const answerOf = ({ reference }: Problem, right: boolean): string =>
  right ? reference : String((Number(reference) + 1) % 10);

describe("an evaluation", () => {
  it("has the right pass@1, pass@k, cons@k, lengths and majorities", async () => {
    const task = await openTask("last-digit-4");
    // two of four are right; 1 − C(2, 4) / C(4, 4) = 1, and the wrong two came first
    const { values, ...result } = await evaluateTask(
      scripted((p, i) => (i < 0 ? p % 4 === 0 : i >= 2)),
      task,
      OPTIONS,
    );
    expect(result).toMatchObject({
      questions: 40,
      samples: 160,
      k: 4,
      greedy: { mean: 0.25 },
      passAt1: { mean: 0.5, low: 0.5, high: 0.5 },
      passAtK: { mean: 1 },
      consAtK: { mean: 0 },
      length: { mean: 15 },
      greedyLength: { mean: 12.5 },
      longShare: 1,
      truncated: 0,
      majorities: [
        { of: 1, right: { mean: 0 }, tokens: 15 },
        { of: 2, right: { mean: 0 }, tokens: 30 },
        { of: 4, right: { mean: 0 }, tokens: 60 },
      ],
    });
    expect(values.passAt1).toEqual(Array(40).fill(0.5));
    // 10 of 40: ±1.96·√(.25·.75/40) = .134
    expect(result.greedy.low).toBeGreaterThan(0.25 - 0.16);
    expect(result.greedy.high).toBeLessThan(0.25 + 0.16);
  });

  it("compares question by question and says so in words", async () => {
    const task = await openTask("last-digit-4");
    const half = await evaluateTask(
      scripted((p) => p % 2 === 0),
      task,
      OPTIONS,
    );
    const most = await evaluateTask(
      scripted((p) => p % 2 === 0 || p % 4 === 1),
      task,
      OPTIONS,
    );
    const found = compareEvaluations(most, half, ["new", "old"]);
    expect(found.passAt1).toMatchObject({ mean: 0.25, better: 10, worse: 0 });
    expect(found.sentence).toMatch(
      /^new is right in 75\.0 % of its answers, old in 50\.0 %: a difference of 25\.0 points \(95 %: 1\d\.\d to \d\d\.\d\); of 40 questions it does better on 10 and worse on 0\. It is better\.$/,
    );
    expect(compareEvaluations(half, most, ["old", "new"]).sentence).toMatch(/of -25\.0 points .* It is worse\.$/);
    expect(compareEvaluations(half, half).sentence).toMatch(/do not tell the two apart\.$/);
    // an answer of the better one takes 17.5 tokens: the other's sample of 15 fits, a majority does not
    expect(found.atEqualTokens).toMatchObject({ decoding: "greedy", tokens: 15, right: { mean: 0.5 } });
    const one = await evaluateTask(
      scripted((p) => p === 0),
      task,
      OPTIONS,
    );
    const none = await evaluateTask(
      scripted(() => false),
      task,
      OPTIONS,
    );
    expect(compareEvaluations(one, none).sentence).toMatch(
      /do not tell the two apart; about \d+ would, if it is as large\.$/,
    );
  });
});

describe("a model behind an endpoint", () => {
  const reply = ({ messages }: Asked) => {
    const digits = [...(messages.at(-1)?.content ?? "").matchAll(/\d+/g)].map(([digit]) => Number(digit));
    return completion({ content: String(digits.reduce((a, b) => a + b, 0) % 10), reasoning_content: "adding" });
  };

  it("is asked greedily and k times, a few at once, again where it is busy", async () => {
    await using server = await fakeEndpoint((asked, i) =>
      i % 9 === 4 ? { status: 503, headers: { "retry-after": "0" }, body: {} } : { body: reply(asked) },
    );
    const task = await openTask("last-digit-4");
    const endpoint = new Endpoint({ url: server.url, concurrency: 3, waitSeconds: 0 });
    const done: number[] = [];
    const result = await evaluateTask(
      askEndpoint(endpoint),
      task,
      { ...OPTIONS, n: 6, k: 3 },
      {
        onProgress: ({ done: now }) => done.push(now),
      },
    );
    expect(result).toMatchObject({
      questions: 6,
      passAt1: { mean: 1 },
      greedy: { mean: 1 },
      longShare: 1,
      length: { mean: 7 },
    });
    expect(server.most()).toBeLessThanOrEqual(3);
    expect(new Set(server.asked.map(({ temperature }) => temperature))).toEqual(new Set([0, 0.6]));
    expect(new Set(server.asked.filter(({ temperature }) => temperature > 0).map(({ seed }) => seed)).size).toBe(18);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(6);
  });

  it("ends with the reason when it refuses, without asking on", async () => {
    await using server = await fakeEndpoint(() => ({ status: 401, body: { error: { message: "no such key" } } }));
    const task = await openTask("last-digit-4");
    const endpoint = new Endpoint({ url: server.url, concurrency: 2 });
    await expect(evaluateTask(askEndpoint(endpoint), task, OPTIONS)).rejects.toThrow(/401: no such key/);
    expect(server.asked.length).toBeLessThan(5);
  });
});

describe("answers kept in a file", () => {
  const HEADER = { models: ["m"], tasks: ["last-digit-4"], n: 100, k: 2, seed: 1 };
  const options = { ...OPTIONS, n: 100, k: 2 };
  const right = (p: number, i: number) => (p + i) % 3 > 0;

  it("are gone on with after a kill, to the same figures, and nothing is asked twice", async () => {
    const task = await openTask("last-digit-4");
    const path = join(temporary.dir, "kept.jsonl");
    const file = await EvaluationFile.open(path, HEADER);
    const whole = await evaluateTask(scripted(right), task, options, { store: file.of("m", "t") });
    expect(readFileSync(path, "utf8").trimEnd().split("\n")).toHaveLength(101);
    // a kill within the second batch's lines
    const bytes = readFileSync(path);
    const lines = bytes.toString().split("\n");
    truncateSync(path, Buffer.byteLength(lines.slice(0, 70).join("\n")) + 20);
    const again = await EvaluationFile.open(path, HEADER);
    expect(again.found).toBe(69);
    const asked: number[] = [];
    const rest = await evaluateTask(scripted(right, asked), task, options, { store: again.of("m", "t") });
    expect(rest).toEqual(whole);
    expect(asked).toEqual([36, 72]);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    const third = await EvaluationFile.open(path, HEADER);
    expect(third.found).toBe(100);
    expect(await evaluateTask(scripted(right, asked), task, options, { store: third.of("m", "t") })).toEqual(whole);
    expect(asked).toHaveLength(2);
    const other: TranscriptStore = third.of("other", "t");
    expect(other.get(JSON.parse(lines[1]!).id)).toBeUndefined();
  });

  it("are refused, and left alone, when they are another's", async () => {
    const path = join(temporary.dir, "other.jsonl");
    const refused = async (text: string, why: RegExp) => {
      writeFileSync(path, text);
      await expect(EvaluationFile.open(path, HEADER)).rejects.toThrow(why);
      expect(readFileSync(path, "utf8")).toBe(text);
    };
    await refused("my notes\n", /exists and holds something else/);
    await refused("no newline", /exists and holds something else/);
    await refused('{"kind":"sumbi evaluate","n":1}\n', /is of another evaluation: models unset there, \["m"\] here/);
    await refused(
      `${JSON.stringify({ kind: "sumbi evaluate", ...HEADER })}\n{"id":1}\n`,
      /line 2: expected one problem/,
    );
    await expect(EvaluationFile.open(temporary.dir, HEADER)).rejects.toThrow(
      /expected a file, found a (folder|directory)/,
    );
    writeFileSync(path, "");
    expect((await EvaluationFile.open(path, HEADER)).found).toBe(0);
    appendFileSync(path, "{half");
    expect((await EvaluationFile.open(path, HEADER)).found).toBe(0);
    await expect(EvaluationFile.open(path, { ...HEADER, k: 4 })).rejects.toThrow(/k 2 there, 4 here/);
  });
});
