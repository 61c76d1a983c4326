/** POST /v1/messages and /v1/messages/count_tokens: Anthropic's, translated into a chat and answered as a message or its events. */
import { ApiError } from "../../errors.ts";
import { type ChatPlan, planChat } from "../chat.ts";
import type { Plan, Planned, Work } from "../exchange.ts";
import { newId } from "../ids.ts";
import { renamed } from "../inner.ts";
import { type Part, type PartEvent, partsOf, Tally } from "../parts.ts";
import { parseChat } from "../schema.ts";
import { boundsOf, type ServedModel } from "../served.ts";
import { chatBody } from "./conversation.ts";

/** The chat's parameters by their names here. */
const NAMES = {
  max_completion_tokens: "max_tokens",
  reasoning_effort: "output_config.effort",
  response_format: "output_config.format",
  stop: "stop_sequences",
  tools: "tools",
  tool_choice: "tool_choice",
};

const planned = (body: object, served: ServedModel, signal: AbortSignal): Promise<ChatPlan> =>
  renamed(NAMES, () => planChat(parseChat(body, boundsOf(served)), served, signal));

/** What `/v1/messages` does with a request. */
export const planMessage: Plan<"messages"> = async (request, served, signal): Promise<Work> => {
  const { max_tokens, stop_sequences: stop, temperature, top_p, passed } = request;
  const more = { ...passed, max_completion_tokens: max_tokens, temperature, top_p, ...(stop == null ? {} : { stop }) };
  const plan = await planned(chatBody(request, more), served, signal);
  return {
    stream: request.stream ?? false,
    async whole(s) {
      const tally = new Tally();
      for await (const _ of partsOf(plan.answer(0, s).pieces, tally, plan.hidden));
      return messageOf(newId("msg", "_"), plan, served, tally);
    },
    chunks: (s) => messageEvents(plan, served, s),
  };
};

/** What `/v1/messages/count_tokens` answers. */
export const countTokens: Plan<"count"> = async (request, served, signal): Promise<Planned> => {
  const { prompt } = await planned(chatBody(request), served, signal);
  return { body: { input_tokens: prompt.length } };
};

/** Thoughts come back as they are; what would prove that they are ours is not needed. */
const SIGNATURE = "unsigned";

/** A part as a block, whole, or as it begins. */
function blockOf({ kind, text, call }: Part, begins = false): object {
  if (call) return { type: "tool_use", ...call, input: begins ? {} : (JSON.parse(text) as unknown) };
  if (kind === "text") return { type: "text", text: begins ? "" : text, citations: null };
  return { type: "thinking", thinking: begins ? "" : text, signature: begins ? "" : SIGNATURE };
}

/** What a message holds: all but a call that was cut off, which has no input. */
const wholeParts = ({ parts, finish }: Tally): readonly Part[] =>
  finish === "length" && parts.at(-1)?.call ? parts.slice(0, -1) : parts;

/** A message, whole, or without `tally` as it begins. */
const messageOf = (id: string, plan: ChatPlan, served: ServedModel, tally?: Tally): object => ({
  id,
  type: "message",
  role: "assistant",
  model: served.info.id,
  container: null,
  content: tally === undefined ? [] : wholeParts(tally).map((part) => blockOf(part)),
  stop_reason: tally === undefined ? null : stopReason(tally),
  stop_sequence: tally?.stop ?? null,
  stop_details: null,
  usage: usageOf(plan, tally),
});

const stopReason = ({ finish, stop }: Tally): string =>
  finish === "length"
    ? "max_tokens"
    : finish === "tool_calls"
      ? "tool_use"
      : stop === undefined
        ? "end_turn"
        : "stop_sequence";

/** `input_tokens` are those that were read; remembered ones stand apart. */
function usageOf(plan: ChatPlan, tally?: Tally): object {
  const cached = tally?.cached.total ?? 0;
  return {
    input_tokens: plan.prompt.length - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: tally?.drawn ?? 0,
    output_tokens_details: { thinking_tokens: tally?.reasoning ?? 0 },
  };
}

type MessageEvent = { type: string } & Record<string, unknown>;

/** The events of a message, in Anthropic's order and names. */
async function* messageEvents(
  plan: ChatPlan,
  served: ServedModel,
  signal: AbortSignal,
): AsyncGenerator<MessageEvent, void> {
  const tally = new Tally();
  yield { type: "message_start", message: messageOf(newId("msg", "_"), plan, served) };
  for await (const change of partsOf(plan.answer(0, signal).pieces, tally, plan.hidden)) yield* blockEvents(change);
  const delta = { stop_reason: stopReason(tally), stop_sequence: tally.stop ?? null, stop_details: null };
  yield { type: "message_delta", delta, usage: usageOf(plan, tally) };
  yield { type: "message_stop" };
}

function* blockEvents(change: PartEvent): Generator<MessageEvent> {
  const { index, kind } = change.part;
  const delta = (delta: object): MessageEvent => ({ type: "content_block_delta", index, delta });
  if (change.type === "open") yield { type: "content_block_start", index, content_block: blockOf(change.part, true) };
  else if (change.type === "more") {
    if (change.text !== "") yield delta(DELTAS[kind](change.text));
  } else {
    if (kind === "thought") yield delta({ type: "signature_delta", signature: SIGNATURE });
    yield { type: "content_block_stop", index };
  }
}

const DELTAS: Readonly<Record<Part["kind"], (text: string) => object>> = {
  thought: (thinking) => ({ type: "thinking_delta", thinking }),
  text: (text) => ({ type: "text_delta", text }),
  call: (partial_json) => ({ type: "input_json_delta", partial_json }),
};

/** The versions of the API that are spoken: what is new in the later one stands in answers to both. Throws ApiError 400 for another one. */
export function checkVersion(version: string | undefined): void {
  if (version === undefined || VERSIONS.includes(version)) return;
  throw new ApiError(
    400,
    `anthropic-version: expected ${VERSIONS.join(" or ")}, got '${version.slice(0, 100)}'`,
    "invalid_request_error",
    "invalid_value",
    "anthropic-version",
  );
}

const VERSIONS: readonly string[] = ["2023-06-01", "2026-10-21"];
