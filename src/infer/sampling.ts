/** From logits to the next token: temperature, top-k, top-p, penalties, log-probabilities. */
import { RuntimeError } from "../errors.ts";
import { RUN, type Sampling, type ScoredId, type Scores } from "./engine.ts";
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

/** Scores of rows of logits [L, V], as a graph makes them: for models that are none. */
export function scoresOf(logits: Float32Array, vocabSize: number, temperatures: readonly number[]): Scores {
  const L = temperatures.length;
  const runs = Math.ceil(vocabSize / RUN);
  const scores = {
    logits,
    weights: new Float32Array(L * runs * RUN),
    sums: new Float32Array(L * runs),
    logSums: new Float64Array(L),
  };
  for (const [l, temperature] of temperatures.entries()) {
    const row = logits.subarray(l * vocabSize, (l + 1) * vocabSize);
    let max = -Infinity;
    for (const x of row) max = x > max || x !== x ? x : max;
    let total = 0;
    for (const [i, x] of row.entries()) {
      const weight = Math.fround(Math.exp((x - max) / (temperature || 1)));
      scores.weights[l * runs * RUN + i] = weight;
      scores.sums[l * runs + Math.floor(i / RUN)]! += weight;
      total += Math.exp(x - max);
    }
    scores.logSums[l] = max + Math.log(total);
  }
  return scores;
}

/** Never below what JSON can hold. */
const bounded = (logprob: number): number => Math.max(-9999, logprob);

/** Draws tokens for one sequence; keeps its random stream and, where there are penalties, what it drew. */
export class Sampler {
  /** What was drawn last, and its natural-log probability: under the model itself, and in the distribution that it was drawn from. */
  id = 0;
  logprob = 0;
  drawnLogprob = 0;
  /** The ids that it was drawn from where others were cut; valid until the next draw, whoever makes it. */
  kept: Int32Array | undefined;
  readonly #sampling: Sampling;
  readonly #random: Random;
  readonly #counts = new Map<number, number>();
  /** Tokens of the prompt and of the answer, where repeating is penalized. */
  readonly #met: Set<number> | undefined;
  readonly #penalizes: boolean;
  /** Whether logits are changed or tokens cut before the draw; otherwise the graph's own sums are walked. */
  readonly #plain: boolean;

  constructor(sampling: Sampling, prompt: readonly number[] = []) {
    this.#sampling = sampling;
    this.#random = random(sampling.seed);
    const { frequencyPenalty, presencePenalty, repetitionPenalty, logitBias, topP, topK, minP } = sampling;
    if (repetitionPenalty !== 1) this.#met = new Set(prompt);
    this.#penalizes = frequencyPenalty !== 0 || presencePenalty !== 0;
    this.#plain = !this.#penalizes && !this.#met && logitBias.size === 0 && topP >= 1 && topK === 0 && minP === 0;
  }

