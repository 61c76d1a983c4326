import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bytesTokenizer, EOS, fakeModel, hashLogits, served, underWay } from "../../test/support/fake-model.ts";
import { argmax, logSumExp } from "../infer/index.ts";
import { Tokenizer } from "../tokenizer/index.ts";
import { createApp } from "./app.ts";
import type { Encoder } from "./encoder.ts";

const app = createApp({ model: served(fakeModel(hashLogits)) });
interface Body {
  choices: {
    index: number;
    text: string;
    finish_reason: string;
    logprobs: {
      tokens: string[];
      token_logprobs: (number | null)[];
      top_logprobs: (Record<string, number> | null)[];
      text_offset: number[];
    };
  }[];
  usage: object;
}
const post = async (body: object, to = app): Promise<Body> => {
  const response = await to.request("/v1/completions", {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Body;
};

/** What lm-evaluation-harness' local-completions sends for a log likelihood, and how it reads the answer. */
function readLikelihood(choice: Body["choices"][number], contextTokens: number): { sum: number; greedy: boolean } {
  const logprobs = choice.logprobs.token_logprobs.slice(contextTokens, -1) as number[];
  const top = choice.logprobs.top_logprobs.slice(contextTokens, -1);
  return {
    sum: logprobs.reduce((a, b) => a + b, 0),
    greedy: logprobs.every((p, i) => p === Math.max(...Object.values(top[i]!))),
  };
}

test("log likelihoods of given continuations, in batches of token ids", async () => {
  const context = bytesTokenizer.encode("The capital of France is");
  const likely = [...context];
  for (let i = 0; i < 3; i++) likely.push(argmax(hashLogits(likely)));
  const prompts = [likely, [...context, 32, 80], [...context, 255, 254, 253]];
  const body = await post({
    model: "fake",
    prompt: prompts,
    temperature: 0,
    max_tokens: 1,
    logprobs: 1,
    seed: 1234,
    echo: true,
  });
  const sorted = body.choices.sort((a, b) => a.index - b.index);
  expect(sorted).toHaveLength(3);
  sorted.forEach((choice, p) => {
    let want = 0;
    for (let i = context.length; i < prompts[p]!.length; i++) {
      const logits = hashLogits(prompts[p]!.slice(0, i));
      want += logits[prompts[p]![i]!]! - logSumExp(logits);
    }
    const got = readLikelihood(choice, context.length);
    expect(got.sum).toBeCloseTo(want, 6);
    expect(got.greedy).toBe(p === 0);
    expect(choice.logprobs.tokens).toHaveLength(prompts[p]!.length + 1);
  });
});

test("an answer that ends at once still has its token, so that likelihoods line up", async () => {
  const ending = createApp({ model: served(fakeModel(() => EOS)) });
  const { choices, usage } = await post(
    { model: "fake", prompt: [[1, 2, 3]], max_tokens: 1, logprobs: 1, echo: true },
    ending,
  );
  expect(choices[0]!.logprobs.tokens).toEqual(["\u0001", "\u0002", "\u0003", "<eos>"]);
  expect(choices[0]!.text).toBe("\u0001\u0002\u0003");
  expect(choices[0]!.finish_reason).toBe("stop");
  expect(usage).toEqual({
    prompt_tokens: 3,
    completion_tokens: 1,
    total_tokens: 4,
    prompt_tokens_details: { cached_tokens: 0 },
  });
});

test("echo without an answer only scores the prompt", async () => {
  const { choices, usage } = await post({ model: "fake", prompt: "né", max_tokens: 0, logprobs: 2, echo: true });
  expect(choices[0]!.text).toBe("né");
  expect(choices[0]!.logprobs.tokens).toEqual(["n", "bytes:\\xc3", "bytes:\\xa9"]);
  expect(choices[0]!.logprobs.text_offset).toEqual([0, 1, 1]);
  expect(choices[0]!.logprobs.token_logprobs[0]).toBeNull();
  expect(choices[0]!.logprobs.top_logprobs[0]).toBeNull();
  const logits = hashLogits([110]);
  expect(choices[0]!.logprobs.token_logprobs[1]).toBeCloseTo(logits[0xc3]! - logSumExp(logits), 9);
  // the two likeliest, and the token itself
  expect(Object.keys(choices[0]!.logprobs.top_logprobs[1]!)).toHaveLength(3);
  expect(usage).toEqual({
    prompt_tokens: 3,
    completion_tokens: 0,
    total_tokens: 3,
    prompt_tokens_details: { cached_tokens: 0 },
  });
});

test("the begin of text stands before a text and is no part of it", async () => {
  const read = (name: string): any =>
    JSON.parse(readFileSync(new URL(`../tokenizer/fixtures/v3/${name}`, import.meta.url), "utf8"));
  const special = { SpecialToken: { id: "bos", type_id: 0 } };
  const template = {
    type: "TemplateProcessing",
    single: [special, { Sequence: { id: "A", type_id: 0 } }],
    special_tokens: { bos: { id: "bos", ids: [0], tokens: ["bos"] } },
  };
  for (const [post_processor, config] of [
    [template, {}],
    [null, { add_bos_token: true }],
  ] as const) {
    const tokenizer = new Tokenizer(
      { ...read("tokenizer.json"), post_processor },
      { ...read("tokenizer_config.json"), ...config },
    );
    const model = createApp({
      model: { ...served(fakeModel((tokens) => hashLogits(tokens, 1000), { vocabSize: 1000 })), tokenizer },
    });
    const ids = tokenizer.encode("né 12");
    const { choices, usage } = await post(
      { prompt: "né 12", max_tokens: 1, temperature: 0, logprobs: 0, echo: true },
      model,
    );
    expect(usage).toMatchObject({ prompt_tokens: ids.length + 1 });
    expect(choices[0]?.text.startsWith("né 12")).toBe(true);
    const offsets = ids.map((_, i) => [...tokenizer.decode(ids.slice(0, i)).replace(/\ufffd$/, "")].length);
    expect(choices[0]?.logprobs.text_offset).toEqual([0, ...offsets, 5]);
    // ids are taken as they are, and their text is the whole text
    const given = await post({ prompt: [0, ...ids], max_tokens: 1, temperature: 0, logprobs: 0, echo: true }, model);
    expect(given.choices[0]?.text.startsWith("<｜begin▁of▁sentence｜>né 12")).toBe(true);
    expect(given.choices[0]?.logprobs.text_offset).toEqual([0, ...offsets.map((offset) => offset + 21), 26]);
    expect(given.choices[0]?.logprobs.token_logprobs).toEqual(choices[0]?.logprobs.token_logprobs);
  }
});

test("prompts may be a text, texts, ids or lists of ids", async () => {
  const run = async (prompt: unknown): Promise<string[]> =>
    (await post({ prompt, temperature: 0, max_tokens: 5, logprobs: 0 })).choices.map((c) => c.logprobs.tokens.join());
  const [one] = await run("ab");
  const [two] = await run("cd");
  expect(one).not.toBe(two);
  expect(await run(["ab", "cd"])).toEqual([one, two]);
  expect(await run([97, 98])).toEqual([one]);
  expect(
    await run([
      [97, 98],
      [99, 100],
    ]),
  ).toEqual([one, two]);
  expect(await run("")).toEqual(await run([256]));
});

test("stop strings end the text, its tokens and the work", async () => {
  const text = "one\ntwo\nthree";
  const model = fakeModel((tokens) => text.charCodeAt(tokens.length - 1) || EOS);
  const scripted = createApp({ model: served(model) });
  const { choices, usage } = await post(
    { prompt: [0], stop: ["\nth", "unused"], max_tokens: 100, logprobs: 0 },
    scripted,
  );
  expect(choices[0]).toMatchObject({ text: "one\ntwo", finish_reason: "stop" });
  expect(choices[0]!.logprobs.tokens.join("")).toBe("one\ntwo");
  expect(choices[0]!.logprobs.text_offset).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(usage).toMatchObject({ completion_tokens: 10 });
  // the model is two tokens ahead of the text at most
  expect(model.counts.passes).toBeLessThanOrEqual(12);
  expect(underWay(model)).toBe(0);
});

test("a list of prompts is refused at the first that does not fit: those behind it are not encoded, and none at once with too many", async () => {
  const seen: number[] = [];
  const model = served(fakeModel(hashLogits));
  const { contextTokens } = model.engine.limits;
  const encoder: Encoder = {
    chat: () => Promise.reject(new Error("not asked")),
    texts: async (texts) => {
      seen.push(texts.length);
      return texts.map((text) => ({ ids: [], count: text === "long" ? contextTokens + 1 : 1 }));
    },
    close: async () => undefined,
  };
  const prompt = new Array<string>(2000).fill("short").with(100, "long");
  const answer = await createApp({ model: { ...model, encoder } }).request("/v1/completions", {
    method: "POST",
    body: JSON.stringify({ prompt }),
    headers: { "content-type": "application/json" },
  });
  expect([answer.status, await answer.json()]).toMatchObject([400, { error: { code: "context_length_exceeded" } }]);
  expect(seen).toEqual([64, 64]);
});

test("usage says how much of the prompts was remembered; of n answers the first to read counts", async () => {
  const model = fakeModel(hashLogits);
  const app = createApp({ model: served(model) });
  const prompt = Array.from({ length: 200 }, (_, i) => i);
  const ask = async (body: object) => (await post({ max_tokens: 4, temperature: 0, ...body }, app)).usage;
  expect(await ask({ prompt, n: 8 })).toMatchObject({
    prompt_tokens: 200,
    prompt_tokens_details: { cached_tokens: 0 },
  });
  expect(model.counts.tokens).toBe(200 + 8 * 3);
  const many = fakeModel(hashLogits);
  await post({ max_tokens: 2, temperature: 0, prompt, n: 100 }, createApp({ model: served(many) }));
  expect(many.counts.tokens).toBe(200 + 100);
  const again = await ask({ prompt: [prompt, prompt.slice(0, 100), [7, ...prompt]] });
  expect(again).toMatchObject({ prompt_tokens: 501, prompt_tokens_details: { cached_tokens: 192 + 96 } });
});
