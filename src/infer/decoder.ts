/** A model that decodes: the prefill and decode graphs, their weights and their caches. */
import { isGguf, loadWeights } from "../checkpoint/index.ts";
import { ShapeError } from "../errors.ts";
import {
  cacheSpec,
  isLatent,
  languageModel,
  type ModelConfig,
  modelBuilder,
  ropeAt,
  type Weights,
} from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { type Binding, compile, type Executable, type PackedWeights, packedWeights } from "../runtime/index.ts";
import { f32, type HostTensor, hostTensor, i64, input, sizeOf, toOnnx } from "../tensor/index.ts";
import type { LanguageModel, SequenceCache } from "./engine.ts";
import { Feed, type FeedOptions, packedByRuntime } from "./feed.ts";
import { giveBack, returnable } from "./returnable.ts";

export interface DecoderOptions {
  /** Longest sequence; default `max_position_embeddings`, at most 32768. */
  contextTokens?: number;
  /** The weights will not change: the runtime packs them once, so that a decode step reads them instead of repacking. Costs a second copy. */
  frozen?: boolean;
  /** How blocks multiply. */
  products?: FeedOptions;
  /** What a person should know about where the weights came from. */
  notes?: readonly string[];
}

/** Tables of rope angles are built for every position: longer contexts are for those who ask. */
const DEFAULT_CONTEXT_MAX = 32_768;
const FIRST_CAPACITY = 64;

interface Rows {
  width: number;
  data: Float32Array;
}

/** The rows that every layer keeps of a sequence; room for them doubles when it runs out. */
class RowCache implements SequenceCache {
  length = 0;
  #capacity = 0;
  readonly rows: Map<string, Rows>;

  constructor(spec: readonly { name: string; width: number }[]) {
    this.rows = new Map(spec.map(({ name, width }) => [name, { width, data: new Float32Array() }]));
  }

