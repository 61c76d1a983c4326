/** A run of reinforcement: opened or taken up again, stepped, logged, saved and exported like one of training. */
import { appendFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { isDiskFault, resolveModel } from "../checkpoint/index.ts";
import { loadTokenizer } from "../data/index.ts";
import { CheckpointError, SumbiError, UsageError } from "../errors.ts";
import { parseConfig, summarizeParameters } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import {
  checkpointConfig,
  chooseOut,
  fillStore,
  keepTokenizer,
  layoutFingerprint,
  type Out,
  placeModel,
  RunReader,
  type RunRecord,
  RunWriter,
  recipeHash,
  refuseNotFinite,
  runTokenizer,
  StateHistory,
  tokenizerFingerprint,
} from "../runs/index.ts";
import { threads } from "../runtime/index.ts";
import { storeOf } from "../train/index.ts";
import { validate } from "../validate.ts";
import { type GateVerdict, judgeGate } from "./gate.ts";
import { FIRST_PROGRESS, Grpo, type ReinforceProgress, type ReinforceReport } from "./grpo.ts";
import { parseReinforce, type ReinforceOptions, settingsOf } from "./options.ts";
import { isRight, Rewards, rightness } from "./rewards.ts";
import type { Group } from "./rollouts.ts";
import { distinctProblems } from "./task.ts";
import { openTask } from "./tasks/named.ts";

export interface ReinforceRequest {
  /** A folder or the name of a bundled model; the weights to begin with. Not with `resume`. */
  model?: string;
  /** As `openTask` takes it. Not with `resume`. */
  task?: string;
  /** What differs from the defaults: as an object, or `key=value` each. */
  set?: Readonly<Record<string, unknown>> | readonly string[];
  out?: string;
  overwrite?: boolean;
  /** Folder in which runs are kept; default "runs". */
  runs?: string;
  /** The id of a run to go on with; `set` may change how long and how often then. */
  resume?: string;
  /** Goes on where the gate is shut. */
  force?: boolean;
  signal?: AbortSignal;
  onProgress?: OnProgress;
  onStart?(run: { id: string; dir: string; out: string; steps: number; gate?: GateVerdict }): void;
  onStep?(report: ReinforceReport, etaSeconds: number): void;
  onRecord?(record: RunRecord): void;
}

export interface ReinforceResult {
  id: string;
  dir: string;
  reason: "done" | "stopped";
  step: number;
  /** Where the model is, when done. */
  model?: string;
  /** Scoring that failed, in words. */
  faults?: string;
}

/** The gate before the first step is shut; what to do is in the message. */
export class GateError extends SumbiError {
  constructor(readonly verdict: GateVerdict) {
    super(`the gate before reinforcement is shut. ${verdict.why.join(" ")} (--force goes on all the same)`);
  }
}

const whole = z.number().int().nonnegative();
const savedSchema = z.object({
  progress: z.object({
    step: whole,
    problem: whole,
    updates: whole,
    tokens: whole,
    seconds: z.number().nonnegative(),
  }),
  binding: z.string(),
});

/** Keys that may change while a run is under way; all others decide what it is. */
const MAY_CHANGE = ["steps", "evaluate", "save", "resample", "learningRate"] as const;

interface Opened {
  options: ReinforceOptions;
  task: string;
  writer: RunWriter;
  modelJson: Record<string, unknown>;
  /** Weights to begin with, for a new run. */
  from?: string;
  out: Out;
}

const ARRAYS = ["parameters", "moment1", "moment2"] as const;

/** What all states of a run share. */
const bindingOf = (options: ReinforceOptions, task: string, modelJson: object, tokenizer: string): string =>
  recipeHash({
    task,
    modelJson,
    tokenizer,
    options: Object.fromEntries(
      Object.entries(options).filter(([key]) => !(MAY_CHANGE as readonly string[]).includes(key)),
    ),
  });

/**
 * Reinforces a model on a task from its rewards alone (R1-Zero's way), and writes it as a Hugging Face folder. Throws GateError where RL would not
 * lengthen thoughts, SumbiError for what will not do. A `signal` saves and resolves with `stopped`; go on with `{ resume: id }`, step for step the same.
 */
export async function reinforce(request: ReinforceRequest): Promise<ReinforceResult> {
  const { signal = new AbortController().signal, onProgress = () => {} } = request;
  const opened =
    request.resume === undefined ? await begin(request) : await takeUp(request, request.resume, onProgress);
  const { writer } = opened;
  try {
    return await run(request, opened, signal, onProgress);
  } finally {
    await writer.close().catch((error: unknown) => {
      if (!isDiskFault(error)) throw error;
    });
  }
}

const given = ({ set = {} }: ReinforceRequest): Record<string, unknown> =>
  Array.isArray(set) ? settingsOf(set as readonly string[]) : { ...(set as Record<string, unknown>) };

async function begin(request: ReinforceRequest): Promise<Opened> {
  const { runs = "runs" } = request;
  if (request.model === undefined)
    throw new UsageError("reason: expected a model to begin with, got none; name one with --model");
  if (request.task === undefined) throw new UsageError("reason: expected a task, got none; name one with --task");
  const options = parseReinforce(given(request), "--set");
  const from = resolve(resolveModel(request.model));
  const task = await openTask(request.task);
  await task.close?.();
  const modelJson = await checkpointConfig(from);
  const config = parseConfig(modelJson, `${from}/config.json`);
  const name = `zero-${task.name}`;
  const out = await chooseOut({ out: request.out, overwrite: request.overwrite, runs }, undefined, name);
  const tokenizer = await tokenizerFingerprint(from);
  const recipe = { stage: "zero", task: request.task, from, ...options };
  const writer = await RunWriter.create(
    runs,
    {
      recipeName: name,
      recipe,
      parameters: summarizeParameters(config),
      machine: { cpu: cpus()[0]?.model ?? "unknown", threads: threads() || availableParallelism(), gemmFlopsPerSec: 0 },
      out: out.dir,
      model: modelJson,
    },
    (dir) => keepTokenizer(from, dir, tokenizer),
  );
  return { options, task: request.task, writer, modelJson, from, out };
}

async function takeUp(request: ReinforceRequest, id: string, onProgress: OnProgress): Promise<Opened> {
  const { runs = "runs" } = request;
  if (request.model !== undefined || request.task !== undefined)
    throw new UsageError(
      "--resume: a run goes on with the model and the task that it began with; leave --model and --task out",
    );
  const info = await new RunReader(runs).info(id);
  const { stage, task, from: _, ...options } = info.recipe;
  if (stage !== "zero" || typeof task !== "string" || info.model === undefined)
    throw new UsageError(
      `--resume: expected a run of \`sumbi reason zero\`, got ${id}, which is of recipe ${info.recipeName}`,
    );
  const changes = given(request);
  const fixed = Object.keys(changes).find((key) => !(MAY_CHANGE as readonly string[]).includes(key));
  if (fixed !== undefined)
    throw new UsageError(`--set ${fixed}: cannot change while a run is under way; ${MAY_CHANGE.join(", ")} can`);
  const merged = Object.fromEntries(
    Object.entries({ ...options, ...changes }).map(([key, value]) => [
      key,
      typeof value === "object" && value !== null ? { ...(options[key] as object), ...value } : value,
    ]),
  );
  const parsed = parseReinforce(merged, `${runs}/${id}/run.json: recipe`);
  const out = await chooseOut({ out: request.out, overwrite: request.overwrite, runs }, info.out, info.recipeName);
  const writer = await RunWriter.resume(runs, id, onProgress);
  if (Object.keys(changes).length > 0) await writer.update({ recipe: { ...info.recipe, ...parsed } });
  return { options: parsed, task, writer, modelJson: info.model, out };
}

async function run(
  request: ReinforceRequest,
  opened: Opened,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<ReinforceResult> {
  const { options, writer, modelJson, out } = opened;
  const { dir, id } = writer;
  const config = parseConfig(modelJson, `${dir}/run.json`);
  const store = storeOf([{ config, lanes: Math.min(threads() || availableParallelism(), options.microBatch) }]);
  const tokenizerDir = runTokenizer(dir);
  const binding =
    bindingOf(options, opened.task, modelJson, await tokenizerFingerprint(tokenizerDir)) + layoutFingerprint(store);
  const history = new StateHistory(join(dir, "state"), options.save.keep, () => writer.check());
  let progress: ReinforceProgress = FIRST_PROGRESS;
  const write = (record: RunRecord): void => {
    writer.write(record);
    request.onRecord?.(record);
  };
  const event = (level: "info" | "warn" | "error", message: string): void =>
    write({ type: "event", step: progress.step, level, message });
  const save = async (): Promise<void> => {
    refuseNotFinite(store, `step ${progress.step}`, "The state is not saved; those before it are kept");
    await history.save(progress.step, {
      state: { progress: { ...progress }, binding },
      tensors: ARRAYS.map((key) => ({ key, shape: [store[key].length], data: store[key] })),
    });
    write({ type: "checkpoint", step: progress.step, path: join(dir, "state") });
  };

  const task = await openTask(opened.task);
  const rewards = new Rewards(task, { weights: options.weights, format: options.format });
  const tokenizer = loadTokenizer(tokenizerDir);
  let grpo: Grpo | undefined;
  try {
    if (opened.from !== undefined) await fillStore(opened.from, store);
    else {
      const found = await history.load(
        async (state, step) => {
          const where = join(state.dir, "state.json");
          const saved = validate(savedSchema, state.state, where, (message) => new CheckpointError(message));
          if (saved.binding !== binding || saved.progress.step !== step)
            throw new CheckpointError(
              `${where}: expected a state of this run, got one of another model, task or recipe`,
            );
          for (const key of ARRAYS) await state.readInto(key, store[key]);
          refuseNotFinite(store, state.dir);
          return saved.progress;
        },
        { skipped: (reason) => event("warn", `a saved state is damaged and was passed over: ${reason}`) },
      );
      if (found === undefined)
        throw new CheckpointError(`${dir}: expected a saved state to go on from, found none; start a new run`);
      progress = found;
      store.changed();
      event("info", `resumed at step ${progress.step}`);
    }
    grpo = await Grpo.create({ config, store, tokenizer, rewards, options });
    let gate: GateVerdict | undefined;
    if (opened.from !== undefined) {
      onProgress({ label: "asking the gate", done: 0, total: 0, unit: "" });
      gate = await askGate(grpo, options, signal);
      for (const line of gate.why) event(gate.open ? "info" : "warn", `gate: ${line}`);
      if (!gate.open && !request.force) {
        write({ type: "end", step: 0, reason: "failed" });
        throw new GateError(gate);
      }
      await save();
    }
    request.onStart?.({ id, dir, out: out.dir, steps: options.steps, gate });
    const began = performance.now();
    const firstStep = progress.step;
    let saved = progress.step;
    if (progress.step === 0) await score(grpo, options, 0, write);
    while (progress.step < options.steps && !signal.aborted) {
      const made = await grpo.step(progress, signal).catch((error: unknown) => {
        // an answer was being drawn: the step is made again
        if (signal.aborted) return undefined;
        throw error;
      });
      if (made === undefined) break;
      progress = made.progress;
      const { report } = made;
      const left = options.steps - progress.step;
      const etaSeconds = ((performance.now() - began) / 1000 / (progress.step - firstStep)) * left;
      for (const record of recordsOf(report, progress, options.steps, etaSeconds)) write(record);
      request.onStep?.(report, etaSeconds);
      const last = left === 0;
      if (progress.step % options.evaluate.everySteps === 0 || last) {
        await keepTranscripts(dir, made.groups, progress.step);
        await score(grpo, options, progress.step, write);
      }
      if (progress.step % options.save.everySteps === 0 || last) {
        await save();
        saved = progress.step;
      }
    }
    if (saved !== progress.step) await save();
    const faults = rewards.describeFaults();
    if (faults !== undefined) event("warn", faults);
    const { step } = progress;
    if (step < options.steps) {
      write({ type: "end", step, reason: "stopped" });
      return { id, dir, reason: "stopped", step, faults };
    }
    const trained = {
      dir,
      id,
      name: `zero-${task.name}`,
      recipe: { stage: "zero", task: opened.task, ...options },
      config,
      configJson: modelJson,
      store,
      tokenizerDir,
    };
    const placed = await placeModel(trained, step, out);
    if (placed.fault !== undefined) {
      event("error", placed.fault);
      write({ type: "end", step, reason: "failed" });
      throw new CheckpointError(`${placed.fault}. Go on with --resume ${id} --out ANOTHER`);
    }
    write({ type: "checkpoint", step, path: placed.model ?? out.dir });
    write({ type: "end", step, reason: "done" });
    return { id, dir, reason: "done", step, model: placed.model, faults };
  } finally {
    await grpo?.close();
    await task.close?.();
  }
}

async function askGate(grpo: Grpo, options: ReinforceOptions, signal: AbortSignal): Promise<GateVerdict> {
  const { gateSamples, maxTokens, temperature, seed } = options;
  const asked = await grpo.rollouts.ask("rl", seed, 0, gateSamples, maxTokens);
  const groups = await grpo.rollouts.draw(asked, { group: 1, maxTokens, temperature, seed }, "none", signal);
  return judgeGate(
    groups.flatMap(({ rollouts }) => rollouts.map(({ long, reward }) => ({ long, right: isRight(reward) }))),
  );
}

/** Test problems, greedily; a few of them as samples for people. */
async function score(
  grpo: Grpo,
  options: ReinforceOptions,
  step: number,
  write: (record: RunRecord) => void,
): Promise<void> {
  const { evaluate, maxTokens, seed } = options;
  const problems = await distinctProblems(grpo.rollouts.task, seed, "test", evaluate.problems);
  const asked = problems.map((problem) => grpo.rollouts.prompt(problem, maxTokens));
  const groups = await grpo.rollouts.draw(asked, { group: 1, maxTokens, temperature: 0, seed }, "none");
  const all = groups.flatMap(({ rollouts }) => rollouts);
  const share = (of: (one: (typeof all)[number]) => number): number =>
    all.reduce((sum, one) => sum + of(one), 0) / all.length;
  write({
    type: "score",
    step,
    problems: all.length,
    right: share(({ reward }) => rightness(reward)),
    length: share(({ ids }) => ids.length),
    longShare: share(({ long }) => (long ? 1 : 0)),
  });
  for (const { problem, rollouts } of groups.slice(0, SHOWN))
    write({ type: "sample", step, prompt: problem.prompt.at(-1)?.content ?? "", text: rollouts[0]?.reply.text ?? "" });
}

const SHOWN = 3;

/** Some of a step's groups as lines of transcripts.jsonl, so that early and late answers can be read side by side. */
async function keepTranscripts(dir: string, groups: readonly Group[], step: number): Promise<void> {
  const lines = groups.slice(0, 4).map(({ problem, rollouts }) =>
    JSON.stringify({
      step,
      prompt: problem.prompt.at(-1)?.content ?? "",
      reference: problem.reference,
      answers: rollouts.slice(0, 4).map(({ reply, reward }) => ({ text: reply.text, reward: reward.total })),
    }),
  );
  await appendFile(join(dir, "transcripts.jsonl"), `${lines.join("\n")}\n`).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error)) throw error;
  });
}

function recordsOf(
  report: ReinforceReport,
  progress: ReinforceProgress,
  steps: number,
  etaSeconds: number,
): RunRecord[] {
  const { step, loss, learningRate, gradNorm, stepSeconds, tokensPerSecond, ...rest } = report;
  return [
    {
      type: "step",
      step,
      steps,
      tokens: progress.tokens,
      loss,
      lr: learningRate,
      gradNorm,
      tokensPerSecond,
      seconds: progress.seconds,
      etaSeconds,
      stepSeconds,
    },
    { type: "policy", step, ...rest },
  ];
}
