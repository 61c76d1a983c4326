/** Writing a Hugging Face model folder. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { DTYPES, type DType, sizeOf } from "../tensor/index.ts";
import { encodeBf16, encodeF16 } from "./floats.ts";
import { quoted } from "./header.ts";
import { isPlainName, MANIFEST, type Origin } from "./manifest.ts";
import { ownedFolder } from "./owned.ts";
import { type RawTensor, writeSafetensors } from "./safetensors.ts";

/** The floats that `saveCheckpoint` writes. */
export type SavedDType = "bf16" | "f16" | "f32";

/** Hugging Face's default shard size. */
export const SHARD_BYTES = 5_000_000_000;

/** A tensor to save. Give `data` as a function when the tensors together are large: it is called when its turn comes. */
export interface SavedTensor {
  key: string;
  shape: readonly number[];
  data: Float32Array | (() => Float32Array | Promise<Float32Array>);
  /** Overrides the checkpoint's dtype. */
  dtype?: SavedDType;
}

export interface SaveOptions {
  /** config.json, written verbatim with two spaces of indentation. */
  config: object;
  tensors: Iterable<SavedTensor>;
  dtype: SavedDType;
  /** Further files by name, such as tokenizer.json (see `tokenizerFiles`). */
  files?: Readonly<Record<string, string | Uint8Array>>;
  /** A shard takes tensors until the next would pass this size (default 5 GB, as Hugging Face's). */
  shardBytes?: number;
  /** Whether the files of an earlier `saveCheckpoint` may be replaced (default false). Anybody else's files never are. */
  overwrite?: boolean;
  /** What the manifest says of where the model comes from. */
  origin?: Omit<Origin, "kind">;
}

/** Fields of config.json that Python readers want as floats: JSON's 2 must be written 2.0. */
const FLOAT_FIELD =
  /^(\s*"(?:routed_scaling_factor|rms_norm_eps|initializer_range|attention_dropout|rope_theta|factor|mscale|mscale_all_dim|beta_fast|beta_slow)": -?\d+)(,?)$/gm;

const configText = (config: object): string => `${JSON.stringify(config, null, 2).replace(FLOAT_FIELD, "$1.0$2")}\n`;

/** V3's release stores the balance bias in f32 in whatever dtype the rest is. */
const dtypeOf = (tensor: SavedTensor, dtype: SavedDType): SavedDType =>
  tensor.dtype ?? (tensor.key.endsWith("e_score_correction_bias") ? "f32" : dtype);

function encode(x: Float32Array, dtype: SavedDType): Uint8Array {
  const bits = dtype === "f32" ? x : dtype === "bf16" ? encodeBf16(x) : encodeF16(x);
  return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
}

function toRaw(tensor: SavedTensor, checkpointDType: SavedDType, dir: string): RawTensor {
  const { key, shape, data } = tensor;
  const dtype = dtypeOf(tensor, checkpointDType);
  return {
    key,
    dtype,
    shape,
    bytes: async () => {
      const values = typeof data === "function" ? await data() : data;
      if (values.length !== sizeOf(shape))
        throw new CheckpointError(
          `${dir}: tensor ${quoted(key)}: expected ${sizeOf(shape)} values for [${shape}], got ${values.length}`,
        );
      return encode(values, dtype);
    },
  };
}

const bytesOf = (tensor: { dtype: DType; shape: readonly number[] }): number =>
  sizeOf(tensor.shape) * DTYPES[tensor.dtype].bytes;

/** Splits tensors, in order, into shards of at most `shardBytes` (a larger tensor gets one for itself). */
function intoShards(tensors: readonly RawTensor[], shardBytes: number): RawTensor[][] {
  const shards: RawTensor[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (filled > 0 && filled + bytes > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards[shards.length - 1]!.push(tensor);
    filled += bytes;
  }
  return shards;
}

/** model.safetensors, or model-00001-of-0000N.safetensors with the index that names each tensor's shard. */
export async function writeShards(dir: string, tensors: readonly RawTensor[], shardBytes: number): Promise<void> {
  const shards = intoShards(tensors, shardBytes);
  if (shards.length === 1) return writeSafetensors(join(dir, "model.safetensors"), tensors);
  const digits = (n: number) => String(n).padStart(5, "0");
  const map: [string, string][] = [];
  for (const [i, shard] of shards.entries()) {
    const name = `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
    await writeSafetensors(join(dir, name), shard);
    for (const { key } of shard) map.push([key, name]);
  }
  if (new Set(map.map(([key]) => key)).size !== map.length)
    throw new CheckpointError(`${dir}: two tensors have the same name`);
  map.sort(([a], [b]) => (a < b ? -1 : 1));
  const total = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(map) };
  await writeFile(join(dir, "model.safetensors.index.json"), `${JSON.stringify(index, null, 2)}\n`);
}

/**
 * Writes a Hugging Face model folder: config.json, safetensors (sharded past `shardBytes`), further files, and sumbi.json, which lists
 * them. It appears whole or not at all, foreign files in it stay (`ownedFolder`), the same input gives the same bytes. f32 is rounded
 * to nearest even; `e_score_correction_bias` stays f32. Throws CheckpointError: folder in the way, disk too small, sizes that do not fit.
 */
export async function saveCheckpoint(dir: string, options: SaveOptions): Promise<void> {
  const { config, dtype, files = {}, shardBytes = SHARD_BYTES, overwrite, origin } = options;
  const tensors = [...options.tensors].map((tensor) => toRaw(tensor, dtype, dir));
  const configJson = configText(config);
  const extras = Object.entries({ ...files, "config.json": configJson });
  const extraBytes = extras.reduce((sum, [, content]) => sum + content.length, 0);
  const neededBytes = tensors.reduce((sum, tensor) => sum + bytesOf(tensor) + 256, extraBytes);
  await ownedFolder(
    dir,
    async (temporary) => {
      for (const [name, content] of extras) await writeFile(join(temporary, plainName(name, dir)), content);
      await writeShards(temporary, tensors, shardBytes);
    },
    { origin: { kind: "model", ...origin }, overwrite, neededBytes },
  );
}

function plainName(name: string, dir: string): string {
  if (!isPlainName(name) || name.toLowerCase() === MANIFEST)
    throw new CheckpointError(`${dir}: expected a plain file name, got ${quoted(name)}`);
  return name;
}