  reserve(length: number, limit: number): void {
    if (length <= this.#capacity) return;
    this.#capacity = Math.min(limit, Math.max(length, 2 * this.#capacity, FIRST_CAPACITY));
    for (const rows of this.rows.values()) {
      const grown = new Float32Array(this.#capacity * rows.width);
      grown.set(rows.data.subarray(0, this.length * rows.width));
      rows.data = grown;
    }
  }

  release(): void {
    this.rows.clear();
  }
}

/** One graph with its weights bound; ids, positions and cache views are bound anew for every pass. */
interface Pass {
  executable: Executable;
  binding: Binding;
  /** Whether it is fed the rows of a past, and the rows whose logits are wanted. */
  takesPast: boolean;
  takesRows: boolean;
  /** Constants that it has packed copies of, and those that it reads as they lie. */
  packed: string[];
  kept: string[];
}

/**
 * decode: one token after a past (MLA absorbed). prefill: any number (MLA expanded). start: any number after none; MLA's prefill does that
 * too, heads that lie side by side in rows need at least one row.
 */
type PassName = "decode" | "prefill" | "start";

/**
 * A model for generation, over weights in host memory (f32, by checkpoint key) that are used in place: whoever changes
 * them changes the model. Graphs of the same layers, by `PassName`: the past is fed as views of the cache and new rows are
 * written behind it, so nothing is copied.
 */
export class Decoder implements LanguageModel {
  readonly vocabSize: number;
  readonly #logits = new Map<number, Float32Array>();

  private constructor(
    readonly config: ModelConfig,
    readonly contextTokens: number,
    private readonly passes: Readonly<Record<PassName, Pass>>,
    readonly notes: readonly string[],
    /** Names of weights of which the runtime has packed copies and no graph reads the original: it may be changed or dropped. */
    readonly released: readonly string[],
  ) {
    this.vocabSize = config.vocab_size;
  }

  /** Compiles the graphs. Throws ShapeError when a weight is missing or has another shape than the config says. */
  static async create(config: ModelConfig, weights: Weights, options: DecoderOptions = {}): Promise<Decoder> {
    const contextTokens = options.contextTokens ?? Math.min(config.max_position_embeddings, DEFAULT_CONTEXT_MAX);
    const packed = options.frozen ? packedWeights() : undefined;
    const feed = new Feed(config, weights, options.products);
    const compiled = (name: PassName) => pass(name, config, feed, contextTokens, packed);
    const decode = await compiled("decode");
    const prefill = await compiled("prefill");
    const start = isLatent(config) ? prefill : await compiled("start");
    const passes = [...new Set([decode, prefill, start])];
    const kept = new Set(passes.flatMap((pass) => pass.kept));
    const released = [...new Set(passes.flatMap((pass) => pass.packed))].filter((name) => !kept.has(name));
    for (const { executable } of passes) executable.release(released);
    for (const name of released) feed.discard(name);
    return new Decoder(config, contextTokens, { decode, prefill, start }, options.notes ?? [], released);
  }

  newCache(): SequenceCache {
    return new RowCache(cacheSpec(this.config));
  }

  async forward(
    tokens: readonly number[],
    cache: SequenceCache,
    { all = false }: { all?: boolean } = {},
  ): Promise<Float32Array> {
    if (!(cache instanceof RowCache)) throw new ShapeError("decoder: expected a cache of its own");
    const T = tokens.length;
    const S = cache.length;
    if (T === 0 || S + T > this.contextTokens)
      throw new ShapeError(`decoder: expected 1 to ${this.contextTokens - S} tokens after ${S}, got ${T}`);
    cache.reserve(S + T, this.contextTokens);
    const inputs: Record<string, HostTensor> = {
      ids: i64([1, T], tokens),
      positions: i64(
        [1, T],
        Array.from({ length: T }, (_, i) => S + i),
      ),
    };
    const outputs: Record<string, HostTensor> = {};
    const { binding, takesPast, takesRows } = this.passes[S === 0 ? "start" : T === 1 ? "decode" : "prefill"];
    for (const [name, { width, data }] of cache.rows) {
      if (takesPast) inputs[name] = f32([1, S, width], data.subarray(0, S * width));
      outputs[`new.${name}`] = f32([1, T, width], data.subarray(S * width, (S + T) * width));
    }
    if (takesRows) inputs.rows = i64([all ? T : 1], all ? Array.from({ length: T }, (_, i) => i) : [T - 1]);
    const count = all ? T : 1;
    const logits = this.#logitsOf(count);
    outputs.logits = f32([count, this.vocabSize], logits);
    binding.rebind(inputs, outputs);
    await binding.run();
    cache.length += T;
    return logits;
  }

  /** A buffer for `count` rows of logits; the one for a single row is kept. */
  #logitsOf(count: number): Float32Array {
    let data = this.#logits.get(count);
    if (!data) {
      data = new Float32Array(count * this.vocabSize);
      if (count === 1) this.#logits.set(count, data);
    }
    return data;
  }

  dispose(): void {
    for (const { binding, executable } of new Set(Object.values(this.passes))) {
      binding.dispose();
      executable.dispose();
    }
  }
}

async function pass(
  name: PassName,
  config: ModelConfig,
  feed: Feed,
  contextTokens: number,
  packed?: PackedWeights,
): Promise<Pass> {
  const model = modelBuilder(config, feed.options);
  const many = name !== "decode";
  const T = many ? "T" : 1;
  const spec = cacheSpec(config);
  const rope = ropeAt(config, input("positions", "i64", [1, T]), contextTokens);
  const past = name === "start" ? undefined : spec.map(({ name, width }) => input(name, "f32", [1, "S", width]));
  const ids = input("ids", "i64", [1, T]);
  const rows_L = many ? input("rows", "i64", ["L"]) : undefined;
  const out = languageModel(model, ids, rope, { past, expanded: many, rows_L });
  const isConstant = (name: string) => feed.constant.has(name) || (packed !== undefined && feed.of(name) !== undefined);
  const graph = toOnnx(
    { logits: out.logits, ...Object.fromEntries(out.rows.map((row, i) => [`new.${spec[i]!.name}`, row])) },
    { name, external: isConstant },
  );
  const copied = packedByRuntime(Object.values(graph.outputs));
  const packedNames = packed ? [...copied] : [];
  const kept = Object.keys(graph.inputs).filter((input) => !packed || !copied.has(input));
  const constants: Record<string, HostTensor> = {};
  const inputs: Record<string, HostTensor> = {};
  for (const [name, { dtype, shape }] of Object.entries(graph.inputs)) {
    const tensor =
      feed.of(name) ??
      hostTensor(
        dtype,
        shape.map((d) => (typeof d === "number" ? d : 1)),
      );
    (isConstant(name) ? constants : inputs)[name] = tensor;
  }
  const executable = await compile(graph.bytes, { name, constants, packed });
  return {
    executable,
    binding: executable.bind(inputs),
    takesPast: past !== undefined,
    takesRows: many,
    packed: packedNames,
    kept,
  };
}

/**
 * Reads the weights of a checkpoint that generation needs (no MTP modules) and compiles its graphs; a GGUF file's blocks stay blocks. Throws CheckpointError for
 * tensors that are missing, of another shape, not finite, or that nothing reads.
 */
export async function openDecoder(dir: string, given: ModelConfig, onProgress?: OnProgress): Promise<Decoder> {
  const plain = isGguf(dir) ? "kept" : "f32";
  const { config, weights, notes } = await loadWeights(dir, given, {
    form: (key) => (key === "model.embed_tokens.weight" ? "bf16" : plain),
    into: (_, shape) => returnable(sizeOf(shape)),
    onProgress,
  });
  const decoder = await Decoder.create(config, weights, { frozen: true, notes });
  for (const key of decoder.released) {
    const weight = weights.get(key);
    if (weight?.dtype === "f32") giveBack(weight.data);
  }
  return decoder;
}
