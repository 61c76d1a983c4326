/** Weights as bytes, made anew from the store every step, for graphs that multiply in int8. */
import { type Binding, compile, type Executable, threads } from "../runtime/index.ts";
import * as t from "../tensor/index.ts";
import { bytesName, keysOfBytes, scaleName, stepFor, transposedName } from "./quantized.ts";
import type { ParameterStore } from "./store.ts";

/** Groups of weights [O, I] in bytes, |w| ≤ range · scale within a group. */
function quantizeGraph(
  groups: readonly (readonly string[])[],
  store: ParameterStore,
  range: number,
  wanted: (name: string) => boolean,
): t.OnnxGraph {
  const outputs: Record<string, t.Tensor> = {};
  for (const group of groups) {
    const weights = group.map((key) => t.parameter(key, store.views.get(key)!.shape));
    const largest = weights.map((weight) => t.max(t.abs(weight))).reduce((a, b) => t.maximum(a, b));
    const scale = stepFor(largest, range);
    outputs[scaleName(group)] = scale;
    const bytes = t.concat(
      weights.map((weight) => t.quantize(weight, scale, "i8")),
      0,
    );
    outputs[bytesName(group)] = bytes;
    if (wanted(transposedName(group))) outputs[transposedName(group)] = t.transpose(bytes, [1, 0]);
  }
  return t.toOnnx(outputs, { name: "quantize weights" });
}

/** Keeps the weights that a training graph wants as bytes in step with the store. */
export class WeightQuantizer {
  private constructor(
    /** What the graph is fed, by name. */
    readonly tensors: Record<string, t.HostTensor>,
    readonly parts: { executable: Executable; binding: Binding }[],
  ) {}

  /** Finds what `graph` asks for; nothing, for a graph that computes in f32. */
  static async create(graph: t.OnnxGraph, store: ParameterStore, range: number): Promise<WeightQuantizer> {
    const groups = Object.values(graph.inputs)
      .map(keysOfBytes)
      .filter((keys) => keys !== undefined);
    const wanted = (name: string) => name in graph.inputs;
    const tensors: Record<string, t.HostTensor> = {};
    for (const keys of groups)
      for (const name of [bytesName(keys), transposedName(keys), scaleName(keys)].filter(wanted)) {
        const { dtype, shape } = graph.inputs[name]!;
        tensors[name] = t.hostTensor(dtype, shape as number[]);
      }
    const parts = await Promise.all(
      shares(groups, (keys) => keys.reduce((n, key) => n + store.views.get(key)!.size, 0), threads()).map(
        async (share) => {
          const own = quantizeGraph(share, store, range, wanted);
          const executable = await compile(own.bytes, { name: "quantize weights", threads: 1 });
          const inputs = Object.fromEntries(Object.keys(own.inputs).map((key) => [key, store.parameter(key)]));
          const out = Object.fromEntries(Object.keys(own.outputs).map((name) => [name, tensors[name]!]));
          return { executable, binding: executable.bind(inputs, out) };
        },
      ),
    );
    return new WeightQuantizer(tensors, parts);
  }

  async run(): Promise<void> {
    await Promise.all(this.parts.map(({ binding }) => binding.run()));
  }

  dispose(): void {
    for (const { executable, binding } of this.parts) {
      binding.dispose();
      executable.dispose();
    }
  }
}

/** Deals items out to `n` hands, the next always to the one that has least. */
function shares<T>(items: readonly T[], sizeOf: (item: T) => number, n: number): T[][] {
  const hands = Array.from({ length: n }, () => ({ items: [] as T[], size: 0 }));
  for (const item of items) {
    const hand = hands.reduce((a, b) => (b.size < a.size ? b : a));
    hand.items.push(item);
    hand.size += sizeOf(item);
  }
  return hands.map((hand) => hand.items).filter((hand) => hand.length > 0);
}
