/** How well a model does a task's test problems: greedily, and sampled k times; two models compared on the same problems. */
import { UsageError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import type { Respondent, Scored } from "./respondents.ts";
import { isRight, Rewards } from "./rewards.ts";
import {
  type Comparison,
  comparePaired,
  type Estimate,
  type Evaluation,
  estimate,
  evaluateSamples,
  mean,
} from "./statistics.ts";
import { type Baselines, distinctProblems, type Problem, type Task } from "./task.ts";
import { isLong } from "./thought.ts";

export interface EvaluateOptions {
  /** Test problems. */
  n: number;
  /** Samples of each. */
  k: number;
  seed: number;
  /** Longest answer; left out: 128, or what the context leaves. */
  maxTokens?: number;
  /** As R1 was evaluated: 0.6 and 0.95. */
  temperature: number;
  topP: number;
}

/** One answer, as it is kept and as it counts. */
export interface KeptAnswer {
  text: string;
  right: boolean;
  /** What majorities are made of; absent where there is none. */
  answer?: string;
  /** Absent where a server does not count them. */
  tokens?: number;
  thinks: boolean;
  cutOff: boolean;
  /** Of its reward, and what its task reports besides. */
  parts: Record<string, number>;
  facts: Record<string, number>;
}

/** One problem's answers. */
export interface Transcript {
  id: string;
  prompt: string;
  reference: string;
  greedy: KeptAnswer;
  samples: KeptAnswer[];
}

/** Where answers are kept as they come, and found again. */
export interface TranscriptStore {
  get(id: string): Transcript | undefined;
  put(transcripts: readonly Transcript[]): Promise<void>;
}

export interface TaskEvaluation extends Evaluation {
  /** Share right, greedily. */
  greedy: Estimate;
  greedyLength: Estimate;
  /** Shares of sampled answers that think, and that met the limit. */
  longShare: number;
  truncated: number;
  /** The task's other parts, of sampled answers: Countdown's `sound`. */
  parts: Record<string, Estimate>;
  baselines?: Baselines;
  /** The task's own summary of sampled answers: how Countdown's correct themselves. */
  summary?: Record<string, number>;
  values: Evaluation["values"] & { greedy: number[] };
  /** Scores that failed and count as 0, in words. */
  faults?: string;
}

export interface EvaluateRun {
  onProgress?: OnProgress;
  signal?: AbortSignal;
  /** Answers that are there are not asked for again. */
  store?: TranscriptStore;
}

const DEFAULT_TOKENS = 128;

/** Problems asked together, and kept together. */
const AT_ONCE = 64;

/** Different test problems: the same seed asks every model the same. Throws UsageError where the task has fewer than two. */
export async function evaluateTask(
  respondent: Respondent,
  task: Task,
  options: EvaluateOptions,
  { onProgress = () => {}, signal, store }: EvaluateRun = {},
): Promise<TaskEvaluation> {
  const { n, k, seed, temperature, topP } = options;
  const rewards = new Rewards(task);
  const problems = await distinctProblems(task, seed, "test", n);
  if (problems.length < 2)
    throw new UsageError(`evaluate: expected test problems of ${task.name}, got ${problems.length}`);
  const maxTokens = options.maxTokens ?? Math.min(DEFAULT_TOKENS, respondent.roomFor(rewards, problems) ?? Infinity);
  const facts: Facts[] = [];
  // half of a problem's work is told when its greedy answer is there
  let halves = 0;
  const tell = (): void =>
    onProgress({ label: `evaluating ${task.name}`, done: halves / 2, total: problems.length, unit: "problems" });
  const step = (): void => {
    halves++;
    tell();
  };
  for (let from = 0; from < problems.length; from += AT_ONCE) {
    const batch = problems.slice(from, from + AT_ONCE);
    const found = batch.map(({ id }) => store?.get(id));
    if (found.every((one) => one !== undefined)) {
      facts.push(...found.map(factsOf));
      halves = 2 * facts.length;
      continue;
    }
    // what is drawn hangs on the whole batch, so that one that was cut short is drawn again, the same
    const greedy = await respondent.ask(
      rewards,
      batch,
      { n: 1, maxTokens, temperature: 0, topP: 1, seed },
      signal,
      step,
    );
    halves = 2 * from + batch.length;
    tell();
    const draw = { n: k, maxTokens, temperature, topP, seed: (seed * 0x1f123bb5 + from) >>> 0 };
    const sampled = await respondent.ask(rewards, batch, draw, signal, step);
    const transcripts = batch.map((problem, i) => transcriptOf(task, problem, greedy[i] ?? [], sampled[i] ?? []));
    await store?.put(transcripts.filter((_, i) => found[i] === undefined));
    facts.push(...transcripts.map(factsOf));
    halves = 2 * facts.length;
    tell();
  }
  return { ...summarize(facts, k, task), baselines: task.baselines?.(problems), faults: rewards.describeFaults() };
}

/** An answer without its text: what counts. */
type Fact = Omit<KeptAnswer, "text">;
interface Facts {
  greedy: Fact;
  samples: Fact[];
}

const factOf = ({ text: _, ...fact }: KeptAnswer): Fact => fact;
const factsOf = ({ greedy, samples }: Transcript): Facts => ({ greedy: factOf(greedy), samples: samples.map(factOf) });

function summarize(all: readonly Facts[], k: number, task: Task): TaskEvaluation {
  const evaluation = evaluateSamples(
    all.map(({ samples }) => ({
      right: samples.map(({ right }) => right),
      answers: samples.map(({ answer }) => answer),
      lengths: samples.map(({ tokens = 0 }) => tokens),
    })),
    k,
    (a, b) => task.same(a, b),
  );
  const greedy = all.map(({ greedy: { right } }) => (right ? 1 : 0));
  const samples = all.flatMap((one) => one.samples);
  const share = (is: (one: Fact) => boolean): number => samples.filter(is).length / samples.length;
  return {
    ...evaluation,
    greedy: estimate(greedy),
    greedyLength: estimate(all.map(({ greedy: { tokens = 0 } }) => tokens)),
    longShare: share(({ thinks }) => thinks),
    truncated: share(({ cutOff }) => cutOff),
    parts: partsOf(all),
    summary: task.summary?.(samples),
    values: { ...evaluation.values, greedy },
  };
}

/** Each part but the answer, by question. */
function partsOf(all: readonly Facts[]): Record<string, Estimate> {
  const names = Object.keys(all[0]?.samples[0]?.parts ?? {}).filter((name) => name !== "answer");
  const of = ({ samples }: Facts, name: string): number => mean(samples.map(({ parts }) => parts[name] ?? 0));
  return Object.fromEntries(names.map((name) => [name, estimate(all.map((one) => of(one, name)))]));
}

function transcriptOf(
  task: Task,
  problem: Problem,
  [greedy]: readonly Scored[],
  sampled: readonly Scored[],
): Transcript {
  const kept = ({ reply, reward }: Scored): KeptAnswer => {
    const answer = task.answer(problem, reply);
    return {
      text: reply.text,
      right: isRight(reward),
      ...(answer === undefined ? {} : { answer }),
      ...(reply.tokens === undefined ? {} : { tokens: reply.tokens }),
      thinks: isLong(reply),
      cutOff: reply.truncated === true,
      parts: reward.parts,
      facts: reward.facts,
    };
  };
  if (greedy === undefined) throw new UsageError(`evaluate: expected an answer to problem ${problem.id}, got none`);
  return {
    id: problem.id,
    prompt: problem.prompt.at(-1)?.content ?? "",
    reference: problem.reference,
    greedy: kept(greedy),
    samples: sampled.map(kept),
  };
}

/** The first model less the second, question by question. */
export interface EvaluationDifference {
  greedy: Comparison;
  passAt1: Comparison;
  passAtK: Comparison;
  consAtK: Comparison;
  length: Comparison;
  /** The second's best way to answer within the tokens that a sampled answer of the first takes; absent where none fits. */
  atEqualTokens?: { decoding: string; right: Estimate; tokens: number };
  /** pass@1 in words. */
  sentence: string;
}

/** Compares two models that were asked the same problems. Throws ConfigError where they were not asked as many. */
export function compareEvaluations(
  one: TaskEvaluation,
  other: TaskEvaluation,
  names: readonly [string, string] = ["the first", "the second"],
): EvaluationDifference {
  const less = (key: keyof TaskEvaluation["values"]): Comparison => comparePaired(other.values[key], one.values[key]);
  const passAt1 = less("passAt1");
  const ways = [
    { decoding: "greedy", right: other.greedy, tokens: other.greedyLength.mean },
    ...other.majorities.map(({ of, right, tokens }) => ({
      decoding: of === 1 ? "one sample" : `majority of ${of}`,
      right,
      tokens,
    })),
  ].filter(({ tokens }) => tokens <= one.length.mean);
  const best = ways.reduce<(typeof ways)[number] | undefined>(
    (most, way) => (most === undefined || way.right.mean > most.right.mean ? way : most),
    undefined,
  );
  return {
    greedy: less("greedy"),
    passAt1,
    passAtK: less("passAtK"),
    consAtK: less("consAtK"),
    length: less("length"),
    ...(best === undefined ? {} : { atEqualTokens: best }),
    sentence: inWords(passAt1, one, other, names),
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const points = (share: number): string => (100 * share).toFixed(1);

function inWords(
  { mean, low, high, better, worse }: Comparison,
  one: TaskEvaluation,
  other: TaskEvaluation,
  [name, otherName]: readonly [string, string],
): string {
  const { questions } = one;
  const found =
    `${name} is right in ${percent(one.passAt1.mean)} of its answers, ${otherName} in ${percent(other.passAt1.mean)}: ` +
    `a difference of ${points(mean)} points (95 %: ${points(low)} to ${points(high)}); ` +
    `of ${questions} questions it does better on ${better} and worse on ${worse}.`;
  if (low > 0) return `${found} It is better.`;
  if (high < 0) return `${found} It is worse.`;
  const half = (high - low) / 2;
  const needed = mean === 0 ? undefined : Math.ceil(questions * (half / Math.abs(mean)) ** 2 * 1.1);
  const more =
    needed === undefined || needed > 1e6 ? "" : `; about ${needed.toLocaleString("en-US")} would, if it is as large`;
  return `${found} The interval holds 0: these questions do not tell the two apart${more}.`;
}
