// The clients that people use, unmodified, before a scripted model that calls tools.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { toolModel } from "../../../test/support/toolModels.ts";

const call = (name: string, given: object): string =>
  `<tool_call>\n{"name": "${name}", "arguments": ${JSON.stringify(given).replaceAll(":", ": ").replaceAll(",", ", ")}}\n</tool_call>`;
const CALLS = `${call("add", { a: 2, b: 3 })}\n${call("add", { a: 4, b: 5 })}`;

/** Thinks, calls twice, then says what came. */
const model = toolModel("qwen3", (prompt) => {
  const results = [...prompt.matchAll(/<tool_response>\n(.*)\n<\/tool_response>/g)].map(([, text]) => text);
  if (prompt.includes("as JSON")) return '{"sum": 5}';
  if (results.length > 0) return `<think>\nDone.\n</think>\n\nThe sums are ${results.join(" and ")}.`;
  return `<think>\nTwo sums.\n</think>\n\nLet me add.\n${CALLS}`;
});
afterAll(() => model.close());

const question = { role: "user" as const, content: "2+3 and 4+5?" };
const PARAMETERS = {
  type: "object",
  properties: { a: { type: "integer" }, b: { type: "integer" } },
  required: ["a", "b"],
  additionalProperties: false,
} as const;

describe("openai", () => {
  const client = new OpenAI({ baseURL: "http://127.0.0.1/v1", apiKey: "none", maxRetries: 0, fetch: model.fetch });
  const asked: object[] = [];
  const run = {
    model: "qwen3",
    messages: [question],
    tools: [
      {
        type: "function" as const,
        function: {
          name: "add",
          description: "Adds two numbers",
          parameters: PARAMETERS as object as Record<string, unknown>,
          strict: true,
          parse: JSON.parse,
          function: (given: { a: number; b: number }) => {
            asked.push(given);
            return String(given.a + given.b);
          },
        },
      },
    ],
  };

  test("runTools, whole and streamed", async () => {
    for (const stream of [false, true] as const) {
      asked.length = 0;
      const runner = stream
        ? client.chat.completions.runTools({ ...run, stream })
        : client.chat.completions.runTools({ ...run, stream });
      expect(await runner.finalContent()).toBe("The sums are 5 and 9.");
      expect(asked).toEqual([
        { a: 2, b: 3 },
        { a: 4, b: 5 },
      ]);
      expect(runner.messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "tool", "assistant"]);
      // the calls are in the next prompt as they were drawn
      expect(model.prompts.at(-1)?.text).toContain(`assistant\nLet me add.\n${CALLS}<|im_end|>`);
    }
  });
  test("the stream helper puts calls together, with their log probabilities apart from the text's", async () => {
    const { tools, ...rest } = run;
    const stream = client.chat.completions.stream({
      ...rest,
      tools: tools.map(({ function: { function: _, parse: __, ...told }, type }) => ({ type, function: told })),
      n: 2,
      logprobs: true,
      temperature: 0,
    });
    const { choices } = await stream.finalChatCompletion();
    for (const { message, finish_reason, logprobs } of choices) {
      expect(finish_reason).toBe("tool_calls");
      expect(message.content).toBe("Let me add.");
      expect(message.tool_calls?.map((one) => one.type === "function" && one.function.arguments)).toEqual([
        '{"a": 2, "b": 3}',
        '{"a": 4, "b": 5}',
      ]);
      expect(logprobs?.content?.map(({ token }) => token).join("")).toBe("\n\nLet me add.");
    }
  });
});

describe("the AI SDK", () => {
  const provider = createOpenAICompatible({ name: "sumbi", baseURL: "http://127.0.0.1/v1", fetch: model.fetch });
  const add = tool({
    description: "Adds two numbers",
    inputSchema: jsonSchema<{ a: number; b: number }>(PARAMETERS as never),
    execute: async ({ a, b }) => a + b,
  });
  const options = { model: provider("qwen3"), tools: { add }, stopWhen: stepCountIs(4), prompt: question.content };

  test("generateText goes through its steps", async () => {
    const { text, steps, reasoningText } = await generateText(options);
    expect(text).toBe("The sums are 5 and 9.");
    expect(steps.map(({ finishReason }) => finishReason)).toEqual(["tool-calls", "stop"]);
    expect(steps[0]?.toolResults.map(({ output }) => output)).toEqual([5, 9]);
    expect(reasoningText).toBe("Done.");
  });
  test("streamText too, with arguments as they come", async () => {
    const { fullStream } = streamText(options);
    const kinds = new Map<string, number>();
    let text = "";
    for await (const part of fullStream) {
      kinds.set(part.type, (kinds.get(part.type) ?? 0) + 1);
      if (part.type === "text-delta") text += part.text;
    }
    expect(text).toBe("Let me add.The sums are 5 and 9.");
    expect(kinds.get("tool-call")).toBe(2);
    expect(kinds.get("tool-input-delta")).toBeGreaterThan(6);
    expect(kinds.get("error")).toBeUndefined();
  });
  test("an answer of a schema beside tools", async () => {
    const strict = createOpenAICompatible({
      name: "sumbi",
      baseURL: "http://127.0.0.1/v1",
      fetch: model.fetch,
      supportsStructuredOutputs: true,
    });
    const { output } = await generateText({
      ...options,
      model: strict("qwen3"),
      prompt: "2+3 as JSON",
      output: Output.object({ schema: z.object({ sum: z.number() }) }),
    });
    expect(output).toEqual({ sum: 5 });
  });
});
