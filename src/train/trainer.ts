/** The pretraining loop: batches, rates, evaluation, states, and the way back from a loss that is no number. */
import { SumbiError } from "../errors.ts";
import { flopsPerToken, mtpDepth } from "../model/index.ts";
import type { Balance } from "./balance.ts";
import { EvaluationProgram } from "./evaluation.ts";
import { Learner } from "./learner.ts";
import { pretraining } from "./objectives/pretrain.ts";
import type { StepSums } from "./program.ts";
import type { Progress } from "./progress.ts";
import type { Phase, Recipe } from "./recipe.ts";
import { type Knobs, knobsAt } from "./schedule.ts";
import { judgeLoss } from "./spike.ts";
import type { ParameterStore } from "./store.ts";

/** Where the tokens come from: pure functions of their arguments, so that a resumed run sees the same batches. */
export interface TokenSource {
  /** ids [count, sequence + extra] of training sequences number first, first+1, …; ~id: read, not trained. */
  train(first: number, count: number, sequence: number, extra: number): Int32Array;
  /** Held-out windows, [up to `sequence` + 1] ids each: all but the first, and those given as ~id, are predicted. Undefined when there is none. */
  heldout?(sequence: number): Int32Array[];
}

export interface StateStorage {
  save(progress: Progress): Promise<void>;
  /** Loads the newest saved state that is whole into the store; undefined when there is none. `skipped` hears why another was passed over. */
  load(skipped: (reason: string) => void): Promise<Progress | undefined>;
}

/** Mean losses of a step, in nats, and the assignments each expert got. */
export interface Losses {
  loss: number;
  mainLoss: number;
  mtpLoss: number;
  balanceLoss: number;
  loads: Float64Array[];
}

export interface StepReport extends Losses, Knobs {
  step: number;
  tokens: number;
  gradNorm: number;
  stepSeconds: number;
  seconds: number;
  tokensPerSecond: number;
  flopsPerSecond: number;
}

export interface TrainerEvents {
  step?(report: StepReport): void;
  load?(step: number, load: number[][], busiest: number): void;
  evaluated?(step: number, loss: number, tokens: number): void | Promise<void>;
  saved?(step: number): void;
  /** A state after the first could not be saved. True: training goes on, and the next save tries again. */
  unsaved?(step: number, error: Error): boolean;
  phase?(phase: Phase): void;
  event?(step: number, level: "info" | "warn" | "error", message: string): void;
}

/** Trains one model by one recipe: steps, balance, evaluation, saving, rolling back. Knows no files and no terminal. */
export class Trainer {
  progress: Progress;
  stopped = false;
  #evaluation: EvaluationProgram | undefined;
  #phase: Phase | undefined;

  private constructor(
    readonly recipe: Recipe,
    readonly phases: readonly Phase[],
    readonly store: ParameterStore,
    readonly source: TokenSource,
    readonly storage: StateStorage,
    readonly events: TrainerEvents,
    readonly learner: Learner,
  ) {
    this.progress = {
      step: 0,
      tokens: 0,
      sequences: 0,
      averageLoss: 0,
      lossVariance: 0,
      spikes: 0,
      rollbacks: 0,
      seconds: 0,
      balance: this.balance.toJson(),
    };
  }

  static async create(
    recipe: Recipe,
    phases: readonly Phase[],
    store: ParameterStore,
    source: TokenSource,
    storage: StateStorage,
    events: TrainerEvents,
  ): Promise<Trainer> {
    const learner = await Learner.create(store, phases[0]!.config, recipe);
    return new Trainer(recipe, phases, store, source, storage, events, learner);
  }

  get balance(): Balance {
    return this.learner.balance;
  }

  get totalSteps(): number {
    return this.phases.at(-1)!.toStep;
  }

  /** Continues from the newest saved state. False when there is none. */
  async resume(): Promise<boolean> {
    const progress = await this.storage.load((reason) =>
      this.events.event?.(this.progress.step, "warn", `a saved state is damaged and was passed over: ${reason}`),
    );
    if (progress === undefined) return false;
    this.progress = progress;
    this.balance.fromJson(progress.balance);
    this.store.changed();
    return true;
  }

  /** Ends the run after the step under way, or in the middle of one, which is then done again at the next start. */
  stop(): void {
    this.stopped = true;
  }

  async save(): Promise<void> {
    this.progress.balance = this.balance.toJson();
    await this.storage.save(this.progress);
    this.events.saved?.(this.progress.step);
  }

