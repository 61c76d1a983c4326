import { expect, test } from "vitest";
import { until } from "../../test/support/fake-model.ts";
import { eventStream } from "./sse.ts";

async function* numbers(n: number, log: string[]): AsyncGenerator<number, void> {
  try {
    for (let i = 0; i < n; i++) {
      log.push(`make ${i}`);
      yield i;
    }
  } finally {
    log.push("ended");
  }
}
const options = (log: string[]) => ({
  end: "[DONE]",
  error: (e: unknown) => ({ error: String(e) }),
  close: () => void log.push("closed"),
});

test("events, then the end", async () => {
  const log: string[] = [];
  expect(await new Response(eventStream(numbers(2, log), options(log))).text()).toBe(
    "data: 0\n\ndata: 1\n\ndata: [DONE]\n\n",
  );
  expect(log).toEqual(["make 0", "make 1", "ended", "closed"]);
});

test("a failure is the last event", async () => {
  const log: string[] = [];
  async function* failing(): AsyncGenerator<number, void> {
    yield 1;
    throw new Error("no");
  }
  expect(await new Response(eventStream(failing(), options(log))).text()).toBe(
    'data: 1\n\ndata: {"error":"Error: no"}\n\n',
  );
});

test("nothing is made ahead of a reader, and a reader who leaves ends the source", async () => {
  const log: string[] = [];
  const reader = eventStream(numbers(1000, log), options(log)).getReader();
  await reader.read();
  await reader.read();
  expect(log.filter((l) => l.startsWith("make")).length).toBeLessThanOrEqual(4);
  await reader.cancel();
  expect(log.slice(-2)).toEqual(["closed", "ended"]);
});

test("a reader who takes nothing is given up", async () => {
  const log: string[] = [];
  const stream = eventStream(numbers(1000, log), { ...options(log), keepAliveMs: 5 });
  await until(() => log.includes("closed") && log.includes("ended"));
  await expect(new Response(stream).text()).rejects.toThrow(/reads no more/);
});

test("while nothing happens a comment keeps the connection open", async () => {
  async function* slow(): AsyncGenerator<number, void> {
    await new Promise((resolve) => setTimeout(resolve, 100));
    yield 1;
  }
  const text = await new Response(eventStream(slow(), { ...options([]), keepAliveMs: 10 })).text();
  expect(text).toMatch(/^(: waiting\n\n)+data: 1\n\ndata: \[DONE\]\n\n$/);
});
