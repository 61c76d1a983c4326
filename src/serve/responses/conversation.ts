/** Items of a conversation, and what they are as messages of the chat. */
import { invalidValue } from "../../errors.ts";
import type { ResponseMemory } from "./memory.ts";
import type { Item, ResponsesRequest } from "./schema.ts";

/** A message as the chat's own requests have it. */
export interface InnerMessage {
  role: string;
  content: unknown;
  reasoning_content?: string;
  tool_calls?: object[];
  tool_call_id?: string;
}

/** A thought, text and calls that follow each other are one message of the assistant. */
export function messagesOf(items: readonly Item[]): InnerMessage[] {
  const messages: InnerMessage[] = [];
  /** The assistant's message that is going on, if it has room for such a part. */
  const assistant = (has: (message: InnerMessage) => boolean): InnerMessage => {
    const last = messages.at(-1);
    if (last?.role === "assistant" && !has(last)) return last;
    const message: InnerMessage = { role: "assistant", content: null };
    messages.push(message);
    return message;
  };
  for (const item of items) {
    if (item.type === "reasoning") {
      const parts = item.content?.length ? item.content : (item.summary ?? []);
      const message = assistant(
        (m) => m.content !== null || m.tool_calls !== undefined || m.reasoning_content !== undefined,
      );
      message.reasoning_content = parts.map((part) => part.text).join("");
    } else if (item.type === "function_call") {
      const message = assistant(() => false);
      const { call_id, name, arguments: args } = item;
      (message.tool_calls ??= []).push({ id: call_id, type: "function", function: { name, arguments: args } });
    } else if (item.type === "function_call_output")
      messages.push({ role: "tool", tool_call_id: item.call_id, content: item.output });
    else if (item.role === "assistant")
      assistant((m) => m.content !== null || m.tool_calls !== undefined).content = item.content;
    else messages.push({ role: item.role, content: item.content });
  }
  return messages;
}

/** The request's own items, references resolved. Throws ApiError 400 for one to what is not known. */
export function itemsOf({ input }: ResponsesRequest, memory: ResponseMemory): Item[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  return input.map((item, i) => (item.type === "item_reference" ? resolved(item.id, i, memory) : item));
}

function resolved(id: string, i: number, memory: ResponseMemory): Item {
  const found = memory.item(id);
  if (found !== undefined) return found;
  throw invalidValue(
    `input[${i}].id: expected an item of a stored response, got '${id.slice(0, 100)}': it was not stored, or is forgotten; send the item itself`,
    `input[${i}].id`,
  );
}