  /**
   * Draws from row `l` of scores, made with this sampling's temperature; of the `allowed` tokens (bits, as a Guide gives them) where such are given.
   * Throws RuntimeError for logits that are not finite, and where none is allowed.
   */
  next(scores: Scores, l: number, vocabSize: number, allowed?: Uint32Array): number {
    const logits = scores.logits.subarray(l * vocabSize, (l + 1) * vocabSize);
    const runs = Math.ceil(vocabSize / RUN);
    let total = 0;
    for (let g = l * runs; g < (l + 1) * runs; g++) total += scores.sums[g]!;
    if (!(total >= 1 && total < Infinity)) argmax(logits); // says what is wrong
    const { temperature } = this.#sampling;
    if (this.#plain && temperature > 0 && !allowed) {
      const id = walk(scores, l, vocabSize, this.#random() * total);
      this.drawnLogprob = bounded(Math.log(scores.weights[l * runs * RUN + id]! / total));
      this.id = id;
    } else if (temperature === 0) {
      this.drawnLogprob = 0;
      this.id = argmax(this.#adjusted(logits, allowed));
    } else this.#drawCut(this.#adjusted(logits, allowed));
    if (this.#penalizes) this.#counts.set(this.id, (this.#counts.get(this.id) ?? 0) + 1);
    this.#met?.add(this.id);
    this.logprob = bounded(logits[this.id]! - scores.logSums[l]!);
    return this.id;
  }

  /** Logits with bias and penalties, and -Infinity where nothing is allowed; the same array where there are none of these. */
  #adjusted(logits: Float32Array, allowed: Uint32Array | undefined): Float32Array {
    const { frequencyPenalty, presencePenalty, repetitionPenalty, logitBias } = this.#sampling;
    if (logitBias.size === 0 && this.#counts.size === 0 && !this.#met && !allowed) return logits;
    const out = scratch(logits.length).logits.subarray(0, logits.length);
    out.set(logits);
    for (const id of this.#met ?? []) out[id]! *= out[id]! > 0 ? 1 / repetitionPenalty : repetitionPenalty;
    for (const [id, bias] of logitBias) out[id]! += bias;
    for (const [id, n] of this.#counts) out[id]! -= n * frequencyPenalty + presencePenalty;
    if (allowed) forbid(out, allowed);
    return out;
  }

  /** Temperature, then top-k, top-p and min-p, each on what the one before left, then one draw. */
  #drawCut(logits: Float32Array): void {
    const { temperature, topP, topK, minP } = this.#sampling;
    const { weights, ids } = scratch(logits.length);
    const max = logits[argmax(logits)]!;
    let total = 0;
    for (let i = 0; i < logits.length; i++) total += weights[i] = Math.exp((logits[i]! - max) / temperature);
    const ordered = topK > 0 || topP < 1;
    // less likely ones together have less than what top-p leaves out
    const floor = !ordered ? minP : topK === 0 ? ((1 - topP) * total * 0.999) / logits.length : 0;
    let n = 0;
    for (let i = 0; i < logits.length; i++) if (weights[i]! >= floor && weights[i]! > 0) ids[n++] = i;
    if (ordered) {
      const most = topK > 0 ? Math.min(topK, n) : n;
      const enough = topK > 0 ? Infinity : topP * total;
      let taken = 0;
      let sum = 0;
      heapify(ids, n, weights);
      while (taken < most && (taken === 0 || sum < enough)) sum += weights[takeLargest(ids, n - taken++, weights)]!;
      // the taken stand at the end, the likeliest last: drop from the front what top-p and min-p leave out
      let from = n - taken;
      if (topK > 0 && topP < 1) {
        let mass = 0;
        for (from = n; from > n - taken && (from === n || mass < topP * sum); ) mass += weights[ids[--from]!]!;
      }
      while (weights[ids[from]!]! < minP) from++;
      ids.copyWithin(0, from, n);
      n -= from;
    }
    let kept = 0;
    for (let i = 0; i < n; i++) kept += weights[ids[i]!]!;
    let left = this.#random() * kept;
    let id = ids[n - 1]!;
    for (let i = 0; i < n; i++) {
      left -= weights[ids[i]!]!;
      if (left >= 0) continue;
      id = ids[i]!;
      break;
    }
    this.id = id;
    this.kept = ids.subarray(0, n);
    this.drawnLogprob = bounded(Math.log(weights[id]! / kept));
  }
}

/** Takes out all that is not allowed; tokens beyond the bits are not. */
function forbid(logits: Float32Array, allowed: Uint32Array): void {
  for (let word = 0; word * 32 < logits.length; word++) {
    const bits = allowed[word] ?? 0;
    const from = word * 32;
    if (bits === 0) logits.fill(-Infinity, from, from + 32);
    else if (bits !== 0xffffffff)
      for (let i = 0; i < 32 && from + i < logits.length; i++) if ((bits >>> i) % 2 === 0) logits[from + i] = -Infinity;
  }
}

/** The token at which the weights of row `l`, added up, first exceed `at`. */
function walk({ weights, sums }: Scores, l: number, vocabSize: number, at: number): number {
  const runs = Math.ceil(vocabSize / RUN);
  let left = at;
  let last = 0;
  for (let g = 0; g < runs; g++) {
    const sum = sums[l * runs + g]!;
    if (sum === 0) continue;
    last = g;
    if (left < sum) break;
    left -= sum;
  }
  // a run's sum was rounded: its last token stands for what is left over
  const from = (l * runs + last) * RUN;
  let id = from;
  for (let i = from; i < from + RUN; i++) {
    const weight = weights[i]!;
    if (weight === 0) continue;
    id = i;
    left -= weight;
    if (left < 0) break;
  }
  return id - l * runs * RUN;
}

/** Room for one draw at a time, as large as the largest vocabulary so far. */
let room = { logits: new Float32Array(0), weights: new Float64Array(0), ids: new Int32Array(0) };
function scratch(size: number): typeof room {
  if (room.ids.length < size)
    room = { logits: new Float32Array(size), weights: new Float64Array(size), ids: new Int32Array(size) };
  return room;
}

/** Likelier first, the lower id first among equals. */
const comesFirst = (a: number, b: number, weights: Float64Array): boolean =>
  weights[a]! > weights[b]! || (weights[a] === weights[b] && a < b);

function heapify(ids: Int32Array, n: number, weights: Float64Array): void {
  for (let i = (n >> 1) - 1; i >= 0; i--) sink(ids, i, n, weights);
}

/** Takes the largest of a heap of n to its end, and gives it. */
function takeLargest(ids: Int32Array, n: number, weights: Float64Array): number {
  const largest = ids[0]!;
  ids[0] = ids[n - 1]!;
  ids[n - 1] = largest;
  sink(ids, 0, n - 1, weights);
  return largest;
}

function sink(ids: Int32Array, start: number, n: number, weights: Float64Array): void {
  const id = ids[start]!;
  let at = start;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= n) break;
    if (child + 1 < n && comesFirst(ids[child + 1]!, ids[child]!, weights)) child++;
    if (!comesFirst(ids[child]!, id, weights)) break;
    ids[at] = ids[child]!;
    at = child;
  }
  ids[at] = id;
}
