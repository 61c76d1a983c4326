import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it, test } from "vitest";
import { fakeModel, hashLogits, served } from "../../test/support/fake-model.ts";
import { TEMPLATES } from "../../test/support/templates.ts";
import { type TokenizerFiles, tokenizerOf } from "../data/index.ts";
import { ConfigError } from "../errors.ts";
import { createApp } from "./app.ts";
import type { Encoder } from "./encoder.ts";
import { type EncoderOptions, startEncoder } from "./encoderProcess.ts";

const read = (name: string): string =>
  readFileSync(new URL(`../tokenizer/fixtures/v3/${name}`, import.meta.url), "utf8");
const split = (Regex: string) => ({
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false },
    { type: "ByteLevel", add_prefix_space: false, use_regex: false },
  ],
});

function files(template?: string, change: object = {}): TokenizerFiles {
  const texts: TokenizerFiles["texts"] = {
    "tokenizer.json": JSON.stringify({ ...JSON.parse(read("tokenizer.json")), ...change }),
    "tokenizer_config.json": read("tokenizer_config.json"),
  };
  if (template !== undefined) texts["chat_template.jinja"] = template;
  return { dir: "model", texts };
}

const open: Encoder[] = [];
const start = async (of: TokenizerFiles, options: Partial<EncoderOptions> = {}): Promise<Encoder> => {
  const encoder = await startEncoder(of, { keepIds: 1000, ...options });
  open.push(encoder);
  return encoder;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((encoder) => encoder.close()));
});

const user = (content: string) => [{ role: "user", content }];

describe("an encoder in a process of its own", () => {
  it("encodes as the tokenizer does, many at a time and in order; tells what a template refuses, and goes on", async () => {
    const template = `{% if messages[0].content == 'no' %}{{ raise_exception('not this') }}{% endif %}${TEMPLATES["v31"]?.source}`;
    const tokenizer = tokenizerOf(files(template));
    const encoder = await start(files(template));
    const questions = ["", "hi", "<｜User｜>", "ö 中文 😀", "a\n".repeat(800)];
    const refused = encoder.chat(user("no"), {}).catch((error: Error) => error.message);
    const chats = questions.map((question) =>
      encoder.chat(user(question), { addGenerationPrompt: true, thinking: true }),
    );
    const texts = questions.map((text) => tokenizer.encode(text));
    // no more ids than can be used are given back, and how many there are
    expect(await encoder.texts(questions)).toEqual(
      texts.map((ids) => ({ ids: ids.slice(0, 1000), count: ids.length })),
    );
    expect(texts[4]?.length).toBeGreaterThan(1000);
    for (const [i, question] of questions.entries()) {
      const { ids, opensThought } = tokenizer.encodeChat(user(question), { addGenerationPrompt: true, thinking: true });
      expect(await chats[i]).toEqual({ ids: ids.slice(0, 1000), count: ids.length, opensThought });
      expect(opensThought).toBe(true);
    }
    expect(await refused).toBe("chat template: these messages cannot be rendered: not this");
    const late = encoder.texts(["a"]).then(
      () => "answered",
      (error: Error) => error.name,
    );
    await encoder.close();
    expect(await late).toBe("EngineClosedError");
    await expect(encoder.texts(["b"])).rejects.toThrow(/closed/);
  });

  it("refuses files of which no tokenizer can be made", async () => {
    await expect(startEncoder(files(undefined, { pre_tokenizer: split("(") }), { keepIds: 1 })).rejects.toThrow(
      ConfigError,
    );
  });
});

const serving = (of: TokenizerFiles, encoder: Encoder) => {
  const tokenizer = tokenizerOf(of, { lazy: true });
  const app = createApp({
    model: { ...served(fakeModel((tokens) => hashLogits(tokens, 1000), { vocabSize: 1000 })), tokenizer, encoder },
  });
  const post = (path: string, body: object) =>
    app.request(path, {
      method: "POST",
      body: JSON.stringify({ max_tokens: 1, ...body }),
      headers: { "content-type": "application/json" },
    });
  return {
    health: () => app.request("/health"),
    complete: (prompt: string) => post("/v1/completions", { prompt }),
    chat: (content: string) => post("/v1/chat/completions", { messages: user(content) }),
  };
};

