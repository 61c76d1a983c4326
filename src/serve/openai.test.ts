import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  EOS,
  type FakeModel,
  fakeModel,
  hashLogits,
  scriptModel,
  served,
  underWay,
  until,
} from "../../test/support/fake-model.ts";
import { createApp } from "./app.ts";
import { listen, type RunningServer } from "./server.ts";

/** Answers by the last line of the conversation. */
function script(prompt: string): string {
  if (prompt.includes("2+2")) return "<think>\n2+2 is 4, easily.\n</think>\n\nIt is 4. Déjà vu!";
  if (prompt.includes("count")) return "1, 2, 3, 4, 5, 6, 7, 8, 9";
  if (prompt.includes("endless")) return "la ".repeat(160);
  return `You said: ${prompt}`;
}

let server: RunningServer;
let model: FakeModel;
let client: OpenAI;
const faults: unknown[] = [];

beforeAll(async () => {
  model = scriptModel(script, { delayMs: 1 });
  server = await listen(createApp({ model: served(model), onError: (error) => faults.push(error) }), {
    host: "127.0.0.1",
    port: 0,
  });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(() => server.close());

const ask = (content: string) => ({ model: "fake", temperature: 0, messages: [{ role: "user" as const, content }] });

describe("the official client", () => {
  test("lists the model", async () => {
    const models = await client.models.list();
    expect(models.data).toEqual([{ id: "fake", object: "model", created: 1_700_000_000, owned_by: "sumbi" }]);
    expect((await client.models.retrieve("fake")).id).toBe("fake");
    await expect(client.models.retrieve("gpt-5")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });

  test("chats, thoughts apart", async () => {
    const answer = await client.chat.completions.create(ask("2+2?"));
    expect(answer.object).toBe("chat.completion");
    expect(answer.choices).toHaveLength(1);
    expect(answer.choices[0]).toMatchObject({ index: 0, finish_reason: "stop", logprobs: null });
    expect(answer.choices[0]!.message).toEqual({
      role: "assistant",
      content: "It is 4. Déjà vu!",
      refusal: null,
      reasoning_content: "2+2 is 4, easily.",
      reasoning: "2+2 is 4, easily.",
    });
    // <bos>, "user: 2+2?\n", <assistant>; one token per byte, each tag one, and the end
    expect(answer.usage).toEqual({
      prompt_tokens: 13,
      completion_tokens: 43,
      total_tokens: 56,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 21 },
    });
  });

  test("streams the same", async () => {
    const stream = await client.chat.completions.create({
      ...ask("2+2?"),
      stream: true,
      stream_options: { include_usage: true },
    });
    let content = "";
    let reasoning = "";
    const finishes: (string | null)[] = [];
    let usage: OpenAI.CompletionUsage | null | undefined;
    let chunks = 0;
    for await (const chunk of stream) {
      chunks++;
      expect(chunk.object).toBe("chat.completion.chunk");
      usage = chunk.usage;
      const choice = chunk.choices[0];
      if (!choice) continue;
      content += choice.delta.content ?? "";
      reasoning += (choice.delta as { reasoning_content?: string }).reasoning_content ?? "";
      if (choice.finish_reason) finishes.push(choice.finish_reason);
    }
    expect(content).toBe("It is 4. Déjà vu!");
    expect(reasoning).toBe("2+2 is 4, easily.");
    expect(finishes).toEqual(["stop"]);
    expect(usage).toMatchObject({ prompt_tokens: 13, completion_tokens: 43 });
    expect(chunks).toBeGreaterThan(20);
  });

  test("the client's own stream helper puts the answer together", async () => {
    const final = await client.chat.completions.stream(ask("count")).finalChatCompletion();
    expect(final.choices[0]!.message.content).toBe("1, 2, 3, 4, 5, 6, 7, 8, 9");
  });

  test("ends at a stop string and at the token limit", async () => {
    const stopped = await client.chat.completions.create({ ...ask("count"), stop: [", 5", "zzz"] });
    expect(stopped.choices[0]).toMatchObject({ finish_reason: "stop", message: { content: "1, 2, 3, 4" } });
    const short = await client.chat.completions.create({ ...ask("count"), max_completion_tokens: 4 });
    expect(short.choices[0]).toMatchObject({ finish_reason: "length", message: { content: "1, 2" } });
    expect(short.usage!.completion_tokens).toBe(4);
    // a stop string is looked for in the answer, not in the thoughts
    const thought = await client.chat.completions.create({ ...ask("2+2?"), stop: " is" });
    expect(thought.choices[0]!.message).toMatchObject({ content: "It", reasoning: "2+2 is 4, easily." });
  });

  test("gives several answers, each with its index", async () => {
    const plain = await client.chat.completions.create({ ...ask("count"), n: 3 });
    expect(plain.choices.map((c) => [c.index, c.message.content])).toEqual(
      [0, 1, 2].map((i) => [i, "1, 2, 3, 4, 5, 6, 7, 8, 9"]),
    );
    const texts = ["", "", ""];
    for await (const chunk of await client.chat.completions.create({ ...ask("count"), n: 3, stream: true }))
      for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? "";
    expect(texts).toEqual(plain.choices.map((c) => c.message.content));
  });

  test("reports log probabilities of the answer's tokens", async () => {
    const answer = await client.chat.completions.create({
      ...ask("count"),
      max_tokens: 3,
      logprobs: true,
      top_logprobs: 2,
    });
    const tokens = answer.choices[0]!.logprobs!.content!;
    expect(tokens.map((t) => t.token)).toEqual(["1", ",", " "]);
    expect(tokens[0]!.bytes).toEqual([49]);
    expect(tokens[0]!.top_logprobs).toHaveLength(2);
    expect(tokens[0]!.top_logprobs[0]).toEqual({ token: "1", logprob: tokens[0]!.logprob, bytes: [49] });
    // 260 other tokens have logit 0, this one 30
    expect(tokens[0]!.logprob).toBeCloseTo(-Math.log1p(260 * Math.exp(-30)), 12);
  });

  test("completes text", async () => {
    const answer = await client.completions.create({
      model: "fake",
      prompt: "<bos>count<assistant>",
      max_tokens: 10,
      temperature: 0,
    });
    expect(answer.object).toBe("text_completion");
    expect(answer.choices).toEqual([{ index: 0, text: "1, 2, 3, 4", logprobs: null, finish_reason: "length" }]);
    expect(answer.usage).toEqual({
      prompt_tokens: 7,
      completion_tokens: 10,
      total_tokens: 17,
      prompt_tokens_details: { cached_tokens: 0 },
    });
    let text = "";
    for await (const chunk of await client.completions.create({
      model: "fake",
      prompt: "<bos>count<assistant>",
      max_tokens: 10,
      stream: true,
      echo: true,
    }))
      text += chunk.choices[0]!.text;
    expect(text).toBe("<bos>count<assistant>1, 2, 3, 4");
  });

  test("errors arrive as the client's own", async () => {
    await expect(client.chat.completions.create({ ...ask("hi"), model: "other" })).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
      param: "model",
      type: "invalid_request_error",
    });
    await expect(client.chat.completions.create({ ...ask("hi"), temperature: 7 })).rejects.toMatchObject({
      status: 400,
      param: "temperature",
      message: "400 temperature: expected a number from 0 to 2, got 7",
    });
    await expect(client.chat.completions.create(ask("x".repeat(600)))).rejects.toMatchObject({
      status: 400,
      code: "context_length_exceeded",
    });
    await expect(client.chat.completions.create({ ...ask("hi"), max_tokens: 510, stream: true })).rejects.toMatchObject(
      {
        code: "context_length_exceeded",
      },
    );
    await expect(client.chat.completions.create(ask("unrenderable"))).rejects.toMatchObject({
      status: 400,
      param: "messages",
    });
  });

  test("a client that leaves a stream stops the model", async () => {
    const stream = await client.chat.completions.create({ ...ask("endless"), stream: true });
    let seen = 0;
    for await (const _ of stream) if (++seen === 5) break;
    await until(() => underWay(model) === 0);
    const { passes } = model.counts;
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(model.counts.passes).toBe(passes);
  });

  test("a client that leaves before a whole answer stops the model", async () => {
    const left = new AbortController();
    const before = model.counts.passes;
    const answer = client.chat.completions.create(ask("endless"), { signal: left.signal });
    await until(() => model.counts.passes > before + 5);
    left.abort();
    await expect(answer).rejects.toThrow(/abort/i);
    await until(() => underWay(model) === 0);
    const { passes } = model.counts;
    expect(passes - before).toBeLessThan(400);
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(model.counts.passes).toBe(passes);
    expect(faults).toEqual([]);
  });
});

