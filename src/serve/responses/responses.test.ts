import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { EOS, fakeModel, hashLogits, scriptModel, served, VOCAB } from "../../../test/support/fake-model.ts";
import { BYTE_CHARS } from "../../tokenizer/index.ts";
import { createApp } from "../app.ts";
import { listen, type RunningServer } from "../server.ts";
import { GrammarService } from "../structure/service.ts";
import { ResponseMemory, type StoredResponse } from "./memory.ts";

/** Answers by the last line of the conversation. */
function script(prompt: string): string {
  if (prompt.includes("2+2")) return "<think>\nEasy.\n</think>\n\nIt is 4. Déjà 🙂!";
  if (prompt.includes("think on")) return "<think>\nand on and on and on";
  if (prompt.includes("nothing")) return "";
  if (prompt.includes("less")) return "1 < 2 <";
  return `You said: ${prompt}`;
}

const faults: unknown[] = [];
const app = createApp({ model: served(scriptModel(script)), onError: (error) => faults.push(error) });
let server: RunningServer;
let client: OpenAI;
beforeAll(async () => {
  server = await listen(app, { host: "127.0.0.1", port: 0 });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(() => server.close());
const ask = (input: string, more: object = {}) => ({ model: "fake", input, temperature: 0, ...more });
/** What the model was given, told by the model. */
const seen = (text: string): string => text.replace("You said: ", "");

describe("the official client", () => {
  test("gets a response, its thought apart", async () => {
    const response = await client.responses.create(ask("2+2?", { instructions: "Be short.", metadata: { a: "b" } }));
    expect(response).toMatchObject({
      id: expect.stringMatching(/^resp_[0-9a-f]{24}$/) as string,
      object: "response",
      status: "completed",
      error: null,
      incomplete_details: null,
      instructions: "Be short.",
      metadata: { a: "b" },
      model: "fake",
      output: [
        { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "Easy." }], status: "completed" },
        {
          type: "message",
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: "It is 4. Déjà 🙂!", annotations: [], logprobs: [] }],
        },
      ],
      temperature: 0,
      top_p: 1,
      text: { format: { type: "text" } },
    });
    expect(response.output_text).toBe("It is 4. Déjà 🙂!");
    const { usage } = response;
    expect(usage).toMatchObject({ input_tokens_details: { cached_tokens: 0 } });
    expect(usage!.output_tokens_details.reasoning_tokens).toBe("<>".length + "\nEasy.\n".length);
    expect(usage!.total_tokens).toBe(usage!.input_tokens + usage!.output_tokens);
  });

  test("streams the same, in OpenAI's order", async () => {
    const whole = await client.responses.create(ask("2+2?"));
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    for await (const event of await client.responses.create({ ...ask("2+2?"), stream: true })) events.push(event);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, i) => i));
    const kinds = events.map(({ type }) => type.replace("response.", ""));
    expect(kinds.filter((kind, i) => kind !== kinds[i - 1])).toEqual([
      "created",
      "in_progress",
      "output_item.added",
      "content_part.added",
      "reasoning_text.delta",
      "reasoning_text.done",
      "content_part.done",
      "output_item.done",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "completed",
    ]);
    const last = events.at(-1);
    if (last?.type !== "response.completed") throw new Error("no last event");
    const without = ({ output, usage }: OpenAI.Responses.Response) =>
      JSON.stringify([output, usage?.output_tokens]).replace(/(rs|msg)_[0-9a-f]{24}/g, "ID");
    expect(without(last.response)).toBe(without(whole));
    const text = events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join("");
    expect(text).toBe("It is 4. Déjà 🙂!");
    expect(text).not.toContain("\ufffd");
    const ids = new Set(events.map((event) => ("item_id" in event ? event.item_id : undefined)));
    expect([...ids].filter(Boolean)).toEqual(last.response.output.map(({ id }) => id));
  });

  test("its own helper puts a stream together", async () => {
    const final = await client.responses.stream(ask("2+2?")).finalResponse();
    expect(final.output_text).toBe("It is 4. Déjà 🙂!");
  });

  test("an answer that is cut off is incomplete, in its thought too", async () => {
    const cut = await client.responses.create(ask("2+2?", { max_output_tokens: 14 }));
    expect(cut).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output: [{ type: "reasoning" }, { type: "message", status: "incomplete" }],
    });
    const thought = await client.responses.create(ask("think on", { max_output_tokens: 12 }));
    expect(thought).toMatchObject({ status: "incomplete", output: [{ type: "reasoning", status: "incomplete" }] });
    expect(thought.output).toHaveLength(1);
    const types: string[] = [];
    for await (const { type } of await client.responses.create({ ...ask("hi"), max_output_tokens: 2, stream: true }))
      types.push(type);
    expect(types.at(-1)).toBe("response.incomplete");
  });

  test("what ends within a thought that the prompt has opened is a thought", async () => {
    const response = await client.responses.create(ask("less?", { reasoning: { effort: "high" } }));
    expect(response).toMatchObject({
      status: "completed",
      // the script's first token stands where the prompt's <think> does
      output: [{ type: "reasoning", content: [{ text: "< 2 <" }], status: "completed" }],
    });
    const streamed = await client.responses.stream(ask("less?")).finalResponse();
    expect(streamed.output_text).toBe("1 < 2 <");
  });

  test("without a seed two answers differ, with one they are the same", async () => {
    const other = createApp({ model: served(fakeModel(hashLogits)) });
    const text = async (more: object): Promise<string> => {
      const body = JSON.stringify({
        input: "x",
        temperature: 0.7,
        max_output_tokens: 12,
        enable_thinking: false,
        ...more,
      });
      const response = await other.request("/v1/responses", { method: "POST", body });
      return ((await response.json()) as { output: { content: { text: string }[] }[] }).output[0]!.content[0]!.text;
    };
    expect(await text({})).not.toBe(await text({}));
    expect(await text({ seed: 5 })).toBe(await text({ seed: 5 }));
  });

  test("an answer without anything is an empty text", async () => {
    expect((await client.responses.create(ask("nothing"))).output).toMatchObject([
      { type: "message", content: [{ text: "" }] },
    ]);
  });

  test("a conversation goes on by items, by reference, or from a stored response", async () => {
    const first = await client.responses.create(ask("hi"));
    const second = await client.responses.create(ask("more", { previous_response_id: first.id }));
    const expected = "user: hi\nassistant: You said: user: hi\n\nuser: more\n";
    expect(seen(second.output_text)).toBe(expected);
    const input: OpenAI.Responses.ResponseInput = [
      { role: "user" as const, content: "hi" },
      ...(first.output as OpenAI.Responses.ResponseInputItem[]),
      { role: "user" as const, content: [{ type: "input_text" as const, text: "more" }] },
    ];
    expect((await client.responses.create({ model: "fake", temperature: 0, input })).output_text).toBe(
      second.output_text,
    );
    const referred: OpenAI.Responses.ResponseInput = [
      input[0]!,
      { type: "item_reference" as const, id: first.output[0]!.id! },
      input.at(-1)!,
    ];
    expect((await client.responses.create({ model: "fake", temperature: 0, input: referred })).output_text).toBe(
      second.output_text,
    );
    // instructions are of one response alone
    const told = await client.responses.create(ask("a", { instructions: "Shout." }));
    expect(seen(told.output_text)).toMatch(/^system: Shout\.\n/);
    const after = await client.responses.create(ask("b", { previous_response_id: told.id }));
    expect(seen(after.output_text)).toMatch(/^user: a\n/);
  });

  test("stored responses are kept, given out, deleted; others are not", async () => {
    const kept = await client.responses.create(ask("hi"));
    expect((await client.responses.retrieve(kept.id)).output_text).toBe(kept.output_text);
    await client.responses.delete(kept.id);
    await expect(client.responses.retrieve(kept.id)).rejects.toMatchObject({ status: 404 });
    const loose = await client.responses.create(ask("hi", { store: false }));
    await expect(client.responses.create(ask("b", { previous_response_id: loose.id }))).rejects.toMatchObject({
      status: 400,
      code: "previous_response_not_found",
      param: "previous_response_id",
    });
  });

  test("log-probabilities of the text come where they are asked for", async () => {
    const { output } = await client.responses.create(
      ask("2+2?", { include: ["message.output_text.logprobs"], top_logprobs: 1 }),
    );
    const message = output[1];
    const part = message?.type === "message" ? message.content[0] : undefined;
    if (part?.type !== "output_text") throw new Error("no text");
    expect(part.logprobs!.slice(0, 2).map(({ token }) => token)).toEqual(["I", "t"]);
    expect(part.logprobs![0]!.top_logprobs).toHaveLength(1);
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
    const api = new OpenAI({ baseURL: `${other.url}/v1`, apiKey: "none", maxRetries: 0 });
    const read = async (): Promise<void> => {
      for await (const _ of await api.responses.create({ ...ask("hi"), stream: true }));
    };
    await expect(read()).rejects.toThrow(/failed to answer/);
    await other.close();
  });
});

