/** Adapters in PEFT's format: adapter_config.json and adapter_model.safetensors, read for a model, written, merged. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { CheckpointError } from "../../errors.ts";
import {
  isNamed,
  type Lora,
  listParameters,
  loraKeys,
  loraLayers,
  loraScale,
  loraShapes,
  type ModelConfig,
} from "../../model/index.ts";
import { f32, type HostTensor, sizeOf } from "../../tensor/index.ts";
import { readJsonFile } from "../checkpoint.ts";
import { decodeBf16, decodeF16, encodeBf16, firstNotFinite } from "../floats.ts";
import { quoted } from "../header.ts";
import type { Origin } from "../manifest.ts";
import { ownedFolder } from "../owned.ts";
import { SafetensorsFile, writeSafetensors } from "../safetensors.ts";
import { type PeftConfig, parsePeft, peftOf, shortNames } from "./config.ts";

export const ADAPTER_CONFIG = "adapter_config.json";
const WEIGHTS = "adapter_model.safetensors";
const PREFIX = "base_model.model.";
/** Where Sumbi writes, among the file's own words, which model an adapter belongs to. */
const BASE = "sumbi_base";

export interface Adapter {
  dir: string;
  lora: Lora;
  /** A and B of every layer, by `loraKeys`. */
  tensors: Map<string, HostTensor<Float32Array>>;
  /** `baseMark` of the model that it was trained on, where Sumbi wrote it. */
  base?: string;
  /** What it was trained with; nothing where it answers. */
  dropout: number;
}

export const isAdapter = (dir: string): boolean => existsSync(join(dir, ADAPTER_CONFIG));

/** A name that an adapter's tensor has in PEFT's files. */
const TENSOR = /^base_model\.model\.(.+)\.lora_(A|B)\.weight$/;

/**
 * Reads an adapter for a model of that config. Throws CheckpointError for what is not supported, for layers that this model has not, shapes that do
 * not fit it, halves of pairs, numbers that are not finite; no tensor is read before all names and shapes are right.
 */
export async function readAdapter(dir: string, config: ModelConfig): Promise<Adapter> {
  if (!isAdapter(dir))
    throw new CheckpointError(`${dir}: expected the folder of an adapter, found no ${ADAPTER_CONFIG} there`);
  const where = join(dir, ADAPTER_CONFIG);
  const peft = parsePeft(await readJsonFile(where), where);
  const path = join(dir, WEIGHTS);
  if (!existsSync(path))
    throw new CheckpointError(
      `${path}: no such file${existsSync(join(dir, "adapter_model.bin")) ? "; adapter_model.bin is not read, as it may hold programs: save the adapter anew with PEFT (safe_serialization)" : ""}`,
    );
  const file = await SafetensorsFile.open(path);
  try {
    const layers = layersIn(file, config, peft.rank);
    refuseGaps(layers, peft, config, path);
    const tensors = new Map<string, HostTensor<Float32Array>>();
    for (const layer of layers)
      for (const half of ["a", "b"] as const) {
        const key = loraKeys(layer)[half];
        tensors.set(key, await readHalf(file, PREFIX + key));
      }
    const { rank, alpha, rslora, dropout } = peft;
    const lora = { rank, alpha, targets: shortNames(config, layers), ...(rslora ? { rslora } : {}) };
    return { dir, lora, tensors, base: file.metadata[BASE], dropout };
  } finally {
    await file.close();
  }
}

/** The layers that a file has adapters of, in the model's order. */
function layersIn(file: SafetensorsFile, config: ModelConfig, rank: number): string[] {
  const able = loraLayers(config, []);
  const found = new Map<string, Set<string>>();
  for (const [key, { shape }] of file.tensors) {
    const where = `${file.path}: tensor ${quoted(key)}`;
    const [, layer, half] = TENSOR.exec(key) ?? [];
    if (layer === undefined || half === undefined)
      throw new CheckpointError(
        `${where}: expected ${PREFIX}LAYER.lora_A.weight or .lora_B.weight; biases, embeddings, magnitudes and whole modules are not supported`,
      );
    const size = able.get(layer);
    if (size === undefined)
      throw new CheckpointError(
        `${where}: this ${config.model_type} has no linear layer ${quoted(layer)} that may have an adapter: it belongs to another model, or adapts experts, routers, embedding or head, which is not supported`,
      );
    const expected = half === "A" ? [rank, size[1]] : [size[0], rank];
    if (shape.join() !== expected.join())
      throw new CheckpointError(
        `${where}: expected [${expected.join(", ")}] for this model at r = ${rank}, got [${shape.join(", ")}]: it belongs to another model, or its ranks differ by layer, which is not supported`,
      );
    found.set(layer, (found.get(layer) ?? new Set()).add(half));
  }
  if (found.size === 0) throw new CheckpointError(`${file.path}: expected the tensors of an adapter, found none`);
  for (const [layer, halves] of found)
    if (halves.size < 2)
      throw new CheckpointError(
        `${file.path}: expected lora_A and lora_B of ${quoted(layer)}, found ${[...halves].join()} alone`,
      );
  return [...able.keys()].filter((layer) => found.has(layer));
}

