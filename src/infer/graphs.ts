/** The graphs of generation, all of the same layers: reading prompts, a step of many sequences, a step of one, several steps of each at once. */
import {
  type CacheForm,
  cacheSpec,
  isLatent,
  languageModel,
  type ModelConfig,
  modelBuilder,
  type Past,
  pastMask,
  readMask,
  ropeAt,
} from "../model/index.ts";
import {
  type Binding,
  type CompileOptions,
  compile,
  type Executable,
  type PackedWeights,
  threads,
} from "../runtime/index.ts";
import {
  add,
  cast,
  concat,
  constant,
  type Dim,
  dimMul,
  exp,
  expand,
  f32,
  gather,
  type HostTensor,
  hostTensor,
  i64,
  input,
  iota,
  max,
  minimum,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  toOnnx,
} from "../tensor/index.ts";
import { Rounding, type StoredRows, storedRows, widened } from "./cacheForm.ts";
import { BLOCK_TOKENS, RUN } from "./engine.ts";
import type { Feed } from "./feed.ts";
import { packedByRuntime } from "./feed.ts";

export type GraphName = Past["mode"];

/** A graph compiled, with its weights bound; everything else is bound anew for every pass. */
export interface Bound {
  executable: Executable;
  binding: Binding;
}

/** One graph, run by all threads together. */
export interface Graph extends Bound {
  /** The same for each thread by itself. None where weights are many: each lane reads them all. */
  lanes: readonly Bound[];
  /** Constants that it has packed copies of, and those that it reads as they lie. */
  packed: string[];
  kept: string[];
}

/**
 * Which graphs a model has. A step of one sequence whose blocks lie in a row reads them in place; heads kept apart must be gathered anyway. `checks`:
 * guesses will be made.
 */
export const graphNames = (config: ModelConfig, checks: boolean): GraphName[] => [
  "read",
  "step",
  ...(isLatent(config) ? (["alone"] as const) : []),
  ...(checks ? (["check"] as const) : []),
];

/**
 * What a step needs so that a sequence's sums are the same in any company: as many tokens as `sequences`, padded if need be, and scores
 * over a multiple of `positions`. ONNX Runtime cuts a product for its threads only when there are fewer products than threads.
 */
export function alikeIn(config: ModelConfig, mode: Past["mode"]): { sequences: number; positions: number } {
  const products = mode === "read" ? config.num_attention_heads : (cacheSpec(config)[0]?.heads ?? 1);
  return { sequences: mode === "alone" ? 1 : Math.ceil(threads() / products), positions: mode === "read" ? 128 : 64 };
}

/** Whether a step's weighted sum of rows must go column by column: products of up to 64 columns, or cut to fewer than 128, group rows otherwise. */
function turned(config: ModelConfig, mode: Past["mode"]): boolean {
  const width = cacheSpec(config)[0]?.width ?? 0;
  return isLatent(config) && (width <= 64 || (mode !== "step" && width < 128 * threads()));
}

/** Threads and bytes of weights up to which a step of many sequences goes in lanes. Measured on two cores. */
const LANES_MOST = 4;
const LANE_BYTES_MOST = 256e6;

/** Traces and compiles one of them. `packed`: weights never change, the runtime packs them once for all graphs. */
export async function compileGraph(
  name: GraphName,
  config: ModelConfig,
  feed: Feed,
  {
    contextTokens,
    cache,
    packed,
    experts = false,
  }: { contextTokens: number; cache: CacheForm; packed?: PackedWeights; experts?: boolean },
): Promise<Graph> {
  const spec = cacheSpec(config);
  const [B, T]: [Dim, Dim] = name === "alone" ? [1, 1] : ["B", name === "step" ? 1 : "T"];
  const positions_BT = input("positions", "i64", [B, T]);
  const stored = storedRows(spec, cache);
  const { rows: held, S } = name === "alone" ? lying(stored) : gathered(stored, B);
  const rounding = cache === "int8" ? new Rounding() : undefined;
  const rows = rounding ? spec.map(({ parts }, i) => widened(held[2 * i]!, held[2 * i + 1]!, parts)) : held;
  const mask = name === "read" ? readMask(positions_BT, S) : pastMask(positions_BT, S);
  const past: Past = {
    rows,
    mode: name,
    mask,
    places_BT: positions_BT,
    kept: rounding?.round,
    turned: turned(config, name),
  };
  const rows_L = T === "T" ? input("rows", "i64", ["L"]) : undefined;
  // what fills a pass up may stand beyond the context, where nobody looks
  const known = minimum(positions_BT, constant(i64([], [contextTokens - 1])));
  const rope = ropeAt(config, known, contextTokens);
  const out = languageModel(modelBuilder(config, feed.options), input("ids", "i64", [B, T]), rope, { past, rows_L });
  const gained = rounding ? out.rows.flatMap((row) => rounding.of(row)) : out.rows;
  const isConstant = (key: string) => feed.constant.has(key) || (packed !== undefined && feed.of(key) !== undefined);
  const chosen = out.routings.map(({ experts_XK }) => {
    const experts = cast(experts_XK, "f32");
    return rows_L ? gather(experts, rows_L) : experts;
  });
  const graph = toOnnx(
    {
      ...(experts && chosen.length > 0 ? { experts: concat(chosen, 1) } : {}),
      ...scoresOf(out.logits, input("sharpness", "f32", [out.logits.dim(0), 1])),
      ...Object.fromEntries(
        stored.map(({ name: of, heads, width }, i) => [`new.${of}`, reshape(gained[i]!, [B, heads, T, width])]),
      ),
    },
    { name, external: isConstant },
  );
  const copied = packedByRuntime(Object.values(graph.outputs));
  const constants: Record<string, HostTensor> = {};
  const inputs: Record<string, HostTensor> = {};
  for (const [key, { dtype, shape }] of Object.entries(graph.inputs)) {
    const empty = () =>
      hostTensor(
        dtype,
        shape.map((d) => (typeof d === "number" ? d : 1)),
      );
    (isConstant(key) ? constants : inputs)[key] = feed.of(key) ?? empty();
  }
  const made = async (how: CompileOptions = {}): Promise<Bound> => {
    const executable = await compile(graph.bytes, { name, constants, packed, ...how });
    return { executable, binding: executable.bind(inputs) };
  };
  const weightBytes = [...Object.values(constants), ...Object.values(inputs)].reduce(
    (n, t) => n + t.data.byteLength,
    0,
  );
  const lanes = name === "step" && threads() <= LANES_MOST && weightBytes <= LANE_BYTES_MOST ? threads() : 1;
  return {
    ...(await made()),
    lanes: await Promise.all(Array.from({ length: lanes > 1 ? lanes : 0 }, () => made({ threads: 1, arena: "own" }))),
    packed: packed ? [...copied] : [],
    kept: Object.keys(graph.inputs).filter((key) => !packed || !copied.has(key)),
  };
}

