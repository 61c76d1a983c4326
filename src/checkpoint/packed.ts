/** Packed weights on disk. */

/*
 * A model's weights in blocks, as two files: weights.safetensors, which is laid out to be mapped into memory, and packed.json, which
 * says of what it was made and the checksum of every tensor. A matrix `key` is `key codes` (u8) and `key scales` (f32) there.
 */
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import {
  blocksOf,
  codeBytes,
  listParameters,
  type ModelConfig,
  type TensorForm,
  tensorForm,
  type Weight,
} from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { sizeOf } from "../tensor/index.ts";
import { atomicFile } from "./atomic.ts";
import { firstNotFinite } from "./floats.ts";
import { parseStrictJson, quoted } from "./header.ts";
import { packMatrix } from "./packMatrix.ts";
import { allocate, type RawTensor, readSmallFile, SafetensorsFile, writeSafetensors } from "./safetensors.ts";
import type { ModelWeights } from "./weights.ts";

/** Moves when what is written, or how numbers are rounded, changes: what was packed before is then packed anew. */
export const PACKED_VERSION = 2;
export const WEIGHTS_FILE = "weights.safetensors";
export const ABOUT_FILE = "packed.json";
const ABOUT_BYTES_MAX = 64 << 20;

const schema = z.object({
  version: z.literal(PACKED_VERSION),
  form: z.enum(["q4", "q8"]),
  fingerprint: z.string(),
  /** The config's `tie_word_embeddings` as the checkpoint has it, and what a person should know of it. */
  tied: z.boolean(),
  /** Whether the first MTP module is there too. */
  module: z.boolean(),
  notes: z.array(z.string().max(10_000)).max(100),
  checksums: z.record(z.string(), z.number().int().nonnegative()),
});
export type AboutPacked = z.infer<typeof schema>;

/** A file's bytes where they can be read as they lie; `drop` lets go of the memory that reading them took, until they are read again. */
export interface MappedFile {
  bytes: Uint8Array;
  drop(): void;
}

export interface PackedWeights {
  config: ModelConfig;
  notes: readonly string[];
  weights: Map<string, Weight>;
  /** Bytes of the weights' file. */
  bytes: number;
  mapped: MappedFile | undefined;
}

/** What the parts of a tensor are called in the file, with their types. */
function partsOf(key: string, shape: readonly number[], form: TensorForm): Omit<RawTensor, "bytes">[] {
  if (form !== 4 && form !== 8) return [{ key, dtype: "f32", shape }];
  const [rows, columns] = shape as [number, number];
  const blocks = blocksOf({ shape: [rows, columns] });
  return [
    { key: `${key} codes`, dtype: "u8", shape: [rows, blocks, codeBytes({ bits: form })] },
    { key: `${key} scales`, dtype: "f32", shape: [rows, blocks] },
  ];
}

export interface PackOptions {
  /** Memory for a tensor's f32 values while it is packed; one tensor at a time. */
  scratch?: (length: number) => Float32Array;
  onProgress?: OnProgress;
}

/** Packs a model's weights into a folder, tensor by tensor: in memory are at most the largest one and its blocks. */
export async function writePacked(
  dir: string,
  model: ModelWeights,
  about: Pick<AboutPacked, "form" | "fingerprint">,
  { scratch, onProgress }: PackOptions = {},
): Promise<void> {
  const wanted = [...model.shapes].filter(([key]) => !model.copies.has(key));
  const total = wanted.reduce((sum, [, shape]) => sum + sizeOf(shape), 0);
  const checksums: Record<string, number> = {};
  let done = 0;
  const tensors = wanted.flatMap(([key, shape]): RawTensor[] => {
    const form = tensorForm(about.form, key, shape);
    let bytes: Uint8Array[] = [];
    const make = async () => {
      const tensor = () => model.read(key, scratch?.(sizeOf(shape)));
      if (form === 4 || form === 8) {
        const { codes, scales } = (await model.readBlocks(key, form)) ?? (await packMatrix(await tensor(), form));
        bytes = [codes, bytesOf(scales)];
      } else bytes = [bytesOf((await tensor()).data)];
      done += sizeOf(shape);
      onProgress?.({ label: `packing to ${about.form}`, done, total, unit: "weights" });
    };
    return partsOf(key, shape, form).map((part, i) => ({
      ...part,
      bytes: async () => {
        if (i === 0) await make();
        checksums[part.key] = crc32(bytes[i]!);
        return bytes[i]!;
      },
    }));
  });
  await writeSafetensors(join(dir, WEIGHTS_FILE), tensors, { format: "sumbi-packed" });
  const tied = model.config.tie_word_embeddings;
  const text: AboutPacked = {
    version: PACKED_VERSION,
    ...about,
    tied,
    module: model.modules > 0,
    notes: [...model.notes],
    checksums,
  };
  await atomicFile(join(dir, ABOUT_FILE), JSON.stringify(text));
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength);

