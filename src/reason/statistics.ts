/** What samples say about a model: pass@k, majorities, and intervals over questions. */
import { Random } from "../data/index.ts";
import { ConfigError } from "../errors.ts";

/**
 * The chance that one of k samples is right, from n samples of which c were: 1 − C(n−c, k) / C(n, k), without bias
 * (arXiv:2107.03374 §2.1). Throws ConfigError unless 1 ≤ k ≤ n and 0 ≤ c ≤ n.
 */
export function passAtK(n: number, c: number, k: number): number {
  if (!(k >= 1 && k <= n && c >= 0 && c <= n))
    throw new ConfigError(`pass@k: expected 1 <= k <= n and 0 <= c <= n, got n=${n} c=${c} k=${k}; draw more samples`);
  if (n - c < k) return 1;
  let miss = 1;
  for (let i = n - c + 1; i <= n; i++) miss *= 1 - k / i;
  return 1 - miss;
}

/**
 * The answer that most samples agree on, as the index of its first sample; −1 when none has an answer. Answers are put with the first
 * one that they are the same as; of equally large groups the one that began first wins.
 */
export function majority(answers: readonly (string | undefined)[], same: (a: string, b: string) => boolean): number {
  const groups: { first: number; answer: string; count: number }[] = [];
  answers.forEach((answer, index) => {
    if (answer === undefined) return;
    const group = groups.find((one) => one.answer === answer || same(one.answer, answer));
    if (group) group.count++;
    else groups.push({ first: index, answer, count: 1 });
  });
  let best: (typeof groups)[number] | undefined;
  for (const group of groups) if (best === undefined || group.count > best.count) best = group;
  return best?.first ?? -1;
}

export const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

/** The value below which a share of the sorted values lies, between two of them in proportion. */
export function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? 0;
  return below + (at - Math.floor(at)) * ((sorted[Math.ceil(at)] ?? 0) - below);
}

/** A mean and the interval in which 95 % of resampled means lie. */
export interface Estimate {
  mean: number;
  low: number;
  high: number;
}

const RESAMPLES = 2000;
const BOOTSTRAP_SEED = 0xb007;

/**
 * Resamples questions, not samples: samples of a question are not independent. The same values give the same interval.
 * When all values are the same the resampled interval has no width; then it is the one of as many yes-or-no trials (Wilson).
 */
export function estimate(values: readonly number[]): Estimate {
  const middle = mean(values);
  if (values.length === 0) return { mean: 0, low: 0, high: 1 };
  if (values.every((value) => value === values[0])) {
    if (middle !== 0 && middle !== 1) return { mean: middle, low: middle, high: middle };
    const edge = 1.96 ** 2 / (values.length + 1.96 ** 2);
    return middle === 0 ? { mean: 0, low: 0, high: edge } : { mean: 1, low: 1 - edge, high: 1 };
  }
  const means = resampledMeans(values);
  return { mean: middle, low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

function resampledMeans(values: readonly number[]): Float64Array & readonly number[] {
  const random = new Random(BOOTSTRAP_SEED, values.length);
  const means = new Float64Array(RESAMPLES);
  for (let i = 0; i < RESAMPLES; i++) {
    let sum = 0;
    for (let j = 0; j < values.length; j++) sum += values[random.int(0, values.length - 1)]!;
    means[i] = sum / values.length;
  }
  return means.sort() as Float64Array & readonly number[];
}

export interface Comparison extends Estimate {
  /** Share of resamples in which the difference is not on the side that its mean says, twice: small is sure. */
  p: number;
  /** Questions on which the second, or the first, is better. */
  better: number;
  worse: number;
}

/** The second model's values less the first's, question by question. Throws ConfigError when they are not about as many questions. */
export function comparePaired(first: readonly number[], second: readonly number[]): Comparison {
  if (first.length !== second.length || first.length === 0)
    throw new ConfigError(
      `compare: expected both models' values for the same questions, got ${first.length} and ${second.length}`,
    );
  const differences = second.map((value, i) => value - first[i]!);
  const middle = mean(differences);
  const means = resampledMeans(differences);
  const against = means.filter((value) => (middle > 0 ? value <= 0 : value >= 0)).length;
  return {
    mean: middle,
    low: quantile(means, 0.025),
    high: quantile(means, 0.975),
    p: middle === 0 ? 1 : Math.min(1, (2 * against) / means.length),
    better: differences.filter((value) => value > 0).length,
    worse: differences.filter((value) => value < 0).length,
  };
}

/** What was sampled of one question. */
export interface QuestionSamples {
  right: readonly boolean[];
  answers: readonly (string | undefined)[];
  /** Tokens of each sample. */
  lengths: readonly number[];
}

/** A value for each question; what intervals and paired comparisons are made of. */
export interface QuestionValues {
  passAt1: number[];
  passAtK: number[];
  consAtK: number[];
  length: number[];
}

/** The majority of so many samples, and the tokens that it takes. */
export interface Majority {
  of: number;
  right: Estimate;
  tokens: number;
}

export interface Evaluation {
  questions: number;
  samples: number;
  k: number;
  passAt1: Estimate;
  passAtK: Estimate;
  consAtK: Estimate;
  length: Estimate;
  /** Of 1, 2, 4, … and k samples. */
  majorities: Majority[];
  values: QuestionValues;
}

/** pass@1 is the mean over all samples; cons@k is whether the majority of the first k is right. Throws ConfigError when a question has fewer than k. */
export function evaluateSamples(
  questions: readonly QuestionSamples[],
  k: number,
  same: (a: string, b: string) => boolean,
): Evaluation {
  const passAt = (least: number): number[] =>
    questions.map(({ right }) => passAtK(right.length, right.filter(Boolean).length, least));
  const majorityOf = (size: number): number[] =>
    questions.map(({ right, answers }) => (right[majority(answers.slice(0, size), same)] === true ? 1 : 0));
  const values: QuestionValues = {
    passAt1: passAt(1),
    passAtK: passAt(k),
    consAtK: majorityOf(k),
    length: questions.map(({ lengths }) => mean(lengths)),
  };
  const sizes = [...Array.from({ length: Math.ceil(Math.log2(k)) }, (_, i) => 2 ** i), k];
  const length = estimate(values.length);
  return {
    questions: questions.length,
    samples: questions.reduce((sum, { right }) => sum + right.length, 0),
    k,
    passAt1: estimate(values.passAt1),
    passAtK: estimate(values.passAtK),
    consAtK: estimate(values.consAtK),
    length,
    majorities: sizes.map((of) => ({ of, right: estimate(majorityOf(of)), tokens: of * length.mean })),
    values,
  };
}
