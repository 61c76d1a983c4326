/** The header of a GGUF file (version 2 or 3): metadata, and where each tensor lies. Read in bounds, since a stranger may have written it. */
import { closeSync, readSync } from "node:fs";
import { CheckpointError } from "../../errors.ts";
import { quoted } from "../header.ts";
import { openRegularSync } from "../regularFile.ts";
import { GGML_TYPE_NAMES, type GgmlType, type GgmlTypeName, ggmlTypeName, ggmlTypeOf } from "./types.ts";

/** 64-bit numbers past 2^53 come as bigint. */
export type MetadataValue = string | boolean | number | bigint | string[] | boolean[] | (number | bigint)[];

export interface GgufTensor {
  name: string;
  type: GgmlType & { name: GgmlTypeName };
  /** Outermost first, as everywhere in Sumbi: the file has them the other way round. */
  shape: readonly number[];
  /** Place in the file, and size, in bytes. */
  begin: number;
  bytes: number;
}

export interface GgufHeader {
  path: string;
  version: number;
  metadata: ReadonlyMap<string, MetadataValue>;
  tensors: ReadonlyMap<string, GgufTensor>;
}

export const GGUF_MAGIC = "GGUF";
export const DEFAULT_ALIGNMENT = 32;
export const MAX_DIMS = 4;

/** Metadata types by their numbers; ggml's names. */
export const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** The longest header that is published, of 256,000 tokens, has about 15 MB. */
const HEADER_BYTES_MAX = 256 * 2 ** 20;
const ENTRIES_MAX = 65_536;
const TENSORS_MAX = 1_000_000;
const NAME_BYTES_MAX = 1024;
const STRING_BYTES_MAX = 16 * 2 ** 20;
/** Values in all lists together: vocabularies have three lists of up to 4,000,000. */
const VALUES_MAX = 16_000_000;
const ALIGNMENT_MAX = 2 ** 20;
const WINDOW_BYTES = 2 ** 20;

/** Reads a file forwards, a window at a time. */
class Cursor {
  #window = Buffer.alloc(0);
  #at = 0;
  /** Place in the file of the window's end. */
  #read = 0;

  constructor(
    readonly path: string,
    private readonly file: number,
    readonly fileBytes: number,
  ) {}

  get position(): number {
    return this.#read - this.#window.length + this.#at;
  }

  get left(): number {
    return this.fileBytes - this.position;
  }

  fail(message: string): CheckpointError {
    return new CheckpointError(`${this.path}: ${message}`);
  }

  /** The window and the place in it of the next `count` bytes. */
  take(count: number): number {
    if (this.#at + count > this.#window.length) this.#fill(count);
    const at = this.#at;
    this.#at += count;
    return at;
  }

  #fill(count: number): void {
    const { position } = this;
    if (count > this.left)
      throw this.fail(`expected ${count} bytes at ${position}, the file ends after ${this.left} of them (truncated?)`);
    if (position + count > HEADER_BYTES_MAX)
      throw this.fail(`expected a header of at most ${HEADER_BYTES_MAX} bytes, got a longer one`);
    const rest = this.#window.subarray(this.#at);
    const next = Buffer.allocUnsafe(Math.min(Math.max(WINDOW_BYTES, count), this.left));
    rest.copy(next);
    let done = rest.length;
    while (done < next.length) {
      const got = readSync(this.file, next, done, next.length - done, position + done);
      if (got === 0) throw this.fail(`expected ${this.fileBytes} bytes, the file ends at ${position + done}`);
      done += got;
    }
    this.#window = next;
    this.#at = 0;
    this.#read = position + next.length;
  }

