/** A conversation with tools as a chat template is given it: what is offered, calls as they were drawn, results. */
import { invalidValue } from "../../errors.ts";
import type { ChatMessage, WrittenPart } from "../../tokenizer/index.ts";
import { type ChatRequest, contentText } from "../schema.ts";
import type { ServedModel } from "../served.ts";
import { splitThought } from "../text.ts";
import type { Tool, ToolCall, ToolFormat } from "./format.ts";
import type { ToolSpeech } from "./formats.ts";
import type { CallMemory } from "./memory.ts";
import { textOf, writeCalls } from "./write.ts";

type Message = ChatRequest["messages"][number];

/** Throws ApiError 400 for a result of a call that the assistant's message before it did not make. */
export function checkResults(messages: readonly Message[]): void {
  let open: ReadonlySet<string> = new Set();
  for (const [i, message] of messages.entries()) {
    if (message.role === "assistant") open = new Set((message.tool_calls ?? []).map(({ id }) => id));
    else if (message.role !== "tool") open = new Set();
    else if (!open.has(message.tool_call_id)) {
      const param = `messages[${i}].tool_call_id`;
      throw invalidValue(
        `${param}: expected the id of a call that the assistant's message before it made (${[...open].slice(0, 8).join(", ") || "it made none"}), got ${message.tool_call_id.slice(0, 64)}`,
        param,
      );
    }
  }
}

/** Messages as a template is given them. `offered` are the tools that it does not show itself. */
export function templateMessages(
  messages: readonly Message[],
  { format, results }: ToolSpeech,
  offered: readonly Tool[],
  { calls: memory, tokenizer }: Pick<ServedModel, "calls" | "tokenizer">,
): ChatMessage[] {
  const written = (parts: readonly WrittenPart[]): Pick<ChatMessage, "content" | "written"> => ({
    content: textOf(parts, (ids) => tokenizer.decode(ids)),
    written: parts,
  });
  const names = new Map(messages.flatMap(callsOf).map(({ id, name }) => [id, name]));
  const out: ChatMessage[] = [];
  if (offered.length > 0) out.push({ role: "system", ...written(offerParts(messages[0], format, offered)) });
  for (const message of messages.slice(out.length > 0 && isSystem(messages[0]) ? 1 : 0)) {
    const last = out.at(-1);
    if (message.role !== "tool")
      out.push(
        templateMessage(message, format.tracked, (text, calls) => written(callParts(text, calls, format, memory))),
      );
    else if (results) {
      // templates ask by different names what a result is of
      const { content, tool_call_id } = message;
      out.push({ role: "tool", content: contentText(content), tool_call_id, name: names.get(tool_call_id) ?? "" });
    } else {
      const text = `<tool_response>\n${contentText(message.content)}\n</tool_response>`;
      if (last?.role === "user" && last.content.startsWith("<tool_response>")) last.content += `\n${text}`;
      else out.push({ role: "user", content: text });
    }
  }
  return out;
}

const isSystem = (message: Message | undefined): boolean => message?.role === "system" || message?.role === "developer";

function templateMessage(
  message: Exclude<Message, { role: "tool" }>,
  tracked: boolean | undefined,
  written: (answer: string, calls: readonly ToolCall[]) => Pick<ChatMessage, "content" | "written">,
): ChatMessage {
  const content = contentText(message.content);
  if (message.role !== "assistant") return { role: message.role === "developer" ? "system" : message.role, content };
  const apart = message.reasoning_content ?? message.reasoning ?? "";
  const calls = callsOf(message);
  if (calls.length === 0) return { role: "assistant", content, ...(apart ? { reasoning_content: apart } : {}) };
  // templates look for tags in the text, which they do not see here
  const { thought = apart, answer = "" } = apart ? { answer: content } : splitThought(content);
  return {
    role: "assistant",
    ...written(answer, calls),
    ...(tracked ? { tool_calls: [SOME_CALL] } : {}),
    ...(thought ? { reasoning_content: thought } : {}),
  };
}

/** What a template is told of calls that it need not write. */
const SOME_CALL = { id: "call", type: "function", function: { name: "call", arguments: "{}" } };

const callsOf = (message: Message): ToolCall[] =>
  message.role === "assistant" ? (message.tool_calls ?? []).map(({ id, function: called }) => ({ id, ...called })) : [];

/** Calls as they were drawn, where that is known; else as the model would write them. */
function callParts(
  content: string,
  calls: readonly ToolCall[],
  format: ToolFormat,
  memory: CallMemory | undefined,
): readonly WrittenPart[] {
  const ids = memory?.find(content, calls);
  const gap = content === "" ? "" : format.gap;
  const parts = ids ? [{ ids }] : [{ text: content + gap }, ...writeCalls(format, calls)];
  return format.tracked ? [...parts, { instead: [format.open, format.close] }] : parts;
}

/** The system message, with the tools described in it. */
function offerParts(first: Message | undefined, format: ToolFormat, tools: readonly Tool[]): WrittenPart[] {
  const said = isSystem(first) && first ? contentText(first.content) : "";
  return [{ text: said === "" ? "" : `${said}\n\n` }, ...describe(format, tools)];
}

/** Tools, and how to call them, in words. */
function describe(format: ToolFormat, tools: readonly Tool[]): WrittenPart[] {
  const example = writeCalls(format, [{ name: "NAME", arguments: '{"PARAMETER": "VALUE"}' }]);
  return [
    {
      text: `# Tools\n\nYou can call these functions. Each is described by its name, what it does and a JSON Schema of its arguments:\n\n${tools.map((tool) => JSON.stringify(shown(tool))).join("\n")}\n\nTo call one, write its name and its arguments in this form, and nothing after it but more calls:\n\n`,
    },
    ...example,
    { text: "\n\nThe result comes in the next message. Where no function helps, answer without calling one." },
  ];
}

/** A tool as templates expect it. */
export const shown = ({ name, description, parameters }: Tool): object => ({
  type: "function",
  function: { name, ...(description === undefined ? {} : { description }), parameters },
});