/** The error of a request that was ended, while another client is served. */
async function ended(request: Response | Promise<Response>, server: ReturnType<typeof serving>): Promise<unknown> {
  const other = server.complete("b");
  expect((await server.health()).status).toBe(200);
  const response = await request;
  expect((await other).status).toBe(200);
  const { error } = (await response.json()) as { error?: { message: string; param: string } };
  return { status: response.status, ...error };
}

/** `ns.s` of 8 · 2^times characters. */
const doubled = (times: number): string =>
  `{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(${times}) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`;

describe("what does not end, or takes all memory, ends one request with a 400, and the server goes on", () => {
  test("templates", async () => {
    const cases: Record<string, [source: string, reason: RegExp]> = {
      range: ["{% for i in range(1000000000) %}x{% endfor %}", /it loops over a range of more than 100000/],
      loops: [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        /it ran longer than 3 s/,
      ],
      // eight million, and eight times what is given
      double: [doubled(99), /more than 8[34]\d{5} characters/],
      join: [`${doubled(16)}{{ range(100000) | join(ns.s) }}`, /more than 8[34]\d{5} characters/],
      "join of what is given": ["{{ range(100000) | join(messages | tojson) }}", /more than 8[34]\d{5} characters/],
      macro: ["{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", /nested too deeply/],
    };
    const template = `${Object.entries(cases)
      .map(([name, [source]]) => `{% if messages[0].content == '${name}' %}${source}{% endif %}`)
      .join("")}{{ messages[0].content }}`;
    const of = files(template);
    const server = serving(of, await start(of, { millis: 3000 }));
    for (const [name, [, reason]] of Object.entries(cases))
      expect(await ended(server.chat(name), server)).toMatchObject({
        status: 400,
        param: "messages",
        message: expect.stringMatching(reason),
      });
    expect((await server.chat("hi")).status).toBe(200);
  });

  test("expressions, also when the client has left", async () => {
    const of = files("{{ messages[0].content }}", { pre_tokenizer: split("(a+)+$") });
    const encoder = await start(of, { millis: 1000 });
    const server = serving(of, encoder);
    const endless = `${"a".repeat(40)}!`;
    expect(await ended(server.chat(endless), server)).toMatchObject({
      status: 400,
      param: "messages",
      message: expect.stringMatching(/it ran longer than 1 s/),
    });
    const [first, second] = [new AbortController(), new AbortController()];
    const asked = [encoder.texts([endless], first.signal), encoder.texts(["b"], second.signal), encoder.texts(["c"])];
    const refused = server.complete(endless);
    first.abort(new Error("left one"));
    second.abort(new Error("left two"));
    const [one, two, three] = await Promise.allSettled(asked);
    expect([one, two].map((left) => left?.status === "rejected" && (left.reason as Error).message)).toEqual([
      "left one",
      "left two",
    ]);
    expect(three?.status === "fulfilled" && three.value[0]?.count).toBe(1);
    expect(await ended(refused, server)).toMatchObject({
      status: 400,
      param: "prompt",
      message: expect.stringMatching(/it ran longer than 1 s/),
    });
  });

  test("memory", async () => {
    const kept = Array.from({ length: 16 }, (_, i) => `{% set kept${i} = (ns.s ~ '${i}') | upper %}`).join("");
    const of = files(
      `{% if messages[0].content == 'all' %}${doubled(20)}${kept}{{ kept0 | length }}{% endif %}{{ messages[0].content }}`,
    );
    const server = serving(of, await start(of, { memoryMiB: 48 }));
    expect(await ended(server.chat("all"), server)).toMatchObject({
      status: 400,
      param: "messages",
      message: expect.stringMatching(/it took more than 48 MiB of memory/),
    });
    expect((await server.chat("hi")).status).toBe(200);
  });
});
