/** A served model, and what requests need of it: bounds, samplings, usage, ids. */
import { ApiError, invalidValue } from "../errors.ts";
import { type Engine, SAMPLING_DEFAULTS, type Sampling } from "../infer/browser.ts";
import type { GeneratedToken, Guide, WeightsAbout } from "../infer/index.ts";
import type { Training } from "../runs/index.ts";
import type { RequestBounds } from "./bounds.ts";
import { type Encoder, localEncoder } from "./encoder.ts";
import { LeastGuide } from "./guides.ts";
import type { CommonRequest } from "./schema.ts";
import { grammarOf } from "./structure/request.ts";
import type { GrammarGuide, GrammarSource } from "./structure/service.ts";
import type { ServeTokenizer } from "./tokens.ts";
import type { CallMemory } from "./tools/memory.ts";

/** What `/api/model` tells the page about the model. */
export interface ModelInfo {
  /** The id clients ask for: the folder's name. */
  id: string;
  /** Seconds since 1970, from the folder's files. */
  createdSeconds: number;
  architecture: string;
  /** Of the model that answers, and of its MTP modules, which do not. */
  parameters: { total: number; active: number; mtp?: number };
  layers: number;
  mtpModules?: number;
  /** Forward, averaged over a full context. */
  flopsPerToken?: number;
  cacheBytesPerToken?: number;
  contextTokens: number;
  vocabSize: number;
  /** Whether the model thinks before it answers. */
  reasons: boolean;
  /** Whether its chat template can be told to think or not. */
  thinkingSwitch?: boolean;
  /** In what form its weights are. */
  weights?: WeightsAbout;
  /** What a person should know about its weights: what is not used, where config.json and the file disagree. */
  notes?: readonly string[];
  /** Bytes of its weights' files. */
  weightsBytes?: number;
  /** What its training came to, where the folder tells. */
  training?: Training;
  /** Prompts that show what it can do. */
  examples?: string[];
}

/** A model that is ready to answer. */
export interface ServedModel {
  engine: Engine;
  tokenizer: ServeTokenizer;
  /** What encodes people's texts; absent: the tokenizer, in this thread. */
  encoder?: Encoder;
  /** What binds answers to a structure; absent: none can be. */
  grammars?: GrammarSource;
  /** Calls that it made, as they were drawn; absent: histories are written anew. */
  calls?: CallMemory;
  info: ModelInfo;
  /** Sampling where a request leaves it open (the folder's generation_config.json). */
  defaults?: Partial<Omit<Sampling, "seed">>;
}

export const encoderOf = (served: ServedModel): Encoder => served.encoder ?? localEncoder(served.tokenizer);

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
  completion_tokens_details?: {
    reasoning_tokens?: number;
    /** Tokens that were guessed and only checked, and guesses that were wrong. */
    accepted_prediction_tokens?: number;
    rejected_prediction_tokens?: number;
  };
}

/**
 * Counts what a request did not cost: prompt tokens that the engine remembered, by prompt (of several answers to one, the first to read it counts), and answers'
 * tokens that were guessed.
 */
export class CachedTokens {
  readonly #least = new Map<number, number>();
  /** Guesses that were right, and those that were not. */
  accepted = 0;
  rejected = 0;

  /** Takes an answer's tokens as they come: the engine says it with the first. */
  see(prompt: number, tokens: readonly GeneratedToken[]): void {
    for (const { cachedTokens, guessed, refuted = 0 } of tokens) {
      if (guessed) this.accepted++;
      this.rejected += refuted;
      if (cachedTokens !== undefined)
        this.#least.set(prompt, Math.min(cachedTokens, this.#least.get(prompt) ?? cachedTokens));
    }
  }

  get total(): number {
    return [...this.#least.values()].reduce((sum, n) => sum + n, 0);
  }
}

export function usageOf(
  promptTokens: number,
  completionTokens: number,
  cached: CachedTokens,
  reasoningTokens?: number,
): Usage {
  const { accepted, rejected } = cached;
  const details = {
    ...(reasoningTokens === undefined ? {} : { reasoning_tokens: reasoningTokens }),
    ...(accepted + rejected === 0
      ? {}
      : { accepted_prediction_tokens: accepted, rejected_prediction_tokens: rejected }),
  };
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cached.total },
    ...(Object.keys(details).length === 0 ? {} : { completion_tokens_details: details }),
  };
}

export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** Throws ApiError 404 unless the request asks for the served model, or for none in particular. */
export function checkModel(name: string | null | undefined, served: ServedModel): void {
  if (name == null || name === served.info.id) return;
  throw new ApiError(
    404,
    `The model '${name.slice(0, 200)}' is not served here; expected '${served.info.id}'`,
    "invalid_request_error",
    "model_not_found",
    "model",
  );
}

/** What a request to a model may hold. */
export const boundsOf = ({ engine, tokenizer }: ServedModel): RequestBounds => ({
  ...engine.limits,
  bytesPerToken: tokenizer.bytesPerToken ?? Infinity,
});

/** Most tokens and alternatives of a whole answer: it is kept in memory and written at once. */
const MAX_KEPT = 2 ** 18;

