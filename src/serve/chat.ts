/** POST /v1/chat/completions: a request planned, answered whole or in pieces. */
import { ApiError, invalidValue, SumbiError } from "../errors.ts";
import type { Guide, Sampling } from "../infer/browser.ts";
import type { ChatMessage, ChatTemplateOptions, Prefill } from "../tokenizer/index.ts";
import { checkLeast } from "./bounds.ts";
import type { Encoder } from "./encoder.ts";
import { AnswerGuide, allOf, type ThoughtEnd, ThoughtGuide } from "./guides.ts";
import { answerRoom, keepNewest } from "./history.ts";
import { newId } from "./ids.ts";
import { interleave } from "./interleave.ts";
import type { ChatRequest } from "./schema.ts";
import { checkChoices, contentText, continues, leastOf } from "./schema.ts";
import {
  AnswerSize,
  bindingOf,
  boundsOf,
  CachedTokens,
  checkModel,
  encoderOf,
  guided,
  leastGuides,
  maxTokensFor,
  nowSeconds,
  type ServedModel,
  samplingsOf,
  stopIdsOf,
  stopsOf,
  usageOf,
} from "./served.ts";
import { splitThought, THINK_CLOSE } from "./text.ts";
import { type Thinking, thinkingOf } from "./thinking.ts";
import { tokenBytes, tokenText } from "./tokens.ts";
import { callBinding, callReader } from "./tools/binding.ts";
import { CallList, remembered } from "./tools/calls.ts";
import { type CallPiece, Markup, type ToolCall } from "./tools/format.ts";
import { speechOf } from "./tools/formats.ts";
import { checkResults, shown, templateMessages } from "./tools/history.ts";
import { offerOf } from "./tools/offer.ts";
import { type Piece, type WrittenToken, writeText } from "./write.ts";

type Message = ChatRequest["messages"][number];

