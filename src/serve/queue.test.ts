import { describe, expect, test } from "vitest";
import { ASSISTANT, EOS, fakeModel, served, underWay, until } from "../../test/support/fake-model.ts";
import { ApiError } from "../errors.ts";
import { createApp } from "./app.ts";
import { BodyMemory } from "./body.ts";
import { networkOf } from "./client.ts";
import { RequestQueue } from "./queue.ts";
import { listen } from "./server.ts";

const never = new AbortController().signal;
const refusal = async (work: () => unknown): Promise<ApiError> => {
  try {
    await work();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("it was let in");
};

describe("the line before the model", () => {
  test("one client has so many requests under way: 429, and others still come in", async () => {
    const queue = new RequestQueue({ clientRequests: 3, requests: 5 });
    const stays = [1, 2, 3].map(() => queue.enter("a"));
    expect(await refusal(() => queue.enter("a"))).toMatchObject({
      status: 429,
      type: "rate_limit_error",
      retryAfterSeconds: 1,
    });
    stays.push(queue.enter("b"), queue.enter("c"));
    expect(await refusal(() => queue.enter("d"))).toMatchObject({
      status: 503,
      code: "overloaded",
      retryAfterSeconds: 1,
    });
    stays[0]?.leave();
    stays[0]?.leave();
    queue.enter("a");
    expect(await refusal(() => queue.enter("d"))).toMatchObject({ status: 503 });
  });

  test("one client's requests leave places for others, and clients take turns", async () => {
    const queue = new RequestQueue({ places: 4 });
    const inside: string[] = [];
    const come = (name: string) => {
      const stay = queue.enter(name);
      void stay.turn(never).then(() => inside.push(name));
      return stay;
    };
    const crowd = Array.from({ length: 20 }, () => come("crowd"));
    await until(() => inside.length === 3);
    const one = come("one");
    await until(() => inside.length === 4);
    expect(inside).toEqual(["crowd", "crowd", "crowd", "one"]);
    const two = come("two");
    crowd[0]?.leave();
    await until(() => inside.length === 5);
    expect(inside.at(-1)).toBe("two");
    for (const stay of [...crowd, one, two]) stay.leave();
    await until(() => queue.waiting === 0);
  });

  test("a request waits so long and no longer, and leaves no trace", async () => {
    const queue = new RequestQueue({ places: 1, waitMs: 30 });
    const first = queue.enter("a");
    await first.turn(never);
    const second = queue.enter("b");
    expect(await refusal(() => second.turn(never))).toMatchObject({
      status: 503,
      code: "overloaded",
      message: expect.stringContaining("waited 0.03 s") as string,
    });
    second.leave();
    expect(queue.waiting).toBe(0);
    const left = new AbortController();
    const third = queue.enter("b");
    const turn = third.turn(left.signal);
    left.abort(new Error("gone"));
    await expect(turn).rejects.toThrow("gone");
    first.leave();
    await queue.enter("c").turn(never);
  });

  test("a wait longer than a timer can be is no short one", async () => {
    const queue = new RequestQueue({ places: 1, waitMs: 1e13 });
    await queue.enter("a").turn(never);
    const waiting = queue.enter("b");
    const left = new AbortController();
    setTimeout(() => left.abort(new Error("still waiting")), 30);
    await expect(waiting.turn(left.signal)).rejects.toThrow("still waiting");
  });
});

test("bodies share a memory, of which one client has its part", () => {
  const memory = new BodyMemory(100, 60);
  memory.take("a", 60);
  expect(() => memory.take("a", 1)).toThrow(expect.objectContaining({ status: 429, retryAfterSeconds: 1 }) as Error);
  memory.take("b", 40);
  expect(() => memory.take("c", 1)).toThrow(expect.objectContaining({ status: 503 }) as Error);
  memory.give("a", 60);
  memory.take("c", 60);
});

test("an address is one person's: of IPv6 the first half", () => {
  const same: [string, string][] = [
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["2001:db8:0:7::1", "2001:db8::7:ffff:1:2:3"],
    ["fe80::1%eth0", "fe80::2"],
    ["::1", "0:0:0:0:0:0:0:1"],
  ];
  for (const [a, b] of same) expect(networkOf(a)).toBe(networkOf(b));
  expect(new Set(["10.0.0.1", "10.0.0.2", "2001:db8:0:7::1", "2001:db8:0:8::1", "::1"].map(networkOf)).size).toBe(5);
});

describe("over HTTP", () => {
  /** A server whose answers to "endless" never end. */
  const serve = async (queue: object) => {
    // behind "<bos>user: "
    const first = 7;
    const model = fakeModel((tokens) => (tokens[first] === 101 ? 97 : tokens.at(-1) === ASSISTANT ? 98 : EOS), {
      delayMs: 1,
      contextTokens: 1_000_000,
    });
    const server = await listen(createApp({ model: served(model), queue, keys: ["alice-key", "bob-key"] }), {
      host: "127.0.0.1",
      port: 0,
    });
    const left = new AbortController();
    const post = (key: string, content: string, more: object = {}): Promise<Response> =>
      fetch(`${server.url}/v1/chat/completions`, {
        method: "POST",
        signal: left.signal,
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify({ messages: [{ role: "user", content }], ...more }),
      });
    const health = async () =>
      (await (await fetch(`${server.url}/health`)).json()) as { active: number; waiting: number };
    const end = async (): Promise<void> => {
      left.abort();
      await until(() => underWay(model) === 0);
      await expect.poll(health).toMatchObject({ active: 0, waiting: 0 });
      await server.close();
    };
    return { model, post, health, end };
  };

  test("who asks for too much at once is told when to come again; another client is served meanwhile", async () => {
    const { post, health, end } = await serve({ places: 2, clientRequests: 6 });
    const endless = Array.from({ length: 6 }, (_, i) =>
      post("alice-key", "endless", { stream: i % 2 === 1 }).catch(() => undefined),
    );
    await expect.poll(async () => (await health()).waiting).toBe(5);
    for (const stream of [false, true]) {
      const seventh = await post("alice-key", "hi", { stream });
      expect([seventh.status, Number(seventh.headers.get("retry-after")) > 0]).toEqual([429, true]);
      expect(await seventh.json()).toMatchObject({ error: { type: "rate_limit_error", code: "too_many_requests" } });
    }
    expect(await (await post("bob-key", "hi")).json()).toMatchObject({ choices: [{ message: { content: "b" } }] });
    await end();
    await Promise.all(endless);
  });

  test("who waits too long is told when to come again, whole or as a stream", async () => {
    const { model, post, end } = await serve({ places: 1, waitMs: 50 });
    const endless = post("alice-key", "endless").catch(() => undefined);
    await until(() => underWay(model) === 1);
    for (const stream of [false, true]) {
      const late = await post("bob-key", "hi", { stream });
      expect([late.status, Number(late.headers.get("retry-after")) > 0]).toEqual([503, true]);
      expect(await late.json()).toMatchObject({ error: { type: "server_error", code: "overloaded" } });
    }
    await end();
    await endless;
  });

  test("a request of many answers does not make another client wait for them", async () => {
    const other = fakeModel(() => 65, { delayMs: 1 });
    const api = await listen(createApp({ model: served(other), keys: ["a-key", "b-key"] }), {
      host: "127.0.0.1",
      port: 0,
    });
    const send = (key: string, body: object) =>
      fetch(`${api.url}/v1/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify(body),
      });
    const left = new AbortController();
    const many = fetch(`${api.url}/v1/completions`, {
      method: "POST",
      signal: left.signal,
      headers: { authorization: "Bearer a-key" },
      body: JSON.stringify({ prompt: new Array(512).fill("x"), max_tokens: 400 }),
    }).catch(() => undefined);
    await until(() => underWay(other) > 0);
    const before = other.counts.passes;
    const one = await send("b-key", { prompt: "y", max_tokens: 20 });
    expect(((await one.json()) as { usage: { completion_tokens: number } }).usage.completion_tokens).toBe(20);
    // every second pass was b's
    expect(other.counts.passes - before).toBeLessThan(60);
    left.abort();
    await many;
    await until(() => underWay(other) === 0);
    await api.close();
  });
});
