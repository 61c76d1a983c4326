import type { Worker } from "node:worker_threads";
import { afterAll, describe, expect, test } from "vitest";
import { ApiError } from "../errors.ts";
import { UNBOUNDED } from "./bounds.ts";
import { RequestReader } from "./requestReader.ts";

const reader = new RequestReader();
afterAll(() => reader.close());
const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const bounds = { contextTokens: 1000, vocabSize: 100, bytesPerToken: 10 };
const pad = " ".repeat(100_000);

describe("a body is read alike here and in the thread", () => {
  test.each([
    '{"prompt":"x","max_tokens":3}',
    '{"prompt":[[1,2],[3]],"more":{}}',
    '{"prompt":"x","temperature":9}',
    '{"prompt":[1,"x"]}',
    "{",
    "[".repeat(1000),
    `{"prompt":"${"x".repeat(20_000)}"}`,
  ])("%#", async (text) => {
    const outcome = async (body: string) => {
      try {
        return await reader.parse("completion", bytes(body), bounds);
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError);
        const { status, message, code, param } = error as ApiError;
        return { status, message: message.replace(/position \d+.*/, ""), code, param };
      }
    };
    expect(await outcome(text + pad)).toEqual(await outcome(text));
  });
});

test("many at once are read one after another, each with its own answer", async () => {
  const answers = Array.from({ length: 20 }, async (_, i) =>
    reader.parse("chat", bytes(`{"messages":[{"role":"user","content":"${i}"}]}${pad}`), UNBOUNDED),
  );
  expect((await Promise.all(answers)).map((request) => request.messages[0]?.content)).toEqual(
    Array.from({ length: 20 }, (_, i) => String(i)),
  );
});

test("what takes too long is refused, and the next has its own turn", async () => {
  const threads: Worker[] = [];
  const seen = (thread: Worker): void => void threads.push(thread);
  process.on("worker", seen);
  const hasty = new RequestReader({ deadlineMs: 1 });
  const slow = `{"prompt":"x","more":{${Array.from({ length: 400_000 }, (_, i) => `"k${i}":0`).join(",")}}}`;
  const tooLarge = { status: 413, code: "request_too_large" };
  const first = hasty.parse("completion", bytes(slow), UNBOUNDED);
  const next = Promise.resolve(hasty.parse("completion", bytes(`{"prompt":"next"}${pad}`), UNBOUNDED));
  const settled = next.catch((error: unknown) => error);
  await expect(first).rejects.toMatchObject(tooLarge);
  // read, or too slow by the same measure on a busy machine
  const outcome = await settled;
  if (outcome instanceof ApiError) expect(outcome).toMatchObject(tooLarge);
  else expect(outcome).toMatchObject({ prompt: "next" });
  // the thread that was too slow is ended, whatever it was at
  expect(threads).toHaveLength(2);
  await expect.poll(() => threads[0]?.threadId).toBe(-1);
  process.off("worker", seen);
  await hasty.close();
});

test("closing refuses what still waits", async () => {
  const closing = new RequestReader();
  const waiting = [1, 2, 3].map(() => closing.parse("completion", bytes(`{"prompt":"x"}${pad}`), UNBOUNDED));
  const all = Promise.allSettled(waiting);
  await closing.close();
  for (const one of await all)
    expect(one).toMatchObject({ status: "rejected", reason: { status: 503, code: "shutting_down" } });
  await expect(
    Promise.resolve().then(() => closing.parse("completion", bytes(`{"prompt":"x"}${pad}`), UNBOUNDED)),
  ).rejects.toMatchObject({ status: 503 });
});