  async #trySave(): Promise<void> {
    try {
      await this.save();
    } catch (error) {
      if (!this.events.unsaved?.(this.progress.step, error as Error)) throw error;
    }
  }

  async #enter(phase: Phase): Promise<void> {
    if (this.#phase === phase) return;
    this.#evaluation?.dispose();
    this.#evaluation = undefined;
    const { precision, batch, balance } = this.recipe;
    const accumulate = (phase.extension?.batch ?? batch.end) > phase.microBatch;
    await this.learner.prepare(phase, pretraining(balance), { precision, accumulate });
    this.#phase = phase;
    this.events.phase?.(phase);
  }

  /** Runs to the end of the recipe, or until `stop`. Saves at the end either way. Returns true when done. */
  async run(): Promise<boolean> {
    if (this.progress.step === 0) await this.save();
    while (this.progress.step < this.totalSteps && !this.stopped) {
      const phase = this.phases.find((p) => this.progress.step < p.toStep)!;
      await this.#enter(phase);
      if (this.stopped) break;
      if (!(await this.#step(phase))) continue;
      const { step } = this.progress;
      const last = step === this.totalSteps;
      if (step % this.recipe.evaluate.everySteps === 0 || last) await this.evaluate();
      if (step % this.recipe.save.everySteps === 0 && !last && !this.stopped) await this.#trySave();
    }
    await this.#trySave();
    return this.progress.step >= this.totalSteps;
  }

  /** One step; false when it was undone by a rollback, or given up because the run was stopped. */
  async #step(phase: Phase): Promise<boolean> {
    const began = performance.now();
    const { step, tokens, sequences } = this.progress;
    const knobs = knobsAt(this.recipe, phase, step, tokens);
    const extra = 1 + mtpDepth(phase.config);
    const parts = knobs.batch / phase.microBatch;
    const inputs = { lambda: knobs.lambda, share: 1 / (parts * phase.lanes) };
    const { learner } = this;
    await learner.begin(parts);
    for (let i = 0; i < parts; i++) {
      if (this.stopped) return false;
      const ids = this.source.train(sequences + i * phase.microBatch, phase.microBatch, phase.sequence, extra);
      await learner.accumulate({ ids, inputs });
    }
    const losses = lossesOf(learner.finish());
    const gradNorm = await learner.gradientNorm();
    const average = this.progress.averageLoss;
    const { factor, steps: patience } = this.recipe.spike;
    const { spike, ...history } = judgeLoss(this.progress, losses.mainLoss, step - phase.fromStep, this.recipe.spike);
    if (!Number.isFinite(losses.loss) || !Number.isFinite(gradNorm) || spike) {
      const what = spike
        ? `a loss of ${losses.mainLoss.toFixed(3)}, ${patience === 1 ? "" : `number ${patience} in a row `}over ${factor} × the average ${average.toFixed(3)}`
        : `a loss of ${losses.loss} and a gradient norm of ${gradNorm}`;
      await this.#rollback(step, sequences + knobs.batch, what);
      return false;
    }
    await learner.apply({ step, ...knobs });
    const stepTokens = knobs.batch * phase.sequence;
    const stepSeconds = (performance.now() - began) / 1000;
    this.progress = {
      ...this.progress,
      step: step + 1,
      tokens: tokens + stepTokens,
      sequences: sequences + knobs.batch,
      ...history,
      seconds: this.progress.seconds + stepSeconds,
    };
    const flops = flopsPerToken(phase.config, {
      sequence: phase.sequence,
      causal: true,
      mtp: mtpDepth(phase.config) > 0,
    }).training;
    this.events.step?.({
      ...losses,
      ...knobs,
      step: step + 1,
      tokens: this.progress.tokens,
      gradNorm,
      stepSeconds,
      seconds: this.progress.seconds,
      tokensPerSecond: stepTokens / stepSeconds,
      flopsPerSecond: (flops * stepTokens) / stepSeconds,
    });
    if (losses.loads.length > 0)
      this.events.load?.(
        step + 1,
        this.balance.average.map((layer) => [...layer]),
        this.balance.busiest(),
      );
    return true;
  }

  /** Goes back to the last saved state and leaves out the batches from there to the bad one. */
  async #rollback(step: number, nextSequence: number, what: string): Promise<void> {
    const rollbacks = this.progress.rollbacks + 1;
    if (rollbacks > this.recipe.spike.rollbacks)
      throw new SumbiError(
        `train: step ${step + 1} gave ${what}, after ${this.recipe.spike.rollbacks} rollbacks; the last good state is kept. Go on with a lower learning rate or more rollbacks: --resume --set spike.rollbacks=${2 * this.recipe.spike.rollbacks + 1}`,
      );
    if (!(await this.resume()))
      throw new SumbiError(`train: step ${step + 1} gave ${what}, and there is no saved state to go back to`);
    this.progress = { ...this.progress, rollbacks, sequences: nextSequence };
    this.events.event?.(
      step + 1,
      "warn",
      `step ${step + 1} gave ${what}: rolled back to step ${this.progress.step}, leaving out the batches in between`,
    );
    await this.#trySave();
  }

  /** Mean loss of the next-token prediction over the held-out windows, each token once; undefined when nothing is held out. */
  async evaluate(): Promise<number | undefined> {
    const phase = this.#phase ?? this.phases[0]!;
    if (this.source.heldout === undefined) return undefined;
    const evaluation = (this.#evaluation ??= await EvaluationProgram.create(phase, this.store));
    let sum = 0;
    let tokens = 0;
    const windows = this.source.heldout(phase.sequence);
    for (let at = 0; at < windows.length; at += phase.microBatch) {
      const batch = windows.slice(at, at + phase.microBatch);
      sum += await evaluation.run(batch);
      for (const ids of batch) for (const id of ids.subarray(1)) if (id >= 0) tokens++;
    }
    if (tokens === 0) return undefined;
    const loss = sum / tokens;
    await this.events.evaluated?.(this.progress.step, loss, tokens);
    return loss;
  }
}

function lossesOf({ loss, metrics, loads }: StepSums): Losses {
  const { mainLoss = 0, mtpLoss = 0, balanceLoss = 0 } = metrics;
  return { loss, mainLoss, mtpLoss, balanceLoss, loads };
}
