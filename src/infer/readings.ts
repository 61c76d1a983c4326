/** What is made of a prompt's rows as they are read: scores of its tokens, or one vector of all that it says. */
import type { Scores, TokenScore } from "./engine.ts";
import { logprobOf, topLogprobs } from "./sampling.ts";

/** Takes rows of a prompt, in their order. */
export interface Reading {
  /** Of which tokens rows are wanted. */
  readonly rows: "all" | "last";
  /** `count` rows from `row` on: those of the tokens from position `start` on. */
  take(scores: Scores, row: number, start: number, count: number): void;
  /** All have come. */
  end(): void;
}

/** Scores every token after the first; the last of `ids` need not be read for that. */
export class TokenScoring implements Reading {
  readonly rows = "all";
  readonly scores: TokenScore[];

  constructor(
    private readonly ids: readonly number[],
    private readonly top: number,
    private readonly vocabSize: number,
    private readonly receive: (scores: TokenScore[]) => void = () => undefined,
  ) {
    this.scores = [{ id: ids[0] ?? 0, logprob: null, top: null }];
  }

  take({ logits, logSums }: Scores, row: number, start: number, count: number): void {
    const V = this.vocabSize;
    // who had to make room for others is read again
    if (start === 0) this.scores.length = 1;
    for (let t = 0; t < count; t++) {
      const id = this.ids[start + t + 1];
      if (id === undefined) continue;
      const own = logits.subarray((row + t) * V, (row + t + 1) * V);
      const logSum = logSums[row + t] ?? 0;
      this.scores.push({ id, logprob: logprobOf(own, id, logSum), top: topLogprobs(own, this.top, logSum) });
    }
  }

  end(): void {
    this.receive(this.scores);
  }
}

/** One vector of a text: the mean of its tokens' rows, or its last token's. */
export type Pooling = "mean" | "last";

/** Pools what the model's head is given (after the last norm), in f64, into a vector [D] of length 1. */
export class PooledRows implements Reading {
  readonly rows: "all" | "last";
  #sum: Float64Array | undefined;

  constructor(pooling: Pooling) {
    this.rows = pooling === "mean" ? "all" : "last";
  }

  take({ hidden = NOTHING, logSums }: Scores, row: number, start: number, count: number): void {
    const D = hidden.length / logSums.length;
    if (start === 0 || this.#sum === undefined) this.#sum = new Float64Array(D);
    for (let t = row; t < row + count; t++) for (let d = 0; d < D; d++) this.#sum[d]! += hidden[t * D + d]!;
  }

  end(): void {}

  /** The mean's direction is the sum's. */
  get vector(): Float32Array<ArrayBuffer> {
    const sum = this.#sum ?? new Float64Array();
    const length = Math.sqrt(sum.reduce((all, x) => all + x * x, 0));
    return Float32Array.from(sum, (x) => (length > 0 ? x / length : 0));
  }
}

const NOTHING = new Float32Array();
