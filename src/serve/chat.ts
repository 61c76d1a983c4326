/** POST /v1/chat/completions: a request planned, answered whole or in pieces. */
import { ApiError, SumbiError } from "../errors.ts";
import type { ChatMessage } from "../tokenizer/index.ts";
import { checkLeast } from "./bounds.ts";
import type { Encoder } from "./encoder.ts";
import { answerRoom, keepNewest } from "./history.ts";
import { interleave } from "./interleave.ts";
import type { ChatRequest } from "./schema.ts";
import { checkChoices, contentText, leastOf, thinkingOf } from "./schema.ts";
import {
  AnswerSize,
  boundsOf,
  CachedTokens,
  checkModel,
  encoderOf,
  maxTokensFor,
  newId,
  nowSeconds,
  type ServedModel,
  samplingsOf,
  stopsOf,
  usageOf,
} from "./served.ts";
import { tokenBytes, tokenText } from "./tokens.ts";
import { type Piece, type WrittenToken, writeText } from "./write.ts";

type Message = ChatRequest["messages"][number];

export interface ChatPlan {
  id: string;
  created: number;
  prompt: number[];
  n: number;
  /** Messages, the oldest, that were left out for want of room (only where the request allows it). */
  dropped: number;
  answer(index: number, signal: AbortSignal): AsyncGenerator<Piece, void>;
  logprobs(tokens: WrittenToken[]): unknown;
}

/** Everything that can be refused is refused here, before the first token. */
export async function planChat(request: ChatRequest, served: ServedModel, signal?: AbortSignal): Promise<ChatPlan> {
  const { engine, tokenizer } = served;
  checkModel(request.model, served);
  const n = request.n ?? 1;
  checkChoices(1, n);
  const asked = request.max_completion_tokens ?? request.max_tokens;
  const bounds = boundsOf(served);
  const { contextTokens } = bounds;
  const encode = (messages: readonly Message[]): ReturnType<Encoder["chat"]> =>
    encodeMessages(messages, request, served, signal);
  const fits = async (messages: readonly Message[]): Promise<boolean> =>
    leastOf(messages, bounds) <= contextTokens &&
    (await encode(messages)).count + (asked ?? answerRoom(contextTokens)) <= contextTokens;
  const { messages, dropped } =
    request.truncation === "auto"
      ? await keepNewest(request.messages, fits)
      : { messages: request.messages, dropped: 0 };
  checkLeast(leastOf(messages, bounds), bounds, "messages");
  const { ids: prompt, count, opensThought: inThought } = await encode(messages);
  const maxTokens = maxTokensFor(count, asked, served, "messages");
  const sampling = samplingsOf(request, served);
  const top = request.logprobs ? (request.top_logprobs ?? 0) : undefined;
  const stop = stopsOf(request);
  return {
    id: newId("chatcmpl"),
    created: nowSeconds(),
    prompt,
    n,
    dropped,
    answer(index, signal) {
      const generate = { prompt, maxTokens, sampling: sampling(index), stopIds: tokenizer.eosIds, logprobs: top };
      return writeText(engine.generate(generate, signal), tokenizer, { stop, split: { inThought } });
    },
    logprobs(tokens) {
      if (top === undefined) return null;
      const entry = (id: number, logprob: number) => ({
        token: tokenText(tokenizer, id),
        logprob,
        bytes: Array.from(tokenBytes(tokenizer, id)),
      });
      return {
        content: tokens.map((t) => ({
          ...entry(t.id, t.logprob!),
          top_logprobs: t.top!.map((x) => entry(x.id, x.logprob)),
        })),
        refusal: null,
      };
    },
  };
}

/** Messages as the model reads them. Throws ApiError 400 when its template cannot use them. */
async function encodeMessages(
  messages: readonly Message[],
  request: ChatRequest,
  served: ServedModel,
  signal: AbortSignal | undefined,
): ReturnType<Encoder["chat"]> {
  try {
    return await encoderOf(served).chat(
      messages.map(templateMessage),
      { addGenerationPrompt: true, thinking: thinkingOf(request), mostTokens: served.engine.limits.contextTokens },
      signal,
    );
  } catch (error) {
    if (!(error instanceof SumbiError) || error instanceof ApiError) throw error;
    throw new ApiError(
      400,
      `messages: the model's chat template cannot use them: ${error.message}`,
      "invalid_request_error",
      "invalid_value",
      "messages",
    );
  }
}

