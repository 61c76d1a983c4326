/** The engine: requests take turns on one model, are sampled and streamed. */
import { SumbiError } from "../errors.ts";
import {
  BusyError,
  type Engine,
  EngineClosedError,
  type GeneratedToken,
  type GenerateRequest,
  type LanguageModel,
  type SequenceCache,
  type TokenScore,
} from "./engine.ts";
import { Gate } from "./gate.ts";
import { logprobOf, logSumExp, Sampler, topLogprobs } from "./sampling.ts";

export interface ModelEngineOptions {
  /** Sequences that hold a cache at once; more wait in line. */
  maxActive?: number;
  /** Requests that may wait; the next one gets a BusyError. */
  maxWaiting?: number;
  /** Prompt tokens per forward pass, so that a long prompt neither blocks the others nor outlives its client. */
  prefillTokens?: number;
  /** Closed with the engine. */
  onClose?: () => Promise<void>;
}

/** For whom a sequence is, and what stops it. */
interface Caller {
  stop: AbortSignal;
  client?: string;
}

/** How many of so many places one client may have: some are left for others. */
export const shareOf = (places: number): number => Math.max(1, places - Math.ceil(places / 4));

/** Largest [T, V] block of logits asked of the model at once when a prompt is scored. */
const SCORE_BYTES = 64 * 2 ** 20;

/** The generation engine over one LanguageModel: sequences take turns, one forward pass each, clients in turn, each first come first served. */
export class ModelEngine implements Engine {
  readonly limits: { contextTokens: number; vocabSize: number };
  readonly #model: LanguageModel;
  readonly #prefillTokens: number;
  readonly #places: Gate;
  readonly #turn = new Gate(1);
  readonly #closing = new AbortController();
  readonly #maxWaiting: number;
  readonly #onClose: (() => Promise<void>) | undefined;

  constructor(model: LanguageModel, options: ModelEngineOptions = {}) {
    this.#model = model;
    this.limits = { contextTokens: model.contextTokens, vocabSize: model.vocabSize };
    const places = options.maxActive ?? 8;
    this.#places = new Gate(places, shareOf(places));
    this.#maxWaiting = options.maxWaiting ?? 4096;
    this.#prefillTokens = options.prefillTokens ?? 256;
    this.#onClose = options.onClose;
  }