describe("functions", () => {
  const CALL =
    '<tool_call>[{"name": "run", "arguments": {"line": "ls 2>&1"}}, {"name": "run", "arguments": {"line": ""}}]</tool_call>';
  const prompts: string[] = [];
  const script = (prompt: string): string => {
    prompts.push(prompt);
    return prompt.includes("tool_response") ? "Done." : `<think>hm</think>Let me see.\n${CALL}`;
  };
  const own = createApp({ model: served(scriptModel(script, { contextTokens: 4096 })) });
  const api = new OpenAI({
    baseURL: "http://127.0.0.1/v1",
    apiKey: "none",
    maxRetries: 0,
    fetch: async (url, init) => own.request(String(url), init as RequestInit),
  });
  const parameters = { type: "object", properties: { line: { type: "string" } } };
  const tools = [{ type: "function" as const, name: "run", parameters, strict: false }];
  const call = { type: "function_call", name: "run", call_id: expect.stringMatching(/^call_/) as string };
  const OUTPUT = [
    { type: "reasoning", content: [{ text: "hm" }] },
    { type: "message", content: [{ text: "Let me see." }] },
    { ...call, arguments: '{"line": "ls 2>&1"}', status: "completed" },
    { ...call, arguments: '{"line": ""}', status: "completed" },
  ];

  test("are called, whole and streamed, and their results answered", async () => {
    const first = await api.responses.create({ ...ask("files?"), tools });
    expect(first).toMatchObject({ status: "completed", output: OUTPUT });
    const stream = api.responses.stream({ ...ask("files?"), tools });
    const pieces: string[] = [];
    stream.on("response.function_call_arguments.delta", ({ delta }) => pieces.push(delta));
    expect((await stream.finalResponse()).output).toMatchObject(OUTPUT);
    expect(pieces.join("")).toBe('{"line": "ls 2>&1"}{"line": ""}');
    const results = first.output.flatMap((item) =>
      item.type === "function_call"
        ? [{ type: "function_call_output" as const, call_id: item.call_id, output: "a.txt" }]
        : [],
    );
    const stored = await api.responses.create({ ...ask("x"), input: results, tools, previous_response_id: first.id });
    expect(stored.output_text).toBe("Done.");
    const calls = first.output.slice(2) as OpenAI.Responses.ResponseInputItem[];
    const sent = await api.responses.create({
      ...ask("x"),
      input: [{ role: "user", content: "files?" }, ...calls, ...results],
      tools,
    });
    expect(sent.output_text).toBe("Done.");
    expect(prompts.at(-1)).toContain(CALL);
  });

  test("none are called where none are offered: text that looks like a call is text", async () => {
    for (const more of [{}, { tools, tool_choice: "none" as const }]) {
      const { output_text } = await api.responses.create({ ...ask("files?"), ...more });
      expect(output_text).toBe(`Let me see.\n${CALL}`);
    }
  });

  test.each<[object, string]>([
    [{ tools: [{ type: "function", name: "a b" }] }, "tools[0].name"],
    [{ tools: [tools[0], tools[0]] }, "tools[1].name"],
    [{ tools: [], tool_choice: "required" }, "tool_choice"],
    [{ tools, tool_choice: { type: "function", name: "other" } }, "tool_choice"],
    [{ input: [{ type: "function_call_output", call_id: "call_x", output: "" }] }, "input[0].tool_call_id"],
  ])("%j is refused", async (more, param) => {
    const body = JSON.stringify({ ...ask("files?"), ...more });
    const response = await own.request("/v1/responses", { method: "POST", body });
    expect(await response.json()).toMatchObject({ error: { param } });
  });
});

