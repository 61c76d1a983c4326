/** What was read to make a data set, counted, so that it can be said before training begins. */
import { z } from "zod";
import { DataError } from "../errors.ts";
import { bytes, count, plural } from "../format.ts";
import { type Broken, FAULTS, type Fault } from "./documents.ts";
import type { Source, SourceKind, Survey } from "./sources.ts";

/** Counts of one unit's reading, or of all. */
export interface Reading {
  /** Texts and conversations; a long text that is read in pieces counts once. */
  texts: number;
  conversations: number;
  /** Of both, how many are held out (at least in part). */
  heldout: number;
  /** Lines and rows that could not be used, by what is wrong with them. */
  leftOut: Partial<Record<Fault, number>>;
  /** The first of each kind. */
  examples: Omit<Broken, "bytes">[];
  /** Of lines that are no text or no JSON at all. */
  noTextBytes: number;
}

const whole = z.number().int().nonnegative();

/** Kept in the cache, for the next run on the same texts. */
export const reportSchema = z.object({
  texts: whole,
  conversations: whole,
  heldout: whole,
  leftOut: z.partialRecord(z.enum(FAULTS), whole),
  examples: z.array(z.object({ path: z.string(), line: whole, fault: z.enum(FAULTS), reason: z.string() })),
  files: z.object({ text: whole, jsonl: whole, parquet: whole, builtin: whole } satisfies Record<SourceKind, unknown>),
  bytes: z.number().nonnegative(),
  /** Files beside them of other extensions, by extension. */
  noTextBytes: z.number().nonnegative(),
  ignored: z.record(z.string(), whole),
  /** What has a text's name and is no file. */
  notFiles: z.array(z.object({ path: z.string(), kind: z.string() })),
});
export type DataReport = z.infer<typeof reportSchema> & Reading;

export const emptyReading = (): Reading => ({
  texts: 0,
  conversations: 0,
  heldout: 0,
  leftOut: {},
  examples: [],
  noTextBytes: 0,
});

const NO_TEXT: ReadonlySet<Fault> = new Set(["not UTF-8", "not text", "not JSON"]);

/** Throws DataError when most of what stands in files of text and lines of JSON is neither: nobody means to train on the rest. */
export function checkIsText(reading: Reading, sources: readonly Source[]): void {
  const given = sources.reduce((sum, { kind, bytes }) => sum + (kind === "text" || kind === "jsonl" ? bytes : 0), 0);
  if (2 * reading.noTextBytes <= given) return;
  throw new DataError(
    `data: expected text, got ${bytes(reading.noTextBytes)} of ${bytes(given)} that is none: ${describeLeftOut(reading)}. Give other files, or leave those out`,
  );
}

/** Counts a line that is left out, and keeps it when it is the first of its kind. */
export function leaveOut(reading: Reading, broken: Broken): void {
  const before = reading.leftOut[broken.fault] ?? 0;
  reading.leftOut[broken.fault] = before + 1;
  const { bytes, ...example } = broken;
  if (before === 0) reading.examples.push(example);
  if (NO_TEXT.has(broken.fault)) reading.noTextBytes += bytes;
}

export const leftOutTotal = ({ leftOut }: Pick<Reading, "leftOut">): number =>
  Object.values(leftOut).reduce((sum, n) => sum + n, 0);

/** One line on what was left out, by reason and with the first of each; undefined when nothing was. */
export function describeLeftOut({ leftOut, examples }: Reading): string | undefined {
  const faults = Object.entries(leftOut);
  if (faults.length === 0) return undefined;
  const kinds = faults.map(([fault, n]) => {
    const first = examples.find((example) => example.fault === fault);
    return `${count(n)} ${fault}${first ? ` (first ${first.path}:${first.line}: ${first.reason})` : ""}`;
  });
  return `left out ${plural(leftOutTotal({ leftOut }), "line")}: ${kinds.join("; ")}`;
}

/** All units' readings as one, with what the sources are. */
export function reportOf(readings: readonly Reading[], { sources, ignored, notFiles }: Survey): DataReport {
  const all = emptyReading();
  for (const reading of readings) {
    all.texts += reading.texts;
    all.conversations += reading.conversations;
    all.heldout += reading.heldout;
    for (const [fault, n] of Object.entries(reading.leftOut) as [Fault, number][])
      all.leftOut[fault] = (all.leftOut[fault] ?? 0) + n;
    all.noTextBytes += reading.noTextBytes;
    for (const example of reading.examples)
      if (!all.examples.some(({ fault }) => fault === example.fault)) all.examples.push(example);
  }
  const files: Record<SourceKind, number> = { text: 0, jsonl: 0, parquet: 0, builtin: 0 };
  for (const { kind } of sources) files[kind]++;
  return { ...all, files, bytes: sources.reduce((sum, { bytes }) => sum + bytes, 0), ignored, notFiles };
}
