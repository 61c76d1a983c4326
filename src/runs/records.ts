import { CheckpointError } from "../errors.ts";
import { quoted } from "../checkpoint/index.ts";

/** run.json: what a run is, written when it starts. */
export interface RunInfo {
  id: string;
  /** ISO 8601. */
  startedAt: string;
  recipeName: string;
  /** The resolved recipe. */
  recipe: object;
  parameters?: { total: number; active: number };
  machine?: { cpu: string; threads: number; gemmFlopsPerSec: number };
  /** Folder of the checkpoint that the run writes. */
  out?: string;
}

/** One training step. */
export interface StepRecord {
  type: "step";
  step: number;
  steps: number;
  tokens: number;
  loss: number;
  mainLoss?: number;
  mtpLoss?: number;
  balanceLoss?: number;
  lr?: number;
  gradNorm?: number;
  tokensPerSecond?: number;
  flopsPerSecond?: number;
  /** Share of the machine's measured GEMM peak, 0 to 1. */
  gemmShare?: number;
  /** Elapsed since the run began. */
  seconds?: number;
  etaSeconds?: number;
  usd?: number;
  joules?: number;
  batch?: number;
  stepSeconds?: number;
}

/** Expert load: per MoE layer and expert, the share of the mean (1 is even), as a moving average. */
export interface LoadRecord {
  type: "load";
  step: number;
  load: number[][];
  busiest: number;
}

export type EndReason = "done" | "stopped" | "failed";

/** One line of log.jsonl. */
export type RunRecord =
  | StepRecord
  | LoadRecord
  | { type: "eval"; step: number; loss: number; tokens?: number }
  | { type: "checkpoint"; step: number; path: string }
  | { type: "sample"; step: number; prompt: string; text: string }
  | { type: "event"; step: number; level: "info" | "warn" | "error"; message: string }
  | { type: "end"; step: number; reason: EndReason };

const RECORD_TYPES = new Set(["step", "load", "eval", "checkpoint", "sample", "event", "end"]);

/** Parses one line of log.jsonl; undefined when it is no record (damaged, or of a later version). */
export function parseRecord(line: string): RunRecord | undefined {
  try {
    const record = JSON.parse(line) as RunRecord | null;
    return record !== null && RECORD_TYPES.has(record.type) && Number.isFinite(record.step) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Two records with the same name are the same fact told twice; events and samples may be several at one step. */
function nameOf(record: RunRecord): string {
  if (record.type === "event") return `event ${record.step} ${record.level} ${record.message}`;
  if (record.type === "sample") return `sample ${record.step} ${record.prompt}`;
  return record.type === "end" ? "end" : `${record.type} ${record.step}`;
}

/**
 * Removes what a killed and resumed run logged twice: a later record replaces the earlier one of the same type and step, in
 * its place. An `end` followed by more steps is dropped, since the run went on.
 */
export function removeRepeats(records: Iterable<RunRecord>): RunRecord[] {
  const kept = new Map<string, RunRecord>();
  for (const record of records) {
    if (record.type === "step" || record.type === "end") kept.delete("end");
    kept.set(nameOf(record), record);
  }
  return [...kept.values()];
}

/** Refuses a run id that could name anything but a folder in the runs folder. */
export function checkRunId(id: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id))
    throw new CheckpointError(`expected a run id of letters, digits, dots, dashes and underscores, got ${quoted(id)}`);
  return id;
}

/** A run id that sorts by time: `20261123-194938-nano`. */
export function makeRunId(recipeName: string, startedAt: Date): string {
  const [day, time] = startedAt.toISOString().slice(0, 19).split("T");
  const name = recipeName.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 60);
  return `${day.replaceAll("-", "")}-${time.replaceAll(":", "")}-${name || "run"}`;
}
