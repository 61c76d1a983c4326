/** From logits to the next token: temperature, top-k, top-p, penalties, log-probabilities. */
import { RuntimeError } from "../errors.ts";
import type { Sampling, ScoredId } from "./engine.ts";
import { type Random, random } from "./random.ts";

/** Index of the largest logit, the first of equals. Throws RuntimeError when a logit is NaN or all are -Infinity. */
export function argmax(logits: Float32Array): number {
  let best = -1;
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    const x = logits[i]!;
    if (x > max) {
      max = x;
      best = i;
    } else if (x !== x)
      throw new RuntimeError(
        `sampling: logit ${i} of ${logits.length} is NaN; the model's weights or its graph are broken`,
      );
  }
  if (best < 0 || max === Infinity)
    throw new RuntimeError(`sampling: expected ${logits.length} finite logits, the largest is ${max}`);
  return best;
}

/** log Σ exp(logits), in double precision. */
export function logSumExp(logits: Float32Array): number {
  const max = logits[argmax(logits)]!;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - max);
  return max + Math.log(sum);
}

/** A token's log probability; never below -9999, since JSON has no infinity. */
export const logprobOf = (logits: Float32Array, id: number, logSum: number): number =>
  Math.max(-9999, logits[id]! - logSum);

/** The n likeliest tokens with their log probabilities, best first, the lower id first among equals. */
export function topLogprobs(logits: Float32Array, n: number, logSum: number = logSumExp(logits)): ScoredId[] {
  const top: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    const x = logits[id]!;
    if (top.length === n && !(x > logits[top[n - 1]!]!)) continue;
    let at = top.length;
    while (at > 0 && logits[top[at - 1]!]! < x) at--;
    top.splice(at, 0, id);
    if (top.length > n) top.pop();
  }
  return top.map((id) => ({ id, logprob: logprobOf(logits, id, logSum) }));
}

/** Draws tokens for one sequence; keeps its random stream and what it drew. */
export class Sampler {
  readonly #sampling: Sampling;
  readonly #random: Random;
  readonly #counts = new Map<number, number>();

  constructor(sampling: Sampling) {
    this.#sampling = sampling;
    this.#random = random(sampling.seed);
  }

  /** The next token id. `logits` [V] is left as it is. */
  next(logits: Float32Array): number {
    const adjusted = this.#adjust(logits);
    const id = this.#sampling.temperature === 0 ? argmax(adjusted) : this.#draw(adjusted);
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    return id;
  }

  #adjust(logits: Float32Array): Float32Array {
    const { frequencyPenalty, presencePenalty, logitBias } = this.#sampling;
    const penalties = (frequencyPenalty !== 0 || presencePenalty !== 0) && this.#counts.size > 0;
    if (!penalties && logitBias.size === 0) return logits;
    const out = logits.slice();
    for (const [id, bias] of logitBias) out[id]! += bias;
    if (penalties) for (const [id, n] of this.#counts) out[id]! -= n * frequencyPenalty + presencePenalty;
    return out;
  }

  /** Temperature, then top-k, top-p and min-p, each on what the one before left, then one draw. */
  #draw(logits: Float32Array): number {
    const { temperature, topP, topK, minP } = this.#sampling;
    const max = logits[argmax(logits)]!;
    const weight = (id: number): number => Math.exp((logits[id]! - max) / temperature);
    if (topP >= 1 && topK === 0 && minP === 0) return this.#pick(logits.length, (i) => i, weight);

    let kept: number[] | undefined;
    let limit = Infinity;
    if (topK > 0) limit = topK;
    if (topP < 1 || topK > 0) {
      kept = likeliest(logits, temperature, topK > 0 ? topK : topP);
      if (topP < 1) {
        let total = 0;
        if (topK > 0) for (const id of kept.slice(0, topK)) total += weight(id);
        else for (let id = 0; id < logits.length; id++) total += weight(id);
        let sum = 0;
        let n = 0;
        while (n < kept.length && n < limit && (n === 0 || sum < topP * total)) sum += weight(kept[n++]!);
        limit = n;
      }
      kept = kept.slice(0, limit);
    }
    if (minP > 0) {
      // weight(likeliest) is 1
      kept ??= Array.from(logits.keys());
      kept = kept.filter((id) => weight(id) >= minP);
    }
    const ids = kept ?? [];
    return this.#pick(ids.length, (i) => ids[i]!, weight);
  }

  #pick(n: number, idAt: (i: number) => number, weight: (id: number) => number): number {
    let total = 0;
    for (let i = 0; i < n; i++) total += weight(idAt(i));
    let left = this.#random() * total;
    let last = idAt(0);
    for (let i = 0; i < n; i++) {
      const id = idAt(i);
      const w = weight(id);
      if (w === 0) continue;
      last = id;
      left -= w;
      if (left < 0) return id;
    }
    return last;
  }
}

/**
 * Ids by falling logit (lower id first among equals): enough of them to hold `need` tokens (need ≥ 1) or a share
 * `need` of the probability (need < 1). Sorts only what lies near the top, and widens until that suffices.
 */
function likeliest(logits: Float32Array, temperature: number, need: number): number[] {
  const max = logits[argmax(logits)]!;
  let total = 0;
  if (need < 1) for (let i = 0; i < logits.length; i++) total += Math.exp((logits[i]! - max) / temperature);
  for (let depth = 4; ; depth *= 4) {
    const floor = depth > 1000 ? -Infinity : max - depth * temperature;
    const ids: number[] = [];
    let mass = 0;
    for (let i = 0; i < logits.length; i++)
      if (logits[i]! >= floor) {
        ids.push(i);
        if (need < 1) mass += Math.exp((logits[i]! - max) / temperature);
      }
    const enough = need < 1 ? mass >= need * total : ids.length >= need;
    if (enough || floor === -Infinity) return ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
  }
}
