/** Records of a run's log: parsed, freed of repeats. */

import { quoted } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { isRecord, parseJson } from "../json.ts";
import { isRunId } from "./id.ts";
import { type RunRecord, runRecordSchema } from "./schema.ts";

/** Parses one line of log.jsonl; undefined when it is no record (damaged, too long, or of a later version). */
export function parseRecord(line: string | undefined): RunRecord | undefined {
  // What is no object at sight is not parsed: a damaged log may have millions of such lines, and an exception for each takes seconds.
  if (line === undefined || !/^\s*\{.*\}\s*$/s.test(line)) return undefined;
  try {
    const value = parseJson(line);
    // A number that was not finite is null in JSON: it counts as not measured.
    if (isRecord(value)) for (const key of Object.keys(value)) if (value[key] === null) delete value[key];
    return runRecordSchema.safeParse(value).data;
  } catch {
    return undefined;
  }
}

/** Two records with the same name are the same fact told twice; events and samples may be several at one step. */
export function nameOf(record: RunRecord): string {
  if (record.type === "event") return `event ${record.step} ${record.level} ${record.message}`;
  if (record.type === "sample") return `sample ${record.step} ${record.prompt}`;
  return record.type === "end" ? "end" : `${record.type} ${record.step}`;
}

/** What belongs to a past that a run gave up when it went back behind it: measurements, not what happened. */
const MEASURED = new Set<RunRecord["type"]>(["step", "load", "eval", "sample", "policy", "score"]);

/**
 * Removes what a killed and resumed run, or one that rolled back, logged twice or gave up: a later record replaces the earlier one of
 * the same type and step, in its place, and a step that comes again takes with it what was measured after it. An `end` followed by
 * more steps is dropped, since the run went on.
 */
export function removeRepeats(records: readonly RunRecord[]): RunRecord[] {
  const kept = new Map<string, RunRecord>();
  for (const record of withoutGivenUp(records)) {
    if (record.type === "step" || record.type === "end") kept.delete("end");
    kept.set(nameOf(record), record);
  }
  return [...kept.values()];
}

/** Without what was measured at steps behind one that came later. */
function withoutGivenUp(records: readonly RunRecord[]): RunRecord[] {
  const kept: RunRecord[] = [];
  let earliest = Infinity;
  for (const record of records.toReversed()) {
    if (MEASURED.has(record.type) && record.step > earliest) continue;
    if (record.type === "step") earliest = record.step;
    kept.push(record);
  }
  return kept.reverse();
}

/** Refuses a run id that could name anything but a folder in the runs folder. */
export function checkRunId(id: string): string {
  if (!isRunId(id))
    throw new CheckpointError(`expected a run id of letters, digits, dots, dashes and underscores, got ${quoted(id)}`);
  return id;
}

/** A run id that sorts by time: `20261123-194938-nano`. */
export function makeRunId(recipeName: string, startedAt: Date): string {
  const [day, time] = startedAt.toISOString().slice(0, 19).split("T");
  const name = recipeName.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 60);
  return `${day!.replaceAll("-", "")}-${time!.replaceAll(":", "")}-${name || "run"}`;
}
