import { describe, expect, test } from "vitest";
import { EOS, fakeModel, hashLogits, scriptModel, served } from "../../test/support/fake-model.ts";
import { createApp } from "./app.ts";
import { Meter, Totals } from "./meter.ts";
import { canonicalPath } from "./paths.ts";
import { Counter, Histogram, metricsText } from "./prometheus.ts";

const model = fakeModel(hashLogits, { contextTokens: 128 });
const ignored: string[] = [];
const app = createApp({
  model: served(model),
  onIgnored: (names, where) => ignored.push(`${where}: ${names}`),
});
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  app.request(path, { method: "POST", body: JSON.stringify(body), headers });
const json = async (path: string, body: unknown): Promise<Record<string, unknown>> =>
  (await (await post(path, body)).json()) as Record<string, unknown>;

describe("addresses", () => {
  test.each([
    ["/chat/completions", "/v1/chat/completions"],
    ["/v1/chat/completions///", "/v1/chat/completions"],
    ["/models/fake", "/v1/models/fake"],
    ["/v1/health", "/health"],
    ["/v1/tokenize/", "/tokenize"],
    ["/", "/"],
    ["///", "/"],
    ["/runs/models", "/runs/models"],
    ["/modelsx", "/modelsx"],
    ["/v1/v1/models", "/v1/v1/models"],
  ])("%s is %s", (given, path) => expect(canonicalPath(given)).toBe(path));

  test.each(["/models", "/v1/models/", "/models/?x=1", "/health/", "/v1/health"])("%s answers", async (path) =>
    expect((await app.request(path)).status).toBe(200),
  );

  test("their methods are the same", async () => {
    const response = await app.request("/completions/", { method: "GET" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
  });
});

describe("x-request-id", () => {
  const idOf = async (given?: string, path = "/health"): Promise<string | null> =>
    (await app.request(path, { headers: given === undefined ? {} : { "x-request-id": given } })).headers.get(
      "x-request-id",
    );

  test("is the client's where it is sane, or else one is made", async () => {
    expect(await idOf("trace-00_17=")).toBe("trace-00_17=");
    for (const insane of [undefined, "a b", "x".repeat(256), "é", "a;b"])
      expect(await idOf(insane)).toMatch(/^req_[0-9a-f]{24}$/);
    expect(await idOf()).not.toBe(await idOf());
  });

  test("stands in refusals, and in the log", async () => {
    expect(await idOf("gone", "/nowhere")).toBe("gone");
    const refused = await post("/v1/completions", { prompt: 7 }, { "x-request-id": "bad" });
    expect([refused.status, refused.headers.get("x-request-id")]).toEqual([400, "bad"]);
    ignored.length = 0;
    await post("/v1/completions", { prompt: "x", max_tokens: 1, colour: 1 }, { "x-request-id": "abc" });
    expect(ignored).toEqual(["POST /v1/completions abc: colour"]);
  });
});

describe("texts and tokens", () => {
  test("/tokenize speaks llama-server's names and vLLM's", async () => {
    expect(await json("/tokenize", { content: "hé" })).toEqual({
      tokens: [104, 0xc3, 0xa9],
      count: 3,
      max_model_len: 128,
    });
    expect(await json("/tokenize", { content: "é", with_pieces: true })).toMatchObject({
      tokens: [
        { id: 0xc3, piece: [0xc3] },
        { id: 0xa9, piece: [0xa9] },
      ],
    });
    expect(await json("/v1/tokenize", { model: "fake", prompt: "a<eos>", return_token_strs: true })).toMatchObject({
      tokens: [97, EOS],
      token_strs: ["a", "<eos>"],
    });
    expect(await json("/tokenize", { content: "<eos>", parse_special: false })).toMatchObject({ count: 5 });
  });

  test("a conversation is tokenized as it is answered", async () => {
    const messages = [{ role: "user", content: "hi" }];
    const { tokens, count } = (await json("/tokenize", { messages })) as { tokens: number[]; count: number };
    const { prompt } = await json("/apply-template", { messages });
    expect(prompt).toBe("<bos>user: hi\n<assistant>");
    expect(await json("/detokenize", { tokens })).toEqual({ content: prompt, prompt });
    const { usage } = (await json("/v1/chat/completions", { messages, max_tokens: 1 })) as {
      usage: { prompt_tokens: number };
    };
    expect(count).toBe(usage.prompt_tokens);
    expect(await json("/apply-template", { messages, thinking: { type: "enabled" } })).toEqual({
      prompt: `${String(prompt)}<think>`,
    });
  });

  test.each([
    ["/tokenize", {}, "content"],
    ["/tokenize", { content: "a", prompt: "a" }, "content"],
    ["/tokenize", { content: "a", add_special: true, add_special_tokens: true }, "add_special"],
    ["/tokenize", { content: "a", with_pieces: "yes" }, "with_pieces"],
    ["/tokenize", { messages: [], with_pieces: true }, "messages"],
    ["/tokenize", { content: "x".repeat(5000) }, "content"],
    ["/detokenize", {}, "tokens"],
    ["/detokenize", { tokens: [999] }, "tokens"],
    ["/detokenize", { tokens: "7" }, "tokens"],
    ["/apply-template", { messages: [{ role: "user", content: "unrenderable" }] }, "messages"],
  ])("%s refuses %j", async (path, body, param) => {
    expect(await json(path, body)).toMatchObject({ error: { param } });
  });
});

describe("timings", () => {
  test("count tokens as usage does, and tell times", async () => {
    const prompt = "x".repeat(40);
    const body = { prompt, max_tokens: 5, n: 2, ignore_eos: true };
    const first = await json("/v1/completions", body);
    expect(first.timings).toMatchObject({ cache_n: 40, prompt_n: 40, predicted_n: 10 });
    const again = (await json("/v1/completions", { ...body, n: 1 })) as { timings: Record<string, number> };
    expect(again.timings).toMatchObject({ cache_n: 32, prompt_n: 8, predicted_n: 5 });
    for (const name of ["prompt_ms", "prompt_per_second", "predicted_ms", "predicted_per_token_ms"])
      expect([name, again.timings[name]! > 0]).toEqual([name, true]);
  });

  test.each([false, true])("streamed with timings_per_token %s", async (timings_per_token) => {
    const response = await post("/v1/completions", {
      prompt: "x",
      max_tokens: 4,
      ignore_eos: true,
      stream: true,
      timings_per_token,
    });
    const events = (await response.text()).split("\n\n").filter((event) => event.startsWith("data: {"));
    const chunks = events.map((event) => JSON.parse(event.slice(6)) as { timings?: { predicted_n: number } });
    const timed = chunks.filter(({ timings }) => timings !== undefined);
    expect(timed).toHaveLength(timings_per_token ? chunks.length : 1);
    expect(chunks.at(-1)?.timings?.predicted_n).toBe(4);
  });

  test("rates are of what came between the first token and the last", async () => {
    let clock = 0;
    const meter = new Meter(new Totals(), () => clock);
    const generate = meter.follow(async function* () {
      clock += 100;
      yield { id: 1, cachedTokens: 6 };
      for (const wait of [10, 30]) {
        clock += wait;
        yield { id: 1, guessed: true as const, refuted: 1 };
      }
    });
    const request = { prompt: new Array(10).fill(1), maxTokens: 3, sampling: {} as never, stopIds: [] };
    for await (const _ of generate(request));
    expect(meter.timings()).toEqual({
      cache_n: 6,
      prompt_n: 4,
      prompt_ms: 100,
      prompt_per_token_ms: 25,
      prompt_per_second: 40,
      predicted_n: 3,
      predicted_ms: 40,
      predicted_per_token_ms: 20,
      predicted_per_second: 50,
      draft_n: 4,
      draft_n_accepted: 2,
    });
  });
});

describe("/metrics", () => {
  test("counts what was answered, in Prometheus' format", async () => {
    const own = createApp({ model: served(scriptModel(() => "la la")) });
    const ask = (more: object) =>
      own.request("/v1/chat/completions", {
        method: "POST",
        body: JSON.stringify({ messages: [{ role: "user", content: "hi" }], temperature: 0, ...more }),
      });
    await ask({});
    await ask({ max_tokens: 2 });
    await ask({ stop: " " });
    await ask({ temperature: 9 });
    const response = await own.request("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await response.text();
    const model_name = 'model_name="fake"';
    for (const line of [
      "# TYPE sumbi:prompt_tokens_total counter",
      `sumbi:prompt_tokens_total{${model_name}} 33`,
      `sumbi:generation_tokens_total{${model_name}} 11`,
      `sumbi:request_success_total{${model_name},finished_reason="stop"} 2`,
      `sumbi:request_success_total{${model_name},finished_reason="length"} 1`,
      `sumbi:time_to_first_token_seconds_count{${model_name}} 3`,
      `sumbi:time_to_first_token_seconds_bucket{${model_name},le="+Inf"} 3`,
      `sumbi:num_requests_running{${model_name}} 0`,
      `http_requests_total{${model_name},handler="/v1/chat/completions",status="200"} 3`,
      `http_requests_total{${model_name},handler="/v1/chat/completions",status="400"} 1`,
    ])
      expect(text.split("\n")).toContain(line);
    expect(text.endsWith("\n")).toBe(true);
  });

  test("buckets hold all that was at most their bound, labels are escaped", () => {
    const histogram = new Histogram("h", "Help.", [1, 2]);
    for (const value of [0.5, 1, 1.5, 9]) histogram.see(value);
    const counter = new Counter("c", "Help.");
    counter.add(1, { path: 'a"b\\c\nd' });
    expect(metricsText([histogram, counter], {})).toBe(
      `# HELP h Help.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="2"} 3\nh_bucket{le="+Inf"} 4\nh_sum 12\nh_count 4\n# HELP c Help.\n# TYPE c counter\nc{path="a\\"b\\\\c\\nd"} 1\n`,
    );
    for (let i = 0; i < 1000; i++) counter.add(1, { path: String(i) });
    expect(counter.text({}).split("\n").length).toBeLessThan(300);
  });
});