/** Counts what a whole answer holds so far. Throws ApiError 400 when that is too much to be sent at once. */
export class AnswerSize {
  #kept = 0;

  add(tokens: number, alternatives = 0): void {
    this.#kept += tokens + alternatives;
    if (this.#kept > MAX_KEPT)
      throw new ApiError(
        400,
        `The answer has more than ${MAX_KEPT} tokens and alternatives: stream it, or ask for fewer prompts, answers or logprobs at once`,
        "invalid_request_error",
        "answer_too_large",
      );
  }
}

/** The samplings of a request's answers by their index: each has its own seed, derived from the request's or drawn at random. */
export function samplingsOf(request: CommonRequest, served: ServedModel): (index: number) => Sampling {
  const bias = new Map<number, number>();
  for (const [id, value] of Object.entries(request.logit_bias ?? {})) {
    checkId(Number(id), served, "logit_bias");
    bias.set(Number(id), value);
  }
  const open = { ...SAMPLING_DEFAULTS, ...served.defaults };
  return (index) => ({
    temperature: request.temperature ?? open.temperature,
    topP: request.top_p ?? open.topP,
    topK: Math.max(0, request.top_k ?? open.topK),
    minP: request.min_p ?? open.minP,
    frequencyPenalty: request.frequency_penalty ?? open.frequencyPenalty,
    presencePenalty: request.presence_penalty ?? open.presencePenalty,
    repetitionPenalty: request.repetition_penalty ?? open.repetitionPenalty,
    logitBias: bias,
    seed: request.seed == null ? Math.floor(Math.random() * 2 ** 48) : request.seed + index * 2 ** 32,
  });
}

/** Throws ApiError 400 for a token id outside the vocabulary. */
export function checkId(id: number, served: ServedModel, param: string): void {
  const { vocabSize } = served.engine.limits;
  if (id >= vocabSize) throw invalidValue(`${param}: expected token ids below ${vocabSize}, got ${id}`, param);
}

/**
 * How many tokens may be generated after a prompt. Throws ApiError 400 `context_length_exceeded` when the prompt,
 * with the tokens asked for (or one, when that is left open), does not fit.
 */
export function maxTokensFor(
  promptTokens: number,
  asked: number | null | undefined,
  served: ServedModel,
  param: string,
): number {
  const { contextTokens } = served.engine.limits;
  if (promptTokens + (asked ?? 1) <= contextTokens) return asked ?? contextTokens - promptTokens;
  const request =
    asked == null
      ? `your prompt has ${promptTokens} tokens, which leaves no room for an answer`
      : `you asked for ${promptTokens + asked} tokens (${promptTokens} in the prompt, ${asked} for the answer)`;
  throw new ApiError(
    400,
    `This model's maximum context length is ${contextTokens} tokens, but ${request}. Shorten the prompt or lower ${asked == null ? "its history" : "max_tokens"}.`,
    "invalid_request_error",
    "context_length_exceeded",
    param,
  );
}

/** Ids that end an answer, by the model and by the request. */
export function stopIdsOf(request: CommonRequest, served: ServedModel): readonly number[] {
  for (const id of request.stop_token_ids ?? []) checkId(id, served, "stop_token_ids");
  return [...(request.ignore_eos ? [] : served.tokenizer.eosIds), ...(request.stop_token_ids ?? [])];
}

/** What keeps an answer from ending too early, if the request asks for it. */
export const leastGuides = (request: CommonRequest, stopIds: readonly number[], served: ServedModel): Guide[] =>
  request.min_tokens ? [new LeastGuide(stopIds, request.min_tokens, served.engine.limits.vocabSize)] : [];

/** Opens the guide of one answer's structure, which is to be closed after. */
export type Binding = () => GrammarGuide;

/** What binds answers to structures. Throws ApiError 400, about `param`, where nothing does. */
export function grammarsOf({ grammars, tokenizer }: ServedModel, param: string): GrammarSource {
  if (grammars !== undefined && tokenizer.eosIds.length > 0) return grammars;
  throw invalidValue(`${param}: answers of this model cannot be bound to a structure here; leave it out`, param);
}

/** The structure that a request asks for, checked. Throws ApiError 400 where it cannot be enforced: it never is passed over. */
export async function bindingOf(request: CommonRequest, served: ServedModel): Promise<Binding | undefined> {
  const asked = grammarOf(request);
  if (asked === undefined) return undefined;
  const { param, grammar } = asked;
  const grammars = grammarsOf(served, param);
  await grammars.check(grammar, param);
  return () => grammars.open(grammar);
}

/** What is generated under the guide of a structure, which is closed after. */
export async function* guided<T, Closing extends Guide & { close(): void }>(
  open: () => Closing,
  make: (guide: Closing) => AsyncIterable<T>,
): AsyncGenerator<T, void> {
  const guide = open();
  try {
    yield* make(guide);
  } finally {
    guide.close();
  }
}

export function stopsOf(request: CommonRequest): string[] {
  const stop = request.stop ?? [];
  return (typeof stop === "string" ? [stop] : stop).filter((s) => s !== "");
}
