/** A checkpoint's tensors as the weights of a model: all that its config asks for, nothing else in its layers, finite numbers. */
import { CheckpointError } from "../errors.ts";
import {
  type BlockWeight,
  checkGraphSize,
  EMBEDDING,
  isLatent,
  listParameters,
  loraKeys,
  type ModelConfig,
  mtpDepth,
  type TensorForm,
  tensorCount,
  type Weight,
} from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { type HostTensor, sizeOf } from "../tensor/index.ts";
import { type Adapter, addLowRank, baseMark } from "./adapter/index.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { decodeBf16, firstNotFinite, firstNotFiniteBf16 } from "./floats.ts";
import { quoted } from "./header.ts";
import { packMatrix } from "./packMatrix.ts";
import { type Place, placeInStack, tensorsHeld } from "./stacks.ts";
import type { Tensors } from "./tensors.ts";

const HEAD = "lm_head.weight";
/** What old releases of transformers saved of the angles and positions; its own loader passes over them too. */
const DERIVED = /(?:\.rotary_emb\.(?:inv_freq|cos_cached|sin_cached)|(?:^|\.)position_ids)$/;

export interface WeightOptions {
  /**
   * Whether the multi-token-prediction modules that config.json counts are wanted too; "first": one of them, and none where the files have it otherwise than it
   * is built, which a note tells. Default false.
   */
  mtp?: boolean | "first";
  /** Is merged into the weights as they are read. */
  adapter?: Adapter;
}

/** Or as the file has it: blocks where it has such as hold its numbers exactly (Q4_0, Q8_0), f32 otherwise. */
export type WeightForm = TensorForm | "kept";

export interface LoadOptions extends WeightOptions {
  /** The form wanted of a tensor; f32 by default. */
  form?: (key: string, shape: readonly number[]) => WeightForm;
  /** Where a tensor's f32 values are written; new memory by default. */
  into?: (key: string, shape: readonly number[]) => Float32Array;
  onProgress?: OnProgress;
}

export interface LoadedWeights {
  /** The config, with `tie_word_embeddings` as the file has it. */
  config: ModelConfig;
  notes: readonly string[];
  weights: Map<string, Weight>;
}

/**
 * Reads a folder's weights for a model, one tensor at a time: beside what is handed back, the largest tensor's f32 is in memory at most.
 * Throws CheckpointError for tensors that are missing, of another shape, not finite, or that nothing reads; ConfigError for too many.
 */
export async function loadWeights(
  dir: string,
  given: ModelConfig | ((json: Record<string, unknown>) => ModelConfig),
  { form = () => "f32", into, onProgress, ...options }: LoadOptions = {},
): Promise<LoadedWeights> {
  const checkpoint = await openCheckpoint(dir);
  try {
    const asked = typeof given === "function" ? given(checkpoint.config) : given;
    const model = await ModelWeights.of(checkpoint, asked, options);
    checkGraphSize(model.config);
    const wanted = [...model.shapes].filter(([key]) => !model.copies.has(key));
    const total = wanted.reduce((sum, [, shape]) => sum + 4 * sizeOf(shape), 0);
    const weights = new Map<string, Weight>();
    let done = 0;
    for (const [key, shape] of wanted) {
      weights.set(key, await readAs(model, key, form(key, shape), () => into?.(key, shape)));
      done += 4 * sizeOf(shape);
      onProgress?.({ label: "loading", done, total, unit: "bytes" });
    }
    return { config: model.config, notes: model.notes, weights };
  } finally {
    await checkpoint.close();
  }
}

async function readAs(
  model: ModelWeights,
  key: string,
  form: WeightForm,
  into: () => Float32Array | undefined,
): Promise<Weight> {
  const blocks =
    form === "f32" || form === "bf16"
      ? undefined
      : await model.readBlocks(key, form === 4 || form === 8 ? form : undefined);
  if (blocks !== undefined) return blocks;
  if (form === "bf16") return model.readShort(key, into);
  const tensor = await model.read(key, into());
  return form === 4 || form === 8 ? packMatrix(tensor, form) : tensor;
}

/** The weights of one model in an open folder or file. */
export class ModelWeights {
  private constructor(
    private readonly folder: Tensors,
    /** The config, with `tie_word_embeddings` as the file has it. */
    readonly config: ModelConfig,
    /** Every wanted tensor by its key. */
    readonly shapes: ReadonlyMap<string, readonly number[]>,
    /** Those among them that only repeat another. */
    readonly copies: ReadonlySet<string>,
    /** What a person should know: tensors that are not used, a config that the file contradicts. */
    readonly notes: readonly string[],
    private readonly sources: ReadonlyMap<string, Place>,
    private readonly adapter: Adapter | undefined,
    /** MTP modules that are among them. */
    readonly modules: number,
  ) {}

