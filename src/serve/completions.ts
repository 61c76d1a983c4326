/** POST /v1/completions: prompts planned, answered whole or in pieces, with log-probabilities. */
import { ApiError, invalidValue, SumbiError } from "../errors.ts";
import type { GeneratedToken, Guide, Sampling, TokenScore } from "../infer/index.ts";
import type { Encoded } from "./encoder.ts";
import { allOf } from "./guides.ts";
import { newId } from "./ids.ts";
import { interleave } from "./interleave.ts";
import { type CompletionRequest, checkChoices, promptsOf } from "./schema.ts";
import {
  AnswerSize,
  bindingOf,
  CachedTokens,
  checkId,
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
import { tokenText } from "./tokens.ts";
import { type FinishReason, type WrittenToken, writeText } from "./write.ts";

/** Part of one answer: some text, and the log probabilities of the tokens in it. */
interface AnswerPart {
  text: string;
  logprobs: Logprobs | null;
  completionTokens: number;
  finish?: FinishReason;
}

interface Logprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  text_offset: number[];
}

export interface CompletionPlan {
  id: string;
  created: number;
  promptTokens: number;
  /** Known as answers come. */
  cached: CachedTokens;
  /** One per prompt and repetition, in the order of `index`. */
  answers: ((signal: AbortSignal) => AsyncGenerator<AnswerPart, void>)[];
}

/** Everything that can be refused is refused here, before the first token. */
export async function planCompletion(
  request: CompletionRequest,
  served: ServedModel,
  signal?: AbortSignal,
): Promise<CompletionPlan> {
  checkModel(request.model, served);
  const n = request.n ?? 1;
  const given = promptsOf(request.prompt);
  checkChoices(given.length, n);
  const prompts: Prompt[] = [];
  for (const part of inParts(given)) {
    const encoded = await encodePrompts(part, served, signal);
    for (const [prompt, ids] of encoded) prompts.push(promptOf(prompt, ids, request, served));
  }
  const sampling = samplingsOf(request, served);
  const stopIds = stopIdsOf(request, served);
  const binding = await bindingOf(request, served);
  const cached = new CachedTokens();
  const begin = inTurns(STARTS);
  return {
    id: newId("cmpl"),
    created: nowSeconds(),
    promptTokens: prompts.reduce((sum, p) => sum + p.ids.length, 0),
    cached,
    answers: prompts.flatMap((prompt, p) => {
      // all answers to a prompt in one turn: so it is read once
      let turn: { promise: Promise<void> | undefined } | undefined;
      return Array.from({ length: n }, (_, i) => {
        const index = p * n + i;
        return async function* (signal: AbortSignal) {
          turn ??= { promise: begin(n) };
          if (turn.promise) await turn.promise;
          const how = { sampling: sampling(index), stopIds };
          const make = (guide?: Guide): AsyncGenerator<AnswerPart, void> =>
            answer(request, prompt, { ...how, guide }, served, (tokens) => cached.see(p, tokens), signal);
          yield* binding ? guided(binding, make) : make();
        };
      });
    }),
  };
}

/** Answers that begin in one turn of the event loop: thousands would keep it for a tenth of a second. */
const STARTS = 32;

/** What to await before so many starts, if anything: every `most` of them others have their turn. */
function inTurns(most: number): (count: number) => Promise<void> | undefined {
  let started = 0;
  let turn: Promise<void> | undefined;
  return (count) => {
    if (started > 0 && Math.floor((started + count) / most) > Math.floor(started / most))
      turn = (turn ?? Promise.resolve()).then(() => new Promise((resolve) => setTimeout(resolve, 0)));
    started += count;
    return turn;
  };
}

/** Prompts that are encoded at once: one that does not fit is refused before the rest is looked at, and no answer of the encoder is large. */
const PART_PROMPTS = 64;
const PART_CHARS = 2 ** 17;

/** The prompts in order, so many at once; one that is longer is alone. */
function* inParts(given: readonly (string | number[])[]): Generator<(string | number[])[]> {
  let part: (string | number[])[] = [];
  let chars = 0;
  for (const prompt of given) {
    if (part.length === PART_PROMPTS || (part.length > 0 && chars + prompt.length > PART_CHARS)) {
      yield part;
      part = [];
      chars = 0;
    }
    part.push(prompt);
    chars += prompt.length;
  }
  yield part;
}

