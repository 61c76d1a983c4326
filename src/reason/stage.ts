/** What all stages share: a run is opened, stepped, logged, saved and exported like one of training, and goes on after kill -9 step for step the same. */
import { join } from "node:path";
import { z } from "zod";
import { isDiskFault } from "../checkpoint/index.ts";
import { loadTokenizer } from "../data/index.ts";
import { CheckpointError, SumbiError } from "../errors.ts";
import type { ModelConfig } from "../model/index.ts";
import {
  placeModel,
  type RunRecord,
  recipeHash,
  refuseNotFinite,
  runTokenizer,
  StateHistory,
  spentIn,
  tokenizerFingerprint,
} from "../runs/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { ParameterStore } from "../train/index.ts";
import { validate } from "../validate.ts";
import { Movement } from "./lora.ts";
import {
  type OpenedStage,
  type StageInputs,
  type StageKind,
  type StageOptions,
  type StageRequest,
  takeUpStage,
} from "./stageOpen.ts";
import { openStageWeights, type StageWeights } from "./stageWeights.ts";

/** What a stage works with. */
export interface StageContext<O, I> {
  config: ModelConfig;
  store: ParameterStore;
  tokenizer: Tokenizer;
  options: O;
  inputs: I;
  /** The run's folder. */
  dir: string;
  write(record: RunRecord): void;
}

/** One step that was made. */
export interface MadeStep<P> {
  progress: P;
  /** Logs it. */
  tell(etaSeconds: number): void;
}

/** A stage at work. A step is a function of weights, options and progress alone, so that one that was interrupted is made again. */
export interface StageWork<P extends { step: number }> {
  /** Progress before the first step, and what is read back of it. */
  first: P;
  saved: z.ZodType<P>;
  steps: number;
  /** What a state keeps besides weights and moments, read back into its place. */
  kept?: Readonly<Record<string, Float32Array>>;
  /** Before the first step of a new run; what it throws ends the run. */
  begin?(signal: AbortSignal): Promise<void>;
  step(progress: P, signal: AbortSignal): Promise<MadeStep<P>>;
  /** Measures the weights after so many steps: at the beginning, every `evaluate.everySteps`, at the end. */
  evaluate(step: number): Promise<void>;
  /** What went wrong on the way and did not end it, in words. */
  faults?(): string | undefined;
  close(): Promise<void>;
}

export interface StageResult {
  id: string;
  dir: string;
  reason: "done" | "stopped";
  step: number;
  /** Where the model is, when done. */
  model?: string;
  /** Adapters were trained: of a run that was stopped there is no model to be had. */
  adapts: boolean;
  /** What went wrong on the way and did not end it, in words. */
  faults?: string;
}

export interface StageStart {
  id: string;
  dir: string;
  out: string;
  steps: number;
}

/** A stage, ready to run. */
export interface Stage<O extends StageOptions, I extends StageInputs, P extends { step: number }> {
  kind: StageKind<O, I>;
  request: StageRequest;
  /** Opens a new run. */
  begin(): Promise<OpenedStage<O, I>>;
  /** Puts it to work on weights that are already in their place. */
  open(context: StageContext<O, I>): Promise<StageWork<P>>;
  /** Told before the first step. */
  onStart?(run: StageStart): void;
}

/** Steps after which adapters that have not moved are told of for the first time. */
const STILL_STEPS = 5;

const ARRAYS = ["parameters", "moment1", "moment2"] as const;

/** Runs a stage to its end or to the signal's; the model is written as a Hugging Face folder. Throws SumbiError for what will not do. */
export async function runStage<O extends StageOptions, I extends StageInputs, P extends { step: number }>(
  stage: Stage<O, I, P>,
): Promise<StageResult> {
  const { kind, request } = stage;
  const opened = request.resume === undefined ? await stage.begin() : await takeUpStage(kind, request, request.resume);
  try {
    const weights = await openStageWeights(opened, request.onProgress);
    return await new StageRun(stage, opened, weights).run();
  } finally {
    await opened.writer.close().catch((error: unknown) => {
      if (!isDiskFault(error)) throw error;
    });
  }
}

class StageRun<O extends StageOptions, I extends StageInputs, P extends { step: number }> {
  readonly #history: StateHistory;
  readonly #config: ModelConfig;
  readonly #store: ParameterStore;
  readonly #began = performance.now();
  /** Of adapters alone: all weights of a model move when anything is learned. */
  readonly #movement: Movement | undefined;
  #step = 0;
  #saved = 0;
  /** What all states of the run share. */
  #binding = "";

  constructor(
    private readonly stage: Stage<O, I, P>,
    private readonly opened: OpenedStage<O, I>,
    private readonly weights: StageWeights,
  ) {
    const { options, writer } = opened;
    this.#config = weights.config;
    this.#store = weights.store;
    this.#movement = options.lora && new Movement(weights.store);
    this.#history = new StateHistory(join(writer.dir, "state"), options.save.keep, () => writer.check());
  }

  async run(): Promise<StageResult> {
    const { options, inputs, writer, modelJson } = this.opened;
    const { dir } = writer;
    const { kind } = this.stage;
    const tokenizerDir = runTokenizer(dir);
    const decides = Object.entries(options).filter(([key]) => !kind.mayChange.includes(key));
    const tokenizer = await tokenizerFingerprint(tokenizerDir);
    this.#binding =
      recipeHash({ ...inputs, modelJson, tokenizer, options: Object.fromEntries(decides) }) + this.weights.fingerprint;
    const work = await this.stage.open({
      config: this.#config,
      store: this.#store,
      tokenizer: loadTokenizer(tokenizerDir),
      options,
      inputs,
      dir,
      write: (record) => this.#write(record),
    });
    try {
      return await this.#during(work);
    } finally {
      await work.close();
    }
  }

