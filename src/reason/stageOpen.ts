/** A stage's run opened: a new one, or one taken up again with all that it began with. */
import { availableParallelism, cpus } from "node:os";
import { resolve } from "node:path";
import type { z } from "zod";
import { resolveModel } from "../checkpoint/index.ts";
import { UsageError } from "../errors.ts";
import { parseConfig, summarizeParameters } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import {
  checkpointConfig,
  chooseOut,
  keepTokenizer,
  type Out,
  RunReader,
  type RunRecord,
  RunWriter,
  tokenizerFingerprint,
} from "../runs/index.ts";
import { threads } from "../runtime/index.ts";
import type { Cost } from "../train/index.ts";
import { adaptedConfig, type LoraOptions, resolveLora } from "./lora.ts";
import { settingsOf } from "./options.ts";

/** What a stage learns from, plain JSON. */
export type StageInputs = Readonly<Record<string, unknown>>;

/** What the options of every stage hold, plain JSON. */
export interface StageOptions extends StageInputs {
  evaluate: { everySteps: number };
  save: { everySteps: number; keep: number };
  microBatch: number;
  /** What an hour of the machine costs, for the running total. */
  cost: Cost;
  seed: number;
  /** Adapters are trained instead of all weights. */
  lora?: LoraOptions;
}

/** One way to go on with a model: how its options are read, and what it is bound to besides. */
export interface StageKind<O extends StageOptions, I extends StageInputs> {
  /** As in `sumbi reason STAGE`. */
  stage: string;
  /** Checks options, defaults put in. Throws ConfigError. */
  parse(value: unknown, where: string): O;
  /** Options that may change while a run is under way; all others decide what it is. */
  mayChange: readonly string[];
  /** What it learns from (a task, texts): as run.json keeps it. */
  inputs: z.ZodObject & z.ZodType<I>;
}

/** What is asked of every stage. */
export interface StageRequest {
  /** A folder or the name of a bundled model; the weights to begin with. Not with `resume`. */
  model?: string;
  /** What differs from the defaults: as an object, or `key=value` each. */
  set?: Readonly<Record<string, unknown>> | readonly string[];
  out?: string;
  overwrite?: boolean;
  /** Folder in which runs are kept; default "runs". */
  runs?: string;
  /** The id of a run to go on with; `set` may change how long and how often then. */
  resume?: string;
  signal?: AbortSignal;
  onProgress?: OnProgress;
  onRecord?(record: RunRecord): void;
}

export interface OpenedStage<O, I> {
  options: O;
  inputs: I;
  writer: RunWriter;
  modelJson: Record<string, unknown>;
  /** The model to begin with, whose weights stay beside adapters. */
  from: string;
  /** A new run. */
  fresh: boolean;
  out: Out;
  /** That earlier sessions of the run took, as its log tells. */
  earlierSeconds: number;
}

/** Settings as nested values. Throws ConfigError. */
export const givenSettings = ({ set = {} }: Pick<StageRequest, "set">): Record<string, unknown> =>
  Array.isArray(set) ? settingsOf(set as readonly string[]) : { ...(set as Record<string, unknown>) };

/** Where the model to begin with is. Throws UsageError. */
export function modelFolder({ model }: StageRequest): string {
  if (model === undefined)
    throw new UsageError("reason: expected a model to begin with, got none; name one with --model");
  return resolve(resolveModel(model));
}

/** A new run of a stage: its folder with the tokenizer in it. Throws UsageError, ConfigError, CheckpointError. */
export async function beginStage<O extends StageOptions, I extends StageInputs>(
  kind: StageKind<O, I>,
  request: StageRequest,
  inputs: I,
  name: string,
): Promise<OpenedStage<O, I>> {
  const { runs = "runs" } = request;
  const from = modelFolder(request);
  const parsed = kind.parse(givenSettings(request), "--set");
  const modelJson = await checkpointConfig(from);
  const config = parseConfig(modelJson, `${from}/config.json`);
  const { lora } = parsed;
  const options = lora ? { ...parsed, lora: await resolveLora(lora, adaptedConfig(config)) } : parsed;
  const out = await chooseOut({ out: request.out, overwrite: request.overwrite, runs }, undefined, name);
  const tokenizer = await tokenizerFingerprint(from);
  const writer = await RunWriter.create(
    runs,
    {
      recipeName: name,
      recipe: { stage: kind.stage, from, ...inputs, ...options },
      parameters: summarizeParameters(config),
      machine: { cpu: cpus()[0]?.model ?? "unknown", threads: threads() || availableParallelism(), gemmFlopsPerSec: 0 },
      out: out.dir,
      model: modelJson,
    },
    (dir) => keepTokenizer(from, dir, tokenizer),
  );
  return { options, inputs, writer, modelJson, from, fresh: true, out, earlierSeconds: 0 };
}

/** A run of a stage taken up again. Throws UsageError for one of another kind, and for a change that would make another run of it. */
export async function takeUpStage<O extends StageOptions, I extends StageInputs>(
  kind: StageKind<O, I>,
  request: StageRequest,
  id: string,
): Promise<OpenedStage<O, I>> {
  const { runs = "runs", onProgress } = request;
  if (request.model !== undefined)
    throw new UsageError("--resume: a run goes on with the model that it began with; leave --model out");
  const info = await new RunReader(runs).info(id);
  const { stage, from, ...rest } = info.recipe;
  const names = Object.keys(kind.inputs.shape);
  const part = (inside: boolean) =>
    Object.fromEntries(Object.entries(rest).filter(([k]) => names.includes(k) === inside));
  const inputs = kind.inputs.safeParse(part(true));
  if (stage !== kind.stage || typeof from !== "string" || !inputs.success || info.model === undefined)
    throw new UsageError(
      `--resume: expected a run of \`sumbi reason ${kind.stage}\`, got ${id}, which is of recipe ${info.recipeName}`,
    );
  const options = part(false);
  const changes = givenSettings(request);
  const fixed = Object.keys(changes).find((key) => !kind.mayChange.includes(key));
  if (fixed !== undefined)
    throw new UsageError(`--set ${fixed}: cannot change while a run is under way; ${kind.mayChange.join(", ")} can`);
  const merged = Object.fromEntries(
    Object.entries({ ...options, ...changes }).map(([key, value]) => [
      key,
      typeof value === "object" && value !== null ? { ...(options[key] as object), ...value } : value,
    ]),
  );
  const parsed = kind.parse(merged, `${runs}/${id}/run.json: recipe`);
  const out = await chooseOut({ out: request.out, overwrite: request.overwrite, runs }, info.out, info.recipeName);
  const writer = await RunWriter.resume(runs, id, onProgress);
  if (Object.keys(changes).length > 0) await writer.update({ recipe: { ...info.recipe, ...parsed } });
  const { seconds: earlierSeconds } = await new RunReader(runs).spent(id);
  const { model: modelJson } = info;
  return { options: parsed, inputs: inputs.data as I, writer, modelJson, from, fresh: false, out, earlierSeconds };
}
