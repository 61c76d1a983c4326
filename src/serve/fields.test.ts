import { expect, test } from "vitest";
import { headerOf } from "./fields.ts";
import { parseChat, parseCompletion } from "./schema.ts";

const messages = [{ role: "user", content: "hi" }];

test.each<[string, object]>([
  ["dry_multiplier", { dry_multiplier: 0.8 }],
  ["xtc_probability", { xtc_probability: 0.5 }],
  ["typical_p", { typical_p: 0.9 }],
  ["verbosity", { verbosity: "low" }],
  ["best_of", { best_of: 4 }],
  ["top_logprobs", { top_logprobs: 3 }],
  ["stream_options", { stream_options: { include_usage: true } }],
  ["min_tokens", { min_tokens: 9, max_tokens: 8 }],
  ["messages", { messages: [{ role: "assistant", content: "a", prefix: true }, ...messages] }],
  ["messages[0].tool_calls", { messages: [{ role: "assistant", content: null, tool_calls: [{}] }, ...messages] }],
  ["continue_final_message", { continue_final_message: true }],
  ["add_generation_prompt", { add_generation_prompt: false }],
])("what would change the answer and is not done is refused: %s", (param, body) => {
  expect(() => parseChat({ messages, ...body })).toThrow(expect.objectContaining({ status: 400 }));
  try {
    parseChat({ messages, ...body });
  } catch (error) {
    expect((error as { param: string }).param).toContain(param);
  }
});

test("what is harmless passes, values that mean nothing too; the rest is named", () => {
  const harmless = { user: "me", metadata: {}, store: true, dry_multiplier: 0, typical_p: 1, verbosity: "medium" };
  expect(parseChat({ messages, ...harmless, prediction: null }).ignored).toEqual([]);
  expect(parseChat({ messages, ...harmless, colour: 1, tone: null, __proto__: { x: 1 } }).ignored).toEqual(["colour"]);
  expect(parseCompletion({ prompt: "a", colour: 1, best_of: 1, suffix: "" }).ignored).toEqual(["colour"]);
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${i}`, i]));
  expect(parseCompletion({ prompt: "a", ...many }).ignored).toHaveLength(32);
});

test("names become a header whatever they are", () => {
  expect(headerOf(["colour", "messages[].größe", "a\r\nx: y", "b,c d", "\ud800"])).toBe(
    "colour, messages[].gr??e, a??x:?y, b?c?d, ?",
  );
});
