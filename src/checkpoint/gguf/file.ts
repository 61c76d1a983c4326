/** A GGUF file as a checkpoint: its config, tokenizer and tensors under Hugging Face's names. Tensors are read when asked for. */
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../../errors.ts";
import type { BlockWeight } from "../../model/index.ts";
import { DTYPES, type HostTensor, sizeOf } from "../../tensor/index.ts";
import { quoted } from "../header.ts";
import { openRegularFile } from "../regularFile.ts";
import { allocate, readFully } from "../safetensors.ts";
import type { StoredTensor, TensorPart, Tensors } from "../tensors.ts";
import { architectureOf, configOf, type GgufConfig } from "./config.ts";
import { dequantize, exactBits, keepBlocks } from "./dequantize.ts";
import { GGUF_MAGIC, type GgufHeader, type GgufTensor, readGgufHeader } from "./header.ts";
import { isJoined, type Rows, type Source, sourcesOf } from "./sources.ts";

/** Rows are read about so many bytes at a time. */
const CHUNK_BYTES = 8 * 2 ** 20;
const SPLIT = /-(\d{5})-of-(\d{5})\.gguf$/i;
const FACTORS = "rope_freqs.weight";
const FACTORS_MAX = 4096;

/** Whether a path is meant as a GGUF file: by its name, or, of a file that is there, by its first four bytes. */
export function isGguf(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  if (/\.gguf$/i.test(path)) return true;
  const file = openSync(path, "r");
  try {
    const magic = Buffer.alloc(4);
    return readSync(file, magic, 0, 4, 0) === 4 && magic.toString("latin1") === GGUF_MAGIC;
  } finally {
    closeSync(file);
  }
}

/** A model's header, of one file or of all that it is split into, and its config. */
export interface GgufModel extends GgufConfig {
  path: string;
  /** Of the first file, with the tensors of all. */
  header: GgufHeader;
  /** Path of each tensor's file. */
  fileOf: ReadonlyMap<string, string>;
}

/** Reads a model's metadata and config, no tensor data but the factors of its angles. Throws CheckpointError naming what is wrong. */
export function readGguf(path: string): GgufModel {
  const first = readGgufHeader(path);
  const tensors = new Map(first.tensors);
  const fileOf = new Map([...tensors.keys()].map((name) => [name, path]));
  for (const part of otherParts(path, first)) {
    for (const [name, tensor] of readGgufHeader(part).tensors) {
      if (tensors.has(name)) throw new CheckpointError(`${part}: tensor ${quoted(name)} is in another part too`);
      tensors.set(name, tensor);
      fileOf.set(name, part);
    }
  }
  const total = first.metadata.get("split.tensors.count");
  if (typeof total === "number" && total !== tensors.size)
    throw new CheckpointError(
      `${path}: expected ${total} tensors in all parts (split.tensors.count), got ${tensors.size}`,
    );
  const header = { ...first, tensors };
  const factors = tensors.get(FACTORS);
  return { ...configOf(header, factors && factorsOf(factors, fileOf.get(FACTORS) ?? path)), path, header, fileOf };
}

/** The other files of a model that is split; the one given must be the first. */
function otherParts(path: string, { metadata }: GgufHeader): string[] {
  const count = metadata.get("split.count") ?? 1;
  if (count === 1 || count === 0) return [];
  const [, own, all] = SPLIT.exec(path) ?? [];
  if (typeof count !== "number" || own === undefined || Number(all) !== count)
    throw new CheckpointError(
      `${path}: expected a name that ends in -00001-of-${String(count).padStart(5, "0")}.gguf, since the model is split into ${count} files`,
    );
  if (Number(own) !== 1)
    throw new CheckpointError(
      `${path}: expected the first of the ${count} files that the model is split into, got number ${Number(own)}`,
    );
  const stem = basename(path).replace(SPLIT, "");
  return Array.from({ length: count - 1 }, (_, i) => {
    const part = join(dirname(path), `${stem}-${String(i + 2).padStart(5, "0")}-of-${all}.gguf`);
    if (!existsSync(part))
      throw new CheckpointError(`${path}: expected its part ${quoted(basename(part))} beside it, found none`);
    return part;
  });
}

