/** One run in detail, for people: its quantities from first to last, what went wrong, and its words early against late. */
import pc from "picocolors";
import type {
  EventRecord,
  PolicyRecord,
  RolloutStep,
  RunReader,
  RunRecord,
  RunSummary,
  StepRecord,
} from "../runs/index.ts";
import { sparkline } from "./pinned.ts";
import { harmless } from "./print.ts";
import { percent } from "./reasonView.ts";
import { spentInWords } from "./trainView.ts";

/** A quantity over the run. */
export interface Curve {
  name: string;
  first: number;
  last: number;
  values: number[];
}

export interface ShownRun extends RunSummary {
  curves: Curve[];
  seconds: number | null;
  joules: number | null;
  usd: number | null;
  tokens: number | null;
  /** What the diagnosis found, and other warnings and errors. */
  warnings: Pick<EventRecord, "step" | "level" | "message" | "topic">[];
  /** Answers of a run of reinforcement, at the first step that is kept and at the last. */
  rollouts: RolloutStep[];
}

const POLICY: readonly [name: string, of: (record: PolicyRecord) => number | undefined][] = [
  ["reward", ({ reward }) => reward],
  ["length", ({ length }) => length],
  ["thinks", ({ longShare }) => longShare],
  ["right, thinking", ({ longRight }) => longRight],
  ["right, not", ({ shortRight }) => shortRight],
  ["dead groups", ({ dead }) => dead],
  ["cut off", ({ truncated }) => truncated],
  ["entropy", ({ entropy }) => entropy],
  ["KL", ({ kl }) => kl],
  ["KL to the teacher", ({ teacherKl }) => teacherKl],
  ["clipped", ({ clipShare }) => clipShare],
  ["expert flips", ({ flips }) => flips],
  ["drift", ({ driftMax }) => driftMax],
];

/** Throws CheckpointError where a run cannot be read. */
export async function describeRun(reader: RunReader, summary: RunSummary): Promise<ShownRun> {
  const { log } = await reader.read(summary.id);
  const steps = await reader.rollouts(summary.id);
  const of = <T extends RunRecord["type"]>(type: T) =>
    log.filter((record): record is Extract<RunRecord, { type: T }> => record.type === type);
  const last: StepRecord | undefined = of("step").at(-1);
  const policies = of("policy");
  const parts = [...new Set(policies.flatMap((record) => Object.keys(record.parts)))];
  const curve = (name: string, values: readonly (number | undefined)[]): Curve[] => {
    const known = values.filter((value) => value !== undefined);
    return known.length === 0 ? [] : [{ name, first: known[0]!, last: known.at(-1)!, values: known }];
  };
  return {
    ...summary,
    curves: [
      ...curve(
        "tests right",
        of("score").map(({ right }) => right),
      ),
      ...POLICY.slice(0, 1).flatMap(([name, pick]) => curve(name, policies.map(pick))),
      ...parts.flatMap((name) =>
        curve(
          `  ${name}`,
          policies.map((record) => record.parts[name]),
        ),
      ),
      ...POLICY.slice(1).flatMap(([name, pick]) => curve(name, policies.map(pick))),
      ...curve(
        "loss",
        of("step").map(({ loss }) => loss),
      ),
      ...curve(
        "held-out",
        of("eval").map(({ loss }) => loss),
      ),
    ],
    seconds: last?.seconds ?? null,
    joules: last?.joules ?? null,
    usd: last?.usd ?? null,
    tokens: last?.tokens ?? null,
    warnings: of("event")
      .filter(({ level }) => level !== "info")
      .map(({ step, level, message, topic }) => ({ step, level, message, topic })),
    rollouts: steps.filter((_, i) => i === 0 || i === steps.length - 1),
  };
}

const SHARES = new Set(["tests right", "thinks", "right, thinking", "right, not", "dead groups", "cut off", "clipped"]);
const inWords = (name: string, value: number): string => {
  if (SHARES.has(name)) return percent(value);
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toFixed(3);
};

/** The same for people. */
export function runInWords(run: ShownRun): string {
  const { tokens, seconds, joules, usd } = run;
  const spent = spentInWords({
    tokens: tokens ?? 0,
    seconds: seconds ?? 0,
    joules: joules ?? 0,
    usd: usd ?? 0,
  });
  const lines = [
    `${pc.bold(run.id)}  ${run.status}  step ${run.step}/${run.steps}   ${spent}`,
    ...run.curves.map(
      ({ name, first, last, values }) =>
        `  ${pc.dim(name.padEnd(15))} ${inWords(name, first).padStart(8)} → ${inWords(name, last).padEnd(8)} ${pc.cyan(sparkline(values, 32))}`,
    ),
    ...run.warnings.map(
      ({ step, level, message }) =>
        `${(level === "warn" ? pc.yellow : pc.red)(level)}: step ${step}: ${harmless(message)}`,
    ),
    ...run.rollouts.flatMap(rolloutInWords),
  ];
  return `${lines.join("\n")}\n`;
}

/** Characters of an answer that are shown. */
const ANSWER_CHARACTERS = 400;

function rolloutInWords({ step, problems }: RolloutStep): string[] {
  const [problem] = problems;
  if (problem === undefined) return [];
  const { prompt, reference, answers } = problem;
  const short = (text: string): string =>
    harmless(text.length <= ANSWER_CHARACTERS ? text : `${text.slice(0, ANSWER_CHARACTERS)} …`).replaceAll(
      "\n",
      "\n    ",
    );
  return [
    `${pc.bold(`answers of step ${step}`)} to ${pc.cyan(short(prompt))} → ${short(reference)}`,
    ...answers.map(
      ({ text, reward, tokens }) =>
        `  ${pc.dim(`reward ${reward.toFixed(2)}${tokens === undefined ? "" : `, ${tokens} tokens`}`)}  ${short(text)}`,
    ),
  ];
}
