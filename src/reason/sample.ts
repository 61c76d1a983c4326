/** Rejection sampling: a model or a teacher answers a task's problems, the rewards verify, the shortest right answers become a data set. */
import { resolveModel } from "../checkpoint/index.ts";
import { UsageError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { tokenizerFingerprint } from "../runs/index.ts";
import { Endpoint, type EndpointOptions, isUrl } from "./endpoint.ts";
import { askEndpoint, openModel, type Respondent, type Scored } from "./respondents.ts";
import { isRight, Rewards } from "./rewards.ts";
import { SampleFile } from "./sampleFile.ts";
import { distinctProblems, type Problem, type Split } from "./task.ts";
import { openTask } from "./tasks/named.ts";
import { partReply } from "./thought.ts";

export interface SampleRequest {
  /** A folder, a GGUF file, the name of a bundled model, or the address of an endpoint, `#NAME` behind it for one of its models. */
  model: string;
  /** As `openTask` takes it. */
  task: string;
  /** The data set; it must not be there yet. */
  out: string;
  /** Problems; answers drawn to each; right ones kept of each. */
  n: number;
  k: number;
  keep: number;
  split: Exclude<Split, "test">;
  maxTokens: number;
  temperature: number;
  topP: number;
  seed: number;
  /** Least value of parts of the reward, besides being right: `{ format: 1 }`, Countdown's `{ sound: 1 }`. */
  want?: Readonly<Record<string, number>>;
  /** Two letters: makes the part `language` that of its script. */
  language?: string;
  /** How an endpoint is asked. */
  endpoint?: Omit<EndpointOptions, "url" | "model">;
  signal?: AbortSignal;
  onProgress?: OnProgress;
}

/** What came of it. Shares are from 0 to 1. */
export interface SampleReport {
  out: string;
  /** Lines written: conversations. */
  kept: number;
  problems: number;
  answers: number;
  /** Of all answers; of problems with at least one. */
  rightShare: number;
  solvedShare: number;
  /** Right answers that were not kept, by why. */
  dropped: Record<string, number>;
  /** Tokens of all answers, and of one that was kept, mean. */
  tokens: number;
  keptLength: number;
  /** That asking and verifying took, all sessions together. */
  seconds: number;
  /** Scoring that failed, in words. */
  faults?: string;
}

/** Problems asked between two looks at the disk. */
const AT_ONCE = 32;

/**
 * Samples, verifies and keeps: a data set for `sft`, of problems of one split, each once. An interrupted one goes on where it was when it is
 * started again with the same options. Throws UsageError, CheckpointError (never replaces a file), EndpointError.
 */
export async function sampleDataset(request: SampleRequest): Promise<SampleReport> {
  const { task: name, n, seed, split, signal, onProgress = () => {} } = request;
  const task = await openTask(name);
  let respondent: Respondent | undefined;
  let file: SampleFile | undefined;
  try {
    const rewards = new Rewards(task, { language: request.language });
    const { about, open } = await respondentOf(request);
    const problems = await distinctProblems(task, seed, split, n);
    file = await SampleFile.open(request.out, aboutOf(request, about));
    respondent = file.done < problems.length ? await open() : undefined;
    for (let from = file.done; respondent && from < problems.length; from += AT_ONCE) {
      onProgress({ label: "sampling", done: from, total: problems.length, unit: "problems" });
      const asked = problems.slice(from, from + AT_ONCE);
      const began = performance.now();
      const options = {
        n: request.k,
        maxTokens: request.maxTokens,
        temperature: request.temperature,
        topP: request.topP,
      };
      const drawn = await respondent.ask(
        rewards,
        asked,
        { ...options, seed: (seed * 0x1f123bb5 + from) >>> 0 },
        signal,
      );
      const { lines, counts } = chosenOf(asked, drawn, request);
      const seconds = (performance.now() - began) / 1000;
      await file.add({ done: from + asked.length, lines, counts: { ...counts, seconds } });
    }
    const counts = summed(file.batches.map((batch) => batch.counts));
    const kept = await file.finish();
    return reportOf(request.out, kept, problems.length, counts, rewards.describeFaults());
  } finally {
    await file?.close();
    await respondent?.close();
    await task.close?.();
  }
}

async function respondentOf({
  model,
  endpoint = {},
  onProgress,
}: SampleRequest): Promise<{ about: string; open(): Promise<Respondent> }> {
  if (isUrl(model)) {
    const [url = model, name] = model.split("#", 2);
    const asked = new Endpoint({ url, model: name, ...endpoint });
    return { about: `${model} ${await asked.model()}`, open: async () => askEndpoint(asked) };
  }
  if (endpoint.keyVariable !== undefined)
    throw new UsageError("reason sample: a key is for endpoints; --model is no address of one");
  const dir = resolveModel(model);
  return { about: `${dir} ${await tokenizerFingerprint(dir)}`, open: () => openModel(dir, { onProgress: onProgress }) };
}

/** What a data set is sampled with: whoever goes on must mean the same. */
const aboutOf = (
  { signal: _, onProgress: __, endpoint: ___, out: ____, ...request }: SampleRequest,
  model: string,
): Record<string, unknown> => ({ ...request, model });

/** The answers to keep of some problems as lines, and what was counted. */
export function chosenOf(
  problems: readonly Problem[],
  drawn: readonly (readonly Scored[])[],
  { keep, want = { format: 1 }, task }: Pick<SampleRequest, "keep" | "want" | "task">,
): { lines: object[]; counts: Record<string, number> } {
  const counts: Record<string, number> = {};
  const add = (key: string, by = 1): void => void (counts[key] = (counts[key] ?? 0) + by);
  const lines = problems.flatMap((problem, p) => {
    const answers = drawn[p] ?? [];
    add("answers", answers.length);
    for (const { reply } of answers) add("tokens", reply.tokens ?? 0);
    const right = answers.filter(({ reply, reward }) => isRight(reward) && reply.truncated !== true);
    add("right", right.length);
    if (right.length > 0) add("solved");
    const seen = new Set<string>();
    const fit = right.filter(({ reply, reward }) => {
      const lacking = Object.entries(want).find(([part, least]) => (reward.parts[part] ?? 0) < least);
      const why = lacking
        ? `${lacking[0]} below ${lacking[1]}`
        : seen.has(contentOf(reply))
          ? "the same again"
          : undefined;
      if (why !== undefined) add(`dropped ${why}`);
      seen.add(contentOf(reply));
      return why === undefined;
    });
    const shortest = fit.toSorted((a, b) => lengthOf(a) - lengthOf(b)).slice(0, keep);
    if (fit.length > keep) add("dropped longer than those kept", fit.length - keep);
    return shortest.map((one) => {
      add("kept tokens", lengthOf(one));
      return {
        messages: [...problem.prompt, { role: "assistant", content: contentOf(one.reply) }],
        task,
        id: problem.id,
        group: problem.group,
        right: right.length / answers.length,
        tokens: lengthOf(one),
      };
    });
  });
  return { lines, counts };
}

const lengthOf = ({ reply }: Scored): number => reply.tokens ?? reply.text.length;

/** A reply as an assistant's message: its thought, closed, and its answer. */
function contentOf(reply: Scored["reply"]): string {
  const { thought, answer } = partReply(reply);
  return thought === undefined ? answer : `<think>${thought}</think>${answer}`;
}

function summed(all: readonly Record<string, number>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const counts of all) for (const [key, value] of Object.entries(counts)) sum[key] = (sum[key] ?? 0) + value;
  return sum;
}

function reportOf(
  out: string,
  kept: number,
  problems: number,
  counts: Record<string, number>,
  faults?: string,
): SampleReport {
  const { answers = 0, right = 0, solved = 0, tokens = 0, seconds = 0 } = counts;
  const dropped = Object.entries(counts).flatMap(([key, value]): [string, number][] =>
    key.startsWith("dropped ") ? [[key.slice("dropped ".length), value]] : [],
  );
  return {
    out,
    kept,
    problems,
    answers,
    rightShare: right / Math.max(1, answers),
    solvedShare: solved / Math.max(1, problems),
    dropped: Object.fromEntries(dropped),
    tokens,
    keptLength: (counts["kept tokens"] ?? 0) / Math.max(1, kept),
    seconds,
    ...(faults === undefined ? {} : { faults }),
  };
}
