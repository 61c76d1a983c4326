import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fakeModel, scriptModel, served } from "../../../test/support/fake-model.ts";
import { createApp } from "../app.ts";
import { listen, type RunningServer } from "../server.ts";

function script(prompt: string): string {
  if (prompt.includes("2+2")) return "<think>\nEasy = easy.\n</think>\n\nIt is = 4. 가🙂!";
  if (prompt.includes("less")) return "1 < 2 <";
  if (prompt.includes("think on")) return "<think>\nand on and on and on";
  return `You said: ${prompt}`;
}

const app = createApp({ model: served(scriptModel(script)), keys: ["right"] });
let server: RunningServer;
let client: Anthropic;
beforeAll(async () => {
  server = await listen(app, { host: "127.0.0.1", port: 0 });
  client = new Anthropic({ baseURL: server.url, apiKey: "right", maxRetries: 0 });
});
afterAll(() => server.close());

type Body = Anthropic.MessageCreateParamsNonStreaming;
const ask = (content: Body["messages"][number]["content"], more: Partial<Body> = {}): Body => ({
  model: "fake",
  max_tokens: 200,
  messages: [{ role: "user", content }],
  ...more,
});
const textOf = ({ content }: Anthropic.Message): string =>
  content.map((block) => (block.type === "text" ? block.text : "")).join("");

