/** What the updates of a step were like, from the log-probabilities that they saw. */
import type { StepSums } from "../train/index.ts";
import type { Answer } from "./microBatches.ts";
import type { ReinforceOptions } from "./options.ts";
import { clippedAt, klEstimate } from "./policy.ts";

/** Means over a step's updates; shares and means of tokens are of those that count. What the formula does not have is absent. */
export interface UpdateReport {
  loss: number;
  gradNorm: number;
  /** Of the last update. */
  learningRate: number;
  /** Nats of a token. */
  entropy: number;
  /** Largest and mean difference of log-probabilities between rollout and training, before the first update; absent with `importance`, where they differ by intent. */
  driftMax?: number;
  driftMean?: number;
  /** Choices of experts in drawing that training did not make, before the first update; of a model with routers. */
  flips?: number;
  /** To the reference, nats a token: by k3, and by k1, which is without bias and noisier. */
  kl?: number;
  klK1?: number;
  /** Tokens whose ratio was clipped, and at which end. */
  clipShare?: number;
  clipLow?: number;
  clipHigh?: number;
  /** Extremes of the ratio that counts: of tokens, or of answers. */
  ratioMin?: number;
  ratioMax?: number;
  /** Answers that were dropped as too far from the policy. */
  offPolicyShare?: number;
}

/** One update: answers, where each begins in what training gave, and what that was. */
export interface UpdateMade {
  answers: readonly Answer[];
  place: readonly number[];
  sums: Pick<StepSums, "loss" | "perToken">;
  /** The weights were still those that drew. */
  fresh: boolean;
  gradNorm: number;
  learningRate: number;
}

type Told = Pick<ReinforceOptions, "ratioClip" | "ratio" | "surrogate" | "offPolicyDelta" | "kl" | "importance">;

export class PolicyStatistics {
  #updates = 0;
  #answers = 0;
  #tokens = 0;
  #fresh = 0;
  readonly #sum = { loss: 0, gradNorm: 0, entropy: 0, drift: 0, k1: 0, k3: 0, low: 0, high: 0, dropped: 0 };
  #driftMax = 0;
  #flips: number | undefined;
  #ratioMin = Infinity;
  #ratioMax = 0;
  #learningRate = 0;

  constructor(
    private readonly options: Told,
    /** Experts of a token in one layer. */
    private readonly expertsPerToken: number,
  ) {}

  add({ answers, place, sums, fresh, gradNorm, learningRate }: UpdateMade): void {
    const { logProbabilities, entropies, experts } = sums.perToken;
    this.#updates++;
    this.#sum.loss += sums.loss;
    this.#sum.gradNorm += gradNorm;
    this.#learningRate = learningRate;
    for (const [i, answer] of answers.entries()) {
      const from = place[i] ?? 0;
      const to = from + answer.ids.length;
      const now = logProbabilities?.subarray(from, to) ?? new Float32Array(answer.ids.length).fill(NaN);
      if (fresh) this.#compareDrawn(answer, now, experts, from);
      if (answer.masked) continue;
      this.#answers++;
      this.#tokens += now.length;
      for (const entropy of entropies?.subarray(from, to) ?? []) this.#sum.entropy += entropy;
      this.#addRatios(answer, now);
      for (const [t, value] of now.entries()) {
        const d = (answer.referenceLogProbabilities?.[t] ?? value) - value;
        this.#sum.k1 += klEstimate(d, "k1");
        this.#sum.k3 += klEstimate(d, "k3");
      }
    }
  }

  #compareDrawn(answer: Answer, now: Float32Array, experts: Float32Array | undefined, from: number): void {
    for (const [t, drawn] of answer.drawnLogProbabilities.entries()) {
      const apart = Math.abs((now[t] ?? NaN) - drawn);
      this.#driftMax = apart > this.#driftMax || Number.isNaN(apart) ? apart : this.#driftMax;
      this.#sum.drift += apart;
      this.#fresh++;
    }
    if (answer.experts === undefined || experts === undefined) return;
    const each = answer.experts.length / answer.ids.length;
    const own = experts.subarray(from * each, from * each + answer.experts.length);
    this.#flips = (this.#flips ?? 0) + flipsBetween(answer.experts, own, this.expertsPerToken);
  }

  #addRatios({ oldLogProbabilities: old, advantage }: Answer, now: Float32Array): void {
    if (old === undefined) return;
    const { ratio: of, ratioClip, surrogate, offPolicyDelta } = this.options;
    const moved = now.map((value, t) => value - (old[t] ?? value));
    const middle = moved.reduce((sum, value) => sum + value, 0) / moved.length;
    if (offPolicyDelta != null && advantage < 0 && -middle > offPolicyDelta) this.#sum.dropped++;
    for (const value of moved) {
      const ratio = Math.exp(of === "sequence" ? middle : value);
      this.#ratioMin = Math.min(this.#ratioMin, ratio);
      this.#ratioMax = Math.max(this.#ratioMax, ratio);
      const end = ratioClip && clippedAt(ratio, advantage, ratioClip, surrogate === "weight");
      if (end) this.#sum[end]++;
    }
  }

  report(): UpdateReport {
    const { loss, gradNorm, entropy, drift, k1, k3, low, high, dropped } = this.#sum;
    const { ratioClip, kl, offPolicyDelta, importance } = this.options;
    const tokens = Math.max(1, this.#tokens);
    const updates = Math.max(1, this.#updates);
    return {
      loss: loss / updates,
      gradNorm: gradNorm / updates,
      learningRate: this.#learningRate,
      entropy: entropy / tokens,
      ...(importance ? {} : { driftMax: this.#driftMax, driftMean: drift / Math.max(1, this.#fresh) }),
      ...(this.#flips === undefined ? {} : { flips: this.#flips }),
      ...(kl ? { kl: k3 / tokens, klK1: k1 / tokens } : {}),
      ...(ratioClip ? { clipShare: (low + high) / tokens, clipLow: low / tokens, clipHigh: high / tokens } : {}),
      ...(this.#ratioMax > 0 ? { ratioMin: this.#ratioMin, ratioMax: this.#ratioMax } : {}),
      ...(offPolicyDelta == null ? {} : { offPolicyShare: dropped / Math.max(1, this.#answers) }),
    };
  }
}

/** Choices [n · K], K by K, that the other did not make; the order within K does not count. */
export function flipsBetween(drawn: ArrayLike<number>, trained: ArrayLike<number>, K: number): number {
  let flips = 0;
  for (let first = 0; first < drawn.length; first += K)
    for (let k = 0; k < K; k++) {
      let found = false;
      for (let other = 0; other < K && !found; other++) found = drawn[first + k] === trained[first + other];
      if (!found) flips++;
    }
  return flips;
}
