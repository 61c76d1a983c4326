import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../data/index.ts";
import { Tokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { contentId, distinctProblems, SPLITS, splitOf, type Task, taskText } from "../task.ts";
import { jsonlTask } from "./jsonl.ts";
import { lastDigit, parity, product, sum } from "./longShort.ts";
import { openTask, TASK_NAMES } from "./named.ts";

const tasks: Task[] = [];
beforeAll(async () => {
  tasks.push(...(await Promise.all(TASK_NAMES.map(({ example }) => openTask(example)))));
});

/** A reply that a task's own solution makes. */
const replyOf = ({ thought, answer }: { thought: string; answer: string }): string =>
  thought === "" ? answer : `<think>${thought}</think>${answer}`;

describe("every task", () => {
  it("accepts its own solutions, long and short, and its reference's answer as the same", async () => {
    for (const task of tasks)
      for (let index = 0; index < 12; index++) {
        const problem = await task.problem(3, "rl", index);
        expect(problem.id).toMatch(/^[0-9a-f]{16}$/);
        const whole = Object.values(task.weights).reduce((all, weight) => all + weight, 0);
        for (const form of ["long", "short"] as const) {
          const solution = await task.solve?.(problem, new Random(index), form);
          if (!solution) continue;
          expect(solution.thought === "").toBe(form === "short");
          const { parts } = await task.score(problem, { text: replyOf(solution) });
          const total = Object.entries(task.weights).reduce(
            (all, [name, weight]) => all + weight * (parts[name] ?? 0),
            0,
          );
          expect(total, `${task.name} ${form} ${replyOf(solution)}`).toBe(whole);
          expect(task.answer(problem, { text: replyOf(solution) })).toBeDefined();
        }
      }
  });

  it("gives the same problem for the same seed, split and index, and another for another", async () => {
    for (const task of tasks) {
      const first = await task.problem(1, "train", 5);
      expect(await task.problem(1, "train", 5)).toEqual(first);
      const others = await Promise.all([6, 7, 8, 9].map((index) => task.problem(1, "train", index)));
      expect(new Set([first, ...others].map(({ id }) => id)).size).toBeGreaterThan(1);
    }
  });

  it("scores any text between 0 and 1, and never throws", async () => {
    const sign = fc.constantFrom(...'0123456789+-*/=(){}[]:, \n"ABCz', "<think>", "</think>", "\\boxed{", "```", "yes");
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(sign).map((signs) => signs.join("")),
    );
    const problems = await Promise.all(tasks.map((task) => task.problem(1, "test", 0)));
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), async (text, opened) => {
        for (const [i, task] of tasks.entries()) {
          if (task.name === "code") continue;
          const { parts } = await task.score(problems[i]!, { text, opened });
          expect(Object.values(parts).every((part) => part >= 0 && part <= 1)).toBe(true);
          task.answer(problems[i]!, { text, opened });
        }
      }),
      { numRuns: 150 },
    );
  });

  it("gives no credit for an unfinished thought", async () => {
    for (const task of tasks) {
      const problem = await task.problem(1, "test", 1);
      const { parts } = await task.score(problem, { text: `<think>${problem.reference}` });
      expect(parts["answer"], task.name).toBe(0);
    }
  });
});

describe("splits", () => {
  it("hold through all stages: no group of problems, and no content, is in two of them", async () => {
    // whatever the seed; and tasks of a family together
    const families = [
      ["countdown-3", "countdown-4"],
      ["product-2x1", "product-2x2"],
    ];
    const alone = TASK_NAMES.filter(({ example }) => !families.flat().includes(example)).map(({ example }) => [
      example,
    ]);
    for (const names of [...families, ...alone]) {
      const seen = new Map<string, string>();
      for (const name of names) {
        const task = tasks.find((one) => one.name === name) ?? (await openTask(name));
        for (const split of SPLITS)
          for (const seed of [1, 2])
            for (let index = 0; index < 25; index++) {
              const { id, group, prompt } = await task.problem(seed, split, index);
              expect(splitOf(group)).toBe(split);
              for (const key of [id, group, prompt[0]!.content]) {
                expect(seen.get(key) ?? split, `${name} ${key}`).toBe(split);
                seen.set(key, split);
              }
            }
      }
    }
  });

  it("keep test problems out of texts to train on", async () => {
    const task = sum(2);
    const held = new Set(
      (await distinctProblems(task, 9, "test", 200)).map(({ prompt }) =>
        prompt[0]!.content.match(/\d+/g)!.sort().join(),
      ),
    );
    expect(held.size).toBeGreaterThan(100);
    for (let index = 0; index < 2000; index++) {
      const { messages } = await taskText(task, index, { seed: index % 7, longShare: 0.5 });
      expect(held.has(messages[0]!.content.match(/\d+/g)!.sort().join())).toBe(false);
    }
  });

  it("are by the set of numbers where order does not matter", async () => {
    for (const task of [lastDigit(3), sum(3)]) {
      const problem = await task.problem(1, "rl", 0);
      const again = await distinctProblems(task, 1, "rl", 300);
      const sorted = (content: string) => content.match(/\d+/g)!.sort().join();
      for (const other of again)
        expect(other.group === problem.group).toBe(
          sorted(other.prompt[0]!.content) === sorted(problem.prompt[0]!.content),
        );
    }
  });

  it("say so when a task has too few problems", async () => {
    const draw = (split: (typeof SPLITS)[number]) => () => parity(1).problem(1, split, 0);
    const empty = SPLITS.filter(
      (split) => splitOf(contentId("parity-1", [0])) !== split && splitOf(contentId("parity-1", [1])) !== split,
    );
    expect(empty.length).toBeGreaterThan(0);
    for (const split of empty) expect(draw(split)).toThrow(`parity-1: expected problems for "${split}", got none`);
    expect((await distinctProblems(parity(4), 1, "train", 100)).length).toBeLessThan(16);
  });
});

