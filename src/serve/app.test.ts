import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ASSISTANT,
  END_THINK,
  EOS,
  fakeModel,
  hashLogits,
  served,
  THINK,
  underWay,
} from "../../test/support/fake-model.ts";
import { createApp } from "./app.ts";

const model = fakeModel(hashLogits, { contextTokens: 64 });
const faults: unknown[] = [];
const app = createApp({ model: served(model), bodyBytes: 4096, onError: (error) => faults.push(error) });
const PATHS = ["/v1/completions", "/v1/chat/completions"];

interface Answer {
  status: number;
  error: { message: string; type: string; param: string | null; code: string | null };
}
async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await app.request(path, {
    method: "POST",
    body: text,
    headers: { "content-type": "application/json", ...headers },
  });
  const content = await response.text();
  if (response.headers.get("content-type")?.startsWith("application/json"))
    return { status: response.status, ...(JSON.parse(content) as Omit<Answer, "status">) };
  return { status: response.status } as Answer;
}
const messages = [{ role: "user", content: "hi" }];

describe("refusals say what was expected and what came", () => {
  test.each<[string, object, string, string | null, string]>([
    [
      "chat",
      {},
      "messages: expected a list of at least one message: {role, content}, got nothing",
      "messages",
      "missing_required_parameter",
    ],
    [
      "chat",
      { messages: [] },
      "messages: expected a list of at least one message: {role, content}, got []",
      "messages",
      "invalid_value",
    ],
    [
      "chat",
      { messages: [{ role: "robot", content: "x" }] },
      'messages[0].role: expected "system", "developer", "user", "assistant" or "tool", got "robot"',
      "messages[0].role",
      "invalid_value",
    ],
    [
      "chat",
      { messages: [...messages, { role: "user" }] },
      "messages[1].content: expected a text, or",
      "messages[1].content",
      "missing_required_parameter",
    ],
    [
      "chat",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: {} }] }] },
      "messages[0].content: expected a text, or",
      "messages[0].content",
      "invalid_value",
    ],
    [
      "chat",
      { messages, temperature: "hot" },
      'temperature: expected a number from 0 to 2, got "hot"',
      "temperature",
      "invalid_value",
    ],
    ["chat", { messages, top_p: 1.5 }, "top_p: expected a number from 0 to 1, got 1.5", "top_p", "invalid_value"],
    ["chat", { messages, n: 0 }, "n: expected a whole number from 1 to 128, got 0", "n", "invalid_value"],
    ["chat", { messages, seed: 1.5 }, "seed: expected a whole number, got 1.5", "seed", "invalid_value"],
    [
      "chat",
      { messages, stop: [1] },
      "stop: expected a text, or a list of at most 64 texts, each of at most 1024 characters, got [1]",
      "stop",
      "invalid_value",
    ],
    ["chat", { messages, logprobs: 3 }, "logprobs: expected true or false, got 3", "logprobs", "invalid_value"],
    [
      "chat",
      { messages, logit_bias: { 900: 1 } },
      "logit_bias: expected token ids below 261, got 900",
      "logit_bias",
      "invalid_value",
    ],
    [
      "chat",
      { messages, tools: [{ type: "function" }] },
      "tools[0].function: expected a list of at most 256 tools",
      "tools[0].function",
      "missing_required_parameter",
    ],
    [
      "chat",
      { messages, response_format: { type: "xml" } },
      'response_format.type: expected {type: "text"}, {type: "json_object"} or',
      "response_format.type",
      "invalid_value",
    ],
    [
      "chat",
      { messages, max_tokens: 0 },
      "max_tokens: expected a whole number, 1 or more, got 0",
      "max_tokens",
      "invalid_value",
    ],
    ["", { prompt: [] }, "prompt: expected a text, a list of texts", "prompt", "invalid_value"],
    ["", { prompt: [1, "a"] }, "prompt: expected a text, a list of texts", "prompt", "invalid_value"],
    ["", { prompt: [[1], []] }, "prompt[1]: expected a text, a list of texts", "prompt[1]", "invalid_value"],
    ["", { prompt: [261] }, "prompt: expected token ids below 261, got 261", "prompt", "invalid_value"],
    [
      "",
      { prompt: "x", logprobs: 21 },
      "logprobs: expected a whole number from 0 to 20, got 21",
      "logprobs",
      "invalid_value",
    ],
    ["", { prompt: "x", best_of: 2 }, "best_of: expected the same number as n", "best_of", "invalid_value"],
    [
      "",
      { prompt: new Array(100).fill("x"), n: 100 },
      "n: expected at most 2048 answers in one request, got 100 prompts × 100",
      "n",
      "invalid_value",
    ],
    [
      "",
      { prompt: "x", max_tokens: 64 },
      "This model's maximum context length is 64 tokens, but you asked for 65 tokens (1 in the prompt, 64 for the answer)",
      "prompt",
      "context_length_exceeded",
    ],
    ["", [1], "body: expected a JSON object, got [1]", null, "invalid_value"],
  ])("%s %#", async (kind, body, message, param, code) => {
    const { status, error } = await post(kind === "chat" ? "/v1/chat/completions" : "/v1/completions", body);
    expect(status).toBe(400);
    expect(error).toEqual({ message: expect.stringContaining(message), type: "invalid_request_error", param, code });
  });

  test("what is no JSON", async () => {
    for (const body of ["", "{", "\u0000", "[".repeat(4000)]) {
      const { status, error } = await post("/v1/chat/completions", body);
      expect(status).toBe(400);
      expect(error.code).toBe("invalid_json");
    }
  });

  test("what is too large", async () => {
    expect(await post("/v1/completions", { prompt: "x".repeat(5000) })).toMatchObject({
      status: 413,
      error: { code: "request_too_large" },
    });
  });

  test("what is not there", async () => {
    expect((await app.request("/v2/nothing")).status).toBe(404);
    expect((await app.request("/v1/chat/completions")).status).toBe(405);
    expect(await post("/v1/completions", { model: "gpt-5", prompt: "x" })).toMatchObject({
      status: 404,
      error: { code: "model_not_found", param: "model" },
    });
  });
});

