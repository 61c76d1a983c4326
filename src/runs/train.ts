/** Trains a prepared run: the trainer's events become the run's log, states and model. */
import { join } from "node:path";
import { Trainer } from "../train/index.ts";
import { exportModel } from "./export.ts";
import { Ledger } from "./ledger.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunRecord, StepRecord } from "./schema.ts";
import { Samples } from "./samples.ts";

/** Steps between two records of the experts' load. */
const LOAD_EVERY = 10;

export interface RunWatcher {
  step(record: StepRecord): void;
  record(record: RunRecord): void;
}

/** Trains a prepared run to its end or to `signal`, and writes the log, the states and the model. True when done. */
export async function trainRun(run: PreparedRun, watcher: RunWatcher, signal: AbortSignal): Promise<boolean> {
  const { recipe, phases, store, writer, source, storage } = run;
  const write = (record: RunRecord) => {
    writer.write(record);
    watcher.record(record);
  };
  const ledger = new Ledger({ cost: recipe.cost, phases, peak: writer.info.machine?.gemmFlopsPerSec ?? 0, earlierSeconds: run.earlierSeconds });
  const samples = new Samples(recipe, store, run.tokenizerDir);
  const trainer = await Trainer.create(recipe, phases, store, source, storage, {
    step(report) {
      const record = ledger.step(report, trainer.totalSteps);
      writer.write(record);
      watcher.step(record);
    },
    load: (step, load, busiest) => step % LOAD_EVERY === 0 && write({ type: "load", step, load: load.map((layer) => layer.map((x) => Math.round(x * 1000) / 1000)), busiest }),
    async evaluated(step, loss, tokens) {
      write({ type: "eval", step, loss, tokens });
      const phase = phases.findLast((p) => step > p.fromStep) ?? phases[0]!;
      for (const { prompt, text } of await samples.take(phase.config)) write({ type: "sample", step, prompt, text });
    },
    saved: (step) => write({ type: "checkpoint", step, path: join(writer.dir, "state") }),
    phase: (phase) => write({ type: "event", step: phase.fromStep, level: "info", message: `phase ${phase.name}: sequence ${phase.sequence}, ${phase.microBatch} sequences at once${phase.lanes > 1 ? ` in ${phase.lanes} lanes` : ""}` }),
    event: (step, level, message) => write({ type: "event", step, level, message }),
  });
  for (const note of run.notes) write({ type: "event", step: trainer.progress.step, ...note });
  if (run.resumed && (await trainer.resume())) write({ type: "event", step: trainer.progress.step, level: "info", message: `resumed at step ${trainer.progress.step}` });
  signal.addEventListener("abort", () => trainer.stop(), { once: true });
  try {
    const done = signal.aborted ? false : await trainer.run();
    if (trainer.progress.step > 0) {
      await exportModel(run, trainer.progress.step);
      write({ type: "checkpoint", step: trainer.progress.step, path: run.out });
    }
    write({ type: "end", step: trainer.progress.step, reason: done ? "done" : "stopped" });
    return done;
  } catch (error) {
    write({ type: "event", step: trainer.progress.step, level: "error", message: (error as Error).message });
    write({ type: "end", step: trainer.progress.step, reason: "failed" });
    throw error;
  } finally {
    await samples.close();
    await writer.close();
  }
}