/** What packed.json says. Throws CheckpointError when it is none, or of another version. */
export async function readAbout(dir: string): Promise<AboutPacked> {
  const path = join(dir, ABOUT_FILE);
  const parsed = schema.safeParse(parseStrictJson(await readSmallFile(path, ABOUT_BYTES_MAX), path));
  if (parsed.success) return parsed.data;
  throw new CheckpointError(`${path}: expected what Sumbi writes beside packed weights, got another file`);
}

/**
 * Opens packed weights: every byte is read once and compared with its checksum, every scale must be a finite number. With `map` the weights
 * lie in the file, mapped; without, in memory. Throws CheckpointError for another model's, another form's and damaged ones.
 */
export async function openPacked(
  dir: string,
  given: ModelConfig,
  expected: Pick<AboutPacked, "form" | "fingerprint">,
  map?: (path: string) => MappedFile | undefined,
): Promise<PackedWeights> {
  const about = await readAbout(dir);
  if (about.form !== expected.form || about.fingerprint !== expected.fingerprint)
    throw new CheckpointError(`${dir}: expected the weights of this model in ${expected.form}, got another's`);
  const config = { ...given, tie_word_embeddings: about.tied };
  const path = join(dir, WEIGHTS_FILE);
  const file = await SafetensorsFile.open(path);
  try {
    const buffer = new Uint8Array(CHECKED);
    const layers = config.num_hidden_layers + (about.module ? 1 : 0);
    const wanted = [...listParameters(config)].filter(
      ({ layer = 0, sameAs }) => layer < layers && sameAs === undefined,
    );
    const parts = wanted.flatMap(({ key, shape }) => partsOf(key, shape, tensorForm(about.form, key, shape)));
    if (parts.length !== file.tensors.size)
      throw new CheckpointError(`${path}: expected ${parts.length} tensors, got ${file.tensors.size}`);
    for (const { key, dtype, shape } of parts) {
      const got = file.entry(key);
      if (got.dtype !== dtype || got.shape.join() !== shape.join())
        throw new CheckpointError(
          `${path}: tensor ${quoted(key)}: expected ${dtype} [${shape.join(", ")}], got ${got.dtype} [${got.shape.join(", ")}]`,
        );
      if (dtype === "f32" && (file.dataStart + got.begin) % 4 !== 0)
        throw new CheckpointError(`${path}: tensor ${quoted(key)}: expected numbers at a multiple of 4 bytes`);
      await verify(file, key, about.checksums[key], buffer);
    }
    const mapped = map?.(path);
    const bytesOfPart = async (key: string): Promise<Uint8Array> => {
      const { begin, end } = file.entry(key);
      if (mapped) return mapped.bytes.subarray(file.dataStart + begin, file.dataStart + end);
      const bytes = new Uint8Array(allocate(end - begin, path));
      await file.readBytes(key, bytes);
      return bytes;
    };
    const floatsOfPart = async (key: string): Promise<Float32Array> => {
      const { buffer, byteOffset, byteLength } = await bytesOfPart(key);
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    };
    const weights = new Map<string, Weight>();
    let bytes = 0;
    for (const { key, shape } of wanted) {
      const bits = tensorForm(about.form, key, shape);
      if (bits === 4 || bits === 8) {
        const [codes, scales] = [await bytesOfPart(`${key} codes`), await floatsOfPart(`${key} scales`)];
        weights.set(key, { dtype: "blocks", bits, shape: shape as [number, number], codes, scales });
        bytes += codes.byteLength + scales.byteLength;
      } else {
        const data = await floatsOfPart(key);
        weights.set(key, { dtype: "f32", shape, data });
        bytes += data.byteLength;
      }
    }
    return { config, notes: about.notes, weights, bytes, mapped };
  } finally {
    await file.close();
  }
}

/** Bytes that are checked at a time. */
const CHECKED = 8 << 20;

/** Reads a tensor's bytes through `buffer` and compares their checksum; numbers must be finite. */
async function verify(
  file: SafetensorsFile,
  key: string,
  checksum: number | undefined,
  buffer: Uint8Array,
): Promise<void> {
  const { begin, end, dtype } = file.entry(key);
  let sum = 0;
  for (let at = 0; at < end - begin; at += CHECKED) {
    const bytes = buffer.subarray(0, Math.min(CHECKED, end - begin - at));
    await file.readBytes(key, bytes, at);
    sum = crc32(bytes, sum);
    if (dtype === "f32" && firstNotFinite(new Float32Array(bytes.buffer, 0, bytes.length / 4)) >= 0)
      throw new CheckpointError(`${file.path}: tensor ${quoted(key)}: expected finite numbers`);
  }
  if (sum !== checksum)
    throw new CheckpointError(`${file.path}: tensor ${quoted(key)}: expected checksum ${checksum}, got ${sum}`);
}
