/** Sources cut and gathered into units of about equal size, one for each job of a worker. */
import { BUILTINS } from "./builtin.ts";
import { encodingOf } from "./lines.ts";
import { parquetRowGroups } from "./parquet.ts";
import type { Source } from "./sources.ts";

/** A stretch of a source: bytes of a text or jsonl file, rows of a parquet file, documents of a built-in corpus. */
export interface UnitPart {
  source: Source;
  start: number;
  end: number;
  /** The stretch reaches the source's end. */
  last: boolean;
  /** About; for progress. */
  bytes: number;
}

/** What one worker does in one go, and what becomes one shard: about 32 MB of text. */
export interface Unit {
  index: number;
  parts: UnitPart[];
  bytes: number;
}

export const UNIT_BYTES = 32 << 20;

/** Cuts big sources into stretches and gathers small ones, in order, so that units are of about equal size. Depends on the sources alone. */
export async function planUnits(sources: readonly Source[], unitBytes: number = UNIT_BYTES): Promise<Unit[]> {
  const units: Unit[] = [];
  let open: Unit | undefined;
  for (const source of sources)
    for (const part of await cut(source, unitBytes)) {
      if (open === undefined || open.bytes + part.bytes > unitBytes) {
        open = { index: units.length, parts: [], bytes: 0 };
        units.push(open);
      }
      open.parts.push(part);
      open.bytes += part.bytes;
    }
  return units;
}

async function cut(source: Source, unitBytes: number): Promise<UnitPart[]> {
  if (source.bytes === 0) return [];
  // UTF-16 is decoded from its beginning: it stays in one piece.
  if ((source.kind === "text" || source.kind === "jsonl") && encodingOf(source.path) !== "utf-8")
    return [{ source, start: 0, end: source.bytes, last: true, bytes: source.bytes }];
  if (source.kind === "parquet") {
    const groups = await parquetRowGroups(source.path);
    return groups.map((group, i) => ({
      source,
      start: group.start,
      end: group.end,
      last: i === groups.length - 1,
      bytes: group.bytes,
    }));
  }
  const { size, each } =
    source.kind === "builtin"
      ? { size: source.builtin!.count, each: BUILTINS[source.builtin!.name].bytesPerDocument }
      : { size: source.bytes, each: 1 };
  const step = Math.max(1, Math.ceil(unitBytes / (source.kind === "builtin" ? 8 : 1) / each));
  const parts: UnitPart[] = [];
  for (let start = 0; start < size; start += step) {
    const end = Math.min(size, start + step);
    parts.push({ source, start, end, last: end === size, bytes: (end - start) * each });
  }
  return parts;
}