describe("a model that breaks", () => {
  test("fails the request, with 500 or within the stream, and the server goes on", async () => {
    const broken = fakeModel((tokens) => {
      if (tokens.length > 3) throw new Error("secret detail");
      return tokens.includes(66) ? 65 : EOS;
    });
    const heard: unknown[] = [];
    const other = await listen(createApp({ model: served(broken), onError: (error) => heard.push(error) }), {
      host: "127.0.0.1",
      port: 0,
    });
    const api = new OpenAI({ baseURL: `${other.url}/v1`, apiKey: "none", maxRetries: 0 });
    const request = { model: "fake", prompt: [66], max_tokens: 9 };
    const failure = await api.completions.create(request).catch((error: unknown) => error);
    expect(failure).toMatchObject({ status: 500, type: "server_error" });
    expect(String(failure)).not.toContain("secret");
    const stream = await api.completions.create({ ...request, stream: true });
    let text = "";
    const read = async (): Promise<void> => {
      for await (const chunk of stream) text += chunk.choices[0]!.text;
    };
    await expect(read()).rejects.toThrow(/failed to answer/);
    expect(text).toBe("AAA");
    expect(heard.map(String)).toEqual(["Error: secret detail", "Error: secret detail"]);
    const fine = await api.completions.create({ model: "fake", prompt: [67] });
    expect(fine.choices[0]).toMatchObject({ text: "", finish_reason: "stop" });
    expect(underWay(broken)).toBe(0);
    await other.close();
  });
});

describe("reproducibility", () => {
  test("a seed gives the same answers again, n answers that differ, and other seeds others", async () => {
    const other = await listen(createApp({ model: served(fakeModel(hashLogits)) }), { host: "127.0.0.1", port: 0 });
    const api = new OpenAI({ baseURL: `${other.url}/v1`, apiKey: "none" });
    const run = async (seed: number): Promise<string[]> => {
      const made = await api.completions.create({
        model: "fake",
        prompt: "x",
        seed,
        n: 3,
        max_tokens: 12,
        logprobs: 0,
      });
      return made.choices.map((c) => c.logprobs!.tokens!.join("|"));
    };
    const first = await run(5);
    expect(await run(5)).toEqual(first);
    expect(new Set([...first, ...(await run(6))]).size).toBe(6);
    await other.close();
  });
});
