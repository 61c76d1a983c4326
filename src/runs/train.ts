/** Trains a prepared run: the trainer's events become the run's log, states and model. */
import { join } from "node:path";
import { isDiskFault } from "../checkpoint/index.ts";
import { SumbiError } from "../errors.ts";
import { Trainer } from "../train/index.ts";
import { exportModel, placeModel, trainedBy } from "./export.ts";
import { Ledger } from "./ledger.ts";
import type { PreparedRun } from "./prepared.ts";
import { Samples } from "./samples.ts";
import type { EndReason, RunRecord, StepRecord } from "./schema.ts";

/** Steps between two records of the experts' load. */
const LOAD_EVERY = 10;

export interface RunWatcher {
  step(record: StepRecord): void;
  record(record: RunRecord): void;
  /** Training is over and the model is being written. */
  exporting?(): void;
}

/** How a run ended. */
export interface Outcome {
  reason: EndReason;
  step: number;
  /** All steps of the recipe were made. */
  allSteps: boolean;
  /** Step of the newest state on disk; undefined when there is none. */
  saved: number | undefined;
  /** Where the model is, whole: at its place when done, beside its run when that failed. */
  model?: string;
  /** What went wrong, for people, in order. */
  faults: string[];
}

/** Trains a prepared run to its end or to `signal`, and writes the log and the states, and the model when done. Throws only what is no SumbiError. */
export async function trainRun(run: PreparedRun, watcher: RunWatcher, signal: AbortSignal): Promise<Outcome> {
  const { recipe, phases, store, writer, source, storage } = run;
  const outcome: Outcome = { reason: "failed", step: 0, allSteps: false, saved: undefined, faults: [] };
  let logFault: string | undefined;
  /** A log that cannot be written is no reason to lose what is being trained. */
  const log = (record: RunRecord) => {
    try {
      writer.write(record);
      logFault = undefined;
    } catch (error) {
      if (!isDiskFault(error)) throw error;
      if (logFault === undefined)
        watcher.record({
          type: "event",
          step: record.step,
          level: "warn",
          message: `${error.message}; training goes on without it`,
        });
      logFault = error.message;
    }
  };
  const write = (record: RunRecord) => {
    log(record);
    watcher.record(record);
  };
  const event = (step: number, level: "info" | "warn" | "error", message: string) =>
    write({ type: "event", step, level, message });
  const ledger = new Ledger({
    cost: recipe.cost,
    phases,
    peak: writer.info.machine?.gemmFlopsPerSec ?? 0,
    earlierSeconds: run.earlierSeconds,
  });
  const samples = new Samples(recipe, store, run.tokenizerDir);
  try {
    const trainer = await Trainer.create(recipe, phases, store, source, storage, {
      step(report) {
        const record = ledger.step(report, trainer.totalSteps);
        log(record);
        watcher.step(record);
      },
      load: (step, load, busiest) =>
        step % LOAD_EVERY === 0 &&
        write({
          type: "load",
          step,
          load: load.map((layer) => layer.map((x) => Math.round(x * 1000) / 1000)),
          busiest,
        }),
      async evaluated(step, loss, tokens) {
        write({ type: "eval", step, loss, tokens });
        const phase = phases.findLast((p) => step > p.fromStep) ?? phases[0]!;
        const taken = await samples.take(phase.config);
        for (const { prompt, text } of taken.samples) write({ type: "sample", step, prompt, text });
        if (taken.late !== undefined) event(step, "warn", taken.late);
      },
      saved(step) {
        outcome.saved = step;
        write({ type: "checkpoint", step, path: join(writer.dir, "state") });
      },
      unsaved(step, error) {
        if (!isDiskFault(error)) return false;
        const kept =
          outcome.saved === undefined ? "no state is kept" : `the newest that is kept is of step ${outcome.saved}`;
        event(step, "warn", `the state of step ${step} could not be saved: ${error.message}; ${kept}`);
        return true;
      },
      phase: (phase) =>
        event(
          phase.fromStep,
          "info",
          `phase ${phase.name}: sequence ${phase.sequence}, ${phase.microBatch} sequences at once${phase.lanes > 1 ? ` in ${phase.lanes} lanes` : ""}`,
        ),
      event,
    });
    try {
      if (run.resumed && (await trainer.resume())) {
        outcome.saved = trainer.progress.step;
        event(trainer.progress.step, "info", `resumed at step ${trainer.progress.step}`);
      }
      for (const { level, message } of run.notes) event(trainer.progress.step, level, message);
      signal.addEventListener("abort", () => trainer.stop(), { once: true });
      const done = signal.aborted ? false : await trainer.run();
      await finish(run, trainer.progress.step, done, outcome, watcher, write);
    } catch (error) {
      outcome.step = trainer.progress.step;
      if (!(error instanceof SumbiError)) throw error;
      outcome.faults.push(error.message);
    }
    try {
      for (const message of outcome.faults) event(outcome.step, "error", message);
      write({ type: "end", step: outcome.step, reason: outcome.reason });
    } catch (error) {
      // Another process has taken the run over: then there is nothing more for this one to write.
      if (!(error instanceof SumbiError)) throw error;
    }
    return outcome;
  } finally {
    await samples.close();
    await writer.close().catch((error: unknown) => {
      if (!isDiskFault(error)) throw error;
    });
  }
}

/** What follows the last step: the model of a run that is done; of one that was stopped only what could not be saved otherwise. */
async function finish(
  run: PreparedRun,
  step: number,
  done: boolean,
  outcome: Outcome,
  watcher: RunWatcher,
  write: (record: RunRecord) => void,
): Promise<void> {
  outcome.step = step;
  outcome.allSteps = done;
  const isSaved = outcome.saved === step || step === 0;
  if (!done && isSaved) {
    outcome.reason = "stopped";
    return;
  }
  watcher.exporting?.();
  const trained = trainedBy(
    {
      dir: run.writer.dir,
      id: run.writer.id,
      recipe: run.recipe,
      phases: run.phases,
      store: run.store,
      tokenizerDir: run.tokenizerDir,
    },
    step,
  );
  if (done) {
    const placed = await placeModel(trained, step, run.out);
    outcome.model = placed.model;
    if (placed.fault === undefined) outcome.reason = "done";
    else outcome.faults.push(placed.fault);
  } else outcome.model = await exportModel(trained, step);
  if (outcome.model !== undefined) write({ type: "checkpoint", step, path: outcome.model });
}