describe("structured answers", () => {
  const tokens = Array.from({ length: VOCAB }, (_, id) => BYTE_CHARS[id] ?? "");
  const vocabulary = () => ({ tokens, bytes: "byte_level" as const, stopIds: [EOS] });
  const grammars = new GrammarService(vocabulary, VOCAB);
  afterAll(() => grammars.close());

  test("responses.parse gives what the schema says, after a free thought", async () => {
    const wild = fakeModel((ids) => hashLogits(ids), { contextTokens: 1024 });
    const other = await listen(createApp({ model: { ...served(wild), grammars } }), { host: "127.0.0.1", port: 0 });
    const api = new OpenAI({ baseURL: `${other.url}/v1`, apiKey: "none", maxRetries: 0 });
    const Person = z.object({ name: z.enum(["Ada", "Bo"]), age: z.int().min(1).max(99) });
    const body = { model: "fake", input: "who?", text: { format: zodTextFormat(Person, "person") } };
    const extra = { seed: 1, thinking_budget: 20 };
    for (const reasoning of [{ effort: "none" as const }, { effort: "high" as const }]) {
      const response = await api.responses.parse({ ...body, ...extra, reasoning });
      expect(Person.safeParse(response.output_parsed).success).toBe(true);
    }
    await other.close();
  });
});

