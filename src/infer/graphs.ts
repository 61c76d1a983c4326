/** The graphs of generation, compiled with their weights bound, and what a pass needs for the same bits in any company. */
import { cacheSpec, isLatent, type ModelConfig, modelBuilder } from "../model/index.ts";
import {
  type Binding,
  type CompileOptions,
  compile,
  type Executable,
  type PackedWeights,
  threads,
} from "../runtime/index.ts";
import { type HostTensor, hostTensor, toOnnx } from "../tensor/index.ts";
import type { Feed } from "./feed.ts";
import { packedByRuntime } from "./feed.ts";
import { type GraphName, type Tracing, trace } from "./traces.ts";

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
 * guesses will be made; `module`: by the model's own module too.
 */
export const graphNames = (config: ModelConfig, { checks = false, module = false }): GraphName[] => [
  "read",
  "step",
  ...(isLatent(config) ? (["alone"] as const) : []),
  ...(checks ? (["check"] as const) : []),
  ...(module ? (["draft", "recall"] as const) : []),
];

/**
 * What a step needs so that a sequence's sums are the same in any company: as many tokens as `sequences`, padded if need be, and scores
 * over a multiple of `positions`. ONNX Runtime cuts a product for its threads only when there are fewer products than threads.
 */
export function alikeIn(config: ModelConfig, name: GraphName): { sequences: number; positions: number } {
  const products = name === "read" ? config.num_attention_heads : (cacheSpec(config)[0]?.heads ?? 1);
  return { sequences: name === "alone" ? 1 : Math.ceil(threads() / products), positions: name === "read" ? 128 : 64 };
}

/** Threads and bytes of weights up to which a step of many sequences goes in lanes. Measured on two cores. */
const LANES_MOST = 4;
const LANE_BYTES_MOST = 256e6;

/** Traces and compiles one of them. `packed`: weights never change, the runtime packs them once for all graphs. */
export async function compileGraph(
  name: GraphName,
  config: ModelConfig,
  feed: Feed,
  { packed, ...how }: Tracing & { packed?: PackedWeights },
): Promise<Graph> {
  const isConstant = (key: string) => feed.constant.has(key) || (packed !== undefined && feed.of(key) !== undefined);
  const graph = toOnnx(trace(name, modelBuilder(config, feed.options), how), { name, external: isConstant });
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
  const made = async (options: CompileOptions = {}): Promise<Bound> => {
    const executable = await compile(graph.bytes, { name, constants, packed, ...options });
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