function factorsOf({ type, shape, begin, bytes }: GgufTensor, path: string): Float32Array {
  const size = sizeOf(shape);
  if (type.name !== "F32" || shape.length !== 1 || size > FACTORS_MAX)
    throw new CheckpointError(
      `${path}: tensor ${quoted(FACTORS)}: expected a vector of F32, at most ${FACTORS_MAX} long, got ${type.name} [${shape}]`,
    );
  const raw = new Uint8Array(bytes);
  const file = openSync(path, "r");
  try {
    if (readSync(file, raw, 0, bytes, begin) !== bytes)
      throw new CheckpointError(`${path}: ends within ${quoted(FACTORS)}`);
  } finally {
    closeSync(file);
  }
  const factors = new Float32Array(raw.buffer);
  if (!factors.every((factor) => factor > 0 && Number.isFinite(factor)))
    throw new CheckpointError(`${path}: tensor ${quoted(FACTORS)}: expected positive numbers`);
  return factors;
}

/** A GGUF file, open for random access. */
export class GgufCheckpoint implements Tensors {
  readonly #sources: ReadonlyMap<string, Source>;

  private constructor(
    private readonly model: GgufModel,
    private readonly handles: ReadonlyMap<string, FileHandle>,
  ) {
    const { json, header, path } = model;
    const heads = json.num_attention_heads as number;
    const keyHeads = (json.num_key_value_heads as number | undefined) ?? heads;
    const headDim = (json.head_dim as number | undefined) ?? 0;
    this.#sources = sourcesOf(header.tensors, { architecture: architectureOf(header), heads, keyHeads, headDim }, path);
  }

  static async open(path: string): Promise<GgufCheckpoint> {
    const model = readGguf(path);
    const handles = new Map<string, FileHandle>();
    try {
      for (const file of new Set([path, ...model.fileOf.values()]))
        handles.set(file, (await openRegularFile(file)).handle);
      return new GgufCheckpoint(model, handles);
    } catch (error) {
      await Promise.all([...handles.values()].map((handle) => handle.close()));
      throw error;
    }
  }

  get dir(): string {
    return this.model.path;
  }

  /** config.json as the metadata means it, not checked further. */
  get config(): Record<string, unknown> {
    return this.model.json;
  }

  get notes(): readonly string[] {
    return this.model.notes;
  }

  keys(): string[] {
    return [...this.#sources.keys()].sort();
  }

  has(key: string): boolean {
    return this.#sources.has(key);
  }

  #source(key: string): Source {
    const source = this.#sources.get(key);
    if (source === undefined) throw new CheckpointError(`${this.dir}: no tensor ${quoted(key)}`);
    return source;
  }

  info(key: string): StoredTensor {
    const source = this.#source(key);
    const { shape } = source;
    const stored = isJoined(source) ? [source.keys, source.values] : [source.tensor];
    const share = sizeOf(shape) / stored.reduce((sum, tensor) => sum + sizeOf(tensor.shape), 0);
    return {
      dtype: dtypeOf(source),
      shape,
      file: basename(this.model.fileOf.get(stored[0]!.name) ?? this.dir),
      bytes: share * stored.reduce((sum, tensor) => sum + tensor.bytes, 0),
    };
  }

  /** Reads a tensor of bf16, f16 or f32 as the file has it. Throws CheckpointError for blocks. */
  async read(key: string): Promise<HostTensor> {
    const source = this.#source(key);
    const dtype = dtypeOf(source);
    if (isJoined(source) || source.turned !== undefined || (dtype !== "bf16" && dtype !== "f16" && dtype !== "f32"))
      throw new CheckpointError(`${this.dir}: tensor ${quoted(key)}: expected numbers as they are, got ${dtype}`);
    const { bytes, array } = DTYPES[dtype];
    const size = sizeOf(source.shape);
    const buffer = allocate(size * bytes, `${this.dir}: tensor ${quoted(key)}`);
    await this.#readRows(source, 0, new Uint8Array(buffer));
    return { dtype, shape: source.shape, data: new array(buffer, 0, size) };
  }

  /** Reads a tensor as f32, exactly what the file's blocks stand for. `out`, when given, is filled and returned. */
  async readF32(key: string, out?: Float32Array, part?: TensorPart): Promise<HostTensor<Float32Array>> {
    const source = this.#source(key);
    const where = `${this.dir}: tensor ${quoted(key)}`;
    if (part !== undefined)
      throw new CheckpointError(`${where}: expected experts under llama.cpp's names, got a stack under this`);
    const size = sizeOf(source.shape);
    if (out && out.length !== size)
      throw new CheckpointError(`${where}: expected room for ${size} values, got ${out.length}`);
    const data = out ?? new Float32Array(allocate(size * 4, where));
    if (isJoined(source)) await this.#join(source, data);
    else await this.#decode(source, data);
    return { dtype: "f32", shape: source.shape, data };
  }

