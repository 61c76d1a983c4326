import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { readDocuments } from "../data/index.ts";
import { mixture } from "./mixture.ts";
import type { Task } from "./task.ts";
import { openTask } from "./tasks/named.ts";
import { writeTaskTexts } from "./texts.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());

it("mixes tasks by their shares; each scores its own", async () => {
  const [three, four] = [await openTask("countdown-3"), await openTask("words")];
  const task = mixture([
    { task: three, share: 3 },
    { task: four, share: 1 },
  ]);
  expect([task.name, task.about, task.weights]).toEqual([
    "countdown-3+words",
    "75 % countdown-3, 25 % words",
    { answer: 1, form: 0, sound: 0 },
  ]);
  const problems = await Promise.all(Array.from({ length: 200 }, (_, i) => task.problem(1, "train", i)));
  const words = problems.filter(({ facts }) => facts["task"] === "words");
  expect(words.length).toBeGreaterThan(30);
  expect(words.length).toBeLessThan(70);
  for (const problem of problems.slice(0, 20)) {
    expect((await task.score(problem, { text: problem.reference })).parts["answer"]).toBe(1);
    expect((await task.score(problem, { text: "-1" })).parts["answer"]).toBe(0);
  }
  expect(() => mixture([{ task: three, share: 0 }])).toThrow(/shares over 0, got countdown-3 0/);
  const heavier = { ...four, weights: { answer: 2 } } as Task;
  expect(() => mixture([three, heavier].map((task) => ({ task, share: 1 })))).toThrow(
    /one weight for answer, got 1 and 2/,
  );
});

it("is named by its tasks", async () => {
  const task = await openTask("countdown-3+product-2x1");
  const asked = await Promise.all(Array.from({ length: 200 }, (_, i) => task.problem(1, "rl", i)));
  const sums = asked.filter(({ facts }) => facts["task"] === "countdown-3").length;
  expect(sums).toBeGreaterThan(70);
  expect(sums).toBeLessThan(130);
  await expect(openTask("countdown-3+nothing")).rejects.toThrow(/task nothing: expected/);
});

it("writes texts that training reads, the same for the same seed", async () => {
  const paths = ["a.jsonl", "b.jsonl"].map((name) => join(temporary.dir, name));
  const task = await openTask("parity-16");
  for (const path of paths) await writeTaskTexts(path, task, 500, { seed: 3, longShare: 0.5 });
  expect(readFileSync(paths[0]!)).toEqual(readFileSync(paths[1]!));
  let read = 0;
  for await (const document of readDocuments([paths[0]!])) {
    expect(document).toMatchObject({ messages: [{ role: "user" }, { role: "assistant" }] });
    read++;
  }
  expect(read).toBe(500);
  await expect(writeTaskTexts(temporary.dir, task, 1, { seed: 1, longShare: 0 })).rejects.toThrow(/EEXIST|EISDIR/);
  // what stands there stays
  await expect(writeTaskTexts(paths[0]!, task, 1, { seed: 1, longShare: 0 })).rejects.toThrow(/EEXIST/);
});
