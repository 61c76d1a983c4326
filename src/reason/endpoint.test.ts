import { expect, it } from "vitest";
import { completion, type FakeAnswer, fakeEndpoint } from "../../test/support/fakeEndpoint.ts";
import { Endpoint } from "./endpoint.ts";

const REQUEST = { messages: [{ role: "user", content: "2+2" }], maxTokens: 9, temperature: 0.6, seed: 3 };
const NOW = { "retry-after": "0" };

it("asks the first model there is, and puts a thought that came apart before the answer", async () => {
  const replies: FakeAnswer[] = [
    { body: completion({ content: "4", reasoning_content: "two and two" }) },
    { body: completion({ content: null, reasoning: "still" }, "length") },
    { body: completion({ content: "<think>a</think>4" }) },
  ];
  await using server = await fakeEndpoint((_, i) => replies[i]!);
  const endpoint = new Endpoint({ url: `${server.url}/` });
  expect(await endpoint.complete(REQUEST)).toEqual({ text: "<think>two and two</think>4", finish: "stop", tokens: 7 });
  expect(await endpoint.complete(REQUEST)).toMatchObject({ text: "<think>still</think>", finish: "length" });
  expect(await endpoint.complete(REQUEST)).toMatchObject({ text: "<think>a</think>4" });
  expect(server.asked[0]).toMatchObject({ model: "teacher", max_tokens: 9, temperature: 0.6, seed: 3 });
  expect(server.asked[0]!.key).toBeUndefined();
});

it("sends the key of an environment variable, which no message ever holds", async () => {
  await using server = await fakeEndpoint(() => ({ status: 401, body: { error: { message: "wrong key" } } }));
  process.env["TEST_TEACHER_KEY"] = "secret-123";
  try {
    const endpoint = new Endpoint({ url: server.url, model: "m", keyVariable: "TEST_TEACHER_KEY" });
    const refused = await endpoint.complete(REQUEST).catch((error: Error) => error);
    expect(String(refused)).toMatch(/answered 401: wrong key/);
    expect(String(refused)).not.toContain("secret");
    expect(server.asked).toHaveLength(1);
    expect(server.asked[0]!.key).toBe("Bearer secret-123");
  } finally {
    delete process.env["TEST_TEACHER_KEY"];
  }
  expect(() => new Endpoint({ url: server.url, keyVariable: "TEST_TEACHER_KEY" })).toThrow(
    /TEST_TEACHER_KEY, found none/,
  );
  expect(() => new Endpoint({ url: "folder" })).toThrow(/expected an address/);
  expect(() => new Endpoint({ url: "http://me:secret@host/v1" })).toThrow(/without a name and password/);
});

it("tries again what is worth it, and no more often than it was told", async () => {
  const replies: FakeAnswer[] = [
    { status: 503, headers: NOW, body: "busy" },
    { status: 429, headers: NOW, body: { error: { message: "slow down" } } },
    { body: completion({ content: "4" }) },
  ];
  await using server = await fakeEndpoint((_, i) => replies[i] ?? { status: 500, body: "no" });
  const waits: [string, number][] = [];
  const endpoint = new Endpoint({
    url: server.url,
    model: "m",
    waitSeconds: 0.01,
    onRetry: (why, wait) => void waits.push([why, wait]),
  });
  expect((await endpoint.complete(REQUEST)).text).toBe("4");
  expect(waits.map(([, wait]) => wait)).toEqual([0.01, 0.02]);
  expect(waits[1]![0]).toMatch(/answered 429: slow down/);
  const once = new Endpoint({ url: server.url, model: "m", attempts: 1 });
  await expect(once.complete(REQUEST)).rejects.toThrow(/answered 500: no/);
  await expect(
    new Endpoint({ url: "http://127.0.0.1:1/v1", model: "m", attempts: 1 }).complete(REQUEST),
  ).rejects.toThrow(/127\.0\.0\.1:1.*: /);
});

it("keeps to its bound of requests at once, and ends when it is told to", async () => {
  await using server = await fakeEndpoint(() => ({ body: completion({ content: "4" }) }));
  const endpoint = new Endpoint({ url: server.url, model: "m", concurrency: 3 });
  await Promise.all(Array.from({ length: 12 }, () => endpoint.complete(REQUEST)));
  expect(server.most()).toBe(3);
  const stop = new AbortController();
  const asked = endpoint.complete(REQUEST, stop.signal);
  stop.abort(new Error("enough"));
  await expect(asked).rejects.toThrow("enough");
});

it("refuses answers of another shape", async () => {
  const bodies = ["no JSON", { choices: [] }, { choices: [{ message: "4" }] }];
  await using server = await fakeEndpoint((_, i) => ({ body: bodies[i]! }));
  const endpoint = new Endpoint({ url: server.url, model: "m", attempts: 1 });
  await expect(endpoint.complete(REQUEST)).rejects.toThrow(/expected JSON/);
  await expect(endpoint.complete(REQUEST)).rejects.toThrow(/expected choices\[0\]\.message, got/);
  await expect(endpoint.complete(REQUEST)).rejects.toThrow(/expected choices\[0\]\.message, got/);
});