  /**
   * Compares a folder with a config before any weight is read (a head that should be tied is). Throws CheckpointError naming what is
   * missing, what has another shape, and what nothing would read.
   */
  static async of(
    folder: Tensors,
    given: ModelConfig,
    { mtp = false, adapter }: WeightOptions = {},
  ): Promise<ModelWeights> {
    if (mtp !== "first") return ModelWeights.#of(folder, given, mtp ? mtpDepth(given) : 0, adapter);
    if (mtpDepth(given) === 0) return ModelWeights.#of(folder, given, 0, adapter);
    try {
      return await ModelWeights.#of(folder, given, 1, adapter);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      const note = `the module for multi-token prediction cannot be used: ${error.message}`;
      return ModelWeights.#of(folder, given, 0, adapter, [note]);
    }
  }

  static async #of(
    folder: Tensors,
    given: ModelConfig,
    modules: number,
    adapter: Adapter | undefined,
    said: readonly string[] = [],
  ): Promise<ModelWeights> {
    const notes = [...(folder.notes ?? []), ...said];
    const sources = new Map<string, Place>();
    let config = given;
    if (config.tie_word_embeddings && folder.has(HEAD)) {
      if (!folder.has(EMBEDDING)) sources.set(EMBEDDING, { key: HEAD });
      else if (!(await sameValues(folder, EMBEDDING, HEAD))) {
        config = { ...config, tie_word_embeddings: false };
        notes.push(
          "config.json says tie_word_embeddings, but the file has another lm_head.weight: that one is used, as transformers does",
        );
      }
    }
    const shapes = new Map<string, readonly number[]>();
    const copies = new Set<string>();
    const asked = withModules(config, modules);
    refuseFew(folder, asked, sources);
    for (const { key, shape, sameAs } of listParameters(asked)) {
      const { key: source } = sources.get(key) ?? { key };
      if (!folder.has(source)) {
        const place = placeInStack(folder, asked, key, shape);
        if (place === undefined) throw new CheckpointError(`${folder.dir}: ${missing(key, shape)}`);
        sources.set(key, place);
        shapes.set(key, shape);
        continue;
      }
      const { shape: got } = folder.info(source);
      if (got.join() !== shape.join())
        throw new CheckpointError(
          `${folder.dir}: ${source}: expected [${shape.join(", ")}] by config.json, got [${got.join(", ")}]`,
        );
      if (sameAs !== undefined && !(await sameValues(folder, source, sources.get(sameAs)?.key ?? sameAs)))
        throw new CheckpointError(
          `${folder.dir}: ${source}: expected a copy of ${sameAs}, got other values: an MTP module with an embedding or a head of its own is not built`,
        );
      shapes.set(key, shape);
      if (sameAs !== undefined) copies.add(key);
    }
    const read = new Set([...shapes.keys(), ...Array.from(sources.values(), ({ key }) => key)]);
    const unused = refuseUnread(folder, config, read, modules);
    if (unused > 0)
      notes.push(
        `not used: the ${unused} tensors of the MTP modules (multi-token prediction: for training and drafts)`,
      );
    const model = new ModelWeights(folder, config, shapes, copies, notes, sources, adapter, modules);
    if (adapter) notes.push(await model.#checkAdapter(adapter));
    return model;
  }

  /** What is said of an adapter that is merged. Throws CheckpointError for one of another model. */
  async #checkAdapter({ dir, lora, tensors, base }: Adapter): Promise<string> {
    const own = base && (await this.mark());
    if (own !== base)
      throw new CheckpointError(
        `${dir}: expected an adapter of ${this.folder.dir}, got one that was trained on another model of the same shape`,
      );
    return `with the adapter ${dir}: rank ${lora.rank} on ${tensors.size / 2} layers`;
  }

  /** `baseMark` of these weights. */
  mark(): Promise<string> {
    return baseMark(withModules(this.config, 0), async (key) => (await this.read(key)).data);
  }

  #isAdapted(key: string): boolean {
    return this.adapter?.tensors.has(loraKeys(layerOf(key)).a) ?? false;
  }

  /** Reads a wanted tensor as f32, into `out` when given. Throws CheckpointError when a number is NaN or infinite. */
  async read(key: string, out?: Float32Array): Promise<HostTensor<Float32Array>> {
    const { key: source, start } = this.sources.get(key) ?? { key };
    const shape = this.shapes.get(key);
    const part = start === undefined || shape === undefined ? undefined : { start, shape };
    const tensor = await this.folder.readF32(source, out, part);
    this.#checkFinite(source, firstNotFinite(tensor.data), tensor.data);
    if (this.adapter && this.#isAdapted(key)) addLowRank(tensor, layerOf(key), this.adapter);
    return tensor;
  }

  /** The same as the file has it when that is bf16, else as f32. */
  async readShort(key: string, into?: () => Float32Array | undefined): Promise<HostTensor> {
    const { key: source, start } = this.sources.get(key) ?? { key };
    if (start !== undefined || this.#isAdapted(key) || this.folder.info(source).dtype !== "bf16")
      return this.read(key, into?.());
    const tensor = await this.folder.read(source);
    const bits = tensor.data as Uint16Array;
    const at = firstNotFiniteBf16(bits);
    this.#checkFinite(source, at, at < 0 ? bits : decodeBf16(bits));
    return tensor;
  }

  /** The blocks that the file has, of that many bits if given; undefined where it has none, or others. */
  async readBlocks(key: string, bits?: 4 | 8): Promise<BlockWeight | undefined> {
    const { key: source } = this.sources.get(key) ?? { key };
    const held = this.folder.info(source).dtype === "Q4_0" ? 4 : 8;
    if (this.folder.readBlocks === undefined || (bits ?? held) !== held || this.#isAdapted(key)) return undefined;
    const blocks = await this.folder.readBlocks(source);
    if (blocks !== undefined) this.#checkFinite(source, firstNotFinite(blocks.scales), blocks.scales);
    return blocks;
  }

  #checkFinite(source: string, at: number, { [at]: value, length }: ArrayLike<number>): void {
    if (at >= 0)
      throw new CheckpointError(
        `${this.folder.dir}: ${source}: expected finite numbers, got ${value} at ${at} of ${length}. The file is damaged, or its training failed`,
      );
  }
}

const layerOf = (key: string): string => key.replace(/\.weight$/, "");

const missing = (key: string, shape: readonly number[]): string =>
  `expected a tensor ${key} of [${shape.join(", ")}], found none`;

/** Compares counts before any tensor is listed, since a config.json may mean millions; then names the first that the files lack, which comes soon. */
function refuseFew(folder: Tensors, config: ModelConfig, sources: ReadonlyMap<string, Place>): void {
  const expected = tensorCount(config),
    held = tensorsHeld(folder, config);
  if (held >= expected) return;
  const few = `${folder.dir}: expected ${expected} tensors by config.json, the files hold ${held}`;
  for (const { key, shape } of listParameters(config))
    if (!folder.has(sources.get(key)?.key ?? key) && !placeInStack(folder, config, key, shape))
      throw new CheckpointError(`${few}; ${missing(key, shape)}`);
  throw new CheckpointError(few);
}

const withModules = (config: ModelConfig, modules: number): ModelConfig =>
  mtpDepth(config) === modules ? config : ({ ...config, num_nextn_predict_layers: modules } as ModelConfig);

/** How many tensors of MTP modules stand unread; an error when there are others. `read` modules are wanted whole. */
function refuseUnread(folder: Tensors, config: ModelConfig, wanted: ReadonlySet<string>, read: number): number {
  let modules = 0;
  const unread: string[] = [];
  for (const key of folder.keys()) {
    if (wanted.has(key) || key === HEAD || DERIVED.test(key) || folder.info(key).bytes === 0) continue;
    if (isUnreadMtp(folder, config, key, read)) modules++;
    else unread.push(key);
  }
  if (unread.length === 0) return modules;
  const some = unread.slice(0, 5).map(quoted).join(", ");
  throw new CheckpointError(
    `${folder.dir}: expected the tensors of config.json's ${config.model_type}, got ${unread.length} more that nothing reads: ${some}${unread.length > 5 ? ", …" : ""}. ` +
      "Computing without them would give another model: compare model_type, num_hidden_layers, attention_bias and the like with the model's own config.json",
  );
}

/** Whether a tensor belongs to an MTP module that is not read; V3's files have one even where config.json does not count it. */
function isUnreadMtp(folder: Tensors, config: ModelConfig, key: string, read: number): boolean {
  const layer = Number(/^model\.layers\.(\d+)\./.exec(key)?.[1] ?? -1);
  if (!isLatent(config) || layer < config.num_hidden_layers + read) return false;
  return layer < config.num_hidden_layers + mtpDepth(config) || folder.has(`model.layers.${layer}.eh_proj.weight`);
}

async function sameValues(folder: Tensors, one: string, other: string): Promise<boolean> {
  if (folder.info(one).shape.join() !== folder.info(other).shape.join()) return false;
  const a = (await folder.readF32(one)).data;
  const b = (await folder.readF32(other)).data;
  return a.every((value, i) => value === b[i]);
}
