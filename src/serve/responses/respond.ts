/** POST /v1/responses: translated into a chat, answered as a response object or as its events. */
import { ApiError } from "../../errors.ts";
import { type ChatPlan, planChat } from "../chat.ts";
import type { Plan, Work } from "../exchange.ts";
import { newId } from "../ids.ts";
import { renamed } from "../inner.ts";
import { type Part, type PartEvent, partsOf, Tally } from "../parts.ts";
import { parseChat } from "../schema.ts";
import { boundsOf, type ServedModel } from "../served.ts";
import type { WrittenToken } from "../write.ts";
import { itemsOf, messagesOf } from "./conversation.ts";
import type { OutputItem, ResponseMemory } from "./memory.ts";
import type { Item, ResponsesRequest } from "./schema.ts";

/** The chat's parameters by their names here. */
const NAMES = {
  messages: "input",
  max_completion_tokens: "max_output_tokens",
  reasoning_effort: "reasoning.effort",
  response_format: "text.format",
  tools: "tools",
  tool_choice: "tool_choice",
};

/** A request of this door as one of the chat. */
const chatBody = (request: ResponsesRequest, items: readonly Item[]): object => {
  const { instructions, text, tools, tool_choice, top_logprobs, include } = request;
  const logprobs = (include?.includes("message.output_text.logprobs") ?? false) || (top_logprobs ?? 0) > 0;
  return {
    ...request.passed,
    model: request.model,
    messages: [...(instructions == null ? [] : [{ role: "system", content: instructions }]), ...messagesOf(items)],
    max_completion_tokens: request.max_output_tokens,
    temperature: request.temperature,
    top_p: request.top_p,
    truncation: request.truncation,
    ...(request.reasoning?.effort == null ? {} : { reasoning_effort: request.reasoning.effort }),
    ...(text?.format == null ? {} : { response_format: formatOf(text.format) }),
    ...(logprobs ? { logprobs, top_logprobs: top_logprobs ?? 0 } : {}),
    ...(tools == null ? {} : { tools: tools.map(({ type, ...called }) => ({ type, function: called })) }),
    ...(tool_choice == null ? {} : { tool_choice: choiceOf(tool_choice) }),
    ...(request.parallel_tool_calls == null ? {} : { parallel_tool_calls: request.parallel_tool_calls }),
  };
};

type Format = NonNullable<NonNullable<ResponsesRequest["text"]>["format"]>;
function formatOf(format: Format): object {
  if (format.type !== "json_schema") return format;
  const { type, ...json_schema } = format;
  return { type, json_schema };
}

const choiceOf = (choice: NonNullable<ResponsesRequest["tool_choice"]>): unknown =>
  typeof choice === "string" ? choice : { type: choice.type, function: { name: choice.name } };

/** What `/v1/responses` does with a request. Throws ApiError in the door's own names. */
export const planResponse =
  (memory: ResponseMemory): Plan<"responses"> =>
  async (request, served, signal): Promise<Work> => {
    const items = [...earlier(request.previous_response_id, memory), ...itemsOf(request, memory)];
    const plan = await renamed(NAMES, () =>
      planChat(parseChat(chatBody(request, items), boundsOf(served)), served, signal),
    );
    const events = (s: AbortSignal) =>
      responseEvents(request, plan, served, s, (response) => {
        if (request.store ?? true) memory.put({ response, items: [...items, ...response.output] });
      });
    return {
      stream: request.stream ?? false,
      async whole(s) {
        let last: ResponseObject | undefined;
        for await (const event of events(s)) if ("response" in event) last = event.response as ResponseObject;
        if (last === undefined) throw new Error("responses: an answer without a last event");
        return last;
      },
      chunks: events,
    };
  };

function earlier(id: string | null | undefined, memory: ResponseMemory): readonly Item[] {
  if (id == null) return [];
  const found = memory.get(id);
  if (found !== undefined) return found.items;
  throw new ApiError(
    400,
    `previous_response_id: expected a stored response, got '${id.slice(0, 100)}': it was not stored, or is forgotten; send the conversation as input`,
    "invalid_request_error",
    "previous_response_not_found",
    "previous_response_id",
  );
}

interface ResponseObject {
  id: string;
  status: "in_progress" | "completed" | "incomplete";
  output: OutputItem[];
}

/** The response as it stands. */
function responseOf(
  request: ResponsesRequest,
  plan: ChatPlan,
  served: ServedModel,
  id: string,
  output: OutputItem[],
  tally?: Tally,
): ResponseObject {
  const cut = tally?.finish === "length";
  return Object.assign(
    {
      id,
      object: "response",
      created_at: plan.created,
      status: tally === undefined ? "in_progress" : cut ? "incomplete" : ("completed" as const),
      background: false,
      error: null,
      incomplete_details: cut ? { reason: "max_output_tokens" } : null,
      instructions: request.instructions ?? null,
      max_output_tokens: request.max_output_tokens ?? null,
      metadata: request.metadata ?? {},
      model: served.info.id,
      output,
      parallel_tool_calls: request.parallel_tool_calls ?? true,
      previous_response_id: request.previous_response_id ?? null,
      reasoning: { effort: request.reasoning?.effort ?? null, summary: null },
      store: request.store ?? true,
      temperature: plan.sampling.temperature,
      text: { format: request.text?.format ?? { type: "text" } },
      tool_choice: request.tool_choice ?? "auto",
      tools: request.tools ?? [],
      top_logprobs: request.top_logprobs ?? 0,
      top_p: plan.sampling.topP,
      truncation: request.truncation ?? "disabled",
      usage: tally === undefined ? null : usageOf(plan, tally),
    } as const,
    plan.dropped > 0 ? { dropped_messages: plan.dropped } : {},
  );
}