export interface ChatPlan {
  id: string;
  created: number;
  prompt: number[];
  n: number;
  /** How tokens are drawn, but for the seed. */
  sampling: Omit<Sampling, "seed">;
  /** Messages, the oldest, that were left out for want of room (only where the request allows it). */
  dropped: number;
  /** Thoughts are not sent. */
  hidden: boolean;
  answer(index: number, signal: AbortSignal): { pieces: AsyncGenerator<Piece, void>; thought?: ThoughtGuide };
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
  const room = Math.min(asked ?? contextTokens, contextTokens);
  const thinking = thinkingOf(request, { reasons: served.info.reasons, template: tokenizer.chatTemplate }, room);
  const { asked: conversation, prefill } = partsOf(request);
  const offer = offerOf(request);
  checkResults(request.messages);
  const speech = speechOf(tokenizer.chatTemplate);
  const described = offer && !speech.offers ? offer.tools : [];
  if (offer && speech.offers) thinking.variables["tools"] = offer.tools.map(shown);
  const options = templateOptions(thinking, prefill, contextTokens);
  const encode = (messages: readonly Message[]): ReturnType<Encoder["chat"]> =>
    encodeMessages(templateMessages(messages, speech, described, served), options, served, signal);
  const fits = async (messages: readonly Message[]): Promise<boolean> =>
    leastOf(messages, bounds) <= contextTokens &&
    (await encode(messages)).count + (asked ?? answerRoom(contextTokens)) <= contextTokens;
  const { messages, dropped } =
    request.truncation === "auto" ? await keepNewest(conversation, fits) : { messages: conversation, dropped: 0 };
  checkLeast(leastOf(messages, bounds), bounds, "messages");
  const { ids: prompt, count, opensThought: inThought } = await encode(messages);
  const maxTokens = maxTokensFor(count, asked, served, "messages");
  const sampling = samplingsOf(request, served);
  const top = request.logprobs ? (request.top_logprobs ?? 0) : undefined;
  const stop = stopsOf(request);
  const stopIds = stopIdsOf(request, served);
  const { vocabSize } = served.engine.limits;
  const answered = prefill?.answer !== undefined;
  const markup = new Markup(speech.format, (token) => tokenizer.idOf(token));
  const { whole: binding, calls: callsGuide } = offer
    ? await callBinding(offer, markup, request, served)
    : { whole: await bindingOf(request, served) };
  const place = answered || thinking.on === false ? "answer" : inThought ? "thought" : "start";
  if (binding && place === "thought" && tokenizer.idOf(THINK_CLOSE) === undefined)
    throw invalidValue(
      "thinking: expected it to be off, since this model's tags are no tokens of their own and its answer could not be bound to a structure",
      "thinking",
    );
  return {
    id: newId("chatcmpl"),
    created: nowSeconds(),
    prompt,
    n,
    sampling: sampling(0),
    dropped,
    hidden: thinking.hidden,
    answer(index, signal) {
      const thought =
        served.info.reasons && !answered
          ? new ThoughtGuide({ inThought, budget: thinking.budget }, tokenizer, vocabSize)
          : undefined;
      const split = answered ? undefined : { inThought };
      const others = [...leastGuides(request, stopIds, served), ...(thought ? [thought] : [])];
      const write = (guides: readonly Guide[]): AsyncGenerator<Piece, void> => {
        const guide = allOf(guides, vocabSize);
        const generate = { prompt, maxTokens, sampling: sampling(index), stopIds, guide, logprobs: top };
        const calls = offer && callReader(offer, markup);
        const pieces = writeText(engine.generate(generate, signal), tokenizer, { stop, split, calls });
        return calls ? remembered(pieces, served.calls) : pieces;
      };
      const bound = (inner: Guide): Guide => new AnswerGuide(inner, place, stopIds, tokenizer, vocabSize);
      const pieces = binding
        ? guided(binding, (inner) => write([...others, bound(inner)]))
        : callsGuide
          ? guided(
              () => callsGuide(split),
              (guide) => write([...others, guide]),
            )
          : write(others);
      return { pieces, thought };
    },
    logprobs(tokens) {
      if (top === undefined) return null;
      const entry = (id: number, logprob: number) => ({
        token: tokenText(tokenizer, id),
        logprob,
        bytes: Array.from(tokenBytes(tokenizer, id)),
      });
      const entries = (of: (token: WrittenToken) => boolean): object[] =>
        tokens.filter(of).map((t) => ({
          ...entry(t.id, t.logprob ?? 0),
          top_logprobs: (t.top ?? []).map((x) => entry(x.id, x.logprob)),
        }));
      const reasoning = thinking.hidden ? [] : entries((t) => t.thought);
      const calls = entries((t) => t.call);
      return {
        content: entries((t) => !t.thought && !t.call),
        ...(reasoning.length > 0 ? { reasoning } : {}),
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
        refusal: null,
      };
    },
  };
}

/** The conversation to answer, and what of the answer is there already. */
function partsOf(request: ChatRequest): { asked: readonly Message[]; prefill?: Prefill } {
  const last = request.messages.at(-1);
  if (!continues(request) || last?.role !== "assistant") return { asked: request.messages };
  if (last.tool_calls?.length)
    throw invalidValue(
      "messages: expected the results of the calls at the end, as messages of the role tool",
      "messages",
    );
  const text = contentText(last.content);
  const apart = last.reasoning_content ?? last.reasoning ?? "";
  const asked = request.messages.slice(0, -1);
  if (apart !== "") return { asked, prefill: { thought: apart, ...(text === "" ? {} : { answer: text }) } };
  return { asked, ...(text === "" ? {} : { prefill: splitThought(text) }) };
}

/** An answer that has begun decides for itself whether it has a thought. */
const templateOptions = (
  { on, variables }: Thinking,
  prefill: Prefill | undefined,
  contextTokens: number,
): ChatTemplateOptions => ({
  addGenerationPrompt: true,
  thinking: prefill === undefined ? on : prefill.thought !== undefined,
  variables,
  prefill,
  mostTokens: contextTokens,
});