describe("Anthropic's client", () => {
  test("gets a message, its thought apart", async () => {
    const message = await client.messages.create(ask("2+2?"));
    expect(message).toMatchObject({
      id: expect.stringMatching(/^msg_[0-9a-f]{24}$/) as string,
      type: "message",
      role: "assistant",
      model: "fake",
      content: [
        { type: "thinking", thinking: "Easy = easy.", signature: expect.stringMatching(/./) as string },
        { type: "text", text: "It is = 4. 가🙂!" },
      ],
      stop_reason: "end_turn",
      stop_sequence: null,
    });
    expect(message._request_id).toMatch(/^req/);
    const counted = await client.messages.countTokens({ model: "fake", messages: ask("2+2?").messages });
    const { input_tokens, cache_read_input_tokens, output_tokens } = message.usage;
    expect(counted.input_tokens).toBe(input_tokens + cache_read_input_tokens!);
    expect(output_tokens).toBeGreaterThan(20);
  });

  test("streams the same, in Anthropic's order", async () => {
    const whole = await client.messages.create(ask("2+2?"));
    const types: string[] = [];
    const stream = client.messages.stream(ask("2+2?"));
    stream.on("streamEvent", (event) =>
      types.push("delta" in event && event.type === "content_block_delta" ? event.delta.type : event.type),
    );
    const final = await stream.finalMessage();
    expect(types.filter((type, i) => type !== types[i - 1])).toEqual([
      "message_start",
      "content_block_start",
      "thinking_delta",
      "signature_delta",
      "content_block_stop",
      "content_block_start",
      "text_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    expect(final.content).toEqual(whole.content);
    expect(final.stop_reason).toBe("end_turn");
    expect(final.usage.output_tokens).toBe(whole.usage.output_tokens);
    expect(textOf(final)).not.toContain("\ufffd");
  });

  test("stop sequences end the answer and not the thought, and say which it was", async () => {
    const stopped = await client.messages.create(ask("2+2?", { stop_sequences: ["zz", "="] }));
    expect(stopped).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: "=" });
    expect(stopped.content).toMatchObject([{ thinking: "Easy = easy." }, { text: "It is " }]);
    const streamed = await client.messages.stream(ask("2+2?", { stop_sequences: ["="] })).finalMessage();
    expect(streamed).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: "=" });
    expect(textOf(streamed)).toBe("It is ");
    // one that spans tokens: neither does its beginning leak nor is what only looked like it lost
    const spanning = client.messages.stream(ask("2+2?", { stop_sequences: ["is = 4"] }));
    expect(textOf(await spanning.finalMessage())).toBe("It ");
    const looked = client.messages.stream(ask("less?", { stop_sequences: ["< 3", "<>"] }));
    expect(textOf(await looked.finalMessage())).toBe("1 < 2 <");
  });

  test("max_tokens may end it within the thought", async () => {
    const cut = await client.messages.create(ask("think on", { max_tokens: 12 }));
    expect(cut).toMatchObject({ stop_reason: "max_tokens", content: [{ type: "thinking" }] });
    expect(cut.content).toHaveLength(1);
  });

  test("system, blocks and a begun answer reach the model", async () => {
    const said = await client.messages.create({
      ...ask(""),
      system: [{ type: "text", text: "Be short.", cache_control: { type: "ephemeral" } }],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "t", signature: "s" },
            { type: "text", text: "c" },
          ],
        },
        { role: "user", content: "d" },
      ],
    });
    expect(textOf(said)).toBe("You said: system: Be short.\nuser: ab\nassistant: c\nuser: d\n");
    const begun = await client.messages.create({
      ...ask(""),
      messages: [
        { role: "user", content: "hi" },
        { role: "assistant", content: "You said" },
      ],
    });
    expect(textOf(begun)).toBe(" user: hi\n");
  });

  test("thinking is switched, and left out where it is not wanted", async () => {
    const told = (more: Partial<Body>) => client.messages.create(ask("2+2?", more));
    expect((await told({ thinking: { type: "adaptive", display: "omitted" } })).content).toMatchObject([
      { type: "text" },
    ]);
    const off = await fetch(`${server.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": "right" },
      body: JSON.stringify({ ...ask("hi"), thinking: { type: "disabled" }, enable_thinking: true }),
    });
    expect(await off.json()).toMatchObject({ error: { message: expect.stringContaining("same switch") as string } });
  });

  test("errors arrive as the client's own", async () => {
    const wrong = new Anthropic({ baseURL: server.url, apiKey: "wrong", maxRetries: 0 });
    await expect(wrong.messages.create(ask("hi"))).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
    await expect(client.messages.create(ask("hi", { model: "other" }))).rejects.toBeInstanceOf(Anthropic.NotFoundError);
    const refused: unknown = await client.messages.create(ask("x".repeat(9999))).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Anthropic.BadRequestError);
    expect(refused).toMatchObject({
      error: { type: "error", error: { type: "invalid_request_error", code: "context_length_exceeded" } },
      requestID: expect.stringMatching(/^req/) as string,
    });
  });

  test("a fault within a stream is thrown by the client", async () => {
    let left = 3;
    const broken = createApp({
      model: served(
        fakeModel(() => {
          if (left-- === 0) throw new Error("secret");
          return 65;
        }),
      ),
    });
    const other = await listen(broken, { host: "127.0.0.1", port: 0 });
    const api = new Anthropic({ baseURL: other.url, apiKey: "none", maxRetries: 0 });
    await expect(api.messages.stream(ask("hi")).finalMessage()).rejects.toThrow(/failed to answer/);
    await other.close();
  });
});

describe("tools", () => {
  const CALL = '<tool_call>[{"name": "run", "arguments": {"line": "ls 2>&1", "n": 1}}]</tool_call>';
  const prompts: string[] = [];
  const own = createApp({
    model: served(
      scriptModel(
        (prompt) => {
          prompts.push(prompt);
          return prompt.includes("tool_response") ? "Done." : `<think>hm</think>Let me see.\n${CALL}`;
        },
        { contextTokens: 4096 },
      ),
    ),
  });
  const api = new Anthropic({
    baseURL: "http://127.0.0.1",
    apiKey: "none",
    maxRetries: 0,
    fetch: async (url, init) => own.request(String(url), init as RequestInit),
  });
  const tools = [{ name: "run", input_schema: { type: "object" as const, properties: { line: { type: "string" } } } }];
  const CONTENT = [
    { type: "thinking", thinking: "hm" },
    { type: "text", text: "Let me see." },
    { type: "tool_use", id: expect.stringMatching(/^call_/) as string, name: "run", input: { line: "ls 2>&1", n: 1 } },
  ];

  test("are used, whole and streamed, and their results answered", async () => {
    const first = await api.messages.create(ask("files?", { tools }));
    expect(first).toMatchObject({ stop_reason: "tool_use", content: CONTENT });
    const streamed = await api.messages.stream(ask("files?", { tools })).finalMessage();
    expect(streamed).toMatchObject({ stop_reason: "tool_use", content: CONTENT });
    const id = first.content[2]?.type === "tool_use" ? first.content[2].id : "";
    const second = await api.messages.create({
      ...ask("files?", { tools }),
      messages: [
        { role: "user", content: "files?" },
        { role: "assistant", content: first.content },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: id, content: "no such file", is_error: true },
            { type: "text", text: "Go on." },
          ],
        },
      ],
    });
    expect(textOf(second)).toBe("Done.");
    const said = prompts.at(-1) ?? "";
    expect(said.slice(said.indexOf("assistant: "))).toBe(
      `assistant: Let me see.\n${CALL}\nuser: <tool_response>\nError: no such file\n</tool_response>\nuser: Go on.\n`,
    );
  });

  test("one that is cut off is left out", async () => {
    const whole = await api.messages.create(ask("files?", { tools }));
    const cut = await api.messages.create(ask("files?", { tools, max_tokens: whole.usage.output_tokens - 20 }));
    expect(cut).toMatchObject({ stop_reason: "max_tokens", content: CONTENT.slice(0, 2) });
    expect(cut.content).toHaveLength(2);
  });

  test("none are used where none are wanted", async () => {
    const silent = await api.messages.create(ask("files?", { tools, tool_choice: { type: "none" } }));
    expect(textOf(silent)).toBe(`Let me see.\n${CALL}`);
  });
});

describe("what it does not do is refused by its name", () => {
  const post = (body: object, headers: Record<string, string> = {}) =>
    app.request("/v1/messages", {
      method: "POST",
      headers: { "x-api-key": "right", ...headers },
      body: JSON.stringify({ max_tokens: 9, messages: [{ role: "user", content: "hi" }], ...body }),
    });
  test.each<[object, string]>([
    [{ max_tokens: undefined }, "max_tokens"],
    [{ max_tokens: 0 }, "max_tokens"],
    [{ max_tokens: 511 }, "messages"],
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "tool", content: "x" }] }, "messages[0].role"],
    [{ messages: [{ role: "user", content: [{ type: "image", source: {} }] }] }, "messages[0].content"],
    [{ messages: [{ role: "user", content: [{ type: "redacted_thinking", data: "" }] }] }, "messages[0].content"],
    [{ stop_sequences: [""] }, "stop_sequences[0]"],
    [{ thinking: { type: "enabled", budget_tokens: -1 } }, "thinking.budget_tokens"],
    [{ thinking: { type: "sometimes" } }, "thinking.type"],
    [{ tools: [{ type: "bash_20250124", name: "bash" }] }, "tools[0].type"],
    [{ tool_choice: { type: "some" } }, "tool_choice.type"],
    [{ output_config: { effort: "huge" } }, "output_config.effort"],
    [{ output_config: { format: { type: "json_schema", schema: { not: {} } } } }, "output_config.format"],
    [{ temperature: 3 }, "temperature"],
    [{ top_k: 0.5 }, "top_k"],
    [{ seed: "x" }, "seed"],
  ])("%j", async (body, param) => {
    const response = await post(body);
    const { error, type } = (await response.json()) as { type: string; error: { param: string; message: string } };
    expect([response.status, type, error.param]).toEqual([400, "error", param]);
    expect(error.message).toMatch(/expected|maximum context length|cannot be enforced/);
  });

  test("another version of the API, and unknown fields", async () => {
    expect((await post({}, { "anthropic-version": "2099-01-01" })).status).toBe(400);
    const response = await post({ container: "c", metadata: { user_id: "u" } });
    expect([response.status, response.headers.get("x-sumbi-ignored")]).toEqual([200, "container"]);
  });
});
