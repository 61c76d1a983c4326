/** Whether reinforcement can lengthen thoughts here: asked of samples before it begins. */
import { mean } from "./statistics.ts";

/** One sampled reply. */
export interface GateSample {
  /** It thought before it answered. */
  long: boolean;
  right: boolean;
}

export interface GateVerdict {
  open: boolean;
  samples: number;
  /** Share of replies that think; share of right ones among those, and among the others. */
  longShare: number;
  longRight: number;
  shortRight: number;
  /** In words: what was found, and when it is shut, what to do. A line each. */
  why: string[];
}

/** Found by trial (reason.md): below these, RL shortened the thoughts or nothing rose. */
export const GATE = { samples: 256, longShare: 0.1, longRight: 0.7, lead: 0.3 } as const;

const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < GATE.longShare ? 1 : 0)} %`;

/**
 * RL takes whichever way of answering is right more often. So: at least a tenth of the replies must think, 70 % of those be right, and
 * 30 points more of them than of the short ones. Fewer than 256 samples are judged, and said to be few.
 */
export function judgeGate(samples: readonly GateSample[]): GateVerdict {
  const rightOf = (long: boolean): number =>
    mean(samples.filter((sample) => sample.long === long).map(({ right }) => (right ? 1 : 0)));
  const longShare = mean(samples.map(({ long }) => (long ? 1 : 0)));
  const longRight = rightOf(true);
  const shortRight = rightOf(false);
  const faults: string[] = [];
  if (samples.length === 0) faults.push("There are no samples to judge by.");
  else if (longShare < GATE.longShare)
    faults.push(
      `Only ${percent(longShare)} of the replies think before they answer; RL needs ${percent(GATE.longShare)} to find that thinking pays. ` +
        "Put more texts with their working into pretraining, or make a cold start (SFT on worked answers).",
    );
  if (longShare > 0 && longRight < GATE.longRight)
    faults.push(
      `Of the replies that think ${percent(longRight)} are right; under ${percent(GATE.longRight)} RL learns to think less. ` +
        "Train longer on worked examples alone until they are right, or ask for less (fewer digits, fewer steps).",
    );
  if (longShare > 0 && longShare < 1 && longRight - shortRight < GATE.lead)
    faults.push(
      `Thinking is right in ${percent(longRight)}, not thinking in ${percent(shortRight)}: a lead of less than ${percent(GATE.lead)}. ` +
        "RL would take the short way where that is as good. Choose a task that cannot be answered at a glance (more operands), or teach the working better.",
    );
  const found =
    `Of ${samples.length} replies ${percent(longShare)} think; right are ${percent(longRight)} of those` +
    (longShare < 1 ? ` and ${percent(shortRight)} of the others.` : ".");
  const few =
    samples.length > 0 && samples.length < GATE.samples
      ? [`That is judged by fewer than ${GATE.samples} replies: a few more or less would change it.`]
      : [];
  return {
    open: faults.length === 0,
    samples: samples.length,
    longShare,
    longRight,
    shortRight,
    why: [found, ...few, ...faults],
  };
}
