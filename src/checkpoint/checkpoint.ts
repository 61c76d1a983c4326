/** Folders of safetensors, open for random access: any, and Hugging Face's with a config.json. */
import { lstat, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { CheckpointError } from "../errors.ts";
import { isRecord } from "../json.ts";
import { DTYPES, type DType, type HostTensor, sizeOf } from "../tensor/index.ts";
import { decodeBf16, decodeF16 } from "./floats.ts";
import { dequantizeBlocks } from "./fp8.ts";
import { GgufCheckpoint, isGguf } from "./gguf/file.ts";
import { HEADER_BYTES_MAX, parseStrictJson, quoted } from "./header.ts";
import { settleFolder } from "./owned.ts";
import {
  blockOfScales,
  isActivationScale,
  isKept,
  parseQuantization,
  type Quantization,
  UNSAID,
} from "./quantization.ts";
import { allocate, readSmallFile, SafetensorsFile } from "./safetensors.ts";
import type { StoredTensor, TensorPart, Tensors } from "./tensors.ts";

const CONFIG_BYTES_MAX = 16 * 2 ** 20;
/** Names of the tensor that holds an FP8 tensor's scales, after its own. */
const SCALE_SUFFIXES = ["_scale_inv", "_scale"];
/** Decoding reads this much of the file at a time. */
const DECODE_BYTES = 8 * 2 ** 20;

export interface TensorInfo extends StoredTensor {
  dtype: DType;
}

/** A folder of safetensors, open for random access. Every header is checked when it is opened; data is read when asked for. */
export class TensorFolder implements Tensors {
  protected constructor(
    readonly dir: string,
    private readonly files: ReadonlyMap<string, SafetensorsFile>,
    private readonly fileOfKey: ReadonlyMap<string, string>,
    private readonly quantization: Quantization,
  ) {}

  /** All tensor names, sorted, without the scales of FP8 tensors (`readF32` applies those itself) and those of FP8 activations. */
  keys(): string[] {
    return [...this.fileOfKey.keys()].filter((key) => !this.isScale(key)).sort();
  }

  private isScale(key: string): boolean {
    if (isActivationScale(key))
      return this.quantization.method !== undefined || this.isFp8(key.replace(/[^.]*$/, "weight"));
    return SCALE_SUFFIXES.some((suffix) => key.endsWith(suffix) && this.isFp8(key.slice(0, -suffix.length)));
  }

  private isFp8(key: string): boolean {
    return this.has(key) && this.info(key).dtype === "f8e4m3";
  }

  has(key: string): boolean {
    return this.fileOfKey.has(key);
  }

  private fileOf(key: string): SafetensorsFile {
    const name = this.fileOfKey.get(key);
    if (name === undefined) throw new CheckpointError(`${this.dir}: no tensor ${quoted(key)}`);
    return this.files.get(name)!;
  }

  /** Throws CheckpointError when there is no such tensor. */
  info(key: string): TensorInfo {
    const { dtype, shape, begin, end } = this.fileOf(key).entry(key);
    return { dtype, shape, file: this.fileOfKey.get(key)!, bytes: end - begin };
  }

  /** Reads a tensor with the dtype it has in the file; bf16, f16 and fp8 come as raw bits. */
  read(key: string): Promise<HostTensor> {
    return this.fileOf(key).read(key);
  }

  /**
   * Reads a floating-point tensor as f32, decoding bf16, f16, f64 and FP8 with its scales (`<key>_scale_inv`, V3's, or
   * `<key>_scale`: one for the tensor, a row or a block; w = fp8 × scale). FP8 without scales is refused: it may have lost them.
   * `out`, when given, is filled and returned. `part`: a tensor of that shape that lies in this one from its number `start` on.
   */
  async readF32(key: string, out?: Float32Array, part?: TensorPart): Promise<HostTensor<Float32Array>> {
    const file = this.fileOf(key);
    const where = `${file.path}: tensor ${quoted(key)}`;
    const { dtype, shape: whole } = file.entry(key);
    const { start, shape } = part ?? { start: 0, shape: whole };
    const size = sizeOf(shape);
    const width = DTYPES[dtype].bytes;
    if (!DTYPES[dtype].float) throw new CheckpointError(`${where}: expected floating-point numbers, got ${dtype}`);
    if (out && out.length !== size)
      throw new CheckpointError(`${where}: expected room for ${size} values, got ${out.length}`);
    const data = out ?? new Float32Array(allocate(size * 4, where));
    if (dtype === "f32")
      await file.readBytes(key, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start * width);
    else if (dtype === "f8e4m3") await this.readFp8(key, data, where);
    else {
      const buffer = new ArrayBuffer(Math.min(DECODE_BYTES, size * width));
      for (let at = 0; at < size; at += buffer.byteLength / width) {
        const count = Math.min(buffer.byteLength / width, size - at);
        await file.readBytes(key, new Uint8Array(buffer, 0, count * width), (start + at) * width);
        decode(dtype, buffer, data.subarray(at, at + count));
      }
    }
    return { dtype: "f32", shape, data };
  }

  private async readFp8(key: string, out: Float32Array, where: string): Promise<void> {
    if (isKept(this.quantization, key))
      throw new CheckpointError(
        `${where}: expected a tensor that is not FP8, since config.json lists its module as not quantized`,
      );
    const [scaleKey, another] = SCALE_SUFFIXES.map((suffix) => key + suffix).filter((name) => this.has(name));
    if (scaleKey === undefined)
      throw new CheckpointError(
        `${where}: expected its scales (${quoted(`${key}${SCALE_SUFFIXES[0]}`)} or ${quoted(`${key}${SCALE_SUFFIXES[1]}`)}), found none. ` +
          `If it was cast to FP8 without scales, cast it back to bf16 first`,
      );
    if (another !== undefined)
      throw new CheckpointError(
        `${where}: expected scales of one kind, got both ${quoted(scaleKey)} and ${quoted(another)}`,
      );
    const { shape } = this.info(key);
    if (shape.length !== 2) throw new CheckpointError(`${where}: expected an FP8 matrix, got shape [${shape}]`);
    const scales = this.info(scaleKey);
    const block = blockOfScales(shape, scales.shape, this.quantization);
    if (block === undefined)
      throw new CheckpointError(
        `${where}: expected ${quoted(scaleKey)} ${this.scaleShapes(shape)}, got [${scales.shape}]`,
      );
    if (scales.dtype === "f8e4m3")
      throw new CheckpointError(`${where}: expected ${quoted(scaleKey)} in f32, got ${scales.dtype}`);
    const scaleInv = (await this.readF32(scaleKey)).data;
    const codes = (await this.read(key)).data as Uint8Array;
    const [rows = 0, cols = 0] = shape;
    dequantizeBlocks({ rows, cols, codes, scaleInv }, block, out);
  }

  /** The shapes that scales of an FP8 tensor may have, in words. */
  private scaleShapes([rows = 0, cols = 0]: readonly number[]): string {
    const { block, blocksOnly } = this.quantization;
    const grid =
      block &&
      `of shape [${Math.ceil(rows / block[0])},${Math.ceil(cols / block[1])}] (one per ${block[0]} × ${block[1]} block)`;
    return [grid, ...(blocksOnly ? [] : [`of one value, or of shape [${rows}] or [${rows},1]`])]
      .filter(Boolean)
      .join(", ");
  }

  /** Closes the files; reading afterwards fails. */
  async close(): Promise<void> {
    await Promise.all([...this.files.values()].map((file) => file.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Opens the safetensors of a folder, one file or many with an index, and checks every header. */
  protected static async openFiles(dir: string): Promise<[Map<string, SafetensorsFile>, Map<string, string>]> {
    const root = await realpath(dir);
    const files = new Map<string, SafetensorsFile>();
    const fileOfKey = new Map<string, string>();
    try {
      if (await isThere(join(root, "model.safetensors"))) {
        const file = await SafetensorsFile.open(await insideFolder(root, "model.safetensors", dir));
        files.set("model.safetensors", file);
        for (const key of file.tensors.keys()) fileOfKey.set(key, "model.safetensors");
        return [files, fileOfKey];
      }
      const indexPath = join(root, "model.safetensors.index.json");
      if (!(await isThere(indexPath)))
        throw new CheckpointError(`${dir}: expected model.safetensors or model.safetensors.index.json, found neither`);
      for (const [key, name] of await readIndex(indexPath)) {
        const where = `${indexPath}: tensor ${quoted(key)}`;
        let file = files.get(name);
        if (!file) {
          file = await SafetensorsFile.open(await insideFolder(root, name, where));
          files.set(name, file);
        }
        if (!file.tensors.has(key))
          throw new CheckpointError(`${where}: expected in ${quoted(name)}, which does not have it`);
        fileOfKey.set(key, name);
      }
      // what the index forgot is in the model all the same: transformers loads whole files
      for (const [name, file] of files)
        for (const key of file.tensors.keys()) {
          const other = fileOfKey.get(key);
          if (other === undefined) fileOfKey.set(key, name);
          else if (other !== name)
            throw new CheckpointError(
              `${indexPath}: tensor ${quoted(key)}: expected it in one file, ${quoted(other)} and ${quoted(name)} have it`,
            );
        }
      return [files, fileOfKey];
    } catch (error) {
      await Promise.all([...files.values()].map((file) => file.close()));
      throw error;
    }
  }

  /** Opens a folder of safetensors that needs no config.json. Throws CheckpointError. */
  static async open(dir: string): Promise<TensorFolder> {
    await checkFolder(dir);
    const [files, fileOfKey] = await TensorFolder.openFiles(dir);
    return new TensorFolder(dir, files, fileOfKey, UNSAID);
  }
}

/** A Hugging Face model folder: config.json and its tensors. */
class ModelFolder extends TensorFolder {
  private constructor(
    dir: string,
    files: ReadonlyMap<string, SafetensorsFile>,
    fileOfKey: ReadonlyMap<string, string>,
    /** config.json, parsed and not checked further. */
    readonly config: Record<string, unknown>,
  ) {
    super(dir, files, fileOfKey, parseQuantization(config, join(dir, "config.json")));
  }

  static override async open(dir: string): Promise<ModelFolder> {
    await checkFolder(dir);
    if (await isThere(join(dir, "adapter_config.json")))
      throw new CheckpointError(
        `${dir}: expected a whole model, found the adapter of another (adapter_config.json). Name the model that it belongs to, and this folder with --adapter`,
      );
    const config = await readJsonFile(join(dir, "config.json"));
    const [files, fileOfKey] = await TensorFolder.openFiles(dir);
    try {
      return new ModelFolder(dir, files, fileOfKey, config);
    } catch (error) {
      await Promise.all([...files.values()].map((file) => file.close()));
      throw error;
    }
  }
}

/** Tensors and what config.json says, or would say. */
export interface Checkpoint extends Tensors {
  /** Parsed and not checked further. */
  readonly config: Record<string, unknown>;
}

/**
 * Opens a Hugging Face model folder or a GGUF file. Reads and checks config.json, the index and every file's header, no tensor data.
 * Throws CheckpointError naming the file, and the tensor where there is one.
 */
export const openCheckpoint = (path: string): Promise<Checkpoint> =>
  isGguf(path) ? GgufCheckpoint.open(path) : ModelFolder.open(path);

/** Reads a JSON object from a small file (config.json and the like). */
export async function readJsonFile(path: string, limitBytes = CONFIG_BYTES_MAX): Promise<Record<string, unknown>> {
  const value = parseStrictJson(await readSmallFile(path, limitBytes), path);
  if (!isRecord(value)) throw new CheckpointError(`${path}: expected a JSON object, got ${quoted(value)}`);
  return value;
}

function decode(dtype: DType, buffer: ArrayBuffer, out: Float32Array): void {
  if (dtype === "bf16") decodeBf16(new Uint16Array(buffer, 0, out.length), out);
  else if (dtype === "f16") decodeF16(new Uint16Array(buffer, 0, out.length), out);
  else out.set(new Float64Array(buffer, 0, out.length));
}

async function checkFolder(dir: string): Promise<void> {
  await settleFolder(dir);
  const found = await stat(dir).catch(() => undefined);
  if (!found) throw new CheckpointError(`${dir}: no such folder`);
  if (!found.isDirectory()) throw new CheckpointError(`${dir}: expected a model folder, found a file`);
}

/** Something stands there, if only a link that leads nowhere: reading it says what is wrong. */
const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

async function readIndex(path: string): Promise<[key: string, file: string][]> {
  const { weight_map: map } = await readJsonFile(path, HEADER_BYTES_MAX);
  if (!isRecord(map))
    throw new CheckpointError(`${path}: expected weight_map, an object from tensor names to files, got ${quoted(map)}`);
  for (const [key, name] of Object.entries(map)) {
    const segments = typeof name === "string" ? name.split("/") : [];
    const plain = segments.every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\0]/.test(part));
    if (segments.length === 0 || !plain)
      throw new CheckpointError(
        `${path}: tensor ${quoted(key)}: expected a file inside the folder, got ${quoted(name)}`,
      );
  }
  return Object.entries(map) as [string, string][];
}

/**
 * The real path of a file named by a checkpoint, which must lie in the folder: links that lead out are refused.
 * Exception: in the Hugging Face cache a snapshot's files are links into the `blobs` folder beside `snapshots`.
 */
async function insideFolder(root: string, name: string, where: string): Promise<string> {
  const path = join(root, name);
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    throw new CheckpointError(`${where}: expected the file ${quoted(name)}, which is missing`, { cause: error });
  }
  const snapshots = dirname(root);
  const inCache = basename(snapshots) === "snapshots" && dirname(real) === join(dirname(snapshots), "blobs");
  if (!real.startsWith(root.endsWith(sep) ? root : root + sep) && !inCache)
    throw new CheckpointError(`${where}: ${quoted(name)} is a link that leads out of the folder`);
  return real;
}
