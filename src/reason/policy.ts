/** The arithmetic of GRPO and its kin, apart from any model: advantages, weights of tokens, clipping, KL. */
import { ConfigError } from "../errors.ts";

/** What an advantage is divided by: nothing (Dr. GRPO), or the group's deviation over n − 1 (TRL) or n (most others). */
export type Scale = "none" | "sample" | "population";

/** Added to the deviation, as in TRL. */
export const SCALE_EPSILON = 1e-4;

/** r − mean of the group's rewards, by choice ÷ (deviation + 1e-4). Of equal rewards all are exactly 0. arXiv:2402.03300, 2503.20783. */
export function advantages(rewards: readonly number[], scale: Scale = "none"): number[] {
  const n = rewards.length;
  if (rewards.every((reward) => reward === rewards[0])) return rewards.map(() => 0);
  const middle = rewards.reduce((sum, reward) => sum + reward, 0) / n;
  const apart = rewards.map((reward) => reward - middle);
  if (scale === "none") return apart;
  const squares = apart.reduce((sum, value) => sum + value * value, 0);
  const deviation = Math.sqrt(squares / (scale === "sample" ? n - 1 : n));
  return apart.map((value) => value / (deviation + SCALE_EPSILON));
}

/** A group teaches nothing when all its rewards are the same. */
export const isDead = (rewards: readonly number[]): boolean => rewards.every((reward) => reward === rewards[0]);

/** Chance that a group of `size` has both right and wrong ones, each right with chance p: 1 − p^G − (1 − p)^G. */
export const signalShare = (p: number, size: number): number => 1 - p ** size - (1 - p) ** size;

export interface GroupStatistics {
  groups: number;
  /** Shares: all rewards the same, all of them the most there is, all of them 0. */
  dead: number;
  solved: number;
  hopeless: number;
}

/** What a batch's groups were like; `most` is the reward of a reply in which nothing is wrong. */
export function groupStatistics(groups: readonly (readonly number[])[], most = 1): GroupStatistics {
  const share = (is: (rewards: readonly number[]) => boolean): number =>
    groups.length === 0 ? 0 : groups.filter(is).length / groups.length;
  return {
    groups: groups.length,
    dead: share(isDead),
    solved: share((rewards) => rewards.every((reward) => reward >= most)),
    hopeless: share((rewards) => rewards.every((reward) => reward === 0)),
  };
}

/** How tokens add up: mean of each sequence, then of all (R1); mean of all tokens of the step (DAPO); Σ ÷ (sequences · longest allowed) (Dr. GRPO). */
export type Aggregation = "sequence" | "token" | { longest: number };

/** What each token of sequence i counts in the step's loss; `lengths` are the trained tokens of all the step's sequences. An empty one counts 0. */
export function tokenWeights(lengths: readonly number[], aggregation: Aggregation): number[] {
  const n = lengths.length;
  if (aggregation === "sequence") return lengths.map((length) => (length === 0 ? 0 : 1 / (n * length)));
  if (aggregation === "token") {
    const all = lengths.reduce((sum, length) => sum + length, 0);
    return lengths.map((length) => (length === 0 ? 0 : 1 / all));
  }
  const { longest } = aggregation;
  if (!(longest >= Math.max(...lengths)))
    throw new ConfigError(`policy: expected no sequence over ${longest} tokens, got one of ${Math.max(...lengths)}`);
  return lengths.map((length) => (length === 0 ? 0 : 1 / (n * longest)));
}

export interface Clip {
  /** ρ counts down to 1 − low where A < 0, up to 1 + high where A > 0, and where A < 0 up to `dual`. What is left out does not bound. */
  low?: number;
  high?: number;
  dual?: number;
}

/** min(ρA, clip(ρ)A) of one token and its derivative by log π: ρA where it counts, 0 where it is clipped. */
export function surrogate(ratio: number, advantage: number, clip?: Clip): { value: number; gradient: number } {
  const { low = Infinity, high = Infinity, dual = Infinity } = clip ?? {};
  const counted = advantage < 0 ? Math.min(Math.max(ratio, 1 - low), dual) : Math.min(ratio, 1 + high);
  return { value: counted * advantage, gradient: counted === ratio ? ratio * advantage : 0 };
}

/** At which end ρ is clipped; as a weight without a gradient of its own (CISPO) whatever A is, `dual` does not count there. */
export function clippedAt(ratio: number, advantage: number, clip: Clip, weight = false): "low" | "high" | undefined {
  const { low = Infinity, high = Infinity, dual = Infinity } = clip;
  if (ratio < 1 - low && (weight || advantage < 0)) return "low";
  const most = weight || advantage >= 0 ? 1 + high : dual;
  return ratio > most ? "high" : undefined;
}

/** k1 = −d, k2 = d²/2, k3 = e^d − d − 1 with d = log π_ref − log π; `unbiased` is ρ·k3, whose gradient is that of the KL (DeepSeek-V3.2). */
export type KlEstimator = "k1" | "k2" | "k3" | "unbiased";

/** An estimate of KL(π ‖ π_ref) from one sampled token. `ratio` is π / π_old, 1 on-policy. */
export function klEstimate(d: number, estimator: KlEstimator, ratio = 1): number {
  const k3 = Math.exp(d) - d - 1;
  return { k1: -d, k2: (d * d) / 2, k3, unbiased: ratio * k3 }[estimator];
}

/** What ∇ log π is multiplied by in the estimate's gradient. */
export function klGradient(d: number, estimator: KlEstimator, ratio = 1): number {
  return { k1: 1, k2: -d, k3: 1 - Math.exp(d), unbiased: -ratio * d }[estimator];
}
