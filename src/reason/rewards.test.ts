import { describe, expect, it } from "vitest";
import { languageShare } from "./language.ts";
import { Rewards, repeatedShare, softLength } from "./rewards.ts";
import type { Problem, Task } from "./task.ts";
import { parity } from "./tasks/longShort.ts";

const task = parity(16) as Task;
const problem = async () => task.problem(1, "rl", 0);

describe("rewards", () => {
  it("count what they are told to, and keep what they are not", async () => {
    const asked = await problem();
    const rewards = new Rewards(task, { weights: { format: 0.1 } });
    expect(rewards.most).toBeCloseTo(1.1, 12);
    const long = await rewards.reward(asked, { text: `<think>0110</think>${asked.reference}` });
    expect(long).toEqual({
      total: 1.1,
      parts: { answer: 1, format: 1, language: 1, length: 1, repetition: 1 },
      facts: {},
    });
    expect((await rewards.reward(asked, { text: asked.reference })).total).toBe(1);
    expect((await rewards.reward(asked, { text: "<think>x</think>7" })).total).toBe(0.1);
    expect((await rewards.reward(asked, { text: "<think>x</think>7", truncated: true })).total).toBe(0);
  });

  it("know R1-Zero's tags", async () => {
    const rewards = new Rewards(task, { weights: { answer: 0, format: 1 }, format: "think-answer" });
    const total = async (text: string, opened = false) =>
      (await rewards.reward(await problem(), { text, opened })).total;
    expect(await total("<think>x</think> <answer>5</answer>")).toBe(1);
    expect(await total("x</think>\n<answer>5</answer>", true)).toBe(1);
    expect(await total("<think>x</think>5")).toBe(0);
    expect(await total("<think>x</think><answer>5</answer><answer>6</answer>")).toBe(0);
    expect(await total("<think>x</think><answer></answer>")).toBe(0);
  });

  it("are 0, counted and said when a task fails, and go on", async () => {
    const results: unknown[] = [{ parts: { answer: Number.NaN } }, { parts: { answer: 7 } }, undefined];
    const broken = {
      ...task,
      score: () => {
        if (results.length === 0) throw new Error("no luck");
        return results.shift() as never;
      },
    } as Task;
    const rewards = new Rewards(broken);
    const asked = { ...(await problem()), data: [] } as Problem;
    const all = [];
    for (let i = 0; i < 4; i++) all.push(await rewards.reward(asked, { text: "1" }));
    expect(all.map(({ total }) => total)).toEqual([0, 0, 0, 0]);
    expect(all[3]!.fault).toBe("threw: no luck");
    expect(Object.fromEntries(rewards.faults)).toEqual({ value: 2, threw: 2 });
    expect(rewards.describeFaults()).toBe(
      "parity-16: scores that failed and count as 0: 2 × a number outside of 0 to 1, 2 × threw an error or gave no number",
    );
  });

  it("refuse weights that mean nothing", () => {
    expect(() => new Rewards(task, { weights: { format: Number.NaN } })).toThrow(/weight of format, got NaN/);
    expect(() => new Rewards(task, { weights: { fromat: 1 } })).toThrow(
      /expected weights of answer, format.*got fromat/,
    );
    expect(() => new Rewards(task, { language: "klingon?" })).toThrow(/expected a language/);
    expect(() => new Rewards(task, { weights: { language: 1 } })).toThrow(/set language/);
    expect(() => new Rewards(task, { weights: { length: 1 } })).toThrow(/set length/);
  });
});

it("length falls softly", () => {
  expect([50, 80, 90, 99, 100, 200].map((tokens) => softLength(tokens, 100, 20))).toEqual([1, 1, 0.5, 0.05, 0, 0]);
});

it("repetition: a text in a circle, and one that is not", () => {
  expect(repeatedShare("so we add it and then we see that ".repeat(50))).toBeGreaterThan(0.95);
  expect(repeatedShare(Array.from({ length: 200 }, (_, i) => `w${i}`).join(" "))).toBe(0);
  expect(repeatedShare("")).toBe(0);
});

it("language: by script, without formulas", () => {
  expect(languageShare("First we add 3 and 4 to get $x$.", "en")).toBe(1);
  expect(languageShare("First 我们 add", "en")).toBe(0.5);
  expect(languageShare("我们先加 3", "zh")).toBe(1);
  expect(languageShare("먼저 더합니다", "ko")).toBe(1);
  expect(languageShare("まず足します", "ja")).toBe(1);
  expect(languageShare("Сначала add", "ru")).toBe(0.5);
  expect(languageShare("3 + 4 = 7", "en")).toBe(1);
  expect(() => languageShare("x", "??")).toThrow(/expected a language/);
});
