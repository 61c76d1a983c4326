import { DTYPES, type Dim, type OnnxGraph, reachable, type Tensor } from "../tensor/index.ts";

/** Primitives whose result is their input under another name. */
const VIEWS = new Set(["reshape", "assume", "custom", "stopGradient", "input", "constant"]);

/**
 * Peak bytes of the values between a graph's inputs and outputs, walked in order: a value lives from the node that makes it
 * to its last reader. `lengths` resolves symbols known only at run time. An estimate: the runtime may reuse buffers in
 * place (less) or round blocks up (more).
 */
export function peakBytes(graph: OnnxGraph, lengths: (dim: Dim) => number): number {
  const results = new Set(Object.values(graph.outputs));
  const nodes = reachable(results);
  const owner = new Map<Tensor, Tensor>();
  const own = (tensor: Tensor): Tensor => owner.get(tensor) ?? tensor;
  const lastReader = new Map<Tensor, number>();
  for (const node of nodes) {
    if (VIEWS.has(node.primitive.name) && node.inputs.length > 0) {
      const sources = node.inputs.slice(-node.outputs.length);
      node.outputs.forEach((out, i) => owner.set(out, own(sources[i]!)));
    }
    for (const input of node.inputs) lastReader.set(own(input), node.id);
  }
  const bytes = (tensor: Tensor): number => tensor.shape.reduce<number>((n, d) => n * lengths(d), DTYPES[tensor.dtype].bytes);
  const outside = new Set([...results].map(own));
  const freeAt = new Map<number, number>();
  let live = 0;
  let peak = 0;
  for (const node of nodes) {
    if (!VIEWS.has(node.primitive.name))
      for (const out of node.outputs) {
        const last = lastReader.get(out);
        if (outside.has(out)) continue;
        const size = bytes(out);
        live += size;
        freeAt.set(last ?? node.id, (freeAt.get(last ?? node.id) ?? 0) + size);
      }
    peak = Math.max(peak, live);
    live -= freeAt.get(node.id) ?? 0;
  }
  return peak;
}