/** A layer that the targets name and no tensor is there for: something was lost on the way. */
function refuseGaps(layers: readonly string[], { targets, some }: PeftConfig, config: ModelConfig, path: string): void {
  if (targets === undefined || some) return;
  const held = new Set(layers);
  for (const layer of loraLayers(config, []).keys())
    if (!held.has(layer) && targets.some((target) => isNamed(layer, target)))
      throw new CheckpointError(
        `${path}: expected tensors of every layer that target_modules names, found none of ${quoted(layer)}`,
      );
}

async function readHalf(file: SafetensorsFile, key: string): Promise<HostTensor<Float32Array>> {
  const where = `${file.path}: tensor ${quoted(key)}`;
  const { dtype, shape, data } = await file.read(key);
  const values =
    dtype === "f32"
      ? (data as Float32Array)
      : dtype === "bf16"
        ? decodeBf16(data as Uint16Array)
        : dtype === "f16"
          ? decodeF16(data as Uint16Array)
          : undefined;
  if (values === undefined) throw new CheckpointError(`${where}: expected f32, bf16 or f16, got ${dtype}`);
  const at = firstNotFinite(values);
  if (at >= 0)
    throw new CheckpointError(`${where}: expected finite numbers, got ${values[at]} at ${at} of ${values.length}`);
  return f32(shape, values);
}

export interface AdapterToWrite {
  config: ModelConfig;
  lora: Lora;
  /** A and B by `loraKeys`. */
  tensor(key: string): HostTensor<Float32Array>;
  /** The model, as a path or a name; and its mark. */
  base: { name: string; mark: string };
  /** Further files by name. */
  files?: Readonly<Record<string, string | Uint8Array>>;
  overwrite?: boolean;
  origin?: Omit<Origin, "kind">;
}

/** Writes an adapter as PEFT does, in f32, with sumbi.json. The folder appears whole or not at all. Throws CheckpointError, as `ownedFolder`. */
export async function writeAdapter(dir: string, adapter: AdapterToWrite): Promise<void> {
  const { config, lora, tensor, base, files = {}, overwrite, origin } = adapter;
  const shapes = [...loraShapes(config, lora)];
  const peft = `${JSON.stringify(peftOf(config, lora, base.name), null, 2)}\n`;
  const raw = shapes.map(([key, shape]) => ({
    key: PREFIX + key,
    dtype: "f32" as const,
    shape,
    bytes: () => {
      const { data } = tensor(key);
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    },
  }));
  raw.sort((a, b) => (a.key < b.key ? -1 : 1));
  await ownedFolder(
    dir,
    async (temporary) => {
      for (const [name, content] of Object.entries({ ...files, [ADAPTER_CONFIG]: peft }))
        await writeFile(join(temporary, name), content);
      await writeSafetensors(join(temporary, WEIGHTS), raw, { format: "pt", [BASE]: base.mark });
    },
    {
      origin: { kind: "model", ...origin },
      overwrite,
      neededBytes: shapes.reduce((sum, [, shape]) => sum + 4 * sizeOf(shape) + 256, 0),
    },
  );
}

/** W + scale · B·A in the place of W [out, in], summed in f64 and rounded once. */
export function addLowRank(weight: HostTensor<Float32Array>, layer: string, { lora, tensors }: Adapter): void {
  const { a, b } = loraKeys(layer);
  const [A, B] = [tensors.get(a)?.data, tensors.get(b)?.data];
  if (A === undefined || B === undefined) return;
  const [out, into] = weight.shape as [number, number];
  const { rank } = lora;
  const scale = loraScale(lora);
  const row = new Float64Array(into);
  for (let o = 0; o < out; o++) {
    const own = weight.data.subarray(o * into, (o + 1) * into);
    row.set(own);
    for (let r = 0; r < rank; r++) {
      const factor = scale * B[o * rank + r]!;
      if (factor === 0) continue;
      const from = r * into;
      for (let i = 0; i < into; i++) row[i]! += factor * A[from + i]!;
    }
    own.set(row);
  }
}

/**
 * Tells models of one shape apart by their norms, which every form of a checkpoint keeps in full: a checksum of them in bf16. Quantizing, casting or
 * converting a model does not change it.
 */
export async function baseMark(
  config: ModelConfig,
  read: (key: string) => Float32Array | Promise<Float32Array>,
): Promise<string> {
  let sum = 0;
  for (const { key, part } of listParameters(config)) {
    if (part !== "norms") continue;
    const bits = encodeBf16(await read(key));
    sum = crc32(new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength), sum);
  }
  return sum.toString(16).padStart(8, "0");
}
