import { describe, expect, test } from "vitest";
import { bytesTokenizer, EOS, fakeModel, served, VOCAB } from "../../test/support/fake-model.ts";
import { ApiError } from "../errors.ts";
import { createApp } from "./app.ts";
import type { RequestBounds } from "./bounds.ts";
import { parseChat, parseCompletion } from "./schema.ts";

const BYTES_PER_TOKEN = bytesTokenizer.bytesPerToken ?? NaN;
const CONTEXT = 64;
const bounds: RequestBounds = { contextTokens: CONTEXT, vocabSize: VOCAB, bytesPerToken: BYTES_PER_TOKEN };
const messages = [{ role: "user", content: "hi" }];

/** A list that fails the test when more than `most` of its items are looked at. */
function guarded(list: unknown[], most: number): unknown[] {
  let seen = 0;
  return new Proxy(list, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key) && ++seen > most) throw new Error("looked at too many");
      return Reflect.get(target, key) as unknown;
    },
  });
}
const refusalOf = (work: () => unknown): ApiError => {
  try {
    work();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("it was let through");
};

describe("what cannot fit is refused unread", () => {
  const zeros = (n: number): unknown[] => new Array(n).fill(0);
  test.each<[string, () => unknown, string, string | null]>([
    [
      "token ids over the context",
      () => parseCompletion({ prompt: guarded(zeros(1e6), 1) }, bounds),
      "context_length_exceeded",
      "prompt",
    ],
    [
      "token ids over the context, one of them wrong",
      () => parseCompletion({ prompt: guarded([...zeros(1e6), "x"], 1) }, bounds),
      "context_length_exceeded",
      "prompt",
    ],
    [
      "one list of many over the context",
      () => parseCompletion({ prompt: [[1], guarded(zeros(1e6), 0)] }, bounds),
      "context_length_exceeded",
      "prompt",
    ],
    [
      "more prompts than answers may be asked for",
      () => parseCompletion({ prompt: guarded(new Array(1e6).fill("x"), 1) }, bounds),
      "invalid_value",
      "n",
    ],
    [
      "a text over the context",
      () => parseCompletion({ prompt: "7".repeat(CONTEXT * BYTES_PER_TOKEN + 1) }, bounds),
      "context_length_exceeded",
      "prompt",
    ],
    [
      "more messages than the context has tokens",
      () => parseChat({ messages: guarded(new Array(1e6).fill(messages[0]), 0) }, bounds),
      "context_length_exceeded",
      "messages",
    ],
    [
      "messages over the context together",
      () => parseChat({ messages: new Array(40).fill({ role: "user", content: "x".repeat(20) }) }, bounds),
      "context_length_exceeded",
      "messages",
    ],
    [
      "more biases than tokens",
      () => parseChat({ messages, logit_bias: Object.fromEntries(zeros(VOCAB + 1).map((_, i) => [i, 1])) }, bounds),
      "invalid_value",
      "logit_bias",
    ],
    [
      "more parameters than anybody knows",
      () => parseChat({ messages, ...Object.fromEntries(zeros(300).map((_, i) => [`k${i}`, i])) }, bounds),
      "invalid_value",
      null,
    ],
    [
      "more stops than are allowed",
      () => parseChat({ messages, stop: guarded(new Array(1e6).fill("x"), 20) }, bounds),
      "invalid_value",
      "stop",
    ],
    ["a stop of any length", () => parseChat({ messages, stop: "x".repeat(1025) }, bounds), "invalid_value", "stop"],
    [
      "more modalities than there are",
      () => parseChat({ messages, modalities: guarded(new Array(1e6).fill("text"), 20) }, bounds),
      "invalid_value",
      "modalities",
    ],
    [
      "more tools than none",
      () => parseChat({ messages, tools: guarded(new Array(1e6).fill({}), 20) }, bounds),
      "invalid_value",
      "tools",
    ],
    [
      "more parts than are allowed",
      () =>
        parseChat(
          { messages: [{ role: "user", content: guarded(new Array(1e6).fill({ type: "text", text: "" }), 20) }] },
          bounds,
        ),
      "invalid_value",
      "messages[0].content",
    ],
  ])("%s", (_, work, code, param) => {
    expect(refusalOf(work)).toMatchObject({ status: 400, code, param });
  });

  test("and the first fault ends the reading", () => {
    expect(refusalOf(() => parseCompletion({ prompt: guarded(["x", ...zeros(2000)], 30) })).code).toBe("invalid_value");
    expect(refusalOf(() => parseCompletion({ prompt: guarded([1, "x", ...zeros(2000)], 30) })).code).toBe(
      "invalid_value",
    );
    expect(
      refusalOf(() =>
        parseChat({
          messages: guarded([...messages, { role: "user", content: 5 }, ...new Array(2000).fill(messages[0])], 30),
        }),
      ),
    ).toMatchObject({ param: "messages[1].content" });
    expect(
      refusalOf(() => parseChat({ messages: guarded(new Array(2000).fill({ role: "robot" }), 30) })),
    ).toMatchObject({ param: "messages[0].role" });
  });
});

describe("what may fit is let through to be cut into tokens", () => {
  test.each<[string, () => unknown]>([
    ["a text of the longest tokens", () => parseCompletion({ prompt: "<assistant>".repeat(CONTEXT) }, bounds)],
    ["token ids as many as the context", () => parseCompletion({ prompt: new Array(CONTEXT).fill(0) }, bounds)],
    [
      "a bias for every token",
      () =>
        parseChat(
          { messages, logit_bias: Object.fromEntries(Array.from({ length: VOCAB }, (_, i) => [i, -1])) },
          bounds,
        ),
    ],
    // templates leave out the thoughts of earlier answers
    [
      "long thoughts of earlier answers",
      () =>
        parseChat(
          {
            messages: [
              ...messages,
              { role: "assistant", content: `<think>${"so ".repeat(1e5)}</think>yes` },
              ...messages,
            ],
          },
          bounds,
        ),
    ],
    [
      "long thoughts apart",
      () =>
        parseChat(
          {
            messages: [
              ...messages,
              { role: "assistant", reasoning_content: "so ".repeat(1e5), content: null },
              ...messages,
            ],
          },
          bounds,
        ),
    ],
    [
      "short messages that a template may run together",
      () => parseChat({ messages: new Array(CONTEXT).fill(messages[0]) }, bounds),
    ],
    [
      "anything, where a token may stand for any text",
      () => parseCompletion({ prompt: "x".repeat(1e6) }, { ...bounds, bytesPerToken: Infinity }),
    ],
  ])("%s", (_, work) => {
    expect(work).not.toThrow();
  });

  test("what is unknown is not carried along, but named", () => {
    const { ignored, ...rest } = parseChat({
      messages: [{ ...messages[0], more: 1, name: "Ann" }],
      metadata: [1],
      user: "me",
      wild: {},
    });
    expect(rest).toEqual({ messages });
    expect(ignored).toEqual(["wild", "messages[].more"]);
  });
});

describe("a request that cannot fit", () => {
  const fail = (): never => {
    throw new Error("it was cut into tokens, or rendered");
  };
  const model = {
    ...served(fakeModel(() => EOS, { contextTokens: CONTEXT })),
    tokenizer: { ...bytesTokenizer, encode: fail, encodeChat: fail },
  };
  const faults: unknown[] = [];
  const app = createApp({ model, onError: (error) => faults.push(error) });
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  const deeper = '{"a":'.repeat(100_000) + "1" + "}".repeat(100_000);

  test.each<[string, string, string, number]>([
    ["completions", `{"prompt":[${"0,".repeat(1.2e6)}"x"]}`, "request_too_large", 413],
    ["completions", `{"prompt":[${"0,".repeat(5e5)}"x"]}`, "context_length_exceeded", 400],
    ["completions", `{"prompt":"${"\\n".repeat(2e6)}"}`, "context_length_exceeded", 400],
    ["completions", `{"prompt":"${"😀".repeat(1e6)}"}`, "context_length_exceeded", 400],
    ["completions", `{"prompt":"${"7".repeat(4e6)}"}`, "context_length_exceeded", 400],
    ["completions", `{"prompt":"${"a".repeat(1e6)}"}`, "context_length_exceeded", 400],
    [
      "chat/completions",
      `{"messages":[{"role":"user","content":"${"a".repeat(1e6)}"}]}`,
      "context_length_exceeded",
      400,
    ],
    [
      "chat/completions",
      `{"messages":[{"role":"user","content":"${"\\n".repeat(1e6)}"}]}`,
      "context_length_exceeded",
      400,
    ],
    [
      "chat/completions",
      `{"truncation":"auto","messages":[{"role":"user","content":"hi"},{"role":"user","content":"${"a".repeat(1e6)}"}]}`,
      "context_length_exceeded",
      400,
    ],
    [
      "chat/completions",
      `{"truncation":"auto","messages":[${'{"role":"user","content":"x"},'.repeat(1e5)}{}]}`,
      "invalid_value",
      400,
    ],
    [
      "chat/completions",
      `{"messages":[${'{"role":"user","content":"x"},'.repeat(1e5)}{}]}`,
      "context_length_exceeded",
      400,
    ],
    ["chat/completions", `{"messages":[${'{"role":"user","content":"x"},'.repeat(3e5)}{}]}`, "request_too_large", 413],
    [
      "completions",
      `{"prompt":"x","logit_bias":{${Array.from({ length: 1e5 }, (_, i) => `"${i}":1`).join(",")}}}`,
      "invalid_value",
      400,
    ],
    ...["prompt", "temperature", "stop", "logit_bias", "stream_options", "user", "metadata", "unknown"].flatMap(
      (field): [string, string, string, number][] => [
        ["completions", `{"prompt":"x","${field}":${deep}}`, "invalid_json", 400],
        ["completions", `{"prompt":"x","${field}":${deeper}}`, "invalid_json", 400],
      ],
    ),
    ...["messages", "tools", "response_format", "chat_template_kwargs", "metadata"].map(
      (field): [string, string, string, number] => [
        "chat/completions",
        `{"messages":[],"${field}":${deeper}}`,
        "invalid_json",
        400,
      ],
    ),
    ["chat/completions", `{"messages":[{"role":"user","content":${deep}}]}`, "invalid_json", 400],
    ["chat/completions", "[".repeat(100_000), "invalid_json", 400],
  ])("%s %#", async (path, body, code, status) => {
    const response = await app.request(`/v1/${path}`, { method: "POST", body });
    const { error } = (await response.json()) as { error: { code: string; type: string } };
    expect([response.status, error.code, error.type]).toEqual([status, code, "invalid_request_error"]);
    expect(faults).toEqual([]);
  });

  test("a body that is no UTF-8, or compressed", async () => {
    for (const body of [
      Uint8Array.of(123, 34, 0xff, 34, 58, 49, 125),
      new TextEncoder().encode('{"prompt":"x"}').map((b, i) => (i === 3 ? 0xc3 : b)),
    ]) {
      const response = await app.request("/v1/completions", { method: "POST", body });
      expect(await response.json()).toMatchObject({
        error: { code: "invalid_json", message: "The body could not be read as JSON: it is not UTF-8" },
      });
    }
    const packed = await app.request("/v1/completions", {
      method: "POST",
      body: "{}",
      headers: { "content-encoding": "gzip" },
    });
    expect(await packed.json()).toMatchObject({
      error: { code: "unsupported_encoding", message: "content-encoding: expected one of identity, got 'gzip'" },
    });
  });
});
