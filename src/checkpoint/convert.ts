/** A model from one form into another: a Hugging Face folder into a GGUF file, or back. */
import { basename, resolve } from "node:path";
import { ConfigError } from "../errors.ts";
import { isRecord, parseJson } from "../json.ts";
import { checkGraphSize, type ModelConfig, mtpDepth, parseConfig } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { sizeOf } from "../tensor/index.ts";
import { type Adapter, readAdapter } from "./adapter/index.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { tokenizerFiles } from "./files.ts";
import {
  architectureOfConfig,
  checkGgufTakeable,
  type Entry,
  entriesOf,
  ggmlNameOf,
  ggmlType,
  layoutOf,
  type StoredTensorPlan,
  type TensorToWrite,
  tokenizerEntries,
  WRITTEN_TYPES,
  type WrittenType,
  writeGguf,
} from "./gguf/index.ts";
import { checkTakeable } from "./owned.ts";
import { type SavedDType, saveCheckpoint } from "./save.ts";
import { ModelWeights } from "./weights.ts";

export const CONVERTED_TYPES = [...WRITTEN_TYPES, "bf16"] as const;
export type ConvertedType = (typeof CONVERTED_TYPES)[number];

export interface ConvertOptions {
  /** f32, f16, q8_0, q4_0 for a GGUF file (default f16); f32, f16, bf16 for a folder (default: as the file has each tensor, f32 for blocks and with an adapter). */
  type?: ConvertedType;
  /** Whether a model that Sumbi wrote there may be replaced. Anybody else's files never are. */
  overwrite?: boolean;
  /** The folder of an adapter, which is merged into the weights. */
  adapter?: string;
  onProgress?: OnProgress;
}

export interface Converted {
  out: string;
  form: "gguf" | "folder";
  /** What most of its numbers are in. */
  type: ConvertedType;
  tensors: number;
  notes: string[];
}

/**
 * Writes the model at `from`, a folder or a GGUF file, to `to`: a GGUF file if the name ends in .gguf, a folder otherwise. Whole or not
 * at all. Throws ConfigError for what the other form has no word for, CheckpointError for damaged files and what is in the way.
 */
export async function convertModel(from: string, to: string, options: ConvertOptions = {}): Promise<Converted> {
  const form = /\.gguf$/i.test(to) ? "gguf" : "folder";
  const out = resolve(to);
  if (out === resolve(from)) throw new ConfigError(`${to}: expected another place than the model's own`);
  const { type, overwrite = false } = options;
  if (form === "gguf" ? type === "bf16" : type === "q8_0" || type === "q4_0")
    throw new ConfigError(
      `type: expected ${form === "gguf" ? WRITTEN_TYPES.join(", ") : "f32, f16, bf16"} for a ${form === "gguf" ? "GGUF file" : "folder"}, got ${type}`,
    );
  if (form === "gguf") await checkGgufTakeable(out, overwrite);
  else await checkTakeable(out, "model", { where: to, overwrite });
  await using checkpoint = await openCheckpoint(from);
  const config = parseConfig(checkpoint.config, from);
  return await (form === "gguf" ? toGguf : toFolder)(checkpoint, config, out, options);
}

async function toGguf(
  checkpoint: Checkpoint,
  given: ModelConfig,
  out: string,
  { type = "f16", overwrite, adapter, onProgress }: ConvertOptions,
): Promise<Converted> {
  await named(checkpoint.dir, () => architectureOfConfig(given));
  const model = await ModelWeights.of(checkpoint, given, { adapter: await adapterFor(given, adapter) });
  checkGraphSize(model.config);
  const notes = [...model.notes];
  const config =
    mtpDepth(model.config) > 0 ? ({ ...model.config, num_nextn_predict_layers: 0 } as ModelConfig) : model.config;
  const { tensors, unnamed } = layoutOf(config, async (key) => (await model.read(key)).data);
  if (unnamed.length > 0)
    throw new ConfigError(
      `${checkpoint.dir}: expected tensors that llama.cpp has a name for, got ${unnamed[0]} and ${unnamed.length - 1} more`,
    );
  const written = ggmlNameOf(type as WrittenType);
  const planned = tensors.map((tensor): TensorToWrite => ({ ...tensor, type: typeOf(tensor, written, config) }));
  const fallen = planned.filter((tensor) => tensor.type === "F16" && written.startsWith("Q")).length;
  if (fallen > 0)
    notes.push(`${fallen} matrices are in f16, since their rows are no multiple of ${ggmlType(written).block}`);
  const name = basename(checkpoint.dir).replace(/\.gguf$/i, "");
  const entries: Entry[] = [
    { key: "general.architecture", type: "string", value: architectureOfConfig(config) },
    { key: "general.type", type: "string", value: "model" },
    { key: "general.name", type: "string", value: name },
    { key: "general.file_type", type: "u32", value: FILE_TYPES[type as WrittenType] },
    { key: "general.quantization_version", type: "u32", value: 2 },
    ...(await named(checkpoint.dir, () => entriesOf(config, notes))),
    ...(await named(checkpoint.dir, () => wordsOf(checkpoint.dir, config, notes))),
  ];
  await writeGguf(out, entries, planned, { overwrite, onProgress });
  return { out, form: "gguf", type, tensors: planned.length, notes };
}

