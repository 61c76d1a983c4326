import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { scriptModel, served } from "../../../test/support/fake-model.ts";
import { createApp } from "../app.ts";

const TOOLS = [
  {
    type: "function" as const,
    function: {
      name: "weather",
      description: "The weather of a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const user = (content: string) => [{ role: "user" as const, content }];

/** A client of a server whose model writes what the script says to what it is given. */
function clientOf(script: (prompt: string) => string, options: { contextTokens?: number } = {}) {
  const app = createApp({ model: served(scriptModel(script, { contextTokens: 4096, ...options })) });
  return new OpenAI({
    baseURL: "http://127.0.0.1/v1",
    apiKey: "none",
    maxRetries: 0,
    fetch: async (url, init) => app.request(String(url), init as RequestInit),
  });
}

const CALL = '<tool_call>[{"name": "weather", "arguments": {"city": "Jeju"}}]</tool_call>';

describe("a model that is told of tools", () => {
  const script = (prompts: string[]) => (prompt: string) => {
    prompts.push(prompt);
    return prompt.includes("tool_response") ? "It rains." : `<think>hm</think>Let me see.\n${CALL}`;
  };
  const ask = { model: "fake", tools: TOOLS, temperature: 0 };
  const made = { type: "function", function: { name: "weather", arguments: '{"city": "Jeju"}' } };

  test("calls them, and is given what it wrote and the results", async () => {
    const prompts: string[] = [];
    const client = clientOf(script(prompts));
    const first = await client.chat.completions.create({ ...ask, messages: user("Jeju?") });
    const [choice] = first.choices;
    expect(choice?.finish_reason).toBe("tool_calls");
    expect(choice?.message.content).toBe("Let me see.");
    expect(choice?.message.tool_calls).toEqual([{ id: expect.stringMatching(/^call_\w{24}$/), ...made }]);
    expect(prompts.at(-1)).toContain('"name":"weather"');
    const [call] = choice?.message.tool_calls ?? [];
    const second = await client.chat.completions.create({
      ...ask,
      messages: [...user("Jeju?"), choice!.message, { role: "tool", tool_call_id: call!.id, content: "rain" }],
    });
    expect(second.choices[0]).toMatchObject({ finish_reason: "stop", message: { content: "It rains." } });
    expect(prompts.at(-1)).toContain(`assistant: Let me see.\n${CALL}\nuser: <tool_response>\nrain\n</tool_response>`);
  });
  test("streams them", async () => {
    const stream = clientOf(script([])).chat.completions.stream({ ...ask, messages: user("Jeju?") });
    const pieces: string[] = [];
    stream.on("tool_calls.function.arguments.delta", ({ arguments_delta: text }) => pieces.push(text));
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { content: "Let me see.", tool_calls: [made] },
    });
    expect(pieces.length).toBeGreaterThan(10);
  });
  test("is told of none where none is to be called", async () => {
    const prompts: string[] = [];
    const client = clientOf(script(prompts));
    const { choices } = await client.chat.completions.create({ ...ask, messages: user("Jeju?"), tool_choice: "none" });
    expect(choices[0]).toMatchObject({ finish_reason: "stop", message: { content: `Let me see.\n${CALL}` } });
    expect(prompts.at(-1)).toBe("user: Jeju?\n");
  });
});