function templateMessage(message: Message): ChatMessage {
  const content = contentText(message.content);
  if (message.role !== "assistant") return { role: message.role === "developer" ? "system" : message.role, content };
  return {
    role: "assistant",
    content,
    ...(message.reasoning_content ? { reasoning_content: message.reasoning_content } : {}),
  };
}

/** A whole answer: the body of a `chat.completion`. */
export async function chat(plan: ChatPlan, served: ServedModel, signal: AbortSignal): Promise<object> {
  let completionTokens = 0;
  let reasoningTokens = 0;
  const cached = new CachedTokens();
  const size = new AnswerSize();
  const choices = await Promise.all(
    Array.from({ length: plan.n }, async (_, index) => {
      let content = "";
      let reasoning = "";
      let finish: string | undefined;
      const tokens: WrittenToken[] = [];
      for await (const piece of plan.answer(index, signal)) {
        content += piece.content;
        reasoning += piece.reasoning;
        cached.see(0, piece.tokens);
        for (const token of piece.tokens) {
          tokens.push(token);
          size.add(1, token.top?.length);
        }
        finish = piece.finish;
      }
      completionTokens += tokens.length;
      reasoningTokens += tokens.filter((t) => t.thought).length;
      return {
        index,
        message: {
          role: "assistant",
          content,
          refusal: null,
          ...(reasoning === "" ? {} : { reasoning_content: reasoning, reasoning }),
        },
        logprobs: plan.logprobs(tokens),
        finish_reason: finish,
      };
    }),
  );
  return {
    id: plan.id,
    object: "chat.completion",
    created: plan.created,
    model: served.info.id,
    choices,
    usage: usageOf(plan.prompt.length, completionTokens, cached, reasoningTokens),
    ...droppedOf(plan),
  };
}

/** What Sumbi adds to OpenAI's answer when older messages were left out. */
const droppedOf = ({ dropped }: ChatPlan): { dropped_messages?: number } =>
  dropped > 0 ? { dropped_messages: dropped } : {};

/** The `chat.completion.chunk` objects of a streamed answer. */
export async function* chatChunks(
  plan: ChatPlan,
  served: ServedModel,
  includeUsage: boolean,
  signal: AbortSignal,
): AsyncGenerator<object, void> {
  let completionTokens = 0;
  let reasoningTokens = 0;
  const cached = new CachedTokens();
  const chunk = (choices: object[], usage: object | null = null): object => ({
    id: plan.id,
    object: "chat.completion.chunk",
    created: plan.created,
    model: served.info.id,
    choices,
    ...(includeUsage ? { usage } : {}),
  });
  const delta = (index: number, value: object, logprobs: unknown = null, finish: string | null = null): object =>
    chunk([{ index, delta: value, logprobs, finish_reason: finish }]);

  for (let i = 0; i < plan.n; i++) yield { ...delta(i, { role: "assistant", content: "" }), ...droppedOf(plan) };
  const answers = Array.from({ length: plan.n }, (_, i) => plan.answer(i, signal));
  for await (const [index, piece] of interleave(answers)) {
    cached.see(0, piece.tokens);
    completionTokens += piece.tokens.length;
    reasoningTokens += piece.tokens.filter((t) => t.thought).length;
    const logprobs = piece.tokens.length > 0 ? plan.logprobs(piece.tokens) : null;
    if (piece.reasoning !== "") {
      const only = piece.content === "";
      yield delta(index, { reasoning_content: piece.reasoning, reasoning: piece.reasoning }, only ? logprobs : null);
      if (!only) yield delta(index, { content: piece.content }, logprobs);
    } else if (piece.content !== "" || logprobs !== null) yield delta(index, { content: piece.content }, logprobs);
    if (piece.finish) yield delta(index, {}, null, piece.finish);
  }
  if (includeUsage) yield chunk([], usageOf(plan.prompt.length, completionTokens, cached, reasoningTokens));
}
