/** Tokens of one sequence on their way to a consumer that takes them one by one. */
import type { GeneratedToken, Scores } from "./engine.ts";
import { topLogprobs } from "./sampling.ts";
import type { Sequence, Sink } from "./sequence.ts";

/** Tokens drawn before the consumer takes them: enough that the next step need not wait for it. */
const AHEAD = 2;

export class TokenStream implements Sink {
  #queue: GeneratedToken[] = [];
  #ended: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  #begun = false;

  constructor(
    private readonly logprobs: number | undefined,
    private readonly vocabSize: number,
    private readonly taken: () => void,
  ) {}

  ready(): boolean {
    return this.#queue.length < AHEAD;
  }

  token(
    { sampler, cached, guessed, refuted }: Sequence,
    { logits, logSums }: Scores,
    row: number,
    finish?: "stop" | "length",
  ): void {
    const token: GeneratedToken = { id: sampler.id };
    if (this.logprobs !== undefined) {
      const own = logits.subarray(row * this.vocabSize, (row + 1) * this.vocabSize);
      token.logprob = sampler.logprob;
      token.top = topLogprobs(own, this.logprobs, logSums[row]);
    }
    if (!this.#begun) token.cachedTokens = cached;
    if (guessed) token.guessed = true;
    if (refuted > 0) token.refuted = refuted;
    if (finish) token.finish = finish;
    this.#begun = true;
    this.#queue.push(token);
    this.#wake?.();
  }

  end(error?: unknown): void {
    this.#ended ??= { error };
    this.#wake?.();
  }

  async *tokens(): AsyncGenerator<GeneratedToken, void> {
    for (;;) {
      const token = this.#queue.shift();
      if (token) {
        this.taken();
        yield token;
      } else if (this.#ended) {
        if (this.#ended.error !== undefined) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        this.#wake = undefined;
      }
    }
  }
}