/** Messages as the model reads them. Throws ApiError 400 when its template cannot use them. */
async function encodeMessages(
  messages: readonly ChatMessage[],
  options: ChatTemplateOptions,
  served: ServedModel,
  signal: AbortSignal | undefined,
): ReturnType<Encoder["chat"]> {
  try {
    return await encoderOf(served).chat(messages, options, signal);
  } catch (error) {
    if (!(error instanceof SumbiError) || error instanceof ApiError) throw error;
    throw invalidValue(`messages: the model's chat template cannot use them: ${error.message}`, "messages");
  }
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
      const calls = new CallList();
      const tokens: WrittenToken[] = [];
      const { pieces, thought } = plan.answer(index, signal);
      for await (const piece of pieces) {
        completionTokens += piece.drawn;
        content += piece.content;
        reasoning += piece.reasoning;
        calls.add(piece.calls);
        cached.see(0, piece.tokens);
        for (const token of piece.tokens) {
          tokens.push(token);
          size.add(1, token.top?.length);
        }
        finish = piece.finish;
      }
      reasoningTokens += tokens.filter((t) => t.thought).length;
      return {
        index,
        message: {
          role: "assistant",
          content: content === "" && calls.all.length > 0 ? null : content,
          refusal: null,
          ...(calls.all.length > 0 ? { tool_calls: calls.all.map(shownCall) } : {}),
          ...(reasoning === "" || plan.hidden ? {} : { reasoning_content: reasoning, reasoning }),
        },
        logprobs: plan.logprobs(tokens),
        finish_reason: finish,
        ...endOf(thought?.ended),
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

/** What Sumbi adds to a choice whose thought was brought to its end. */
const endOf = (ended: ThoughtEnd | undefined): { thinking_ended?: ThoughtEnd } =>
  ended === undefined ? {} : { thinking_ended: ended };

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
  const delta = (index: number, value: object, logprobs: unknown = null, finish: object = {}): object =>
    chunk([{ index, delta: value, logprobs, finish_reason: null, ...finish }]);

  for (let i = 0; i < plan.n; i++) yield { ...delta(i, { role: "assistant", content: "" }), ...droppedOf(plan) };
  const answers = Array.from({ length: plan.n }, (_, i) => plan.answer(i, signal));
  for await (const [index, piece] of interleave(answers.map(({ pieces }) => pieces))) {
    cached.see(0, piece.tokens);
    completionTokens += piece.drawn;
    reasoningTokens += piece.tokens.filter((t) => t.thought).length;
    const logprobs = piece.tokens.length > 0 ? plan.logprobs(piece.tokens) : null;
    const deltas = deltasOf(piece, plan.hidden);
    if (deltas.length === 0 && logprobs !== null) deltas.push({ content: "" });
    for (const [i, one] of deltas.entries()) yield delta(index, one, i === deltas.length - 1 ? logprobs : null);
    if (piece.finish)
      yield delta(index, {}, null, { finish_reason: piece.finish, ...endOf(answers[index]?.thought?.ended) });
  }
  if (includeUsage) yield chunk([], usageOf(plan.prompt.length, completionTokens, cached, reasoningTokens));
}

/** What a piece adds to a message: thought, text and calls apart. */
function deltasOf({ reasoning, content, calls }: Piece, hidden: boolean): object[] {
  const deltas: object[] = [];
  if (reasoning !== "" && !hidden) deltas.push({ reasoning_content: reasoning, reasoning });
  if (content !== "") deltas.push({ content });
  const shown = calls.filter(({ id, arguments: text }) => id !== undefined || text !== "");
  if (shown.length > 0) deltas.push({ tool_calls: shown.map(callDelta) });
  return deltas;
}

const callDelta = ({ index, id, name, arguments: text }: CallPiece): object =>
  id === undefined
    ? { index, function: { arguments: text } }
    : { index, id, type: "function", function: { name, arguments: text } };

const shownCall = ({ id, name, arguments: text }: ToolCall): object => ({
  id,
  type: "function",
  function: { name, arguments: text },
});
