/** A run's log as the page holds it: records by kind, added as they come. */
import type {
  CheckpointRecord,
  EndRecord,
  EvalRecord,
  EventRecord,
  LoadRecord,
  PolicyRecord,
  RunRecord,
  SampleRecord,
  ScoreRecord,
  StepRecord,
} from "../../runs/index.ts";

export type { EvalRecord, LoadRecord, StepRecord } from "../../runs/index.ts";
/** What /api/runs/:id sends; numbers that a trainer does not measure may be missing. */
export type LogRecord = RunRecord;

/** A run's log sorted by kind. Records are in the order of their steps, each step at most once per kind. */
export interface RunLog {
  steps: StepRecord[];
  loads: LoadRecord[];
  evals: EvalRecord[];
  /** Of reinforcement: what the answers of each step were like, and how tests went. */
  policies: PolicyRecord[];
  scores: ScoreRecord[];
  samples: SampleRecord[];
  /** Events, checkpoints and ends, as they came. */
  notes: (EventRecord | CheckpointRecord | EndRecord)[];
  /** The last end, unless the run went on after it. */
  end: EndRecord | null;
  /** Another number after every change, and another for every log. */
  version: number;
}

export const emptyLog = (): RunLog => ({
  steps: [],
  loads: [],
  evals: [],
  policies: [],
  scores: [],
  samples: [],
  notes: [],
  end: null,
  version: 0,
});

/** Whether answers were drawn and rewarded, rather than texts read. */
export const isReinforced = (log: RunLog): boolean => log.policies.length > 0 || log.scores.length > 0;

/** Whether a value has the outline of a log record; records of kinds from the future are passed over, not errors. */
export function isRecord(value: unknown): value is LogRecord {
  const record = value as { type?: unknown; step?: unknown; loss?: unknown; load?: unknown } | null;
  if (typeof record !== "object" || record === null || !Number.isFinite(record.step)) return false;
  if (record.type === "step" || record.type === "eval") return record.loss === null || typeof record.loss === "number";
  if (record.type === "load") return Array.isArray(record.load) && record.load.every(Array.isArray);
  if (record.type === "policy") return typeof (record as { reward?: unknown }).reward === "number";
  return ["sample", "score", "event", "checkpoint", "end"].includes(record.type as string);
}

let changes = 0;

/**
 * Adds records to a log, in place. A run that was killed and resumed, or rolled back, writes steps again: when a kind's
 * step comes back, what the log held from there on is of a past that was given up, and goes. Records that come twice
 * (a stream that reconnects a little early) change nothing in the end.
 */
export function addRecords(log: RunLog, records: readonly unknown[]): RunLog {
  for (const record of records) {
    if (!isRecord(record)) continue;
    switch (record.type) {
      case "step":
        put(log.steps, record);
        if (log.end && record.step > log.end.step) log.end = null;
        break;
      case "load":
        put(log.loads, record);
        break;
      case "eval":
        put(log.evals, record);
        break;
      case "policy":
        put(log.policies, record);
        break;
      case "score":
        put(log.scores, record);
        break;
      case "sample":
        // Several prompts may be sampled at one step.
        while (log.samples.length > 0 && log.samples.at(-1)!.step > record.step) log.samples.pop();
        if (!log.samples.some((s) => s.step === record.step && s.prompt === record.prompt && s.text === record.text))
          log.samples.push(record);
        break;
      default: {
        const text = JSON.stringify(record);
        if (!log.notes.some((note) => note.step === record.step && JSON.stringify(note) === text))
          log.notes.push(record);
        if (record.type === "end") log.end = record.step >= (log.steps.at(-1)?.step ?? 0) ? record : log.end;
      }
    }
  }
  log.version = ++changes;
  return log;
}

function put<T extends { step: number }>(list: T[], record: T): void {
  while (list.length > 0 && list[list.length - 1]!.step >= record.step) list.pop();
  list.push(record);
}

/**
 * Exponential moving average with its start corrected (without, the curve would begin at 0). `weight` 0 changes
 * nothing; gaps (null, NaN) stay gaps and do not disturb what follows.
 */
export function smooth(values: readonly (number | null | undefined)[], weight: number): (number | null)[] {
  let mean = 0;
  let norm = 0;
  return values.map((value) => {
    if (value == null || !Number.isFinite(value)) return null;
    mean = mean * weight + value * (1 - weight);
    norm = norm * weight + (1 - weight);
    return mean / norm;
  });
}

/** A value at the latest step that has it. */
export function latest<K extends keyof StepRecord>(log: RunLog, key: K): StepRecord[K] | undefined {
  for (let i = log.steps.length - 1; i >= 0 && i >= log.steps.length - 50; i--) {
    if (log.steps[i]![key] != null) return log.steps[i]![key];
  }
  return undefined;
}