it("mixes long and short texts by their share", async () => {
  let long = 0;
  for (let index = 0; index < 2000; index++) {
    const { messages } = await taskText(parity(16), index, { seed: 1, longShare: 0.15 });
    if (messages[1]!.content.startsWith("<think>")) long++;
  }
  expect(long / 2000).toBeGreaterThan(0.125);
  expect(long / 2000).toBeLessThan(0.175);
});

it("puts questions behind turns that are read, not learned", async () => {
  const lengths = new Set<number>();
  for (let index = 0; index < 60; index++) {
    const { messages } = await taskText(sum(2), index, { seed: 1, longShare: 1, turns: 3 });
    const [question, reply] = messages.slice(-2);
    expect(question).toMatchObject({ role: "user", weight: 0, content: expect.stringMatching(/^Sum of/) });
    expect(reply?.content).toMatch(/^<think>/);
    expect(reply?.weight).toBeUndefined();
    for (const { content, weight } of messages.slice(0, -1)) {
      expect(weight).toBe(0);
      expect(content).not.toContain("<think>");
    }
    lengths.add(messages.length);
  }
  expect([...lengths].sort()).toEqual([2, 4, 6, 8]);
});

it("writes workings at a fixed stride", async () => {
  const working = async <D>(task: Task<D>, data: D) =>
    (await task.solve!({ data } as never, new Random(0), "long")).thought;
  expect(await working(parity(4), [0, 1, 1, 0])).toBe("00100");
  expect(await working(lastDigit(3), [7, 5, 9])).toBe("0775291");
  expect(await working(sum(2), [47, 38])).toBe("0004704738085");
  expect(await working(product(2, 1), [23, 4])).toBe("23*4\n3*4=12 +0=12 carry 1\n2*4=08 +1=09 carry 0\n=092");
});

it("advances question and working by the same stride, in tokens of a tokenizer that is trained on the texts", async () => {
  for (const [task, digits, prefix, block, neutral] of [
    [parity(16), 16, 0, 1, 1],
    [lastDigit(10), 10, 0, 2, 1],
    [sum(5), 5, 2, 5, 3],
  ] as const) {
    const texts = await Promise.all(
      Array.from({ length: 300 }, (_, i) => taskText(task as Task, i, { seed: 1, longShare: 1 })),
    );
    const said = texts.flatMap(({ messages }) => messages.map(({ content }) => content));
    const { tokenizerJson, tokenizerConfig } = await trainTokenizer(said, { vocabSize: 400, digits: 1 });
    const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
    for (const { messages } of texts.slice(0, 20)) {
      const tokens = tokenizer.encodeChat(messages, { keepThoughts: true }).ids.map((id) => tokenizer.decode([id]));
      const asked = tokens.findIndex((token) => /^\d$/.test(token));
      const thought = tokens.indexOf("<think>") + 1;
      expect(tokens.indexOf("</think>") - thought).toBe(neutral + digits * block);
      // parities are not restated: there every token of the working stands for one of the question
      if (task.name.startsWith("parity")) continue;
      for (let i = 0; i < digits; i++)
        expect(tokens[thought + neutral + i * block]).toBe(tokens[asked + i * block + prefix]);
    }
  }
});

