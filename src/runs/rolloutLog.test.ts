import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { RunReader } from "./reader.ts";
import { RunWriter } from "./writer.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());

const line = (step: number, prompt: string, text = "a", answers = 1): string =>
  `${JSON.stringify({ step, prompt, reference: "4", answers: Array(answers).fill({ text, reward: 1 }) })}\n`;

async function runOf(id: string, text?: string) {
  const writer = await RunWriter.create(temporary.dir, { id, recipeName: "zero", recipe: { stage: "zero" } });
  await writer.close();
  const path = join(writer.dir, "transcripts.jsonl");
  if (text !== undefined) appendFileSync(path, text);
  return { path, reader: new RunReader(temporary.dir) };
}

test("answers by step; a step that comes again counts as it came last, and what is damaged is passed over", async () => {
  const { path, reader } = await runOf(
    "one",
    `${line(10, "p")}${line(10, "q")}${line(20, "r")}${line(20, "s")}{"step":30,"prom\n\nnull\n{"step":"x"}\n`,
  );
  const steps = async () => (await reader.rollouts("one")).map(({ step, problems }) => [step, problems.length]);
  expect(await steps()).toEqual([
    [10, 2],
    [20, 2],
  ]);
  appendFileSync(path, `${line(20, "r", "again")}${line(30, "t")}`);
  expect(await steps()).toEqual([
    [10, 2],
    [20, 1],
    [30, 1],
  ]);
  expect((await reader.rollouts("one"))[1]?.problems[0]?.answers[0]?.text).toBe("again");
});

test("no file is no answers, and no run is an error", async () => {
  const { reader } = await runOf("none");
  expect(await reader.rollouts("none")).toEqual([]);
  await expect(reader.rollouts("nobody")).rejects.toThrow(/no such run/);
});

test("is bounded however long the file is, and keeps the first step and the last", async () => {
  const text = Array.from({ length: 50 }, (_, i) =>
    Array.from({ length: 6 }, (_, j) => line(i + 1, `p${j}`, "x".repeat(5_000), 6)).join(""),
  );
  const { reader } = await runOf("long", text.join(""));
  const steps = await reader.rollouts("long");
  expect(steps.length).toBeLessThanOrEqual(33);
  expect([steps[0]?.step, steps.at(-1)?.step]).toEqual([1, 50]);
  expect(steps.every(({ problems }) => problems.length === 4)).toBe(true);
  const { answers } = steps[0]!.problems[0]!;
  expect(answers).toHaveLength(4);
  expect(answers[0]?.text).toMatch(/^x{3000}\n\[… 1,000 characters left out …\]\nx{1000}$/);
});
