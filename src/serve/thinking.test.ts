import { describe, expect, test } from "vitest";
import { parseChat } from "./schema.ts";
import { type Thinking, thinkingOf } from "./thinking.ts";

const messages = [{ role: "user", content: "hi" }];
const model = { reasons: true, template: "{{ thinking }} {{ reasoning_effort }} {{ style }}" };
const of = (body: object, of = model): Thinking => thinkingOf(parseChat({ messages, ...body }), of, 1000);

describe("the switch, in every spelling", () => {
  test.each<[object, boolean | undefined]>([
    [{}, undefined],
    [{ thinking: { type: "enabled" } }, true],
    [{ thinking: { type: "adaptive" } }, true],
    [{ thinking: { type: "disabled" } }, false],
    [{ enable_thinking: false }, false],
    [{ chat_template_kwargs: { thinking: true } }, true],
    [{ chat_template_kwargs: { enable_thinking: false } }, false],
    [{ reasoning_effort: "none" }, false],
    [{ reasoning_effort: "high" }, true],
    [{ reasoning: { effort: "low" } }, true],
    [{ reasoning: { enabled: false } }, false],
    [{ reasoning: { exclude: true } }, undefined],
    [{ enable_thinking: true, reasoning_effort: "max", thinking: { type: "enabled" } }, true],
  ])("%j is %s", (body, on) => {
    expect(of(body).on).toBe(on);
  });
  test.each([
    [{ enable_thinking: true, reasoning_effort: "none" }],
    [{ thinking: { type: "disabled" }, reasoning: { enabled: true } }],
    [{ reasoning_effort: "low", reasoning: { effort: "high" } }],
    [{ thinking_budget: 5, reasoning: { max_tokens: 6 } }],
    [{ chat_template_kwargs: { thinking: "yes" } }],
  ])("a contradiction is refused: %j", (body) => {
    expect(() => of(body)).toThrow(/expected/);
  });
});

test("a model that does not think cannot be told to", () => {
  const plain = { reasons: false, template: "{{ messages }}" };
  expect(() => of({ reasoning_effort: "low" }, plain)).toThrow(/does not think/);
  expect(of({ reasoning_effort: "none" }, plain).on).toBe(false);
});

test.each<[object, number | undefined]>([
  [{ thinking_budget: 7 }, 7],
  [{ thinking_token_budget: 0 }, 0],
  [{ thinking_budget_tokens: 7, reasoning: { max_tokens: 7 } }, 7],
  [{ thinking: { type: "enabled", budget_tokens: 9 } }, 9],
  [{ reasoning_effort: "low" }, 250],
  [{ reasoning_effort: "medium" }, 500],
  [{ reasoning_effort: "high" }, undefined],
  [{ reasoning_effort: "low", thinking_budget: 3 }, 3],
])("the budget of %j is %s", (body, budget) => {
  expect(of(body).budget).toBe(budget);
});

test("variables that the template reads reach it; others are refused", () => {
  expect(of({ reasoning_effort: "low", chat_template_kwargs: { style: "dry", thinking: true } }).variables).toEqual({
    style: "dry",
    reasoning_effort: "low",
  });
  expect(() => of({ chat_template_kwargs: { tone: 1 } })).toThrow(/chat_template_kwargs.tone/);
  expect(() => of({ chat_template_kwargs: { messages: [] } })).toThrow(/chat_template_kwargs.messages/);
  expect(() => of({ chat_template_kwargs: { "st.le": 1 } })).toThrow(/chat_template_kwargs/);
});