/** Past rows taken from pools of blocks by a table of each sequence's. */
function gathered(spec: readonly StoredRows[], B: Dim): { rows: Tensor[]; S: Dim } {
  const table_BN = input("table", "i64", [B, "N"]);
  const S = dimMul(BLOCK_TOKENS, "N");
  const rows = spec.map(({ name, heads: J, width, dtype }) => {
    const pool = input(name, dtype, [J === 1 ? "P" : `${J} a block`, BLOCK_TOKENS * width]);
    if (J === 1) return reshape(gather(pool, table_BN), [B, S, width]);
    const first = mul(reshape(table_BN, [B, 1, "N"]), constant(i64([], [J])));
    return reshape(gather(pool, add(first, reshape(iota(J), [1, J, 1]))), [B, J, S, width]);
  });
  return { rows, S };
}

/** Past rows that lie in a row. */
function lying(spec: readonly StoredRows[]): { rows: Tensor[]; S: Dim } {
  return { rows: spec.map(({ name, width, dtype }) => input(name, dtype, [1, "S", width])), S: "S" };
}

/**
 * What drawing needs: logits_LV; weights_LV = e^((logit − largest) · sharpness), and their sums over runs of RUN tokens; the largest logit and
 * Σ e^(logit − largest), from which the log of the whole sum is made in f64.
 */
function scoresOf(
  logits_LV: Tensor,
  sharpness_L1: Tensor,
): Record<"logits" | "weights" | "sums" | "largest" | "totals", Tensor> {
  const [L, V] = logits_LV.shape as [Dim, number];
  const largest_L1 = max(logits_LV, 1, true);
  // rows of whole runs: the exponential's last few of an odd length go another way
  const runs = Math.ceil(V / RUN);
  const filler = expand(constant(f32([1, 1], [-1e9])), [L, runs * RUN - V]);
  const below = sub(runs * RUN === V ? logits_LV : concat([logits_LV, filler], 1), largest_L1);
  const weights = exp(mul(below, sharpness_L1));
  const sums = sum(reshape(weights, [L, runs, RUN]), 2);
  return { logits: logits_LV, weights, sums, largest: largest_L1, totals: sum(exp(below), 1, true) };
}

/** A buffer bound to a graph's port: the same tensor as long as its shape is the same, so that it is not tied anew. */
export class Slot {
  #data: Float32Array | Uint8Array | BigInt64Array;
  /** Low and high words of whole numbers. */
  #words: Int32Array;
  #tensor: HostTensor;

  constructor(private readonly dtype: "f32" | "u8" | "i64") {
    this.#data = arrayOf(dtype, 0);
    this.#words = new Int32Array(this.#data.buffer);
    this.#tensor = this.#of([0]);
  }

  /** The tensor of that shape; what it held is lost when it grows. */
  shaped(...shape: number[]): HostTensor {
    if (shape.length !== this.#tensor.shape.length || shape.some((d, i) => d !== this.#tensor.shape[i])) {
      const size = shape.reduce((a, b) => a * b, 1);
      if (size > this.#data.length) {
        this.#data = arrayOf(this.dtype, size);
        if (this.dtype === "i64") this.#words = new Int32Array(this.#data.buffer);
      }
      this.#tensor = this.#of(shape);
    }
    return this.#tensor;
  }

  #of(shape: number[]): HostTensor {
    const data = this.#data.subarray(
      0,
      shape.reduce((a, b) => a * b, 1),
    );
    return { dtype: this.dtype, shape, data } as HostTensor;
  }

  get numbers(): Float32Array {
    return this.#data as Float32Array;
  }

  /** As the cache takes them. */
  get rows(): Float32Array | Uint8Array {
    return this.#data as Float32Array | Uint8Array;
  }

  /** Writes a whole number from 0 to 2³¹ − 1. */
  put(i: number, value: number): void {
    this.#words[2 * i] = value;
    this.#words[2 * i + 1] = 0;
  }
}

const arrayOf = (dtype: "f32" | "u8" | "i64", length: number) =>
  dtype === "f32" ? new Float32Array(length) : dtype === "u8" ? new Uint8Array(length) : new BigInt64Array(length);