  /** A matrix that is stored in blocks of ours (Q4_0: 4 bits, Q8_0: 8), as they are; undefined for another. */
  async readBlocks(key: string): Promise<BlockWeight | undefined> {
    const source = this.#source(key);
    const [rows, columns] = source.shape;
    const bits = isJoined(source) ? undefined : exactBits(source.tensor.type.name);
    if (
      isJoined(source) ||
      bits === undefined ||
      rows === undefined ||
      columns === undefined ||
      source.shape.length !== 2
    )
      return undefined;
    const { block, bytes } = source.tensor.type;
    const raw = new Uint8Array(allocate((rows * columns * bytes) / block, `${this.dir}: tensor ${quoted(key)}`));
    await this.#readRows(source, 0, raw);
    const ordered = source.turned === undefined ? raw : halves(raw, rows, source.turned);
    return keepBlocks(bits, ordered, [rows, columns]);
  }

  async close(): Promise<void> {
    await Promise.all([...this.handles.values()].map((handle) => handle.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Fills `into` with rows as they are stored, from row `from` of the source on. */
  async #readRows({ tensor, first, shape }: Rows, from: number, into: Uint8Array): Promise<void> {
    const path = this.model.fileOf.get(tensor.name) ?? this.dir;
    const handle = this.handles.get(path);
    if (handle === undefined) throw new CheckpointError(`${path}: is not open`);
    const rowBytes = (rowLength(shape) / tensor.type.block) * tensor.type.bytes;
    await readFully(handle, into, tensor.begin + (first + from) * rowBytes, `${path}: tensor ${quoted(tensor.name)}`);
  }

  async #decode(source: Rows, out: Float32Array): Promise<void> {
    const { tensor, shape, turned } = source;
    const columns = rowLength(shape);
    const rows = out.length / columns;
    const rowBytes = (columns / tensor.type.block) * tensor.type.bytes;
    // whole heads at a time, where their rows change places
    const step = turned ?? 1;
    const atOnce = Math.max(step, Math.floor(CHUNK_BYTES / rowBytes / step) * step);
    const raw = new Uint8Array(Math.min(atOnce, rows) * rowBytes);
    for (let row = 0; row < rows; row += atOnce) {
      const count = Math.min(atOnce, rows - row);
      const bytes = raw.subarray(0, count * rowBytes);
      await this.#readRows(source, row, bytes);
      const ordered = turned === undefined ? bytes : halves(bytes, count, turned);
      dequantize(tensor.type.name, ordered, out.subarray(row * columns, (row + count) * columns));
    }
  }

  /** kv_b_proj of [H·(N + P), C]: of each head N rows of keys, which are stored transposed, then P of values. */
  async #join({ keys, values, shape }: Extract<Source, { keys: unknown }>, out: Float32Array): Promise<void> {
    const [H, C, N] = keys.shape as [number, number, number];
    const P = values.shape[1]!;
    const plain = async (tensor: GgufTensor) => {
      const data = new Float32Array(allocate(4 * sizeOf(tensor.shape), `${this.dir}: tensor ${quoted(tensor.name)}`));
      await this.#decode({ tensor, first: 0, shape: [tensor.shape[0]! * tensor.shape[1]!, tensor.shape[2]!] }, data);
      return data;
    };
    const [keyData, valueData] = [await plain(keys), await plain(values)];
    for (let h = 0; h < H; h++) {
      const at = h * (N + P) * C;
      for (let c = 0; c < C; c++) for (let n = 0; n < N; n++) out[at + n * C + c] = keyData[(h * C + c) * N + n]!;
      out.set(valueData.subarray(h * P * C, (h + 1) * P * C), at + N * C);
    }
    if (out.length !== sizeOf(shape))
      throw new CheckpointError(`${this.dir}: tensor ${quoted(keys.name)}: sizes that do not fit`);
  }
}

/** Numbers in a row; a vector's rows are its numbers. */
const rowLength = (shape: readonly number[]): number => (shape.length < 2 ? 1 : shape.at(-1)!);

function dtypeOf(source: Source): string {
  if (isJoined(source)) return source.keys.type.name;
  const { name } = source.tensor.type;
  return name === "BF16" ? "bf16" : name === "F16" ? "f16" : name === "F32" ? "f32" : name;
}

/** Rows of whole heads of `dim`: pairs that are neighbours become halves, row h·dim + 2i + s goes to h·dim + s·dim/2 + i. */
function halves(bytes: Uint8Array, rows: number, dim: number): Uint8Array {
  const width = bytes.length / rows;
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    const [head, place] = [row - (row % dim), row % dim];
    const to = head + (place % 2) * (dim / 2) + (place >> 1);
    out.set(bytes.subarray(row * width, (row + 1) * width), to * width);
  }
  return out;
}