const adapterFor = (config: ModelConfig, dir: string | undefined): Promise<Adapter | undefined> =>
  dir === undefined ? Promise.resolve(undefined) : readAdapter(dir, config);

/** What `make` makes; its refusals name the model. */
async function named<T>(path: string, make: () => T | Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** llama.cpp's numbers of what most of a file is in. */
const FILE_TYPES: Record<WrittenType, number> = { f32: 0, f16: 1, q4_0: 2, q8_0: 7 };

/** As llama.cpp has it: vectors, routers and factors in f32; the head in 8 bits where the rest has 4. */
function typeOf(
  { name, shape }: StoredTensorPlan,
  type: Uppercase<WrittenType>,
  config: ModelConfig,
): Uppercase<WrittenType> {
  if (shape.length === 1 || name.endsWith("ffn_gate_inp.weight")) return "F32";
  if (type === "F32" || type === "F16") return type;
  if ((shape.at(-1) ?? 0) % ggmlType(type).block !== 0) return "F16";
  const head = config.tie_word_embeddings ? "token_embd.weight" : "output.weight";
  return name === head ? "Q8_0" : type;
}

async function wordsOf(path: string, config: ModelConfig, notes: string[]): Promise<Entry[]> {
  const texts = await textsOf(path);
  const parsed = (name: string): unknown => (texts[name] === undefined ? undefined : parseJson(texts[name]));
  const json = parsed("tokenizer.json");
  if (json === undefined) {
    notes.push(`${path} has no tokenizer, so the file has none`);
    return [{ key: "tokenizer.ggml.model", type: "string", value: "no_vocab" }];
  }
  const generation = parsed("generation_config.json");
  const ends = [isRecord(generation) ? generation.eos_token_id : undefined, config.eos_token_id]
    .flat()
    .filter((id): id is number => typeof id === "number");
  return tokenizerEntries(
    { json, config: parsed("tokenizer_config.json"), chatTemplate: texts["chat_template.jinja"], ends },
    config.vocab_size,
  );
}

/** The small files of a model, as text. */
async function textsOf(path: string): Promise<Partial<Record<string, string>>> {
  const files = await tokenizerFiles(path);
  return Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes).toString("utf8")]));
}

const DTYPE_NAMES: Record<SavedDType, string> = { f32: "float32", f16: "float16", bf16: "bfloat16" };

async function toFolder(
  checkpoint: Checkpoint,
  given: ModelConfig,
  out: string,
  { type: asked, overwrite, adapter, onProgress }: ConvertOptions,
): Promise<Converted> {
  // what an adapter adds is often smaller than bf16's steps
  const type = asked ?? (adapter === undefined ? undefined : "f32");
  const modules = mtpDepth(given) > 0;
  const model = await ModelWeights.of(checkpoint, given, { mtp: modules, adapter: await adapterFor(given, adapter) });
  checkGraphSize(model.config);
  const dtypeOf = (key: string): SavedDType => {
    if (type !== undefined) return type as SavedDType;
    const stored = checkpoint.has(key) ? checkpoint.info(key).dtype : "f32";
    return stored === "bf16" || stored === "f16" ? stored : "f32";
  };
  const shapes = [...model.shapes];
  const shares = { f32: 0, f16: 0, bf16: 0 };
  for (const [key, shape] of shapes) shares[dtypeOf(key)] += sizeOf(shape);
  const [dtype] = (["f32", "f16", "bf16"] as const).toSorted((a, b) => shares[b] - shares[a]) as [SavedDType];
  let done = 0;
  const tensors = shapes.map(([key, shape]) => ({
    key,
    shape,
    ...(type === undefined ? { dtype: dtypeOf(key) } : {}),
    data: async () => {
      const { data } = await model.read(key);
      onProgress?.({ label: "writing", done: ++done, total: shapes.length, unit: "tensors" });
      return data;
    },
  }));
  const { quantization_config, torch_dtype, ...config } = checkpoint.config;
  const texts = await textsOf(checkpoint.dir);
  const notes = [...model.notes];
  if (texts["tokenizer.json"] === undefined) notes.push(`${checkpoint.dir} has no tokenizer, so the folder has none`);
  await saveCheckpoint(out, {
    config: { ...config, tie_word_embeddings: model.config.tie_word_embeddings, dtype: DTYPE_NAMES[dtype] },
    tensors,
    dtype,
    files: texts as Record<string, string>,
    overwrite,
  });
  return {
    out,
    form: "folder",
    type: dtype,
    tensors: tensors.length,
    notes,
  };
}