  async #during(work: StageWork<P>): Promise<StageResult> {
    const { writer, fresh, out, options } = this.opened;
    const { id, dir } = writer;
    const adapts = options.lora !== undefined;
    const { signal = new AbortController().signal } = this.stage.request;
    let progress = fresh ? work.first : await this.#load(work);
    if (fresh) {
      await work.begin?.(signal).catch((error: unknown) => {
        if (error instanceof SumbiError)
          this.#write({ type: "end", step: 0, reason: signal.aborted ? "stopped" : "failed" });
        throw error;
      });
      await this.#save(work, progress);
    }
    const { steps } = work;
    this.stage.onStart?.({ id, dir, out: out.dir, steps });
    const began = performance.now();
    const firstStep = progress.step;
    if (firstStep === 0) await work.evaluate(0);
    while (progress.step < steps && !signal.aborted) {
      const made = await work.step(progress, signal).catch((error: unknown) => {
        // it was under way: it is made again
        if (signal.aborted) return undefined;
        throw error;
      });
      if (made === undefined) break;
      progress = made.progress;
      this.#step = progress.step;
      const left = steps - progress.step;
      made.tell(((performance.now() - began) / 1000 / (progress.step - firstStep)) * left);
      if (left === 0 || progress.step === firstStep + STILL_STEPS) this.#tellStillness();
      if (progress.step % options.evaluate.everySteps === 0 || left === 0) await work.evaluate(progress.step);
      if (progress.step % options.save.everySteps === 0 || left === 0) await this.#save(work, progress);
    }
    if (this.#saved !== progress.step) await this.#save(work, progress);
    const faults = work.faults?.();
    if (faults !== undefined) this.#event("warn", faults);
    if (progress.step < steps) {
      this.#write({ type: "end", step: progress.step, reason: "stopped" });
      return { id, dir, reason: "stopped", step: progress.step, adapts, faults };
    }
    return { id, dir, reason: "done", step: progress.step, model: await this.#place(progress.step), adapts, faults };
  }

  #tellStillness(): void {
    const words = this.#movement?.stillness(this.#step);
    if (words !== undefined) this.#event("warn", words);
  }

  #write(record: RunRecord): void {
    const { writer, options, earlierSeconds } = this.opened;
    const seconds = earlierSeconds + (performance.now() - this.#began) / 1000;
    // time and money of everything so far: also of steps that were lost, of tests and of saving
    const told = record.type === "step" ? { ...record, ...spentIn(seconds, options.cost) } : record;
    writer.write(told);
    this.stage.request.onRecord?.(told);
  }

  #event(level: "info" | "warn" | "error", message: string): void {
    this.#write({ type: "event", step: this.#step, level, message });
  }

  /** What a state holds, by name. */
  #arrays({ kept = {} }: StageWork<P>): [string, Float32Array][] {
    return [...ARRAYS.map((key): [string, Float32Array] => [key, this.#store[key]]), ...Object.entries(kept)];
  }

  async #save(work: StageWork<P>, progress: P): Promise<void> {
    const { step } = progress;
    refuseNotFinite(this.#store, `step ${step}`, "The state is not saved; those before it are kept");
    await this.#history.save(step, {
      state: { progress: { ...progress }, binding: this.#binding },
      tensors: this.#arrays(work).map(([key, data]) => ({ key, shape: [data.length], data })),
    });
    this.#saved = step;
    this.#write({ type: "checkpoint", step, path: join(this.opened.writer.dir, "state") });
  }

  async #load(work: StageWork<P>): Promise<P> {
    const { dir } = this.opened.writer;
    const schema = z.object({ progress: work.saved, binding: z.string() });
    const progress = await this.#history.load(
      async (state, step) => {
        const where = join(state.dir, "state.json");
        const saved = validate(schema, state.state, where, (message) => new CheckpointError(message));
        if (saved.binding !== this.#binding || saved.progress.step !== step)
          throw new CheckpointError(`${where}: expected a state of this run, got one of another model, task or recipe`);
        for (const [key, data] of this.#arrays(work)) await state.readInto(key, data);
        refuseNotFinite(this.#store, state.dir);
        return saved.progress;
      },
      { skipped: (reason) => this.#event("warn", `a saved state is damaged and was passed over: ${reason}`) },
    );
    if (progress === undefined)
      throw new CheckpointError(`${dir}: expected a saved state to go on from, found none; start a new run`);
    this.#store.changed();
    this.#step = this.#saved = progress.step;
    this.#event("info", `resumed at step ${progress.step}`);
    return progress;
  }

  /** Where the model is, once it is there. */
  async #place(step: number): Promise<string | undefined> {
    const { inputs, options, writer, out, modelJson, from } = this.opened;
    const { id, dir, info } = writer;
    const trained = {
      dir,
      id,
      name: info.recipeName,
      recipe: { stage: this.stage.kind.stage, ...inputs, ...options },
      config: this.#config,
      configJson: modelJson,
      store: this.#store,
      from,
      tokenizerDir: runTokenizer(dir),
    };
    const placed = await placeModel(trained, step, out);
    if (placed.fault !== undefined) {
      this.#event("error", placed.fault);
      this.#write({ type: "end", step, reason: "failed" });
      throw new CheckpointError(`${placed.fault}. Go on with --resume ${id} --out ANOTHER`);
    }
    this.#write({ type: "checkpoint", step, path: placed.model ?? out.dir });
    this.#write({ type: "end", step, reason: "done" });
    return placed.model;
  }
}