  u8 = (): number => {
    const at = this.take(1);
    return this.#window.readUInt8(at);
  };
  i8 = (): number => {
    const at = this.take(1);
    return this.#window.readInt8(at);
  };
  u16 = (): number => {
    const at = this.take(2);
    return this.#window.readUInt16LE(at);
  };
  i16 = (): number => {
    const at = this.take(2);
    return this.#window.readInt16LE(at);
  };
  u32 = (): number => {
    const at = this.take(4);
    return this.#window.readUInt32LE(at);
  };
  i32 = (): number => {
    const at = this.take(4);
    return this.#window.readInt32LE(at);
  };
  f32 = (): number => {
    const at = this.take(4);
    return this.#window.readFloatLE(at);
  };
  f64 = (): number => {
    const at = this.take(8);
    return this.#window.readDoubleLE(at);
  };
  u64 = (): number | bigint => {
    const at = this.take(8);
    return small(this.#window.readBigUInt64LE(at));
  };
  i64 = (): number | bigint => {
    const at = this.take(8);
    return small(this.#window.readBigInt64LE(at));
  };

  bool = (): boolean => {
    const value = this.u8();
    if (value > 1) throw this.fail(`expected true or false (1 or 0) at ${this.position - 1}, got ${value}`);
    return value === 1;
  };

  /** A count that memory and the file bear: `what` names it. */
  count(what: string, most: number): number {
    const count = this.u64();
    if (typeof count === "bigint" || count > most) throw this.fail(`${what}: expected at most ${most}, got ${count}`);
    return count;
  }

  string = (most = STRING_BYTES_MAX): string => {
    const bytes = this.count("the bytes of a text", most);
    const at = this.take(bytes);
    return this.#window.toString("utf8", at, at + bytes);
  };
}

const small = (value: bigint): number | bigint =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(-Number.MAX_SAFE_INTEGER) ? Number(value) : value;

type Scalar = string | boolean | number | bigint;

/** A reader of each metadata type, and the bytes that a value takes at least. */
const readersOf = (cursor: Cursor): Record<number, readonly [least: number, read: () => Scalar]> => ({
  [VALUE_TYPES.u8]: [1, cursor.u8],
  [VALUE_TYPES.i8]: [1, cursor.i8],
  [VALUE_TYPES.u16]: [2, cursor.u16],
  [VALUE_TYPES.i16]: [2, cursor.i16],
  [VALUE_TYPES.u32]: [4, cursor.u32],
  [VALUE_TYPES.i32]: [4, cursor.i32],
  [VALUE_TYPES.f32]: [4, cursor.f32],
  [VALUE_TYPES.bool]: [1, cursor.bool],
  [VALUE_TYPES.string]: [8, () => cursor.string()],
  [VALUE_TYPES.u64]: [8, cursor.u64],
  [VALUE_TYPES.i64]: [8, cursor.i64],
  [VALUE_TYPES.f64]: [8, cursor.f64],
});

function readMetadata(cursor: Cursor, entries: number): Map<string, MetadataValue> {
  const readers = readersOf(cursor);
  const metadata = new Map<string, MetadataValue>();
  let values = 0;
  const readerOf = (type: number, key: string) => {
    const reader = readers[type];
    if (reader === undefined)
      throw cursor.fail(
        `${quoted(key)}: expected a type of metadata from 0 to 12, got ${type}${type === 9 ? " (a list in a list)" : ""}`,
      );
    return reader;
  };
  for (let i = 0; i < entries; i++) {
    const key = cursor.string(NAME_BYTES_MAX);
    if (metadata.has(key)) throw cursor.fail(`the key ${quoted(key)} appears twice`);
    const type = cursor.u32();
    if (type !== VALUE_TYPES.array) {
      metadata.set(key, readerOf(type, key)[1]());
      continue;
    }
    const [least, read] = readerOf(cursor.u32(), key);
    const count = cursor.count(`${quoted(key)}: the values of a list`, VALUES_MAX);
    values += count;
    if (values > VALUES_MAX)
      throw cursor.fail(`${quoted(key)}: expected at most ${VALUES_MAX} values in all lists together`);
    if (count * least > cursor.left)
      throw cursor.fail(`${quoted(key)}: a list of ${count} values passes the end of the file (truncated?)`);
    const list: Scalar[] = [];
    for (let j = 0; j < count; j++) list.push(read());
    metadata.set(key, list as MetadataValue);
  }
  return metadata;
}

function readTensorInfo(cursor: Cursor): GgufTensor {
  const name = cursor.string(NAME_BYTES_MAX);
  const fail = (message: string) => cursor.fail(`tensor ${quoted(name)}: ${message}`);
  const rank = cursor.u32();
  if (rank > MAX_DIMS) throw fail(`expected at most ${MAX_DIMS} dimensions, got ${rank}`);
  const shape: number[] = [];
  let size = 1;
  for (let i = 0; i < rank; i++) {
    const dim = cursor.u64();
    if (typeof dim === "bigint" || dim < 1) throw fail(`expected dimensions of 1 and more, got ${dim}`);
    size *= dim;
    if (!Number.isSafeInteger(size)) throw fail("it is larger than any file");
    shape.unshift(dim);
  }
  const typeId = cursor.u32();
  const offset = cursor.u64();
  const type = ggmlTypeOf(typeId);
  if (type === undefined)
    throw fail(
      `expected numbers in ${GGML_TYPE_NAMES.join(", ")}; got ${ggmlTypeName(typeId)}, which is not read here`,
    );
  const row = shape.at(-1) ?? 1;
  if (row % type.block !== 0)
    throw fail(`expected rows of a multiple of ${type.block} numbers, since it is in ${type.name}; got ${row}`);
  if (typeof offset === "bigint") throw fail(`its place ${offset} is past the end of any file`);
  const bytes = (size / type.block) * type.bytes;
  if (!Number.isSafeInteger(bytes)) throw fail("it is larger than any file");
  return { name, type, shape, begin: offset, bytes };
}

/** Tensors follow each other in the file's order, each at a multiple of the alignment, as ggml itself demands. */
function placeTensors(cursor: Cursor, list: readonly GgufTensor[], alignment: number): Map<string, GgufTensor> {
  const padded = (bytes: number) => Math.ceil(bytes / alignment) * alignment;
  const dataStart = padded(cursor.position);
  const tensors = new Map<string, GgufTensor>();
  let expected = 0;
  for (const tensor of list) {
    const fail = (message: string) => cursor.fail(`tensor ${quoted(tensor.name)}: ${message}`);
    if (tensors.has(tensor.name)) throw fail("appears twice");
    if (tensor.begin !== expected)
      throw fail(`expected its data at ${expected}, after that of the tensor before, got ${tensor.begin}`);
    const begin = dataStart + tensor.begin;
    if (begin + tensor.bytes > cursor.fileBytes)
      throw fail(`its data ends at ${begin + tensor.bytes}, the file at ${cursor.fileBytes} (truncated?)`);
    tensors.set(tensor.name, { ...tensor, begin });
    expected += padded(tensor.bytes);
  }
  return tensors;
}

/**
 * Reads and checks the header of a GGUF file, an ordinary one: known types, sizes that agree with the shapes, data within the file without
 * overlaps. Allocates in proportion to the header. Throws CheckpointError naming the file, and the key or tensor at fault.
 */
export function readGgufHeader(path: string): GgufHeader {
  const { file, bytes } = openRegularSync(path, CheckpointError);
  try {
    const cursor = new Cursor(path, file, bytes);
    if (bytes < 24) throw cursor.fail(`expected a GGUF file, got ${bytes} bytes`);
    const magic = cursor.u32();
    if (magic !== 0x46554747) throw cursor.fail("expected a GGUF file, got one that does not begin with GGUF");
    const version = cursor.u32();
    if (version !== 2 && version !== 3)
      throw cursor.fail(
        `expected GGUF version 2 or 3, got ${version % 65536 === 0 ? "a file of a big-endian machine" : version}`,
      );
    const count = cursor.count("the number of tensors", TENSORS_MAX);
    const entries = cursor.count("the number of metadata entries", ENTRIES_MAX);
    const metadata = readMetadata(cursor, entries);
    const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
    if (
      typeof alignment !== "number" ||
      alignment < 1 ||
      alignment > ALIGNMENT_MAX ||
      !Number.isInteger(Math.log2(alignment))
    )
      throw cursor.fail(
        `general.alignment: expected a power of two up to ${ALIGNMENT_MAX}, got ${quoted(String(alignment))}`,
      );
    const list = Array.from({ length: count }, () => readTensorInfo(cursor));
    return { path, version, metadata, tensors: placeTensors(cursor, list, alignment) };
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(`${path}: cannot be read: ${(error as Error).message}`, { cause: error });
  } finally {
    closeSync(file);
  }
}
