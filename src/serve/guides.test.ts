import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { END_THINK, EOS, fakeModel, scriptModel, served } from "../../test/support/fake-model.ts";
import type { LanguageModel } from "../infer/index.ts";
import { createApp } from "./app.ts";
import { goesInCircles } from "./guides.ts";

const chat = async (model: LanguageModel, body: object): Promise<any> => {
  const app = createApp({ model: served(model) });
  const response = await app.request("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "q" }], temperature: 0, ...body }),
  });
  return { ...((await response.json()) as object), ignored: response.headers.get("x-sumbi-ignored") };
};
/** Thinks for ever; once the thought is closed it answers. */
const endless = (thought: (n: number) => string) =>
  fakeModel((tokens) => {
    const at = tokens.lastIndexOf(END_THINK);
    if (at >= 0) return [..."done."].map((c) => c.charCodeAt(0))[tokens.length - at - 1] ?? EOS;
    return thought(tokens.length).charCodeAt(0);
  });

describe("a thought", () => {
  test("ends at its budget, at the end of a sentence if one comes soon, and the answer follows", async () => {
    const model = endless((n) => (n % 10 === 0 ? "." : "x"));
    for (const [budget, most] of [
      [20, 25],
      [100, 125],
    ] as const) {
      const { choices, usage } = await chat(model, { thinking: { type: "enabled", budget_tokens: budget } });
      const { content, reasoning_content: thought } = choices[0].message;
      expect(content).toBe("done.");
      expect(thought.endsWith(".")).toBe(true);
      expect(thought.length).toBeGreaterThanOrEqual(budget);
      expect(thought.length).toBeLessThanOrEqual(most);
      expect(choices[0]).toMatchObject({ finish_reason: "stop", thinking_ended: "budget" });
      // the closing tag is one, the end of text another
      expect(usage.completion_tokens).toBe(thought.length + 1 + "done.".length + 1);
      expect(usage.completion_tokens_details.reasoning_tokens).toBe(thought.length + 1);
    }
  });
  test("of nothing ends at once", async () => {
    const { choices } = await chat(
      endless(() => "x"),
      { thinking: { type: "enabled" }, thinking_budget: 0 },
    );
    expect(choices[0].message).toEqual({ role: "assistant", content: "done.", refusal: null });
  });
  test("that goes in circles is ended; numbers that count up are not", async () => {
    const { choices } = await chat(
      endless((n) => "wait, "[n % 6]!),
      { enable_thinking: true, max_tokens: 400 },
    );
    expect(choices[0]).toMatchObject({ thinking_ended: "loop", message: { content: "done." } });
    const counting = endless(
      (n) =>
        Math.floor(n / 3)
          .toString(7)
          .padStart(3, "0")[n % 3]!,
    );
    const counted = await chat(counting, { enable_thinking: true, max_tokens: 400 });
    expect(counted.choices[0].finish_reason).toBe("length");
    expect(counted.choices[0].thinking_ended).toBeUndefined();
  });
  test("is counted and not sent where the request leaves it out", async () => {
    const model = scriptModel(() => "<think>so</think>yes");
    const { choices, usage } = await chat(model, { reasoning: { exclude: true }, logprobs: true });
    expect(choices[0].message).toEqual({ role: "assistant", content: "yes", refusal: null });
    expect(usage.completion_tokens_details.reasoning_tokens).toBe(4);
    expect(Object.keys(choices[0].logprobs)).toEqual(["content", "refusal"]);
  });
  test("has its log probabilities apart from the answer's", async () => {
    const { choices } = await chat(
      scriptModel(() => "<think>so</think>yes"),
      { logprobs: true, top_logprobs: 1 },
    );
    const text = (list: { token: string }[]) => list.map(({ token }) => token).join("");
    expect(text(choices[0].logprobs.content)).toBe("yes<eos>");
    expect(text(choices[0].logprobs.reasoning)).toBe("<think>so</think>");
  });
});

describe("an assistant's message at the end", () => {
  const model = fakeModel((tokens) => (tokens.length < 40 ? 65 + (tokens.length % 2) : EOS));
  const prompt = async (messages: object[], body: object = {}) => {
    const { choices, usage, error } = await chat(model, { messages, max_tokens: 4, ...body });
    return error
      ? error.param
      : [usage.prompt_tokens, choices[0].message.content, choices[0].message.reasoning_content];
  };
  const q = { role: "user", content: "q" };
  const asked = "<bos>user: q\n<assistant>".length - "<bos>".length - "<assistant>".length + 2;
  test("is gone on with, as answer or as thought", async () => {
    const [count, text] = await prompt([q, { role: "assistant", content: "It is" }]);
    expect(count).toBe(asked + "</think>It is".length - "</think>".length + 1);
    expect(text).toMatch(/^[AB]{4}$/);
    const [, none, thought] = await prompt([q, { role: "assistant", reasoning: "So" }]);
    expect([none, thought]).toEqual(["", expect.stringMatching(/^[AB]{4}$/)]);
    const [, both] = await prompt([q, { role: "assistant", content: "<think>So</think>It", prefix: true }]);
    expect(both).toMatch(/^[AB]{4}$/);
  });
  test("stays a turn of its own where that is asked", async () => {
    const [count] = await prompt([q, { role: "assistant", content: "It" }], { continue_final_message: false });
    expect(count).toBe("user: q\nassistant: It\n".length + 2);
  });
});

test("an answer has min_tokens at least, ignores the end of text, and ends at stop_token_ids", async () => {
  const early = fakeModel(() => EOS);
  const counts = async (body: object) => (await chat(early, { max_tokens: 6, ...body })).usage.completion_tokens;
  expect(await counts({})).toBe(1);
  expect(await counts({ min_tokens: 3 })).toBe(4);
  expect(await counts({ min_tokens: 6 })).toBe(6);
  expect(await counts({ ignore_eos: true })).toBe(6);
  const letters = fakeModel((tokens) => 60 + tokens.length);
  const { choices } = await chat(letters, { stop_token_ids: [80], max_tokens: 30 });
  expect(choices[0]).toMatchObject({ finish_reason: "stop" });
  expect(choices[0].message.content.endsWith(String.fromCharCode(79))).toBe(true);
  expect((await chat(letters, { stop_token_ids: [9999] })).error.param).toBe("stop_token_ids");
});

test("unknown parameters are named in a header", async () => {
  expect(
    (
      await chat(
        fakeModel(() => EOS),
        { colour: 1, user: "me" },
      )
    ).ignored,
  ).toBe("colour");
  const app = createApp({ model: served(fakeModel(() => EOS)), strict: true });
  const body = JSON.stringify({ prompt: "a", colour: 1 });
  const refused = await app.request("/v1/completions", { method: "POST", body });
  expect([refused.status, ((await refused.json()) as any).error]).toEqual([
    400,
    expect.objectContaining({ code: "unknown_parameter", param: "colour" }),
  ]);
});

test("circles are found at any period, and only circles", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 200 }), fc.array(fc.nat(50)), (circle, before) => {
      const turns = Math.ceil(Math.max(128, 4 * circle.length) / circle.length) + 1;
      expect(goesInCircles([...before, ...Array.from({ length: turns }, () => circle).flat()])).toBe(true);
    }),
  );
  const growing = Array.from({ length: 40 }, (_, n) => Array.from({ length: n }, (_, i) => i)).flat();
  expect(goesInCircles(growing)).toBe(false);
  expect(goesInCircles(new Array(127).fill(1))).toBe(false);
});
