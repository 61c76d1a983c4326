import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { bytesTokenizer, EOS, fakeModel, hashLogits, served, stateOf } from "../../test/support/fake-model.ts";
import { createApp } from "./app.ts";

const app = createApp({ model: served(fakeModel(hashLogits, { contextTokens: 64 })) });
const client = new OpenAI({
  baseURL: "http://127.0.0.1/v1",
  apiKey: "none",
  maxRetries: 0,
  fetch: async (url, init) => app.request(String(url), init as RequestInit),
});
const lastOf = (tokens: readonly number[]): number[] => {
  const state = stateOf(tokens);
  return state.map((x) => Math.fround(x / Math.hypot(...state)));
};
const post = async (
  body: object,
): Promise<{ data: { embedding: unknown }[]; error?: { param: string; code: string } }> =>
  (await app.request("/v1/embeddings", { method: "POST", body: JSON.stringify(body) })).json();

describe("the official client", () => {
  test("gets vectors of length 1, whose kind the answer says", async () => {
    const answer = await client.embeddings.create({ model: "fake", input: "hé" });
    expect(answer).toMatchObject({
      object: "list",
      model: "fake",
      pooling: "mean",
      data: [{ object: "embedding", index: 0 }],
      usage: { prompt_tokens: 3, total_tokens: 3 },
    });
    const [{ embedding }] = answer.data as [OpenAI.Embedding];
    expect(embedding).toHaveLength(4);
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 6);
  });

  test("of many texts, of token ids; as numbers or in base64", async () => {
    const texts = Array.from({ length: 70 }, (_, i) => "x".repeat(1 + (i % 20)));
    const of = (input: OpenAI.EmbeddingCreateParams["input"], encoding_format?: "float" | "base64") =>
      client.embeddings.create({ model: "fake", input, encoding_format, ...{ pooling: "last" } });
    const { data, usage } = await of(texts);
    expect(data.map(({ index }) => index)).toEqual(texts.map((_, i) => i));
    expect(data.map(({ embedding }) => embedding)).toEqual(texts.map((text) => lastOf(bytesTokenizer.encode(text))));
    expect(usage.prompt_tokens).toBe(texts.join("").length);
    expect((await of([7, 8, 9])).data[0]!.embedding).toEqual(lastOf([7, 8, 9]));
    expect((await of([[7], [8, EOS]], "float")).data[1]!.embedding).toEqual(lastOf([8, EOS]));
    const raw = Buffer.from(
      (await post({ input: [7], pooling: "last", encoding_format: "base64" })).data[0]!.embedding as string,
      "base64",
    );
    expect([0, 4, 8, 12].map((at) => raw.readFloatLE(at))).toEqual(lastOf([7]));
  });

  test("marks of control in a text are text", async () => {
    const { usage } = await client.embeddings.create({ model: "fake", input: "<eos>" });
    expect(usage.prompt_tokens).toBe(5);
  });
});

test.each<[object, string]>([
  [{}, "input"],
  [{ input: "" }, "input"],
  [{ input: [] }, "input"],
  [{ input: [[]] }, "input[0]"],
  [{ input: ["a", 1] }, "input"],
  [{ input: [999] }, "input"],
  [{ input: { a: 1 } }, "input"],
  [{ input: "x".repeat(999) }, "input"],
  [{ input: "x".repeat(65) }, "input"],
  [{ input: "x", dimensions: 2 }, "dimensions"],
  [{ input: "x", encoding_format: "int8" }, "encoding_format"],
  [{ input: "x", pooling: "max" }, "pooling"],
  [{ input: "x", model: "other" }, "model"],
  [{ input: "x", truncate_prompt_tokens: 5 }, "truncate_prompt_tokens"],
])("%j is refused", async (body, param) => {
  expect((await post(body)).error).toMatchObject({ param });
});

test("the size of the vectors may be said", async () => {
  expect((await post({ input: "x", dimensions: 4 })).data).toHaveLength(1);
});

test("a model that does not tell gives none, and says so", async () => {
  const silent = createApp({ model: served({ ...fakeModel(hashLogits), hiddenSize: undefined }) });
  const response = await silent.request("/v1/embeddings", { method: "POST", body: JSON.stringify({ input: "x" }) });
  expect([response.status, (await response.json()) as object]).toMatchObject([400, { error: { param: "model" } }]);
});
