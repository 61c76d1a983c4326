/** One step of training, apart from any loop: a program, an optimizer and the balance around one store. */
import { ConfigError, SumbiError } from "../errors.ts";
import { type ModelConfig, mixtureOf, moeLayers } from "../model/index.ts";
import { Balance } from "./balance.ts";
import type { Batch, Objective } from "./objective.ts";
import { Optimizer, type OptimizerSettings } from "./optimizer.ts";
import { type ProgramOptions, type StepSums, TrainingProgram } from "./program.ts";
import type { ParameterStore } from "./store.ts";
import { type BatchShape, EMBEDDING } from "./trace.ts";

/** What changes from step to step. */
export interface StepKnobs {
  /** Steps applied before this one, over the optimizer's whole life: its moments' bias corrections hang on it. */
  step: number;
  learningRate: number;
  /** Speed γ of the balance bias; 0 holds the router's choice still. */
  gamma: number;
}

/**
 * What a step needs: `begin`, `accumulate` each micro-batch, `finish`, `gradientNorm`, then `apply`, or not: nothing has moved before it, so that
 * whoever decides whether a step counts can refuse it and begin the next. Knows no schedule, no source and no files.
 */
export class Learner {
  #program: TrainingProgram | undefined;
  #sums: StepSums | undefined;
  #norm: number | undefined;
  /** Micro-batches that the step under way still waits for; undefined between steps. */
  #left: number | undefined;

  private constructor(
    readonly store: ParameterStore,
    readonly optimizer: Optimizer,
    readonly balance: Balance,
  ) {}

  static async create(store: ParameterStore, config: ModelConfig, settings: OptimizerSettings): Promise<Learner> {
    const balance = new Balance(
      store,
      moeLayers(config).map((i) => `model.layers.${i}.mlp.gate.e_score_correction_bias`),
      mixtureOf(config).experts,
    );
    return new Learner(store, await Optimizer.create(store, settings), balance);
  }

  /** Compiles the steps that follow: this objective, micro-batches of this shape. Throws ConfigError where the store trains what the objective does not. */
  async prepare(shape: BatchShape, objective: Objective, options: ProgramOptions): Promise<void> {
    this.#program?.dispose();
    this.#program = undefined;
    const program = await TrainingProgram.create(shape, objective, this.store, options);
    const written = new Set([EMBEDDING, ...program.graph.gradients]);
    const forgotten = this.store.trainedKeys().filter((key) => !written.has(key));
    if (forgotten.length > 0) {
      program.dispose();
      throw new ConfigError(
        `${objective.name}: expected to train all that the store does not hold frozen, got no gradient of ${forgotten[0]}${forgotten.length > 1 ? ` and ${forgotten.length - 1} more` : ""}: weight decay alone would move them. Freeze them in the store, or train them`,
      );
    }
    this.#program = program;
    this.#left = undefined;
  }

  /** Starts a step of so many micro-batches with the weights that the store now has. */
  async begin(microBatches: number): Promise<void> {
    const program = this.#prepared();
    if (microBatches > 1 && !program.accumulate)
      throw new ConfigError(`train: expected one micro-batch a step, got ${microBatches}`);
    this.#left = microBatches;
    this.#sums = this.#norm = undefined;
    await program.begin();
  }

  /** Adds one micro-batch's loss and gradients. */
  async accumulate(batch: Batch): Promise<void> {
    if (!this.#left) throw new SumbiError("train: expected no more micro-batches than the step began with");
    await this.#prepared().run(batch);
    this.#left--;
  }

  /** What the step's micro-batches gave in all. */
  finish(): StepSums {
    if (this.#left === undefined) throw new SumbiError("train: expected begin() before a step is finished");
    if (this.#left > 0)
      throw new SumbiError(`train: expected the step's other ${this.#left} micro-batches before it is finished`);
    return (this.#sums ??= this.#prepared().finish());
  }

  /** Global norm of the step's gradient. */
  async gradientNorm(): Promise<number> {
    this.finish();
    // Measured once: where Muon trains, it also adds the lanes' gradients up in the first.
    return (this.#norm ??= await this.optimizer.gradientNorm());
  }

  /** Moves the weights by the clipped gradient, then the balance biases by the step's loads. */
  async apply({ step, learningRate, gamma }: StepKnobs): Promise<void> {
    const { loads } = this.finish();
    await this.optimizer.update(step, learningRate, await this.gradientNorm());
    if (loads.length > 0) this.balance.update(loads, gamma);
    this.#left = undefined;
    this.store.changed();
  }

  dispose(): void {
    this.#program?.dispose();
    this.#program = undefined;
  }

  #prepared(): TrainingProgram {
    if (this.#program === undefined) throw new SumbiError("train: expected prepare() before a step");
    return this.#program;
  }
}