describe("files of problems", () => {
  const folder = mkdtempSync(join(tmpdir(), "sumbi-jsonl-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (name: string, ...rows: unknown[]): string => {
    const path = join(folder, name);
    writeFileSync(path, rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n"));
    return path;
  };

  it("in the shapes of GSM8K and MATH", async () => {
    const path = file(
      "mixed.jsonl",
      { question: "Half of 1,002 eggs?", answer: "It is 1002/2 = <<1002/2=501>>501 eggs.\n#### 501" },
      { problem: "Solve.", solution: "So \\boxed{x=\\frac{1}{2}}.", level: "Level 2" },
      { problem: "Which?", solution: "Because.", answer: "(1, 2]" },
    );
    const tests = file("tests.jsonl", { question: "  solve. ", answer: "0.5" });
    const all = jsonlTask(path, { testPath: file("other.jsonl", { question: "Else?", answer: 3 }) });
    const problems = (
      await Promise.all((["train", "rl"] as const).map((split) => distinctProblems(all, 1, split, 9)))
    ).flat();
    expect(problems.map(({ reference }) => reference).sort()).toEqual(["(1, 2]", "501", "x=\\frac{1}{2}"]);
    const egg = problems.find(({ reference }) => reference === "501")!;
    expect(egg.data).toEqual({ working: "It is 1002/2 = 501 eggs." });
    expect(egg.prompt[0]!.content).toBe("Half of 1,002 eggs?\nPut your final answer within \\boxed{}.");
    expect((await all.score(egg, { text: "<think>…</think>It is \\boxed{501}." })).parts).toEqual({ answer: 1 });
    const solve = problems.find(({ reference }) => reference.startsWith("x"))!;
    expect((await all.score(solve, { text: "The answer is 0.5." })).parts).toEqual({ answer: 1 });
    expect(solve.facts).toEqual({ level: "Level 2" });
    // a test of the same text is in no other split
    const held = jsonlTask(path, { testPath: tests });
    expect([held.size!("test"), held.size!("train") + held.size!("rl")]).toEqual([1, 2]);
  });

  it("asks for functions, and runs them", async () => {
    const row = {
      question: "Write f, which adds.",
      entry: "f",
      cases: [{ args: [2, 3], result: 5 }],
      solution: "const f = (a, b) => a + b;",
    };
    const task = jsonlTask(file("code.jsonl", row), {
      testPath: file("code-tests.jsonl", { question: "?", answer: 1 }),
    });
    const [problem] = (
      await Promise.all((["train", "rl"] as const).map((split) => distinctProblems(task, 1, split, 1)).filter(Boolean))
    ).flat();
    expect(problem!.prompt[0]!.content).toBe("Write f, which adds.");
    expect(
      (await task.score(problem!, { text: replyOf(await task.solve!(problem!, new Random(0), "short")) })).parts,
    ).toEqual({ answer: 1 });
    expect((await task.score(problem!, { text: "const f = (a, b) => a * b;" })).parts).toEqual({ answer: 0 });
    await task.close?.();
    expect(() => jsonlTask(file("wrong.jsonl", { ...row, entry: "f()" }))).toThrow(/wrong\.jsonl:1: entry: /);
  });

  it("goes through all of a split before it begins anew", async () => {
    const path = file(
      "many.jsonl",
      ...Array.from({ length: 200 }, (_, i) => ({ question: `What is ${i} + 1?`, answer: `${i + 1}` })),
    );
    const task = jsonlTask(path);
    const count = task.size!("train");
    expect(count).toBeGreaterThan(90);
    const ids = (from: number) =>
      Array.from({ length: count }, (_, i) => (task.problem(5, "train", from + i) as { id: string }).id);
    expect(new Set(ids(0)).size).toBe(count);
    expect(new Set(ids(count)).size).toBe(count);
    expect(ids(count)).not.toEqual(ids(0));
  });

  it("names file and line of what cannot be used", async () => {
    expect(() => jsonlTask(file("a.jsonl", { question: "x", answer: "1" }, "{"))).toThrow(
      /a\.jsonl:2: expected a line of JSON/,
    );
    expect(() => jsonlTask(file("b.jsonl", { text: "x" }))).toThrow(
      /b\.jsonl:1: expected "question" or "problem".*got text/,
    );
    expect(() => jsonlTask(file("c.jsonl", { problem: "x", solution: "none" }))).toThrow(/expected \\boxed/);
    expect(() => jsonlTask(file("d.jsonl", "[1]"))).toThrow(/expected an object/);
    expect(() => jsonlTask(file("e.jsonl", ""))).toThrow(/empty file/);
    expect(() => jsonlTask(join(folder, "none.jsonl"))).toThrow(/none\.jsonl: no such file/);
  });
});