describe("what it does not do is refused by its name", () => {
  test.each<[object, string]>([
    [{}, "input"],
    [{ input: [] }, "input"],
    [{ input: [{ role: "robot", content: "x" }] }, "input"],
    [{ input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] }, "input"],
    [{ input: [{ type: "reasoning", encrypted_content: "x" }] }, "input"],
    [{ input: [{ type: "item_reference", id: "msg_x" }] }, "input[0].id"],
    [{ input: "unrenderable" }, "input"],
    [{ input: "x".repeat(9999) }, "input"],
    [{ input: "x", max_output_tokens: 0 }, "max_output_tokens"],
    [{ input: "x", max_output_tokens: 511 }, "input"],
    [{ input: "x", background: true }, "background"],
    [{ input: "x", conversation: "c" }, "conversation"],
    [{ input: "x", prompt: { id: "p" } }, "prompt"],
    [{ input: "x", max_tool_calls: 1 }, "max_tool_calls"],
    [{ input: "x", include: ["web_search_call.results"] }, "include[0]"],
    [{ input: "x", reasoning: { summary: "detailed" } }, "reasoning.summary"],
    [{ input: "x", reasoning: { depth: 1 } }, "reasoning"],
    [{ input: "x", text: { verbosity: "low" } }, "text.verbosity"],
    [{ input: "x", text: { format: { type: "grammar" } } }, "text.format.type"],
    [{ input: "x", tools: [{ type: "web_search" }] }, "tools[0].type"],
    [{ input: "x", stream_options: { include_obfuscation: true } }, "stream_options.include_obfuscation"],
    [{ input: "x", model: "other" }, "model"],
    [{ input: "x", logit_bias: { "999": 1 } }, "logit_bias"],
    [{ input: "x", top_k: 1.5 }, "top_k"],
    [{ input: "x", text: { format: { type: "json_schema", name: "n", schema: { not: {} } } } }, "text.format"],
  ])("%j", async (body, param) => {
    const response = await app.request("/v1/responses", { method: "POST", body: JSON.stringify(body) });
    const { error } = (await response.json()) as { error: { param: string; message: string } };
    expect([response.status < 500, error.param]).toEqual([true, param]);
    expect(error.message).toMatch(/expected|maximum context length|cannot/);
  });

  test("what is harmless passes, what is not known is named", async () => {
    const body = { input: "x", user: "u", store: false, service_tier: "auto", prompt_cache_key: "k", colour: 1 };
    const response = await app.request("/responses/", { method: "POST", body: JSON.stringify(body) });
    expect([response.status, response.headers.get("x-sumbi-ignored")]).toEqual([200, "colour"]);
    expect(faults).toEqual([]);
  });
});

test("memory is bounded: the oldest responses are forgotten, one that is too large is not kept", () => {
  const memory = new ResponseMemory(1000);
  const made = (id: string, chars: number): StoredResponse => ({
    response: { id, output: [{ id: `${id}-item`, role: "assistant", content: "x".repeat(chars) }] },
    items: [],
  });
  for (const id of ["a", "b", "c", "d"]) memory.put(made(id, 200));
  memory.put(made("large", 2000));
  expect(["a", "b", "c", "d", "large"].map((id) => memory.get(id) !== undefined)).toEqual([
    false,
    true,
    true,
    true,
    false,
  ]);
  expect([memory.item("a-item"), memory.item("d-item")?.id]).toEqual([undefined, "d-item"]);
});