/** A prompt as it is answered. Throws ApiError when it does not fit, with the tokens that are asked for. */
function promptOf(
  prompt: string | number[],
  encoded: Encoded & Pick<Prompt, "shown">,
  request: CompletionRequest,
  served: ServedModel,
): Prompt {
  const { tokenizer } = served;
  const { ids, count, shown } = encoded;
  const maxTokens = maxTokensFor(Math.max(1, count), request.max_tokens ?? 16, served, "prompt");
  // a model must see something: an empty prompt is the beginning of a text
  const first = tokenizer.bosId ?? tokenizer.eosIds[0] ?? 0;
  const text = !request.echo
    ? ""
    : typeof prompt === "string"
      ? prompt
      : tokenizer.decode(prompt.filter((id) => id < tokenizer.vocabSize));
  return { ids: ids.length > 0 ? ids : [first], text, shown, maxTokens };
}

/** Texts become ids, with what the tokenizer puts around them; ids are checked. `shown` are those that stand for the text itself. */
async function encodePrompts(
  given: readonly (string | number[])[],
  served: ServedModel,
  signal: AbortSignal | undefined,
): Promise<[prompt: string | number[], Encoded & Pick<Prompt, "shown">][]> {
  const texts = given.filter((prompt) => typeof prompt === "string");
  const { before, after } = served.tokenizer.surrounding;
  let encoded: Encoded[];
  try {
    encoded = texts.length === 0 ? [] : await encoderOf(served).texts(texts, signal);
  } catch (error) {
    if (!(error instanceof SumbiError) || error instanceof ApiError) throw error;
    throw invalidValue(`prompt: the model's tokenizer cannot use it: ${error.message}`, "prompt");
  }
  let next = 0;
  return given.map((prompt) => {
    if (typeof prompt !== "string") {
      for (const id of prompt) checkId(id, served, "prompt");
      return [prompt, { ids: prompt, count: prompt.length, shown: { from: 0, to: prompt.length } }];
    }
    const { ids, count } = encoded[next++] ?? { ids: [], count: 0 };
    return [
      prompt,
      {
        ids: [...before, ...ids, ...after],
        count: before.length + count + after.length,
        shown: { from: before.length, to: before.length + ids.length },
      },
    ];
  });
}

interface Prompt {
  ids: readonly number[];
  /** What `echo` gives back. */
  text: string;
  /** Which of the ids stand for the text. */
  shown: { from: number; to: number };
  maxTokens: number;
}

async function* answer(
  request: CompletionRequest,
  prompt: Prompt,
  { sampling, stopIds, guide }: { sampling: Sampling; stopIds: readonly number[]; guide?: Guide },
  served: ServedModel,
  see: (tokens: readonly GeneratedToken[]) => void,
  signal: AbortSignal,
): AsyncGenerator<AnswerPart, void> {
  const { engine, tokenizer } = served;
  const top = request.logprobs ?? undefined;
  let scores: TokenScore[] | undefined;
  const scored = request.echo && top !== undefined;
  /** Characters (Unicode code points, as OpenAI counts) before the answer. */
  const before = request.echo ? codePoints(prompt.text) : 0;
  const echo = (): AnswerPart => ({
    text: prompt.text,
    logprobs: scores ? promptLogprobs(scores, prompt, served) : null,
    completionTokens: 0,
  });
  if (prompt.maxTokens === 0) {
    if (scored) scores = await engine.score(prompt.ids, top, signal);
    yield { ...echo(), finish: "length" };
    return;
  }
  const tokens = engine.generate(
    {
      prompt: prompt.ids,
      maxTokens: prompt.maxTokens,
      sampling,
      stopIds,
      guide: allOf([...leastGuides(request, stopIds, served), ...(guide ? [guide] : [])], engine.limits.vocabSize),
      logprobs: top,
      ...(scored ? { scorePrompt: { top, receive: (all: TokenScore[]) => void (scores = all) } } : {}),
    },
    signal,
  );
  let first = true;
  let written = "";
  for await (const piece of writeText(tokens, tokenizer, { stop: stopsOf(request) })) {
    see(piece.tokens);
    if (first && request.echo) yield echo();
    first = false;
    written += piece.content;
    const logprobs = top === undefined ? null : answerLogprobs(piece.tokens, written, before, served);
    yield { text: piece.content, logprobs, completionTokens: piece.drawn, finish: piece.finish };
  }
}

