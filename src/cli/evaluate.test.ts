import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { outputOf } from "../../test/support/cli.ts";
import { completion, type FakeEndpoint, fakeEndpoint } from "../../test/support/fakeEndpoint.ts";
import { register } from "./evaluate.ts";

const temporary = temporaryFolder();
let server: FakeEndpoint;
/** Answers sums of digits by their last digit; the model `half` those with an even one only. */
beforeAll(async () => {
  server = await fakeEndpoint(({ model, messages }) => {
    const digits = [...(messages.at(-1)?.content ?? "").matchAll(/\d+/g)].map(([digit]) => Number(digit));
    const last = digits.reduce((a, b) => a + b, 0) % 10;
    return { body: completion({ content: String(model === "half" && last % 2 === 1 ? 0 : last) }) };
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  temporary[Symbol.dispose]();
});

const run = (...args: string[]): Promise<string> =>
  outputOf([register], ["evaluate", "--n", "8", "--k", "2", "--max-tokens", "8", ...args]);

it("measures two models of a server on several tasks, against each other, and keeps their answers", async () => {
  const out = join(temporary.dir, "kept.jsonl");
  const asking = [
    `${server.url}#all`,
    "--against",
    `${server.url}#half`,
    "--task",
    "last-digit-4",
    "--task",
    "last-digit-6",
  ];
  const said = await run(...asking, "--json", "--out", out);
  const results = said
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(results.map(({ task }) => task)).toEqual(["last-digit-4", "last-digit-6"]);
  const { values, ...first } = results[0];
  expect(values).toBeUndefined();
  expect(first).toMatchObject({
    model: `${server.url}#all`,
    n: 8,
    k: 2,
    seed: 1,
    questions: 8,
    greedy: { mean: 1 },
    passAt1: { mean: 1 },
    passAtK: { mean: 1 },
    consAtK: { mean: 1 },
    against: { model: `${server.url}#half`, difference: { sentence: expect.stringContaining("is right in 100.0 %") } },
  });
  expect(first.against.passAt1.mean).toBeLessThan(1);
  expect(first.against.difference.passAt1.mean).toBeCloseTo(1 - first.against.passAt1.mean, 12);
  // two models, two tasks, eight problems
  expect(readFileSync(out, "utf8").trimEnd().split("\n")).toHaveLength(1 + 2 * 2 * 8);
  const asked = server.asked.length;
  const again = await run(...asking, "--out", out);
  expect(server.asked.length).toBe(asked);
  expect(again).toMatch(/#all on last-digit-4.*greedy\s+100\.0 %.*pass@2.*cons@2.*#half on last-digit-4.*is right in/s);
  await expect(run(...asking, "--out", out, "--seed", "2")).rejects.toThrow(/another evaluation: seed 1 there, 2 here/);
});

it("says what will not do", async () => {
  const url = server.url;
  await expect(run(url, "--task", "last-digit-4", "--against", url)).rejects.toThrow(/expected another model/);
  await expect(run(url, "--task", "last-digit-4", "--task", "last-digit-4")).rejects.toThrow(/expected each task once/);
  await expect(run(url, "--task", "nothing")).rejects.toThrow(/nothing/);
  await expect(run(url, "--task", "last-digit-4", "--key-env", "NO_SUCH_KEY")).rejects.toThrow(
    /NO_SUCH_KEY, found none/,
  );
});
