/** Training in one call: what `sumbi train` and programs that import "sumbi" use. */
import { StopError, SumbiError } from "../errors.ts";
import { type ParameterSummary, summarizeParameters } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { measureGemmPeak } from "../runtime/index.ts";
import type { Recipe } from "../train/index.ts";
import type { Note } from "./describe.ts";
import { prepareRun } from "./prepare.ts";
import type { TrainOptions } from "./prepared.ts";
import type { RecipeSource } from "./recipes.ts";
import type { RunRecord, StepRecord } from "./schema.ts";
import { type Outcome, trainRun } from "./train.ts";

/** What to train on, how, where to, and who is told of it. */
export interface TrainRequest extends Omit<TrainOptions, "data" | "set" | "runs"> {
  /** Files, folders, globs or `builtin:` texts; default: those of the recipe. */
  data?: string | readonly string[];
  /** The name of a recipe that comes with Sumbi, the path of one, or one as an object; default "text". */
  recipe?: RecipeSource;
  /** Values instead of the recipe's, by their keys: `{ tokens: 1e6, "batch.end": 8 }`; or as `--set` takes them. */
  set?: Readonly<Record<string, unknown>> | readonly string[];
  /** Folder in which runs are kept; default "runs". */
  runs?: string;
  /** Ends the training after the step under way; its state is saved. */
  signal?: AbortSignal;
  /** Told of what comes before the first step: reading, tokenizer, tokens. */
  onProgress?: OnProgress;
  /** Told, and waited for, when everything is ready for the first step. */
  onStart?(run: StartedRun): void | Promise<void>;
  /** Told of every step. */
  onStep?(record: StepRecord): void;
  /** Told of what else the log is told: held-out losses, samples, states, events. */
  onRecord?(record: RunRecord): void;
  /** Told when the last step is done and the model is being written. */
  onExport?(): void;
}

/** A run before its first step. */
export interface StartedRun {
  id: string;
  /** Its folder: log, states, tokenizer. */
  dir: string;
  /** Everything decided. */
  recipe: Recipe;
  parameters: ParameterSummary;
  /** Where the model will be. */
  out: string;
  /** What was read, and what looks wrong. */
  notes: readonly Note[];
}

/** How a training ended well: done, with the folder of the model; or stopped, to be resumed by its id. */
export type TrainResult = Outcome & { id: string; dir: string } & (
    | { reason: "done"; model: string }
    | { reason: "stopped" }
  );

/** A training that failed after its first step. Its state of step `outcome.saved` can be resumed; `outcome.model` is whole where it is there. */
export class TrainError extends SumbiError {
  constructor(
    readonly id: string,
    readonly outcome: Outcome,
  ) {
    super(outcome.faults.join("\n") || `train: the state of step ${outcome.step} could not be saved`);
  }
}

/**
 * Trains a model and writes it as a Hugging Face folder. Throws SumbiError before the first step when something will not do (StopError when
 * `signal` ended it), TrainError after it. A `signal` during training saves and resolves with `stopped`; go on with `{ resume: id }`.
 */
export async function train(request: TrainRequest): Promise<TrainResult> {
  const { recipe = "text", data, set = {}, signal = new AbortController().signal, onProgress = () => {} } = request;
  const options: TrainOptions = {
    data: typeof data === "string" ? [data] : data?.slice(),
    out: request.out,
    overwrite: request.overwrite,
    set: settingsOf(set),
    runs: request.runs ?? "runs",
    resume: request.resume,
    resumeFrom: request.resumeFrom,
  };
  const peak = async () => (await measureGemmPeak({})).flopsPerSec;
  const run = await prepareRun(recipe, options, peak, onProgress, signal).catch((error: unknown) => {
    if (!signal.aborted || error instanceof SumbiError) throw error;
    throw new StopError("train: stopped before the first step; there is nothing to save", { cause: error });
  });
  const { id, dir } = run.writer;
  try {
    await request.onStart?.({
      id,
      dir,
      recipe: run.recipe,
      parameters: summarizeParameters(run.phases[0]!.config),
      out: run.out.dir,
      notes: run.notes,
    });
  } catch (error) {
    await run.writer.close();
    throw error;
  }
  const outcome = await trainRun(
    run,
    {
      step: (record) => request.onStep?.(record),
      record: (record) => request.onRecord?.(record),
      exporting: () => request.onExport?.(),
    },
    signal,
  );
  const { reason, model } = outcome;
  if (reason === "done" && model !== undefined) return { ...outcome, reason, model, id, dir };
  if (reason === "stopped") return { ...outcome, reason, id, dir };
  throw new TrainError(id, outcome);
}

/** Settings by key as the command line has them. */
function settingsOf(set: NonNullable<TrainRequest["set"]>): string[] {
  if (Array.isArray(set)) return set.slice();
  return Object.entries(set).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${JSON.stringify(value)}`],
  );
}
