import { expect, test } from "vitest";
import { scriptModel, served } from "../../test/support/fake-model.ts";
import { createApp } from "./app.ts";

/** Says how many questions it read, and which was the first. */
const model = () =>
  scriptModel(
    (prompt) => {
      const questions = prompt.split("\n").filter((line) => line.startsWith("user: "));
      return `${questions.length} from ${questions[0]?.slice(6, 8)}`;
    },
    { contextTokens: 400 },
  );
const app = createApp({ model: served(model()) });

interface Body {
  choices: { message: { content: string } }[];
  usage: { prompt_tokens: number };
  dropped_messages?: number;
  error?: { code: string; message: string };
}
async function post(body: object): Promise<{ status: number; text: string; body: Body }> {
  const response = await app.request("/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({ temperature: 0, ...body }),
    headers: { "content-type": "application/json" },
  });
  const text = await response.text();
  return { status: response.status, text, body: text.startsWith("{") ? (JSON.parse(text) as Body) : ({} as Body) };
}

/** A system message, `turns` exchanges of about 50 tokens, and a question. */
const conversation = (turns: number) => [
  { role: "system", content: "be brief" },
  ...Array.from({ length: turns }, (_, i) => [
    { role: "user", content: `q${i} ${"x".repeat(10)}` },
    { role: "assistant", content: "y".repeat(18) },
  ]).flat(),
  { role: "user", content: "last" },
];

test("truncation auto leaves out the oldest turns so that there is room for an answer, and says how many messages", async () => {
  const { status, body } = await post({ messages: conversation(10), truncation: "auto" });
  expect(status).toBe(200);
  expect(body.usage.prompt_tokens).toBeLessThanOrEqual(400 - 200);
  expect(body.dropped_messages).toBe(14);
  expect(body.choices[0]!.message.content).toBe("4 from q7");
  // With less asked for, more of the past stays.
  const short = await post({ messages: conversation(10), truncation: "auto", max_tokens: 20 });
  expect(short.body.dropped_messages).toBe(6);
  expect(short.body.choices[0]!.message.content).toBe("8 from q3");
});

test("a past of any length is left out without being rendered or cut into tokens", async () => {
  let longest = 0;
  const watched = served(model());
  const watching = createApp({
    model: {
      ...watched,
      tokenizer: {
        ...watched.tokenizer,
        encodeChat: (messages, options) => {
          longest = Math.max(
            longest,
            messages.reduce((sum, message) => sum + message.content.length, 0),
          );
          return watched.tokenizer.encodeChat(messages, options);
        },
      },
    },
  });
  const past = Array.from({ length: 5000 }, (_, i) => [
    { role: "user", content: `q${i}` },
    { role: "assistant", content: "y".repeat(500) },
  ]).flat();
  const response = await watching.request("/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({ messages: [...past, { role: "user", content: "last" }], truncation: "auto" }),
  });
  expect(await response.json()).toMatchObject({
    dropped_messages: 10_000,
    choices: [{ message: { content: "1 from la" } }],
  });
  expect(longest).toBeLessThan(400 * 11);
});

test("a stream says it in its first chunk", async () => {
  const { text } = await post({ messages: conversation(10), truncation: "auto", stream: true });
  const chunks = text
    .split("\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)) as { dropped_messages?: number });
  expect(chunks.length).toBeGreaterThan(2);
  expect(chunks.map((chunk) => chunk.dropped_messages)).toEqual([
    14,
    ...new Array<undefined>(chunks.length - 1).fill(undefined),
  ]);
});

test("what fits is left alone, and without truncation nothing is left out: too much is refused", async () => {
  const { body } = await post({ messages: conversation(2), truncation: "auto" });
  expect(body.dropped_messages).toBeUndefined();
  expect(body.choices[0]!.message.content).toBe("3 from q0");
  for (const truncation of [undefined, null, "disabled"]) {
    const refused = await post({ messages: conversation(10), truncation });
    expect([refused.status, refused.body.error?.code]).toEqual([400, "context_length_exceeded"]);
  }
  const wrong = await post({ messages: conversation(1), truncation: "middle" });
  expect(wrong.body.error?.message).toMatch(/truncation: expected "auto" .* or "disabled", got "middle"/);
});

test("a last question that is too long alone is refused, however much is left out", async () => {
  const refused = await post({
    messages: [...conversation(3), { role: "user", content: "z".repeat(500) }],
    truncation: "auto",
  });
  expect([refused.status, refused.body.error?.code]).toEqual([400, "context_length_exceeded"]);
  const tight = await post({
    messages: [...conversation(3).slice(0, -1), { role: "user", content: "z".repeat(300) }],
    truncation: "auto",
  });
  expect([tight.status, tight.body.dropped_messages]).toEqual([200, 6]);
});
