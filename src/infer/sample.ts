/** Many answers at once, as token arrays: what learning from rollouts needs. */
import { SAMPLING_DEFAULTS, type Sampling, type Scores } from "./engine.ts";
import type { Sequence, Sink } from "./sequence.ts";

export interface SampleRequest {
  prompts: readonly (readonly number[])[];
  /** Answers to each prompt, which is read once. Default 1. */
  n?: number;
  /** At most so many tokens of each answer. */
  maxTokens: number;
  /** What differs from SAMPLING_DEFAULTS. */
  sampling?: Partial<Omit<Sampling, "seed">>;
  seed: number;
  /** Ids that end an answer; the drawn one is its last. */
  stopIds?: readonly number[];
  /** Tells which ids each token was drawn from, where others were cut. */
  kept?: boolean;
  /** Told whenever an answer is complete. */
  onProgress?: (done: { answers: number; tokens: number; of: number }) => void;
}

/** One answer, and natural-log probabilities of each of its tokens: under the model, and in the distribution that they were drawn from. */
export interface Sampled {
  ids: Int32Array;
  logprobs: Float32Array;
  drawnLogprobs: Float32Array;
  finish: "stop" | "length";
  /** The ids that each token was drawn from, where others were cut and the request wanted to know. */
  kept?: Int32Array[];
  /** [tokens, layers · K]: the experts that the token before each chose, where the model tells. */
  experts?: Uint16Array;
}

export const samplingOf = (given: Partial<Omit<Sampling, "seed">>, seed: number): Sampling => ({
  ...SAMPLING_DEFAULTS,
  ...given,
  seed,
});

export class SampleSink {
  readonly results: Sampled[] = [];
  #left: number;
  #tokens = 0;
  #ended: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    private readonly request: SampleRequest,
    private readonly count: number,
  ) {
    this.#left = count;
    for (let i = 0; i < count; i++) this.results.push({ ...NONE, finish: "length" });
  }

  /** Where answer `index` goes. */
  of(index: number): Sink {
    const { maxTokens } = this.request;
    let [ids, logprobs, drawn] = [NONE.ids, NONE.logprobs, NONE.drawnLogprobs];
    let n = 0;
    const kept: Int32Array[] | undefined = this.request.kept ? [] : undefined;
    let experts: Uint16Array | undefined;
    return {
      ready: () => true,
      token: ({ sampler }: Sequence, scores: Scores, row: number, finish) => {
        if (n === ids.length) {
          const size = Math.min(maxTokens, Math.max(32, 2 * n));
          ids = grown(ids, new Int32Array(size));
          logprobs = grown(logprobs, new Float32Array(size));
          drawn = grown(drawn, new Float32Array(size));
        }
        ids[n] = sampler.id;
        logprobs[n] = sampler.logprob;
        drawn[n] = sampler.drawnLogprob;
        if (sampler.kept) kept?.push(sampler.kept.slice());
        if (scores.experts) {
          const each = scores.experts.length / scores.logSums.length;
          if ((experts?.length ?? 0) < (n + 1) * each)
            experts = grown(experts ?? NOBODY, new Uint16Array(ids.length * each));
          experts?.set(scores.experts.subarray(row * each, (row + 1) * each), n * each);
        }
        n++;
        if (finish === undefined) return;
        const drawnLogprobs = drawn.slice(0, n);
        this.results[index] = {
          ids: ids.slice(0, n),
          logprobs: logprobs.slice(0, n),
          drawnLogprobs,
          finish,
          ...(kept && kept.length === n ? { kept } : {}),
          ...(experts ? { experts: experts.slice(0, (experts.length / ids.length) * n) } : {}),
        };
        this.#tokens += n;
        this.#left--;
        this.request.onProgress?.({ answers: this.count - this.#left, tokens: this.#tokens, of: this.count });
        if (this.#left === 0) this.end();
      },
      end: (error) => {
        if (error !== undefined) this.end(error);
      },
    };
  }

  end(error?: unknown): void {
    this.#ended ??= { error };
    this.#wake?.();
  }

  /** Ends when all answers are complete; yields nothing. */
  async *whole(): AsyncGenerator<never, void> {
    while (!this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#ended.error !== undefined) throw this.#ended.error;
  }
}

const NONE = { ids: new Int32Array(0), logprobs: new Float32Array(0), drawnLogprobs: new Float32Array(0) };

const NOBODY = new Uint16Array(0);

function grown<A extends Int32Array | Float32Array | Uint16Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
