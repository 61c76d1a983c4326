/** Parquet files: row groups counted, rows read one after the other. */
import type { FileHandle } from "node:fs/promises";
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { openRegularFile } from "../checkpoint/index.ts";
import { DataError } from "../errors.ts";

interface RowGroup {
  start: number;
  end: number;
  /** Uncompressed, of the columns that are read. */
  bytes: number;
}

const COLUMNS = ["text", "messages"];

async function withFile<T>(path: string, use: (file: AsyncBuffer, metadata: FileMetaData) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    const { handle: opened, fileBytes: byteLength } = await openRegularFile(path, DataError);
    handle = opened;
    const file: AsyncBuffer = {
      byteLength,
      async slice(start, end = byteLength) {
        const out = new Uint8Array(Math.max(0, end - start));
        const { bytesRead } = await opened.read(out, 0, out.length, start);
        return out.buffer.slice(0, bytesRead);
      },
    };
    return await use(file, await parquetMetadataAsync(file));
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${path}: expected a parquet file: ${(error as Error).message}`, { cause: error });
  } finally {
    await handle?.close();
  }
}

function columnsOf(path: string, metadata: FileMetaData): string[] {
  const names = new Set(
    metadata.row_groups.flatMap((group) => group.columns.map((column) => column.meta_data?.path_in_schema[0] ?? "")),
  );
  const found = COLUMNS.filter((name) => names.has(name));
  if (found.length === 0)
    throw new DataError(
      `${path}: expected a column \`text\` or \`messages\`, found ${[...names].join(", ") || "none"}`,
    );
  return found;
}

/** Row groups, the stretches a parquet file can be read in without the rest. Throws DataError without a usable column. */
export function parquetRowGroups(path: string): Promise<RowGroup[]> {
  return withFile(path, async (_file, metadata) => {
    const columns = columnsOf(path, metadata);
    let start = 0;
    return metadata.row_groups.map((group) => {
      const bytes = group.columns
        .filter((column) => columns.includes(column.meta_data?.path_in_schema[0] ?? ""))
        .reduce((sum, column) => sum + Number(column.meta_data?.total_uncompressed_size ?? 0), 0);
      const from = start;
      start += Number(group.num_rows);
      return { start: from, end: start, bytes: Math.max(1, bytes) };
    });
  });
}

/** Rows `start` … `end`-1 with the columns `text` and `messages` as far as the file has them; one row group in memory. */
export async function* readParquetRows(path: string, start: number, end: number): AsyncGenerator<unknown> {
  const rows = await withFile(path, async (file, metadata) =>
    parquetReadObjects({
      file,
      metadata,
      columns: columnsOf(path, metadata),
      rowStart: start,
      rowEnd: end,
      compressors,
    }),
  );
  yield* rows;
}
