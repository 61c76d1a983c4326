import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, describe, expect, test } from "vitest";
import { END_THINK, EOS, fakeModel, hashLogits, served, THINK, VOCAB } from "../../../test/support/fake-model.ts";
import { BYTE_CHARS } from "../../tokenizer/index.ts";
import { createApp } from "../app.ts";
import { GrammarService } from "./service.ts";

const tokens = Array.from({ length: VOCAB }, (_, id) => BYTE_CHARS[id] ?? "");
const vocabulary = () => ({ tokens, bytes: "byte_level" as const, stopIds: [EOS] });
const grammars = new GrammarService(vocabulary, VOCAB, { compileMs: 3000 });
afterAll(() => grammars.close());
/** Says anything at all; ends what it may end. */
const wild = fakeModel(
  (ids) => {
    const logits = hashLogits(ids);
    for (const id of [EOS, ...'"}]'].map((c) => (typeof c === "string" ? c.charCodeAt(0) : c))) logits[id]! += 4;
    return logits;
  },
  { contextTokens: 1024 },
);
const app = createApp({ model: { ...served(wild), grammars } });
const ask = async (body: object, path = "chat/completions"): Promise<any> => {
  const prompt = path === "completions" ? { prompt: "q" } : { messages: [{ role: "user", content: "q" }] };
  const response = await app.request(`/v1/${path}`, {
    method: "POST",
    body: JSON.stringify({ max_tokens: 800, ...prompt, ...body }),
  });
  return response.json();
};
const SCHEMA = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 9 },
    age: { type: "integer", minimum: 0 },
    tags: { type: "array", items: { enum: ["a", "b"] }, maxItems: 3 },
  },
  required: ["name", "age", "tags"],
  additionalProperties: false,
};
const valid = new Ajv2020().compile(SCHEMA);
const format = {
  response_format: { type: "json_schema", json_schema: { name: "person", schema: SCHEMA, strict: true } },
};

describe("an answer is of its structure whatever the model would say", () => {
  test("a schema, each of several answers", async () => {
    const { choices } = await ask({ ...format, n: 6, seed: 1, thinking: { type: "disabled" } });
    const texts = choices.map(({ message }: any) => message.content);
    expect(choices.map((one: any) => one.finish_reason)).toEqual(new Array(6).fill("stop"));
    expect(texts.map((text: string) => valid(JSON.parse(text)))).toEqual(new Array(6).fill(true));
    expect(new Set(texts).size).toBe(6);
  });
  test.each<[object, RegExp]>([
    [{ response_format: { type: "json_object" } }, /^\{/],
    [{ json_schema: { type: "integer", minimum: 7, maximum: 9 } }, /^[789]$/],
    [{ structured_outputs: { choice: ["yes", 'n"o', "가"] } }, /^(yes|n"o|가)$/],
    [{ guided_regex: "[a-c]{3}\\d" }, /^[a-c]{3}\d$/],
    [{ grammar: 'root ::= "x" [0-3]{2,4}' }, /^x[0-3]{2,4}$/],
    [{ guided_json: '{"const": null}' }, /^null$/],
  ])("%j", async (body, shape) => {
    const { choices } = await ask({ ...body, seed: 3, thinking: { type: "disabled" } });
    expect(choices[0].message.content).toMatch(shape);
    const raw = await ask({ ...body, seed: 4 }, "completions");
    expect(raw.choices[0].text).toMatch(shape);
  });
  test("streamed, and greedily, and beside answers that are free", async () => {
    const free = await ask({ seed: 5, temperature: 0, max_tokens: 30 });
    const [again, ...bound] = await Promise.all([
      ask({ seed: 5, temperature: 0, max_tokens: 30 }),
      ...[0, 1, 2].map((seed) => ask({ ...format, seed, thinking: { type: "disabled" }, top_p: 0.9 })),
    ]);
    expect(again.choices).toEqual(free.choices);
    for (const { choices } of bound) expect(valid(JSON.parse(choices[0].message.content))).toBe(true);
    const response = await app.request("/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify({
        messages: [{ role: "user", content: "q" }],
        stream: true,
        ...format,
        enable_thinking: false,
      }),
    });
    const text = (await response.text())
      .split("\n")
      .filter((line) => line.startsWith("data: {"))
      .map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "")
      .join("");
    expect(valid(JSON.parse(text))).toBe(true);
  });
  test("the thought before it is free, and does not end the answer", async () => {
    const thinks = fakeModel(
      (ids) => {
        const at = Math.max(ids.lastIndexOf(THINK), 0);
        const said = ids.slice(at + 1);
        if (said.includes(END_THINK)) return hashLogits(ids);
        return said.length < 5 ? "}no{!".charCodeAt(said.length) : said.length === 5 ? EOS : END_THINK;
      },
      { contextTokens: 1024 },
    );
    const thinking = createApp({ model: { ...served(thinks), grammars } });
    const body = {
      messages: [{ role: "user", content: "q" }],
      enable_thinking: true,
      structured_outputs: { choice: ["yes", "no"] },
      temperature: 0,
    };
    const response = await thinking.request("/v1/chat/completions", { method: "POST", body: JSON.stringify(body) });
    const { choices } = (await response.json()) as any;
    expect(choices[0].message.reasoning_content.startsWith("}no{!")).toBe(true);
    expect(choices[0].message.content).toMatch(/^(yes|no)$/);
  });
});

