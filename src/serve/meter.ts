/** What requests cost: tokens and times of one of them as llama-server tells them, and of all since the start for Prometheus. */
import type { Engine, GeneratedToken, GenerateRequest } from "../infer/index.ts";
import { Counter, Histogram, type Metric } from "./prometheus.ts";

/** Times and tokens of one request, by llama-server's names. Of several answers the tokens are of all, the times from the first to the last. */
export interface Timings {
  /** Prompt tokens that were remembered, and that were read. */
  cache_n: number;
  prompt_n: number;
  /** Until the first token, waiting for other clients' passes included. */
  prompt_ms: number;
  prompt_per_token_ms: number | null;
  prompt_per_second: number | null;
  predicted_n: number;
  /** From the first token to the last; rates are of those that came in it: all but the first of each answer. */
  predicted_ms: number;
  predicted_per_token_ms: number | null;
  predicted_per_second: number | null;
  /** Tokens that were guessed, and guesses that were right; where any were made. */
  draft_n?: number;
  draft_n_accepted?: number;
}

type Generate = Engine["generate"];

/** Follows the answers of one request. */
export class Meter {
  #began: number | undefined;
  #first: number | undefined;
  #last = 0;
  #answers = 0;
  #prompt = 0;
  #cached = 0;
  #drawn = 0;
  #accepted = 0;
  #refuted = 0;

  constructor(
    private readonly totals: Totals,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** A prompt is read and not answered. */
  read(tokens: number): void {
    this.totals.promptTokens.add(tokens);
  }

  /** The same engine's `generate`, measured. */
  follow(generate: Generate): Generate {
    return (request, signal, client) => this.#follow(request, generate(request, signal, client), signal);
  }

  async *#follow(
    { prompt }: GenerateRequest,
    tokens: AsyncIterable<GeneratedToken>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<GeneratedToken, void> {
    const { totals } = this;
    const began = this.now();
    this.#began ??= began;
    let last: number | undefined;
    let finish: "stop" | "length" | "abort" | "error" | undefined;
    try {
      for await (const token of tokens) {
        const at = this.now();
        if (last === undefined) {
          const cached = token.cachedTokens ?? 0;
          this.#first ??= at;
          this.#answers++;
          this.#prompt += prompt.length - cached;
          this.#cached += cached;
          totals.promptTokens.add(prompt.length);
          totals.cachedTokens.add(cached);
          totals.firstToken.see((at - began) / 1000);
        } else totals.betweenTokens.see((at - last) / 1000);
        last = at;
        this.#last = at;
        this.#drawn++;
        totals.generatedTokens.add(1);
        if (token.guessed) this.#accepted++;
        this.#refuted += token.refuted ?? 0;
        totals.acceptedGuesses.add(token.guessed ? 1 : 0);
        totals.guesses.add((token.guessed ? 1 : 0) + (token.refuted ?? 0));
        finish = token.finish;
        yield token;
      }
    } catch (error) {
      finish = signal?.aborted ? "abort" : "error";
      throw error;
    } finally {
      // who stops reading has found a stop string, unless the client left
      totals.answers.add(1, { finished_reason: finish ?? (signal?.aborted ? "abort" : "stop") });
      totals.wholeAnswer.see((this.now() - began) / 1000);
    }
  }

  timings(): Timings {
    const [began, first] = [this.#began ?? 0, this.#first ?? this.#began ?? 0];
    const read = rates(this.#prompt, first - began);
    const drawn = rates(this.#drawn - this.#answers, this.#first === undefined ? 0 : this.#last - first);
    const guesses = this.#accepted + this.#refuted;
    return {
      cache_n: this.#cached,
      prompt_n: this.#prompt,
      prompt_ms: read.ms,
      prompt_per_token_ms: read.perTokenMs,
      prompt_per_second: read.perSecond,
      predicted_n: this.#drawn,
      predicted_ms: drawn.ms,
      predicted_per_token_ms: drawn.perTokenMs,
      predicted_per_second: drawn.perSecond,
      ...(guesses > 0 ? { draft_n: guesses, draft_n_accepted: this.#accepted } : {}),
    };
  }
}

function rates(tokens: number, ms: number): { ms: number; perTokenMs: number | null; perSecond: number | null } {
  const rounded = (value: number): number => Math.round(value * 1000) / 1000;
  const known = tokens > 0 && ms > 0;
  return {
    ms: rounded(ms),
    perTokenMs: known ? rounded(ms / tokens) : null,
    perSecond: known ? rounded((1000 * tokens) / ms) : null,
  };
}

/** Chunks of completions with their times: the last ones, or where `each` is true all of them. */
export async function* timedChunks(
  chunks: AsyncIterable<object>,
  meter: Meter,
  each: boolean | null | undefined,
): AsyncGenerator<object, void> {
  for await (const chunk of chunks) yield each || ends(chunk) ? { ...chunk, timings: meter.timings() } : chunk;
}

/** Whether a chunk ends an answer, or comes after all of them. */
const ends = ({ choices = [] }: { choices?: { finish_reason?: string | null }[] }): boolean =>
  choices.every(({ finish_reason }) => finish_reason != null);

/** Seconds until the first token, between two, and of a whole answer. */
const FIRST_TOKEN = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
const BETWEEN_TOKENS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1, 2.5];
const WHOLE_ANSWER = [0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920];

/** What all requests have cost since the start. vLLM's names, with `sumbi:` for `vllm:`, so that its dashboards need one word replaced. */
export class Totals {
  readonly promptTokens = new Counter("sumbi:prompt_tokens_total", "Tokens of prompts, remembered ones too.");
  readonly generatedTokens = new Counter("sumbi:generation_tokens_total", "Tokens drawn.");
  readonly cachedTokens = new Counter(
    "sumbi:prefix_cache_hits_total",
    "Tokens of prompts that were remembered and not read again.",
  );
  readonly guesses = new Counter("sumbi:spec_decode_num_draft_tokens_total", "Tokens guessed.");
  readonly acceptedGuesses = new Counter("sumbi:spec_decode_num_accepted_tokens_total", "Guesses that were right.");
  readonly answers = new Counter("sumbi:request_success_total", "Answers ended, by how.");
  readonly firstToken = new Histogram(
    "sumbi:time_to_first_token_seconds",
    "Until an answer's first token.",
    FIRST_TOKEN,
  );
  readonly betweenTokens = new Histogram(
    "sumbi:inter_token_latency_seconds",
    "Between two tokens of an answer.",
    BETWEEN_TOKENS,
  );
  readonly wholeAnswer = new Histogram(
    "sumbi:e2e_request_latency_seconds",
    "From the beginning of an answer to its end.",
    WHOLE_ANSWER,
  );
  readonly requests = new Counter("http_requests_total", "Requests answered, by path and status.");

  get all(): readonly Metric[] {
    return [
      this.promptTokens,
      this.generatedTokens,
      this.cachedTokens,
      this.guesses,
      this.acceptedGuesses,
      this.answers,
      this.firstToken,
      this.betweenTokens,
      this.wholeAnswer,
      this.requests,
    ];
  }
}
