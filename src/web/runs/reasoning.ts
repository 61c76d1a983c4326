/** A run of reinforcement as curves: what the answers of each step were like, and how tests went. */
import type { PolicyRecord } from "../../runs/index.ts";
import { figure, percent } from "../ui/format.ts";
import type { Curve } from "./Chart.tsx";
import { type Axis, xOf } from "./curves.ts";
import { type RunLog, smooth } from "./log.ts";

/** One curve of a step's answers. */
export interface Series {
  name: string;
  of: (record: PolicyRecord) => number | undefined;
}

/** Curves that belong together, and how they are shown. */
export interface PolicyQuantity {
  title: string;
  help: string;
  format: (value: number) => string;
  series: Series[];
  /** Noisy from step to step: shown smoothed. */
  noisy?: boolean;
  wide?: boolean;
}

const field = (name: string, key: keyof PolicyRecord): Series => ({
  name,
  of: (record) => record[key] as number | undefined,
});

const tokens = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
const seconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} s`;
const small = (value: number): string => (value === 0 ? "0" : value.toExponential(1));

const LENGTH: PolicyQuantity = {
  title: "Length",
  help: "Tokens of an answer with its thought, mean of all that were drawn",
  format: tokens,
  series: [field("tokens", "length")],
  noisy: true,
};

const AFTER_REWARD: PolicyQuantity[] = [
  LENGTH,
  {
    title: "Answers that think",
    help: "Share of answers that think before they answer",
    format: percent,
    series: [field("share", "longShare")],
    noisy: true,
  },
  {
    title: "Right, thinking or not",
    help: "Share of right ones among answers that think, and among the others. Reinforcement takes whichever way is right more often",
    format: percent,
    series: [field("thinking", "longRight"), field("not", "shortRight")],
    noisy: true,
  },
  {
    title: "Groups that teach nothing",
    help: "A group of answers to one problem teaches by its differences: dead ones have none, all of theirs being right (solved), worth nothing (hopeless), or otherwise alike",
    format: percent,
    series: [field("dead", "dead"), field("solved", "solved"), field("hopeless", "hopeless")],
    noisy: true,
  },
  {
    title: "Entropy",
    help: "Of the next token, in nats: near 0 all answers are the same and nothing more is found",
    format: figure,
    series: [field("nats", "entropy")],
    noisy: true,
  },
  {
    title: "Cut off",
    help: "Share of answers that met the limit of tokens before they ended",
    format: percent,
    series: [field("share", "truncated")],
    noisy: true,
  },
  {
    title: "Drift",
    help: "Difference of log-probabilities between drawing and training: above 1e-4 answers are not drawn from what is trained",
    format: small,
    series: [field("largest", "driftMax"), field("mean", "driftMean")],
  },
  {
    title: "KL to the reference",
    help: "How far the policy has moved from where it began, in nats a token",
    format: figure,
    series: [field("nats", "kl")],
    noisy: true,
  },
  {
    title: "KL to the teacher",
    help: "How far the student's whole distribution is from the teacher's, in nats a token, on what the student says itself",
    format: figure,
    series: [field("nats", "teacherKl")],
    noisy: true,
  },
  {
    title: "Clipped",
    help: "Share of tokens whose probability had moved too far to count",
    format: percent,
    series: [field("share", "clipShare")],
    noisy: true,
  },
  {
    title: "Expert flips",
    help: "Choices of experts that differ between drawing and training: the aim is none",
    format: figure,
    series: [field("flips", "flips")],
  },
  {
    title: "Seconds of a step",
    help: "Drawing and scoring answers, a teacher's reading of them where there is one, and learning from them",
    format: seconds,
    series: [field("drawing", "rolloutSeconds"), field("teacher", "teacherSeconds"), field("learning", "trainSeconds")],
    noisy: true,
  },
];

/** What runs have logged of their answers: the reward with its parts by their names first. */
export function quantitiesOf(logs: readonly RunLog[]): PolicyQuantity[] {
  const records = logs.flatMap((log) => log.policies);
  const parts = [...new Set(records.flatMap(({ parts }) => Object.keys(parts ?? {})))];
  const reward: PolicyQuantity = {
    title: "Reward",
    help: "Mean of all answers drawn in a step, and of each part of it, weighted or not",
    format: figure,
    series: [field("reward", "reward"), ...parts.map((name): Series => ({ name, of: ({ parts }) => parts?.[name] }))],
    noisy: true,
    wide: true,
  };
  const logged = ({ of }: Series): boolean => records.some((record) => of(record) != null);
  return [reward, ...AFTER_REWARD]
    .map((quantity) => ({ ...quantity, series: quantity.series.filter(logged) }))
    .filter(({ series }) => series.length > 0);
}

/** A curve on the x of the log's steps. */
export function policyColumn(log: RunLog, { of }: Series): (number | null)[] {
  const at = new Map(log.policies.map((record) => [record.step, record]));
  return log.steps.map(({ step }) => {
    const record = at.get(step);
    return (record && of(record)) ?? null;
  });
}

export function policyCurves(
  log: RunLog,
  { series, noisy }: PolicyQuantity,
  weight: number,
  colors: readonly string[],
): Curve[] {
  return series.map((one, i) => ({
    name: one.name,
    color: colors[i % colors.length]!,
    values: smooth(policyColumn(log, one), noisy ? weight : 0),
  }));
}

/** Tests on an x of their own: they are taken before the first step too. */
export function scoreAxis(log: RunLog, axis: Axis): number[] {
  const x = xOf(log.steps, axis);
  let at = 0;
  return log.scores.map(({ step }) => {
    if (step === 0) return 0;
    while (at < log.steps.length - 1 && log.steps[at]!.step < step) at++;
    return x[at] ?? step;
  });
}

export const SCORE = {
  title: "Right on tests",
  help: "Problems that no stage has met, answered greedily",
  series: [
    { name: "right", of: "right" },
    { name: "think", of: "longShare" },
  ],
} as const;
