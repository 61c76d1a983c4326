/** Writing a GGUF file: metadata and tensors one after another, whole or not at all, with a seal by which Sumbi knows its own file again. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { CheckpointError } from "../../errors.ts";
import type { OnProgress } from "../../progress.ts";
import { sizeOf } from "../../tensor/index.ts";
import { checkSpace, isMissing, syncFolder, writeError } from "../atomic.ts";
import { quoted } from "../header.ts";
import { release, removeLeftovers, temporaryIn } from "../leftovers.ts";
import { writeFully } from "../safetensors.ts";
import { DEFAULT_ALIGNMENT, GGUF_MAGIC, VALUE_TYPES } from "./header.ts";
import type { StoredTensorPlan } from "./layout.ts";
import type { Entry } from "./metadata.ts";
import { quantize, type WrittenType } from "./quantize.ts";
import { type GgmlTypeName, ggmlType } from "./types.ts";

export interface TensorToWrite extends StoredTensorPlan {
  type: Uppercase<WrittenType>;
}

/** The first entry of a file that Sumbi wrote: the SHA-256 of the file with zeros in its place. */
const SEAL = "sumbi.sha256";
const SEAL_AT = 24 + 8 + SEAL.length + 4 + 8;
const NO_SEAL = "0".repeat(64);

/** Collects the bytes of a header. */
class Bytes {
  readonly #parts: Buffer[] = [];

  raw(bytes: Buffer): this {
    this.#parts.push(bytes);
    return this;
  }
  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return this.raw(bytes);
  }
  u64(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return this.raw(bytes);
  }
  text(value: string): this {
    const bytes = Buffer.from(value, "utf8");
    return this.u64(bytes.length).raw(bytes);
  }
  scalar(type: Entry["type"], value: string | number | boolean): this {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "boolean") return this.raw(Buffer.from([value ? 1 : 0]));
    const bytes = Buffer.alloc(4);
    if (type === "f32") bytes.writeFloatLE(value);
    else if (type === "i32") bytes.writeInt32LE(value);
    else if (type === "u32") bytes.writeUInt32LE(value);
    else throw new TypeError(`gguf: a number of type ${type} is not written`);
    return this.raw(bytes);
  }
  all(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

const padded = (bytes: number): number => Math.ceil(bytes / DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT;

const bytesIn = (type: GgmlTypeName, shape: readonly number[]): number => {
  const { block, bytes } = ggmlType(type);
  return (sizeOf(shape) / block) * bytes;
};

function headerOf(entries: readonly Entry[], tensors: readonly TensorToWrite[]): Buffer {
  const bytes = new Bytes()
    .raw(Buffer.from(GGUF_MAGIC))
    .u32(3)
    .u64(tensors.length)
    .u64(entries.length + 1);
  for (const { key, type, value } of [{ key: SEAL, type: "string", value: NO_SEAL } as Entry, ...entries]) {
    bytes.text(key);
    if (typeof value !== "object") bytes.u32(VALUE_TYPES[type]).scalar(type, value);
    else {
      bytes.u32(VALUE_TYPES.array).u32(VALUE_TYPES[type]).u64(value.length);
      for (const part of value) bytes.scalar(type, part);
    }
  }
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    bytes.text(name).u32(shape.length);
    for (const dim of shape.toReversed()) bytes.u64(dim);
    bytes.u32(ggmlType(type).id).u64(offset);
    offset += padded(bytesIn(type, shape));
  }
  const header = bytes.all();
  return Buffer.concat([header, Buffer.alloc(padded(header.length) - header.length)]);
}

/** Whether a file is one that Sumbi wrote and nobody changed since; undefined when there is nothing, or nothing in it. */
export async function isOwnGguf(path: string): Promise<boolean | undefined> {
  const found = await lstat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (found === undefined || (found.isFile() && found.size === 0)) return undefined;
  if (!found.isFile() || found.size < SEAL_AT + NO_SEAL.length) return false;
  const hash = createHash("sha256");
  let seal = "";
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const bytes = chunk as Buffer;
    if (seal === "") {
      if (bytes.toString("latin1", 32, 32 + SEAL.length) !== SEAL) return false;
      seal = bytes.toString("latin1", SEAL_AT, SEAL_AT + NO_SEAL.length);
      bytes.write(NO_SEAL, SEAL_AT, "latin1");
    }
    hash.update(bytes);
  }
  return hash.digest("hex") === seal;
}

/** Throws CheckpointError unless a GGUF may be written there: nothing is, or with `overwrite` a file that Sumbi wrote, unchanged. */
export async function checkGgufTakeable(path: string, overwrite: boolean): Promise<void> {
  const own = await isOwnGguf(path);
  if (own === false)
    throw new CheckpointError(
      `${path}: is there already, and not as Sumbi wrote it; it was left alone. Choose another name`,
    );
  if (own && !overwrite)
    throw new CheckpointError(
      `${path}: is a model that Sumbi wrote. Choose another name, or replace it with --overwrite`,
    );
}

/**
 * Writes a GGUF file: whole or not at all, a part of a tensor in memory at a time, the same input the same bytes. Throws CheckpointError:
 * another's file in the way, a full disk, a number past the range of its type. Resolves to the file's size in bytes.
 */
export async function writeGguf(
  path: string,
  entries: readonly Entry[],
  tensors: readonly TensorToWrite[],
  { overwrite = false, onProgress }: { overwrite?: boolean; onProgress?: OnProgress } = {},
): Promise<number> {
  const header = headerOf(entries, tensors);
  const total = tensors.reduce((sum, { type, shape }) => sum + padded(bytesIn(type, shape)), header.length);
  await checkGgufTakeable(path, overwrite);
  const folder = dirname(path);
  const temporary = temporaryIn(folder);
  try {
    await mkdir(folder, { recursive: true });
    await removeLeftovers(folder);
    await checkSpace(path, total);
    const handle = await open(temporary, "wx");
    try {
      const out = new Sealed(handle);
      await out.write(header);
      for (const tensor of tensors) {
        await writeTensor(out, tensor, path);
        onProgress?.({ label: "writing", done: out.written, total, unit: "bytes" });
      }
      await out.seal();
      await handle.sync();
    } finally {
      await handle.close();
    }
    // somebody may have put a file there meanwhile
    await checkGgufTakeable(path, overwrite);
    await rename(temporary, path);
    await syncFolder(folder);
    return total;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw await writeError(error, path, total);
  } finally {
    release(temporary);
  }
}

async function writeTensor(out: Sealed, { name, type, shape, parts }: TensorToWrite, path: string): Promise<void> {
  const where = `${path}: tensor ${quoted(name)}`;
  const expected = bytesIn(type, shape);
  let done = 0;
  for await (const values of parts()) {
    const bytes = quantize(type, values);
    if (bytes === undefined)
      throw new CheckpointError(
        `${where}: expected numbers that ${type} can hold, got one past f16's 65504. Write it as f32`,
      );
    done += bytes.length;
    await out.write(bytes);
  }
  if (done !== expected) throw new CheckpointError(`${where}: expected ${expected} bytes of data, got ${done}`);
  await out.write(Buffer.alloc(padded(expected) - expected));
}

/** A file written forwards, hashed as it goes. */
class Sealed {
  written = 0;
  readonly #hash = createHash("sha256");

  constructor(private readonly handle: FileHandle) {}

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await writeFully(this.handle, bytes);
    this.written += bytes.length;
  }

  async seal(): Promise<void> {
    await this.handle.write(Buffer.from(this.#hash.digest("hex"), "latin1"), 0, NO_SEAL.length, SEAL_AT);
  }
}