function promptLogprobs(scores: TokenScore[], { text, shown }: Prompt, served: ServedModel): Logprobs {
  const stream = served.tokenizer.stream();
  const end = codePoints(text);
  let offset = 0;
  const out: Logprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
  for (const [i, score] of scores.entries()) {
    out.tokens.push(tokenText(served.tokenizer, score.id));
    out.token_logprobs.push(score.logprob);
    out.top_logprobs.push(score.top && topRecord(score.id, score.logprob, score.top, served));
    out.text_offset.push(Math.min(offset, end));
    if (i >= shown.from && i < shown.to && score.id < served.tokenizer.vocabSize)
      offset += codePoints(stream.push(score.id));
  }
  return out;
}

function answerLogprobs(tokens: WrittenToken[], written: string, before: number, served: ServedModel): Logprobs {
  return {
    tokens: tokens.map((t) => tokenText(served.tokenizer, t.id)),
    token_logprobs: tokens.map((t) => t.logprob!),
    top_logprobs: tokens.map((t) => topRecord(t.id, t.logprob!, t.top!, served)),
    text_offset: tokens.map((t) => before + codePoints(written.slice(0, t.offset))),
  };
}

/** The likeliest tokens, and the token itself, by their text; of two that read the same the likelier counts. */
function topRecord(
  id: number,
  logprob: number | null,
  top: readonly { id: number; logprob: number }[],
  served: ServedModel,
): Record<string, number> {
  const record = new Map<string, number>();
  for (const entry of [...top, { id, logprob: logprob ?? -Infinity }]) {
    const text = tokenText(served.tokenizer, entry.id);
    record.set(text, Math.max(entry.logprob, record.get(text) ?? -Infinity));
  }
  return Object.fromEntries(record);
}

function codePoints(text: string): number {
  let n = 0;
  for (const _ of text) n++;
  return n;
}

/** All answers, whole: the body of a `text_completion`. */
export async function complete(plan: CompletionPlan, served: ServedModel, signal: AbortSignal): Promise<object> {
  let completionTokens = 0;
  const size = new AnswerSize();
  const choices = await Promise.all(
    plan.answers.map(async (start, index) => {
      let text = "";
      let finish: string | undefined;
      let logprobs: Logprobs | null = null;
      for await (const part of start(signal)) {
        text += part.text;
        completionTokens += part.completionTokens;
        size.add(
          part.completionTokens,
          part.logprobs?.top_logprobs.reduce((sum, top) => sum + Object.keys(top ?? {}).length, 0),
        );
        finish = part.finish;
        if (part.logprobs) logprobs = append(logprobs, part.logprobs);
      }
      return { index, text, logprobs, finish_reason: finish };
    }),
  );
  return {
    id: plan.id,
    object: "text_completion",
    created: plan.created,
    model: served.info.id,
    choices,
    usage: usageOf(plan.promptTokens, completionTokens, plan.cached),
  };
}

function append(a: Logprobs | null, b: Logprobs): Logprobs {
  if (!a) return b;
  a.tokens.push(...b.tokens);
  a.token_logprobs.push(...b.token_logprobs);
  a.top_logprobs.push(...b.top_logprobs);
  a.text_offset.push(...b.text_offset);
  return a;
}

/** The chunks of streamed answers. */
export async function* completionChunks(
  plan: CompletionPlan,
  served: ServedModel,
  includeUsage: boolean,
  signal: AbortSignal,
): AsyncGenerator<object, void> {
  let completionTokens = 0;
  const chunk = (choices: object[], usage: object | null = null): object => ({
    id: plan.id,
    object: "text_completion",
    created: plan.created,
    model: served.info.id,
    choices,
    ...(includeUsage ? { usage } : {}),
  });
  for await (const [index, part] of interleave(plan.answers.map((start) => start(signal)))) {
    completionTokens += part.completionTokens;
    if (part.text !== "" || part.finish || part.logprobs)
      yield chunk([{ index, text: part.text, logprobs: part.logprobs, finish_reason: part.finish ?? null }]);
  }
  if (includeUsage) yield chunk([], usageOf(plan.promptTokens, completionTokens, plan.cached));
}