test("null stands for nothing, and what is unknown is ignored", async () => {
  const nothing = {
    model: null,
    temperature: null,
    top_p: null,
    n: null,
    stop: null,
    seed: null,
    stream: null,
    logit_bias: null,
    max_tokens: null,
    user: "me",
    store: false,
    parallel_tool_calls: true,
  };
  expect((await post("/v1/chat/completions", { messages, ...nothing, tools: [], top_logprobs: null })).status).toBe(
    200,
  );
  expect(
    (await post("/v1/completions", { prompt: "x", ...nothing, suffix: "", echo: null, logprobs: null })).status,
  ).toBe(200);
});

test("no body makes the server fail", async () => {
  const number = fc.oneof(fc.integer(), fc.double(), fc.constant(1), fc.constant(0));
  const wild = fc.oneof(
    fc.jsonValue(),
    number,
    fc.string(),
    fc.constant(undefined),
    fc.array(fc.integer({ min: -1, max: 300 }), { maxLength: 5 }),
  );
  const message = fc.record(
    {
      role: fc.oneof(fc.constantFrom("system", "user", "assistant", "developer", "tool"), wild),
      content: wild,
      reasoning_content: wild,
    },
    { requiredKeys: [] },
  );
  const known = Object.fromEntries(
    [
      "temperature",
      "top_p",
      "top_k",
      "min_p",
      "seed",
      "stop",
      "n",
      "stream",
      "stream_options",
      "max_completion_tokens",
      "logit_bias",
      "echo",
      "logprobs",
      "top_logprobs",
      "frequency_penalty",
      "presence_penalty",
      "best_of",
      "suffix",
      "tools",
      "response_format",
      "modalities",
      "thinking",
      "chat_template_kwargs",
    ].map((name) => [name, wild]),
  );
  const body = fc.oneof(
    { weight: 1, arbitrary: fc.jsonValue() },
    {
      weight: 4,
      arbitrary: fc.record(
        {
          ...known,
          prompt: wild,
          messages: fc.oneof(fc.array(message, { maxLength: 3 }), wild),
          max_tokens: fc.oneof(fc.constant(2), wild),
          n: fc.oneof(fc.constant(2), wild),
        },
        { requiredKeys: [] },
      ),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...PATHS), body, async (path, value) => {
      const response = await app.request(path, { method: "POST", body: JSON.stringify(value) ?? "undefined" });
      const text = await response.text();
      expect(response.status).toBeLessThan(500);
      expect(text).not.toContain("server_error");
      if (response.status !== 200)
        expect(JSON.parse(text)).toEqual({
          error: {
            message: expect.any(String),
            type: "invalid_request_error",
            param: expect.toSatisfy((p) => p === null || typeof p === "string"),
            code: expect.any(String),
          },
        });
    }),
    { numRuns: 400 },
  );
  expect(faults).toEqual([]);
  expect(underWay(model)).toBe(0);
});

