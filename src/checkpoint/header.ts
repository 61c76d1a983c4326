/** The JSON header of a safetensors file: read strictly, checked, written. */
import { visit } from "jsonc-parser";
import { CheckpointError } from "../errors.ts";
import { briefJson, isRecord, parseJson } from "../json.ts";
import { DTYPES, type DType } from "../tensor/index.ts";

/** safetensors' names of the element types that Sumbi knows. */
const DTYPE_OF_NAME = new Map<string, DType>([
  ["F32", "f32"],
  ["F64", "f64"],
  ["F16", "f16"],
  ["BF16", "bf16"],
  ["F8_E4M3", "f8e4m3"],
  ["I64", "i64"],
  ["I32", "i32"],
  ["U8", "u8"],
  ["I8", "i8"],
  ["BOOL", "bool"],
]);
const NAME_OF_DTYPE = new Map([...DTYPE_OF_NAME].map(([name, dtype]) => [dtype, name]));

/** safetensors files carry at most this much JSON (the reference implementation's limit). */
export const HEADER_BYTES_MAX = 100_000_000;

/** Where one tensor lies in a safetensors file. */
export interface TensorEntry {
  key: string;
  dtype: DType;
  shape: readonly number[];
  /** Byte range within the data part of the file, end exclusive. */
  begin: number;
  end: number;
}

export interface Header {
  tensors: Map<string, TensorEntry>;
  metadata: Record<string, string>;
}

/** A name from a file, quoted and clipped so that a hostile one cannot flood or confuse a terminal. */
export function quoted(value: unknown): string {
  const text = typeof value === "string" && value.length > 120 ? `${value.slice(0, 120)}…` : value;
  const json = briefJson(text, 400);
  return (json.length > 400 ? `${json.slice(0, 400)}…` : json).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Parses UTF-8 JSON; a repeated key, at any depth, is an error (two readers could disagree on which one counts). */
export function parseStrictJson(bytes: Uint8Array, where: string): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = parseJson(text);
    const open: Set<string>[] = [];
    visit(text, {
      onObjectBegin: () => void open.push(new Set()),
      onObjectEnd: () => void open.pop(),
      onObjectProperty: (key) => {
        const keys = open[open.length - 1]!;
        if (keys.has(key)) throw new CheckpointError(`${where}: the key ${quoted(key)} appears twice`);
        keys.add(key);
      },
    });
    return value;
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const reason = quoted((error as Error).message).slice(1, -1);
    throw new CheckpointError(`${where}: expected JSON in UTF-8: ${reason}`);
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseEntry(key: string, value: unknown, dataBytes: number, where: string): TensorEntry {
  const fail = (message: string) => new CheckpointError(`${where}: tensor ${quoted(key)}: ${message}`);
  if (!isRecord(value)) throw fail(`expected {dtype, shape, data_offsets}, got ${quoted(value)}`);
  const dtype = DTYPE_OF_NAME.get(value.dtype as string);
  if (!dtype) throw fail(`expected dtype ${[...DTYPE_OF_NAME.keys()].join(", ")}; got ${quoted(value.dtype)}`);
  const { shape, data_offsets: offsets } = value;
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw fail(`expected a shape of whole numbers, got ${quoted(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw fail(`expected data_offsets [begin, end] in bytes, got ${quoted(offsets)}`);
  const [begin, end] = offsets as [number, number];
  let bytes = DTYPES[dtype].bytes;
  for (const size of shape as number[]) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) throw fail(`shape [${shape.slice(0, 16)}] is larger than any file`);
  }
  if (end < begin) throw fail(`data_offsets [${begin}, ${end}] run backwards`);
  if (end > dataBytes)
    throw fail(
      `data_offsets [${begin}, ${end}] pass the end of the file, which holds ${dataBytes} bytes of data (truncated?)`,
    );
  if (end - begin !== bytes)
    throw fail(
      `${value.dtype} [${shape.slice(0, 16)}] takes ${bytes} bytes, data_offsets [${begin}, ${end}] hold ${end - begin}`,
    );
  return { key, dtype, shape: shape as number[], begin, end };
}

/**
 * Parses and checks a safetensors header: known dtypes, sizes that agree with the shapes, and data that fills the
 * `dataBytes` after the header exactly, without holes or overlaps. `where` names the file in errors.
 * Throws CheckpointError naming the tensor at fault. Allocates in proportion to the header only.
 */
export function parseHeader(json: Uint8Array, dataBytes: number, where: string): Header {
  const parsed = parseStrictJson(json, `${where}: header`);
  if (!isRecord(parsed))
    throw new CheckpointError(`${where}: expected the header to be a JSON object, got ${quoted(parsed)}`);
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(parsed)) {
    if (key === "__metadata__") {
      if (!isRecord(value) || !Object.values(value).every((text) => typeof text === "string"))
        throw new CheckpointError(`${where}: expected __metadata__ to map names to strings, got ${quoted(value)}`);
      metadata = value as Record<string, string>;
    } else tensors.set(key, parseEntry(key, value, dataBytes, where));
  }
  let position = 0;
  let previous = "";
  for (const entry of [...tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    const fail = (message: string) => new CheckpointError(`${where}: tensor ${quoted(entry.key)}: ${message}`);
    if (entry.begin < position)
      throw fail(`data_offsets [${entry.begin}, ${entry.end}] overlap tensor ${quoted(previous)}`);
    if (entry.begin > position)
      throw fail(
        `data_offsets [${entry.begin}, ${entry.end}] leave a hole of ${entry.begin - position} bytes before them`,
      );
    position = entry.end;
    previous = entry.key;
  }
  if (position !== dataBytes)
    throw new CheckpointError(
      `${where}: ${dataBytes - position} bytes at the end belong to no tensor (the last one is ${quoted(previous)})`,
    );
  return { tensors, metadata };
}

/** The 8-byte length plus JSON header for tensors laid out one after another, padded with spaces to a multiple of 8. */
export function encodeHeader(
  tensors: readonly { key: string; dtype: DType; shape: readonly number[] }[],
  metadata: Record<string, string>,
  where: string,
): Uint8Array {
  const parts = [`${JSON.stringify("__metadata__")}:${JSON.stringify(metadata)}`];
  const seen = new Set(["__metadata__"]);
  let position = 0;
  for (const { key, dtype, shape } of tensors) {
    if (seen.has(key)) throw new CheckpointError(`${where}: tensor ${quoted(key)} is given twice`);
    seen.add(key);
    const end = shape.reduce((bytes, size) => bytes * size, DTYPES[dtype].bytes) + position;
    parts.push(
      `${JSON.stringify(key)}:${JSON.stringify({ dtype: NAME_OF_DTYPE.get(dtype), shape, data_offsets: [position, end] })}`,
    );
    position = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > HEADER_BYTES_MAX)
    throw new CheckpointError(
      `${where}: ${tensors.length} tensors need a header of ${padded} bytes, over the limit of ${HEADER_BYTES_MAX}`,
    );
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}