describe("what cannot be enforced is refused, by its parameter", () => {
  test.each<[string, object]>([
    ["response_format", { response_format: { type: "json_schema", json_schema: { schema: { not: {} } } } }],
    ["response_format", { ...format, grammar: 'root ::= "x"' }],
    ["response_format.type", { response_format: { type: "xml" } }],
    ["grammar", { grammar: "root ::= (" }],
    ["grammar", { grammar: `root ::= ${'"x" '.repeat(300_000)}` }],
    ["structured_outputs.regex", { structured_outputs: { regex: "(?=a)" } }],
    ["guided_json", { guided_json: "{" }],
    ["json_schema", { json_schema: true, ignore_eos: true }],
    ["structured_outputs", { structured_outputs: { xml: "" } }],
  ])("%s: %j", async (param, body) => {
    expect((await ask(body)).error).toMatchObject({ type: "invalid_request_error", param });
  });
  test("by a server that has no grammars", async () => {
    const bare = createApp({ model: served(wild) });
    const body = JSON.stringify({ prompt: "q", json_schema: true });
    expect((await bare.request("/v1/completions", { method: "POST", body })).status).toBe(400);
  });
});

test("a grammar that does not end being read, or that breaks the reader, ends nobody else's answer", async () => {
  const slow = { grammar: `root ::= ${"(".repeat(6)}[a-z]${"{1,1000})".repeat(6)}` };
  const [refused, broken, ...good] = await Promise.all([
    ask(slow),
    ask({ grammar: 'root ::= missing "x"' }),
    ...[1, 2, 3].map((seed) => ask({ ...format, seed, thinking: { type: "disabled" } })),
  ]);
  expect(refused.error.message).toMatch(/it took over|cannot be read/);
  expect(broken.error).toMatchObject({
    param: "grammar",
    message: expect.stringContaining('"missing" is not defined'),
  });
  for (const { choices } of good) expect(valid(JSON.parse(choices[0].message.content))).toBe(true);
}, 60_000);

test("a guide whose thread is gone goes on in another one", async () => {
  const service = new GrammarService(vocabulary, VOCAB);
  await service.check('root ::= "abc"', "grammar");
  const guide = service.open('root ::= "abc"');
  const bits = async () => {
    await guide.ready();
    return [..."abc"].map((c) => ((guide.allowed()?.[c.charCodeAt(0) >> 5] ?? 0) >>> (c.charCodeAt(0) & 31)) & 1);
  };
  expect(await bits()).toEqual([1, 0, 0]);
  guide.accept("a".charCodeAt(0));
  expect(await bits()).toEqual([0, 1, 0]);
  // a token that the grammar does not have: what comes after is an error, and not a hang
  guide.accept("c".charCodeAt(0));
  await guide.ready();
  expect(() => guide.allowed()).toThrow();
  guide.close();
  await service.close();
});