const usageOf = (plan: ChatPlan, { drawn, reasoning, cached }: Tally): object => ({
  input_tokens: plan.prompt.length,
  input_tokens_details: { cached_tokens: cached.total },
  output_tokens: drawn,
  output_tokens_details: { reasoning_tokens: reasoning },
  total_tokens: plan.prompt.length + drawn,
});

type ResponseEvent = { type: string; sequence_number: number } & Record<string, unknown>;

/** The events of a response, in OpenAI's order and names. `done` is given what became of it. */
async function* responseEvents(
  request: ResponsesRequest,
  plan: ChatPlan,
  served: ServedModel,
  signal: AbortSignal,
  done: (response: ResponseObject) => void,
): AsyncGenerator<ResponseEvent, void> {
  const id = newId("resp", "_");
  const output: OutputItem[] = [];
  const tally = new Tally();
  let sequence = 0;
  const event = (type: string, more: object): ResponseEvent => ({ type, sequence_number: sequence++, ...more });
  const begun = responseOf(request, plan, served, id, []);
  yield event("response.created", { response: begun });
  yield event("response.in_progress", { response: begun });
  const { pieces } = plan.answer(0, signal);
  const writers = new Map<Part, PartWriter>();
  for await (const change of partsOf(pieces, tally, plan.hidden)) {
    const { part } = change;
    const writer = writers.get(part) ?? new PartWriter(part, plan);
    writers.set(part, writer);
    for (const { type, ...more } of writer.events(change, tally.finish === "length"))
      yield event(type, { output_index: part.index, ...more });
    if (change.type === "close") output.push(writer.item(tally.finish === "length" ? "incomplete" : "completed"));
  }
  const response = responseOf(request, plan, served, id, output, tally);
  done(response);
  yield event(response.status === "incomplete" ? "response.incomplete" : "response.completed", { response });
}

type PartEvents = Generator<{ type: string } & Record<string, unknown>>;

/** One part as an item of the output, and its events. */
class PartWriter {
  readonly #id: string;

  constructor(
    private readonly part: Part,
    private readonly plan: ChatPlan,
  ) {
    this.#id = newId({ thought: "rs", text: "msg", call: "fc" }[part.kind], "_");
  }

  *events(change: PartEvent, cut: boolean): PartEvents {
    if (change.type === "open") yield { type: "response.output_item.added", item: this.#item("in_progress") };
    yield* this.part.call === undefined ? this.#texts(change) : this.#arguments(change, this.part.call.name);
    if (change.type === "close")
      yield { type: "response.output_item.done", item: this.item(cut ? "incomplete" : "completed") };
  }

  *#texts(change: PartEvent): PartEvents {
    const { kind, text, tokens } = this.part;
    const of = { item_id: this.#id, content_index: 0 };
    const name = kind === "thought" ? "reasoning_text" : "output_text";
    if (change.type === "open") yield { type: "response.content_part.added", ...of, part: this.#content("", []) };
    else if (change.type === "more")
      yield { type: `response.${name}.delta`, ...of, delta: change.text, ...this.#logprobs(change.tokens) };
    else {
      yield { type: `response.${name}.done`, ...of, text, ...this.#logprobs(tokens) };
      yield { type: "response.content_part.done", ...of, part: this.#content(text, tokens) };
    }
  }

  *#arguments(change: PartEvent, name: string): PartEvents {
    const item_id = this.#id;
    if (change.type === "more") yield { type: "response.function_call_arguments.delta", item_id, delta: change.text };
    else if (change.type === "close")
      yield { type: "response.function_call_arguments.done", item_id, name, arguments: this.part.text };
  }

  item(status: "completed" | "incomplete"): OutputItem {
    return this.#item(status, [this.#content(this.part.text, this.part.tokens)]);
  }

  #item(status: string, content: object[] = []): OutputItem {
    const { kind, call, text } = this.part;
    const item = call
      ? { type: "function_call", call_id: call.id, name: call.name, arguments: text, status }
      : kind === "thought"
        ? { type: "reasoning", summary: [], content, status }
        : { type: "message", role: "assistant", content, status };
    return { id: this.#id, ...item } as unknown as OutputItem;
  }

  #content(text: string, tokens: readonly WrittenToken[]): object {
    return this.part.kind === "thought"
      ? { type: "reasoning_text", text }
      : { type: "output_text", text, annotations: [], ...this.#logprobs(tokens) };
  }

  #logprobs(tokens: readonly WrittenToken[]): { logprobs?: unknown } {
    if (this.part.kind === "thought") return {};
    const told = this.plan.logprobs([...tokens]) as { content: unknown } | null;
    return { logprobs: told?.content ?? [] };
  }
}