  status(): { active: number; waiting: number } {
    return { active: this.#places.taken, waiting: this.#places.waiting };
  }

  async close(): Promise<void> {
    this.#closing.abort(new EngineClosedError());
    const leave = await this.#turn.enter();
    leave();
    await Promise.all([this.#model.dispose?.(), this.#onClose?.()]);
  }

  async *generate(
    request: GenerateRequest,
    signal?: AbortSignal,
    client?: string,
  ): AsyncGenerator<GeneratedToken, void> {
    const { prompt, maxTokens, logprobs } = request;
    this.#check(prompt, maxTokens);
    if (maxTokens === 0) return;
    const by: Caller = { stop: this.#signal(signal), client };
    const stopIds = new Set(request.stopIds);
    const sampler = new Sampler(request.sampling);
    const leave = await this.#enter(by);
    const cache = this.#model.newCache();
    try {
      const first = (logits: Float32Array): GeneratedToken => draw(logits, sampler, logprobs);
      let token = request.scorePrompt
        ? await this.#scorePrompt(prompt, request.scorePrompt, cache, by, first)
        : await this.#prefill(prompt, cache, by, first);
      for (let n = 1; ; n++) {
        if (stopIds.has(token.id)) token.finish = "stop";
        else if (n === maxTokens) token.finish = "length";
        yield token;
        if (token.finish) return;
        const last = token.id;
        token = await this.#forward([last], cache, by, false, (logits) => draw(logits, sampler, logprobs));
      }
    } finally {
      cache.release();
      leave();
    }
  }

  async score(tokens: readonly number[], top: number, signal?: AbortSignal, client?: string): Promise<TokenScore[]> {
    this.#check(tokens, 0);
    const by: Caller = { stop: this.#signal(signal), client };
    const leave = await this.#enter(by);
    const cache = this.#model.newCache();
    let scores: TokenScore[] = [];
    try {
      // the last token is scored by the one before it and needs no forward pass of its own
      const ask = { top, receive: (all: TokenScore[]) => void (scores = all) };
      await this.#scorePrompt(tokens, ask, cache, by, undefined);
      return scores;
    } finally {
      cache.release();
      leave();
    }
  }

  #check(prompt: readonly number[], maxTokens: number): void {
    const { contextTokens, vocabSize } = this.limits;
    if (prompt.length === 0) throw new SumbiError("engine: expected at least one prompt token, got none");
    if (prompt.length + maxTokens > contextTokens)
      throw new SumbiError(
        `engine: expected prompt and answer to fit in ${contextTokens} tokens, got ${prompt.length} + ${maxTokens}`,
      );
    for (const id of prompt)
      if (!Number.isInteger(id) || id < 0 || id >= vocabSize)
        throw new SumbiError(`engine: expected token ids from 0 to ${vocabSize - 1}, got ${id}`);
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
  }

  #enter({ stop, client }: Caller): Promise<() => void> {
    if (this.#places.waiting >= this.#maxWaiting)
      throw new BusyError(`engine: ${this.#maxWaiting} requests are waiting already; try again later`);
    return this.#places.enter(stop, client);
  }

  async #prefill<T>(
    prompt: readonly number[],
    cache: SequenceCache,
    by: Caller,
    use: (logits: Float32Array) => T,
  ): Promise<T> {
    let start = 0;
    for (; prompt.length - start > this.#prefillTokens; start += this.#prefillTokens)
      await this.#forward(prompt.slice(start, start + this.#prefillTokens), cache, by, false, () => undefined);
    return this.#forward(prompt.slice(start), cache, by, false, use);
  }

  /** Scores the prompt; runs its last token too, and returns what `use` makes of those logits, when `use` is given. */
  async #scorePrompt<T>(
    prompt: readonly number[],
    ask: NonNullable<GenerateRequest["scorePrompt"]>,
    cache: SequenceCache,
    by: Caller,
    use: ((logits: Float32Array) => T) | undefined,
  ): Promise<T> {
    const { vocabSize } = this.limits;
    const size = Math.max(1, Math.min(this.#prefillTokens, Math.floor(SCORE_BYTES / (4 * vocabSize))));
    const scores: TokenScore[] = [{ id: prompt[0]!, logprob: null, top: null }];
    const end = use ? prompt.length : prompt.length - 1;
    let result: T | undefined;
    for (let start = 0; start < end; start += size) {
      const chunk = prompt.slice(start, Math.min(start + size, end));
      await this.#forward(chunk, cache, by, true, (all) => {
        for (let t = 0; t < chunk.length; t++) {
          const logits = all.subarray(t * vocabSize, (t + 1) * vocabSize);
          const id = prompt[start + t + 1];
          if (id === undefined) result = use?.(logits);
          else {
            const logSum = logSumExp(logits);
            scores.push({ id, logprob: logprobOf(logits, id, logSum), top: topLogprobs(logits, ask.top, logSum) });
          }
        }
      });
    }
    ask.receive(scores);
    return result as T;
  }

  /** One turn: the logits are used before the next forward pass may overwrite them. */
  async #forward<T>(
    tokens: readonly number[],
    cache: SequenceCache,
    { stop, client }: Caller,
    all: boolean,
    use: (logits: Float32Array) => T,
  ): Promise<T> {
    const leave = await this.#turn.enter(stop, client);
    try {
      const logits = await this.#model.forward(tokens, cache, { all });
      stop.throwIfAborted();
      return use(logits);
    } finally {
      leave();
    }
  }
}

function draw(logits: Float32Array, sampler: Sampler, logprobs: number | undefined): GeneratedToken {
  if (logprobs === undefined) return { id: sampler.next(logits) };
  const id = sampler.next(logits);
  const logSum = logSumExp(logits);
  return { id, logprob: logprobOf(logits, id, logSum), top: topLogprobs(logits, logprobs, logSum) };
}
