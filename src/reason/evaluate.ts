/** How well a model does a task's test problems: greedily, and sampled k times. */
import { loadTokenizer } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { ModelEngine, openDecoder } from "../infer/index.ts";
import { parseConfig } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { checkpointConfig } from "../runs/index.ts";
import { isRight, Rewards } from "./rewards.ts";
import { type Group, Rollouts } from "./rollouts.ts";
import { type Estimate, type Evaluation, estimate, evaluateSamples, mean } from "./statistics.ts";
import { type Baselines, distinctProblems, type Problem, type Task } from "./task.ts";

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

/** One problem's answers, for people. */
export interface Transcript {
  id: string;
  prompt: string;
  reference: string;
  greedy: { text: string; right: boolean };
  samples: { text: string; right: boolean; tokens: number }[];
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
  transcripts: Transcript[];
}

const DEFAULT_TOKENS = 128;

/** Problems asked together: progress is told between them. */
const AT_ONCE = 64;

/** Different test problems: the same seed asks every model the same. Throws UsageError where the task has fewer than two. */
export async function evaluateTask(
  rollouts: Rollouts,
  options: EvaluateOptions,
  onProgress: OnProgress = () => {},
  signal?: AbortSignal,
): Promise<TaskEvaluation> {
  const { task } = rollouts;
  const { n, k, seed, temperature, topP } = options;
  const problems = await distinctProblems(task, seed, "test", n);
  if (problems.length < 2)
    throw new UsageError(`evaluate: expected test problems of ${task.name}, got ${problems.length}`);
  const maxTokens = options.maxTokens ?? Math.min(DEFAULT_TOKENS, rollouts.roomFor(problems));
  const greedy: Group[] = [];
  const sampled: Group[] = [];
  for (let from = 0; from < problems.length; from += AT_ONCE) {
    const asked = problems.slice(from, from + AT_ONCE).map((problem) => rollouts.prompt(problem, maxTokens));
    greedy.push(...(await rollouts.draw(asked, { group: 1, maxTokens, temperature: 0, seed }, "none", signal)));
    const draw = { group: k, maxTokens, temperature, topP, seed: (seed * 0x1f123bb5 + from) >>> 0 };
    sampled.push(...(await rollouts.draw(asked, draw, "none", signal)));
    onProgress({ label: "evaluating", done: greedy.length, total: problems.length, unit: "problems" });
  }
  const all = sampled.flatMap((group) => group.rollouts);
  const share = (is: (one: (typeof all)[number]) => boolean): number => all.filter(is).length / all.length;
  return {
    ...evaluateSamples(
      sampled.map((group) => ({
        right: group.rollouts.map(({ reward }) => isRight(reward)),
        answers: group.rollouts.map(({ reply }) => task.answer(group.problem, reply)),
        lengths: group.rollouts.map(({ ids }) => ids.length),
      })),
      k,
      (a, b) => task.same(a, b),
    ),
    greedy: estimate(greedy.map(({ rollouts: [one] }) => (one && isRight(one.reward) ? 1 : 0))),
    greedyLength: estimate(greedy.map(({ rollouts: [one] }) => one?.ids.length ?? 0)),
    longShare: share(({ long }) => long),
    truncated: share(({ finish }) => finish === "length"),
    parts: partsOf(sampled),
    baselines: task.baselines?.(problems),
    summary: task.summary?.(all.map(({ reward }) => reward)),
    transcripts: problems.map((problem, i) => transcriptOf(problem, greedy[i]!, sampled[i]!)),
  };
}

/** Each part but the answer, by question. */
function partsOf(groups: readonly Group[]): Record<string, Estimate> {
  const names = Object.keys(groups[0]?.rollouts[0]?.reward.parts ?? {}).filter((name) => name !== "answer");
  const ofGroup = ({ rollouts }: Group, name: string): number =>
    mean(rollouts.map(({ reward }) => reward.parts[name] ?? 0));
  return Object.fromEntries(names.map((name) => [name, estimate(groups.map((group) => ofGroup(group, name)))]));
}

function transcriptOf(problem: Problem, { rollouts: [greedy] }: Group, sampled: Group): Transcript {
  return {
    id: problem.id,
    prompt: problem.prompt.at(-1)?.content ?? "",
    reference: problem.reference,
    greedy: { text: greedy?.reply.text ?? "", right: greedy !== undefined && isRight(greedy.reward) },
    samples: sampled.rollouts.map(({ reply, reward, ids }) => ({
      text: reply.text,
      right: isRight(reward),
      tokens: ids.length,
    })),
  };
}

/** A model folder or GGUF file, ready to be asked problems of a task. Close `engine` when done. */
export async function openRollouts(dir: string, task: Task, onProgress?: OnProgress): Promise<Rollouts> {
  const config = parseConfig(await checkpointConfig(dir), dir);
  const rewards = new Rewards(task);
  const tokenizer = loadTokenizer(dir);
  return new Rollouts(new ModelEngine(await openDecoder(dir, config, { onProgress })), tokenizer, rewards);
}
