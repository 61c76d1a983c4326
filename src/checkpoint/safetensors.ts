/** One safetensors file: its tensors read at random, and a new one written. */
import { type FileHandle, open } from "node:fs/promises";
import { CheckpointError } from "../errors.ts";
import { DTYPES, type DType, type HostTensor } from "../tensor/index.ts";
import { encodeHeader, HEADER_BYTES_MAX, parseHeader, quoted, type TensorEntry } from "./header.ts";
import { openRegularFile } from "./regularFile.ts";

/** One read or write system call moves at most this much. */
const CHUNK_BYTES = 64 * 2 ** 20;

/** Reads exactly `into.length` bytes from `position`; throws CheckpointError when the file ends before. */
export async function readFully(handle: FileHandle, into: Uint8Array, position: number, where: string): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await handle.read(into, done, Math.min(CHUNK_BYTES, into.length - done), position + done);
    if (bytesRead === 0)
      throw new CheckpointError(
        `${where}: expected ${into.length} bytes at ${position}, the file ends after ${done} of them (truncated?)`,
      );
    done += bytesRead;
  }
}

/** Reads a small text file whole, up to `limitBytes`. */
export async function readSmallFile(path: string, limitBytes: number): Promise<Uint8Array> {
  const { handle, fileBytes } = await openRegularFile(path);
  try {
    if (fileBytes > limitBytes)
      throw new CheckpointError(`${path}: expected at most ${limitBytes} bytes, the file has ${fileBytes}`);
    const bytes = new Uint8Array(fileBytes);
    await readFully(handle, bytes, 0, path);
    return bytes;
  } finally {
    await handle.close();
  }
}

/** One open safetensors file: the header is in memory and checked, tensors are read from disk when asked for. */
export class SafetensorsFile {
  private constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, TensorEntry>,
    readonly metadata: Readonly<Record<string, string>>,
    private readonly handle: FileHandle,
    /** Where the data begins in the file. */
    readonly dataStart: number,
  ) {}

  /** Opens a file and checks its header completely. Throws CheckpointError naming the file and the tensor at fault. */
  static async open(path: string): Promise<SafetensorsFile> {
    const { handle, fileBytes } = await openRegularFile(path);
    try {
      if (fileBytes < 8) throw new CheckpointError(`${path}: expected a safetensors file, found ${fileBytes} bytes`);
      const head = new Uint8Array(8);
      await readFully(handle, head, 0, path);
      const headerBytes = new DataView(head.buffer).getBigUint64(0, true);
      if (headerBytes > HEADER_BYTES_MAX)
        throw new CheckpointError(
          `${path}: the header claims ${headerBytes} bytes, over the limit of ${HEADER_BYTES_MAX}`,
        );
      const dataStart = 8 + Number(headerBytes);
      if (dataStart > fileBytes)
        throw new CheckpointError(
          `${path}: the header claims ${headerBytes} bytes, the file has ${fileBytes} (truncated?)`,
        );
      const json = new Uint8Array(Number(headerBytes));
      await readFully(handle, json, 8, path);
      const { tensors, metadata } = parseHeader(json, fileBytes - dataStart, path);
      return new SafetensorsFile(path, tensors, metadata, handle, dataStart);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Where a tensor lies; throws CheckpointError when the file has none of that name. */
  entry(key: string): TensorEntry {
    const entry = this.tensors.get(key);
    if (!entry) throw new CheckpointError(`${this.path}: no tensor ${quoted(key)}`);
    return entry;
  }

  /** Reads bytes [begin, begin + into.length) of a tensor into memory of the caller. */
  async readBytes(key: string, into: Uint8Array, begin = 0): Promise<void> {
    const entry = this.entry(key);
    const where = `${this.path}: tensor ${quoted(key)}`;
    if (begin < 0 || begin + into.length > entry.end - entry.begin)
      throw new CheckpointError(
        `${where}: bytes ${begin} to ${begin + into.length} lie outside its ${entry.end - entry.begin}`,
      );
    try {
      await readFully(this.handle, into, this.dataStart + entry.begin + begin, where);
    } catch (error) {
      if (error instanceof CheckpointError) throw error;
      throw new CheckpointError(`${where}: cannot be read: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
    }
  }

  /** Reads a tensor with its own dtype; short floats come as raw bits. */
  async read(key: string): Promise<HostTensor> {
    const { dtype, shape, begin, end } = this.entry(key);
    const buffer = allocate(end - begin, `${this.path}: tensor ${quoted(key)}`);
    await this.readBytes(key, new Uint8Array(buffer));
    const info = DTYPES[dtype];
    return { dtype, shape, data: new info.array(buffer, 0, (end - begin) / info.bytes) };
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Memory for `bytes`, or a CheckpointError instead of a RangeError when the machine cannot give that much. */
export function allocate(bytes: number, where: string): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (error) {
    throw new CheckpointError(`${where}: ${bytes} bytes do not fit in memory`, { cause: error });
  }
}

/** A tensor to be written: its bytes are asked for when its turn comes, so only one is in memory at a time. */
export interface RawTensor {
  key: string;
  dtype: DType;
  shape: readonly number[];
  bytes: () => Uint8Array | Promise<Uint8Array>;
}

/** Writes everything, in system calls of bounded size; a call that writes less than asked is continued. */
export async function writeFully(handle: FileHandle, data: Uint8Array): Promise<void> {
  for (let done = 0; done < data.length; )
    done += (await handle.write(data, done, Math.min(CHUNK_BYTES, data.length - done))).bytesWritten;
}

/**
 * Writes one safetensors file, tensors in the order given and without gaps; the same tensors give the same bytes.
 * Not atomic: use it inside `atomicFolder`. Throws CheckpointError for repeated keys and sizes that do not fit.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly RawTensor[],
  metadata: Record<string, string> = { format: "pt" },
): Promise<void> {
  const header = encodeHeader(tensors, metadata, path);
  const handle = await open(path, "wx");
  try {
    await writeFully(handle, header);
    for (const { key, dtype, shape, bytes } of tensors) {
      const data = await bytes();
      const expected = shape.reduce((product, size) => product * size, DTYPES[dtype].bytes);
      if (data.length !== expected)
        throw new CheckpointError(
          `${path}: tensor ${quoted(key)}: expected ${expected} bytes for ${dtype} [${shape}], got ${data.length}`,
        );
      await writeFully(handle, data);
    }
  } finally {
    await handle.close();
  }
}
