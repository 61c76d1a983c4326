import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { stripTypes } from "../confined/stripTypes.ts";
import { Rewards } from "../rewards.ts";
import { SPLITS, splitOf, taskText } from "../task.ts";
import { openTask } from "./named.ts";

const folder = mkdtempSync(join(tmpdir(), "sumbi-own-"));
afterAll(() => rmSync(folder, { recursive: true }));
const module = (name: string, source: string): string => {
  const path = join(folder, name);
  writeFileSync(path, source);
  return path;
};

const documented = readFileSync(new URL("../../../docs/reason.md", import.meta.url), "utf8");
const REVERSE = /```ts\n([\s\S]*?)```/.exec(documented)?.[1] ?? "";

it("the task of ten lines in docs/reason.md", async () => {
  const task = await openTask(module("reverse.ts", REVERSE));
  expect(task.name).toBe("reverse");
  for (const split of SPLITS) {
    const problem = await task.problem(1, split, 3);
    expect(splitOf(problem.group)).toBe(split);
    expect(await task.problem(1, split, 3)).toEqual(problem);
    expect(problem.prompt).toEqual([
      { role: "user", content: expect.stringMatching(/^Write [a-h]{3,6} backwards\.$/) },
    ]);
    expect(await task.score(problem, { text: `<think>…</think>${problem.reference}` })).toEqual({
      parts: { answer: 1 },
    });
    expect(await task.score(problem, { text: `<think>${problem.reference}` })).toEqual({ parts: { answer: 0 } });
  }
  await expect(taskText(task, 0, { seed: 1, longShare: 1 })).rejects.toThrow(/has no solutions to train on/);
  await task.close?.();
});

it.runIf(process.env["SUMBI_TEST"] === "full")(
  "whatever a scorer does, a reply scores 0, it is counted, and the run goes on",
  async () => {
    const path = module(
      "wild.mjs",
      `
export const weights = { answer: 1, neat: 0.5 };
export const problem = (random) => ({ prompt: "Say " + random.int(1, 1e6) });
const acts = {
  throws() { throw new Error("oops"); },
  nan: () => NaN,
  nothing() {},
  text: () => "1",
  large: () => 2,
  never() { for (;;); },
  waits: () => new Promise(() => {}),
  bomb() { const all = []; for (;;) all.push(new Float64Array(1e6).fill(1)); },
  exits() { process.exit(0); },
  fine: () => true,
  parts: () => ({ answer: 1, neat: 0.5, other: 0 }),
};
export const score = (problem, reply) => acts[reply.text]();
export const solve = (problem) => ({ thought: "I say it.", answer: problem.prompt.slice(4) });
`,
    );
    const task = await openTask(path, { scoreMillis: 3000, memoryMiB: 128 });
    const rewards = new Rewards(task);
    const problem = await task.problem(1, "rl", 0);
    const of = (text: string) => rewards.reward(problem, { text });
    const faults = ["throws", "nan", "nothing", "text", "large", "never", "waits", "bomb", "exits"];
    const results = await Promise.all([...faults, "fine", "parts"].map(of));
    expect(results.map(({ total }) => total)).toEqual([...faults.map(() => 0), 1, 1.25]);
    expect(results.map(({ fault }) => fault?.split(":")[0])).toEqual([
      "threw",
      "threw",
      "threw",
      "threw",
      "threw",
      "time",
      "time",
      "memory",
      "ended",
      undefined,
      undefined,
    ]);
    expect(results[0]!.fault).toBe("threw: oops");
    expect(results[1]!.fault).toBe("threw: score: expected numbers from 0 to 1, got answer: NaN");
    expect(results[7]!.fault).toMatch(/took more than 128 MiB/);
    expect(results[10]!.parts).toMatchObject({ answer: 1, neat: 0.5, other: 0 });
    expect(rewards.describeFaults()).toMatch(
      /5 × threw an error or gave no number, 2 × took too long, 1 × took too much memory/,
    );
    const { messages } = await taskText(task, 0, { seed: 1, longShare: 1 });
    expect(messages[1]!.content).toBe(`<think>I say it.</think>${messages[0]!.content.slice(4)}`);
    await task.close?.();
  },
);

it("says what is wrong with a module", async () => {
  await expect(openTask(module("half.mjs", "export const problem = () => 1;"))).rejects.toThrow(
    /half\.mjs: expected an exported function "score", got undefined/,
  );
  await expect(openTask(module("broken.mjs", "export const ("))).rejects.toThrow(/broken\.mjs: Unexpected token/);
  await expect(openTask(join(folder, "none.ts"))).rejects.toThrow(/no such file/);
  const task = await openTask(module("empty.mjs", "export const problem = () => ({}); export const score = () => 1;"));
  await expect(task.problem(1, "rl", 0)).rejects.toThrow(/expected \{ prompt: a text or messages, … \}, got \{\}/);
  await task.close?.();
  await expect(openTask("sums")).rejects.toThrow(/expected parity-N, .*got none of these/);
  await expect(openTask("parity-100000")).rejects.toThrow(/too large for parity-N/);
});

it("leaves types out as Node does: nothing moves, and what is more than a type is refused", () => {
  expect(stripTypes("export const f = (x: number): number => x;", "a.ts")).toBe(
    "export const f = (x        )         => x;",
  );
  expect(() => stripTypes("enum A { b }", "a.ts")).toThrow(/a\.ts:1: expected TypeScript whose types can be left out/);
});