describe("foreign pages", () => {
  const get = (path: string, headers: Record<string, string>, init: RequestInit = {}) =>
    app.request(path, { ...init, headers });

  test("a name that is not this machine's is refused", async () => {
    expect((await get("/v1/models", { host: "evil.example" })).status).toBe(403);
    expect((await get("/v1/models", { host: "localhost.evil.example:8080" })).status).toBe(403);
    expect((await get("/health", { host: "127.0.0.1.evil.example" })).status).toBe(403);
    for (const host of ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "192.168.1.7", "app.localhost:1"])
      expect((await get("/v1/models", { host })).status).toBe(200);
    for (const host of [
      "999.1.1.1",
      "256.0.0.1",
      "127.0.0.01",
      "1.2.3",
      "1.2.3.4.5",
      "0x7f.0.0.1",
      "2130706433",
      "[::::]",
      "[1::2::3]",
      "[12345::]",
      "[:]",
      "::1",
      "[::1",
      "127.0.0.1:",
      "127.0.0.1:x",
      "localhost.",
      "localhost/x",
      "a@localhost",
    ])
      expect([host, (await get("/v1/models", { host })).status]).toEqual([host, 403]);
    for (const host of ["[::ffff:127.0.0.1]", "[fe80::1]:8080", "0.0.0.0", "255.255.255.255", "LOCALHOST"])
      expect([host, (await get("/v1/models", { host })).status]).toEqual([host, 200]);
    const named = createApp({ model: served(model), hosts: ["Sumbi.lan"] });
    expect((await named.request("/health", { headers: { host: "sumbi.lan:8080" } })).status).toBe(200);
  });

  test("a page of another site is refused before anything runs, one of this machine is let in", async () => {
    const { passes } = model.counts;
    const answer = await post("/v1/completions", { prompt: "x" }, { origin: "https://evil.example" });
    expect(answer).toMatchObject({ status: 403, error: { code: "origin_not_allowed" } });
    expect((await post("/v1/completions", { prompt: "x" }, { origin: "null" })).status).toBe(403);
    for (const origin of [
      "chrome-extension://localhost",
      "ftp://localhost",
      "file://localhost",
      "file://",
      "moz-extension://127.0.0.1",
      "ws://localhost:5173",
      "http://localhost:5173/",
      "http://localhost:5173/evil",
      "http://me@localhost",
      "localhost",
      "",
      "http://",
      "http://localhost.evil.example",
      "http://127.0.0.1.evil.example",
      "http://127.1.evil",
    ])
      expect([origin, (await post("/v1/completions", { prompt: "x" }, { origin })).status]).toEqual([origin, 403]);
    expect(model.counts.passes).toBe(passes);
    const local = await get("/v1/models", { origin: "http://localhost:5173" });
    expect(local.headers.get("access-control-allow-origin")).toBe("http://localhost:5173");
    const same = await get("/v1/models", { origin: "http://192.168.1.7:8080", host: "192.168.1.7:8080" });
    expect(same.status).toBe(200);
    const allowed = createApp({ model: served(model), origins: ["https://app.example"] });
    expect((await allowed.request("/v1/models", { headers: { origin: "https://app.example" } })).status).toBe(200);
  });

  test("a browser's question beforehand is answered", async () => {
    const headers = {
      origin: "http://localhost:5173",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
    };
    const response = await get("/v1/chat/completions", headers, { method: "OPTIONS" });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-headers")).toBe("authorization,content-type");
    expect(
      (await get("/v1/chat/completions", { ...headers, origin: "https://evil.example" }, { method: "OPTIONS" })).status,
    ).toBe(403);
  });
});

test("a request may say whether the model thinks", async () => {
  // the model answers with what stands after <assistant> in the prompt, then ends
  const echo = createApp({
    model: served(
      fakeModel((tokens) =>
        tokens.at(-1) === THINK ? 84 : tokens.at(-1) === END_THINK ? 78 : tokens.at(-1) === ASSISTANT ? 79 : EOS,
      ),
    ),
  });
  const ask = async (more: object): Promise<object> => {
    const response = await echo.request("/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify({ messages, ...more }),
    });
    return ((await response.json()) as { choices: { message: object }[] }).choices[0]!.message;
  };
  expect(await ask({})).toMatchObject({ content: "O" });
  expect(await ask({ chat_template_kwargs: { thinking: true } })).toMatchObject({
    content: "",
    reasoning_content: "T",
  });
  expect(await ask({ thinking: { type: "enabled" } })).toMatchObject({ content: "", reasoning_content: "T" });
  expect(await ask({ thinking: { type: "disabled" } })).toMatchObject({ content: "N" });
});

test("health and the model's card", async () => {
  expect(await (await app.request("/health")).json()).toEqual({ status: "ok", model: "fake", active: 0, waiting: 0 });
  expect(await (await app.request("/api/model")).json()).toMatchObject({
    id: "fake",
    parameters: { total: 10, active: 5 },
    contextTokens: 64,
  });
});
