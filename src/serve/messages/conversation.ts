/** Anthropic's messages, blocks, tools and switches as the chat's. */
import type { Block, CountRequest, MessagesRequest } from "./schema.ts";

type Texts = CountRequest["system"];

const textOf = (texts: Texts): string =>
  typeof texts === "string" ? texts : (texts ?? []).map(({ text }) => text).join("");

/** What the chat is asked; `more` are parameters that only an answer has. */
export function chatBody(request: CountRequest, more: Readonly<Record<string, unknown>> = {}): object {
  const { thinking, tools, tool_choice, output_config: config } = request;
  const alone = tool_choice && tool_choice.type !== "none" ? tool_choice.disable_parallel_tool_use : undefined;
  const system = request.system == null ? [] : [{ role: "system", content: textOf(request.system) }];
  return {
    ...more,
    model: request.model,
    messages: [...system, ...request.messages.flatMap(messagesOf)],
    ...(thinking == null ? {} : thinkingOf(thinking)),
    ...(config?.effort == null || thinking?.type === "disabled" ? {} : { reasoning_effort: config.effort }),
    ...(config?.format == null
      ? {}
      : { response_format: { type: "json_schema", json_schema: { name: "answer", schema: config.format.schema } } }),
    ...(tools == null ? {} : { tools: tools.map(toolOf) }),
    ...(tool_choice == null ? {} : { tool_choice: choiceOf(tool_choice) }),
    ...(alone == null ? {} : { parallel_tool_calls: !alone }),
  };
}

function thinkingOf(thinking: NonNullable<CountRequest["thinking"]>): object {
  const { type, budget_tokens, display } = { budget_tokens: null, display: null, ...thinking };
  return {
    thinking: { type, ...(budget_tokens == null ? {} : { budget_tokens }) },
    ...(display === "omitted" ? { reasoning: { exclude: true } } : {}),
  };
}

const toolOf = ({ name, description, input_schema, strict }: NonNullable<CountRequest["tools"]>[number]): object => ({
  type: "function",
  function: {
    name,
    parameters: input_schema,
    ...(description == null ? {} : { description }),
    ...(strict == null ? {} : { strict }),
  },
});

function choiceOf(choice: NonNullable<CountRequest["tool_choice"]>): unknown {
  if (choice.type === "tool") return { type: "function", function: { name: choice.name } };
  return choice.type === "any" ? "required" : choice.type;
}

/** One message may be several of the chat: results of tools stand before what is said with them. */
function messagesOf({ role, content }: MessagesRequest["messages"][number]): object[] {
  if (typeof content === "string") return [{ role, content }];
  const of = <Type extends Block["type"]>(type: Type) =>
    content.filter((block): block is Extract<Block, { type: Type }> => block.type === type);
  const text = textOf(of("text"));
  if (role === "assistant") {
    const thought = of("thinking").map(({ thinking }) => thinking);
    const calls = of("tool_use").map(({ id, name, input }) => ({
      id,
      type: "function",
      function: { name, arguments: JSON.stringify(input) },
    }));
    return [
      {
        role,
        content: text,
        ...(thought.length === 0 ? {} : { reasoning_content: thought.join("") }),
        ...(calls.length === 0 ? {} : { tool_calls: calls }),
      },
    ];
  }
  const results = of("tool_result").map((result) => ({
    role: "tool",
    tool_call_id: result.tool_use_id,
    // no template has a place for it
    content: `${result.is_error ? "Error: " : ""}${textOf(result.content)}`,
  }));
  return [...results, ...(text === "" && results.length > 0 ? [] : [{ role, content: text }])];
}
