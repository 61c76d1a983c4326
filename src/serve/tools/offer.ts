/** Which tools a request offers, and which of them must be called. */
import { invalidValue } from "../../errors.ts";
import type { ChatRequest } from "../schema.ts";
import type { Tool } from "./format.ts";

export interface Offer {
  readonly tools: readonly Tool[];
  /** A name: this one must be called. */
  readonly choice: "auto" | "required" | { readonly name: string };
  /** More than one call in an answer. */
  readonly parallel: boolean;
}

/** undefined: the model is to call none, and is told of none. Throws ApiError 400 for a choice that cannot be made. */
export function offerOf(request: ChatRequest): Offer | undefined {
  const choice = request.tool_choice ?? "auto";
  const tools = (request.tools ?? []).map(({ function: given }): Tool => {
    const { name, description, parameters, strict } = given;
    return {
      name,
      ...(description == null ? {} : { description }),
      parameters: parameters ?? { type: "object", properties: {} },
      ...(strict == null ? {} : { strict }),
    };
  });
  const names = new Set<string>();
  for (const [i, { name }] of tools.entries()) {
    if (names.has(name))
      throw invalidValue(
        `tools[${i}].function.name: expected a name of its own, got ${name} again`,
        `tools[${i}].function.name`,
      );
    names.add(name);
  }
  if (choice === "none") return undefined;
  if (tools.length === 0) {
    if (choice === "auto") return undefined;
    throw invalidValue("tool_choice: expected tools beside it, got none", "tool_choice");
  }
  if (typeof choice !== "string" && !names.has(choice.function.name))
    throw invalidValue(
      `tool_choice.function.name: expected one of ${[...names].slice(0, 20).join(", ")}, got ${choice.function.name}`,
      "tool_choice",
    );
  return {
    tools,
    choice: typeof choice === "string" ? choice : { name: choice.function.name },
    parallel: request.parallel_tool_calls !== false,
  };
}
