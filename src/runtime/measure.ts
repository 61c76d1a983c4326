/** What this machine can do: its rate of f32 products and of reading memory. */
import { type HostTensor, hostTensor } from "../tensor/index.ts";
import { compile } from "./compile.ts";
import { probeModel } from "./probe.ts";
import type { Binding } from "./types.ts";

/**
 * The f32 matrix product rate of this machine with the current threads: the best run of [m, k] × [k, n] within `seconds`,
 * after one to warm up. Without a size, the best of 512³, 1024³ and 2048³: small products find a free moment on a busy
 * machine, large ones keep many cores at work. A product counts 2·m·n·k operations.
 */
export async function measureGemmPeak({
  m,
  n,
  k,
  seconds = 1,
}: {
  m?: number;
  n?: number;
  k?: number;
  seconds?: number;
} = {}): Promise<{
  flopsPerSec: number;
}> {
  const sizes = [m, n, k].some((size) => size !== undefined)
    ? [[m ?? 2048, n ?? 2048, k ?? 2048]]
    : [512, 1024, 2048].map((size) => [size, size, size]);
  let flopsPerSec = 0;
  for (const [rows, columns, inner] of sizes as [number, number, number][]) {
    const best = await bestSeconds(
      "MatMul",
      { a: [rows, inner], b: [inner, columns], c: [rows, columns] },
      seconds / sizes.length,
    );
    flopsPerSec = Math.max(flopsPerSec, (2 * rows * columns * inner) / best);
  }
  return { flopsPerSec };
}

/**
 * Bytes read and written per second when two f32 arrays of `elements` are added into a third, all three far bigger
 * than the caches (128 MiB each by default); best of the runs that fit into `seconds`.
 */
export async function measureMemoryBandwidth({
  elements = 1 << 25,
  seconds = 1,
} = {}): Promise<{ bytesPerSec: number }> {
  const best = await bestSeconds("Add", { a: [elements], b: [elements], c: [elements] }, seconds);
  return { bytesPerSec: (3 * 4 * elements) / best };
}

async function bestSeconds(op: string, shapes: Record<"a" | "b" | "c", number[]>, seconds: number): Promise<number> {
  const port = (name: "a" | "b" | "c") => ({ name, dtype: "f32" as const, shape: shapes[name] });
  const model = probeModel({
    nodes: [{ op, inputs: ["a", "b"], outputs: ["c"] }],
    inputs: [port("a"), port("b")],
    outputs: [port("c")],
  });
  const graph = await compile(model, { name: `measure ${op}` });
  const binding = graph.bind({ a: filled(shapes.a), b: filled(shapes.b) }, { c: hostTensor("f32", shapes.c) });
  try {
    await timed(binding);
    let best = Infinity;
    for (let spent = 0; spent < seconds; ) {
      const took = await timed(binding);
      spent += took;
      best = Math.min(best, took);
    }
    return best;
  } finally {
    binding.dispose();
    graph.dispose();
  }
}

async function timed(binding: Binding): Promise<number> {
  const start = performance.now();
  await binding.run();
  return (performance.now() - start) / 1000;
}

/** Ordinary values: zeros or denormals may run at another speed. */
function filled(shape: number[]): HostTensor {
  const tensor = hostTensor("f32", shape);
  for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = ((i * 7919) % 1000) / 500 - 0.999;
  return tensor;
}
