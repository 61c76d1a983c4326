import { PassThrough, Readable, Writable } from "node:stream";
import { expect, test } from "vitest";
import { scriptModel, served } from "../../test/support/fake-model.ts";
import { type ChatOptions, converse } from "./chat.ts";

/** Answers the last question; knows how many questions there were. */
function script(prompt: string): string {
  const questions = prompt.split("\n").filter((line) => line.startsWith("user: "));
  const last = questions.at(-1)!.slice(6);
  if (last === "think") return "<think>hm, \u001b[2J\u0007yes</think>done \u001b]0;owned\u0007";
  if (last === "long") return "x".repeat(1000);
  if (last === "brood") return `<think>${"hm ".repeat(400)}`;
  if (last === "silence") return "";
  return `${questions.length}: ${prompt.includes("system: shout") ? last.toUpperCase() : last}`;
}

/** What was written so far; one read gives a single chunk from Node 26 on. */
function all(stream: PassThrough): string {
  let text = "";
  for (let chunk: unknown; (chunk = stream.read()) !== null; ) text += String(chunk);
  return text;
}

async function run(
  lines: string[],
  options: ChatOptions = {},
  tty = false,
  contextTokens = 512,
): Promise<{ out: string; errors: string; status: number }> {
  const output = new PassThrough();
  const errors = new PassThrough();
  const model = served(scriptModel(script, { contextTokens }));
  const status = await converse(
    model,
    { temperature: 0, ...options },
    { input: Readable.from(lines.map((l) => `${l}\n`)), output, errors, tty },
  );
  expect(model.engine.status()).toEqual({ active: 0, waiting: 0 });
  return { out: all(output), errors: all(errors), status };
}

test("one question per line, one answer per question, in one conversation", async () => {
  expect(await run(["hello", "", "again", "/reset", "new"])).toEqual({
    out: "1: hello\n2: again\n1: new\n",
    errors: "",
    status: 0,
  });
  expect((await run(["a", "/quit", "b"])).out).toBe("1: a\n");
  expect((await run(["hi"], { system: "shout" })).out).toBe("1: HI\n");
});

test("thoughts stay out of piped answers, and no control character of the model comes through", async () => {
  expect((await run(["think"])).out).toBe("done ]0;owned\n");
});

test("JSON lines hold question, answer, thoughts and figures", async () => {
  const { out } = await run(["think", "long"], { json: true, maxTokens: 40 });
  const [first, second] = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(first).toEqual({
    question: "think",
    answer: "done \u001b]0;owned\u0007",
    reasoning: "hm, \u001b[2J\u0007yes",
    finish: "stop",
    tokens: 30,
    seconds: expect.any(Number),
  });
  expect(second).toMatchObject({ finish: "length", tokens: 40 });
});

test("when the context is full the oldest messages are forgotten, it says so, and there is room for an answer", async () => {
  // Half of so short a context is kept for the answer: an exchange takes 98 tokens of the other 150, a question 47.
  const { out, errors, status } = await run(["a".repeat(38), "b".repeat(38), "c".repeat(38), "d"], {}, false, 300);
  expect(out.split("\n").map((line) => line.slice(0, 4))).toEqual(["1: a", "2: b", "2: c", "2: d", ""]);
  expect(errors).toBe("(the context is full: the first 2 messages are forgotten)\n".repeat(2));
  expect(status).toBe(0);
});

test("an answer that the context cuts off is told from one that a limit does", async () => {
  const cut = await run(["long", "a"], {}, false, 300);
  expect(cut.out.split("\n").map((line) => line.length)).toEqual([300 - "<user: long\n<".length, 4, 0]);
  expect(cut.errors).toBe(
    "(the context is full: the answer was cut off)\n(the context is full: the first 2 messages are forgotten)\n",
  );
  expect((await run(["long"], { maxTokens: 10 }, false, 300)).errors).toBe("");
});

test("questions without an answer are not part of the conversation, and it says so", async () => {
  const { out, errors } = await run(["silence", "brood", "a"], { maxTokens: 50 });
  expect(out).toBe("\n\n1: a\n");
  expect(errors).toBe("(no answer came: the question is left out of the conversation)\n".repeat(2));
});

test("a question that cannot be asked is an error, and the next one is answered", async () => {
  const { out, errors, status } = await run(["z".repeat(300), "ok"], {}, false, 200);
  expect(out).toBe("1: ok\n");
  expect(errors).toMatch(/maximum context length is 200 tokens/);
  expect(status).toBe(1);
});

test("options out of range are refused before anything is asked", async () => {
  await expect(run(["a"], { temperature: 9 })).rejects.toThrow(/temperature: expected a number from 0 to 2, got 9/);
});

test("a reader of the answers who leaves ends the conversation", async () => {
  let writes = 0;
  const output = new Writable({
    write(_chunk, _encoding, done) {
      done(++writes > 2 ? Object.assign(new Error("write EPIPE"), { code: "EPIPE" }) : null);
    },
  });
  const questions = Readable.from(Array.from({ length: 50 }, () => "hi\n"));
  const model = served(scriptModel(script, { delayMs: 1 }));
  expect(await converse(model, {}, { input: questions, output, errors: new PassThrough(), tty: false })).toBe(0);
  expect(writes).toBe(3);
  expect(model.engine.status()).toEqual({ active: 0, waiting: 0 });
});
