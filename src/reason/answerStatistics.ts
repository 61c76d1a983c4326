/** What the answers of a step were like: their rewards, lengths, thoughts. */
import { rightness } from "./rewards.ts";
import type { Group } from "./rollouts.ts";
import { mean } from "./statistics.ts";

/** Shares are of all answers drawn. */
export interface AnswerStatistics {
  /** Mean reward, and each part of it. */
  reward: number;
  parts: Record<string, number>;
  /** Tokens of an answer, mean. */
  length: number;
  longShare: number;
  /** Mean of the part `answer` (of the whole reward where there is none) of answers that think, and of the others; absent where there are none. */
  longRight?: number;
  shortRight?: number;
  truncated: number;
  /** Shares of answers whose form is wrong, by in what. */
  malformed: Record<string, number>;
  groups: number;
}

export function answerStatistics(groups: readonly Group[]): AnswerStatistics {
  const all = groups.flatMap(({ rollouts }) => rollouts);
  const partNames = Object.keys(all[0]?.reward.parts ?? {});
  const rightOf = (long: boolean): number | undefined => {
    const some = all.filter((one) => one.long === long);
    return some.length === 0 ? undefined : mean(some.map(({ reward }) => rightness(reward)));
  };
  return {
    reward: mean(all.map(({ reward }) => reward.total)),
    parts: Object.fromEntries(partNames.map((name) => [name, mean(all.map(({ reward }) => reward.parts[name] ?? 0))])),
    length: mean(all.map(({ ids }) => ids.length)),
    longShare: mean(all.map(({ long }) => (long ? 1 : 0))),
    longRight: rightOf(true),
    shortRight: rightOf(false),
    truncated: mean(all.map(({ finish }) => (finish === "length" ? 1 : 0))),
    malformed: malformedShares(all.map(({ reward }) => reward.malformed)),
    groups: groups.length,
  };
}

function malformedShares(all: readonly (string | undefined)[]): Record<string, number> {
  const names = new Set(all.filter((name) => name !== undefined));
  return Object.fromEntries([...names].map((name) => [name, mean(all.map((one) => (one === name ? 1 : 0)))]));
}
