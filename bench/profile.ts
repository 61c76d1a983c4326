// Where a training step goes, by operation and shape: npx tsx bench/profile.ts nano [--batch 8] [--runs 10] [--by op|shape|place]
// Products show the rate they reach. Profiling costs some 5 %, so only shares and rates count.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readRecipe } from "../src/runs/index.ts";
import { compile, setThreads } from "../src/runtime/index.ts";
import * as t from "../src/tensor/index.ts";
import {
  byteRange,
  parametersOf,
  parseRecipe,
  phasesOf,
  pretraining,
  storeOf,
  traceTraining,
  WeightQuantizer,
} from "../src/train/index.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: "string", default: "8" },
    runs: { type: "string", default: "10" },
    by: { type: "string", default: "shape" },
    threads: { type: "string", default: "2" },
    top: { type: "string", default: "60" },
    precision: { type: "string" },
  },
});
setThreads(Number(values.threads));
const batch = Number(values.batch);
const recipe = parseRecipe({
  ...readRecipe(positionals[0] ?? "nano").json,
  batch: { end: batch },
  microBatch: batch,
  tokens: 1e9,
  ...(values.precision ? { precision: values.precision } : {}),
});
const phase = phasesOf(recipe, recipe.model as Record<string, unknown>)[0]!;
const store = storeOf([phase]);
store.initialize(1, 0.02);
const graph = traceTraining(phase, pretraining(recipe.balance), {
  precision: recipe.precision,
  range: await byteRange(),
});
const folder = mkdtempSync(join(tmpdir(), "sumbi-profile-"));
const executable = await compile(graph.onnx.bytes, {
  name: "train",
  optimization: "basic",
  trace: join(folder, "trace"),
});
const idsType = graph.onnx.inputs["ids"]!;
const ids = new BigInt64Array(t.sizeOf(idsType.shape as number[]));
const quantizer = await WeightQuantizer.create(graph.onnx, store, await byteRange());
await quantizer.run();
const inputs: Record<string, t.HostTensor> = { ...parametersOf(graph.onnx, store), ...quantizer.tensors };
inputs["ids"] = { dtype: "i64", shape: idsType.shape as number[], data: ids };
if (graph.onnx.inputs["lambda"]) inputs["lambda"] = t.f32([], [0.3]);
if (graph.onnx.inputs["share"]) inputs["share"] = t.f32([], [1]);
const outputs = Object.fromEntries(
  Object.entries(graph.onnx.outputs).map(([name, { shape }]) => [
    name,
    t.f32(shape as number[], new Float32Array(t.sizeOf(shape as number[]))),
  ]),
);
const binding = executable.bind(inputs, outputs);
const runs = Number(values.runs);
const vocabulary = phase.config.vocab_size;
const times: number[] = [];
for (let run = 0; run < runs + 2; run++) {
  for (let i = 0; i < ids.length; i++) ids[i] = BigInt((Math.imul(i + run * 7919, 2654435761) >>> 9) % vocabulary);
  const began = performance.now();
  await binding.run();
  times.push(performance.now() - began);
}
binding.dispose();
executable.dispose();
interface Event {
  cat: string;
  name: string;
  dur: number;
  ts: number;
  args: {
    op_name?: string;
    input_type_shape?: Record<string, number[]>[];
    output_type_shape?: Record<string, number[]>[];
  };
}
const file = readdirSync(folder)[0]!;
const events = (JSON.parse(readFileSync(join(folder, file), "utf8")) as Event[]).filter(
  (e) => e.cat === "Node" && e.name.endsWith("_kernel_time"),
);
rmSync(folder, { recursive: true });
// Lengths that the graph knows beforehand; others are an expert's rows.
const known = new Set<unknown>(
  t.reachable(Object.values(graph.onnx.outputs)).flatMap((node) => node.outputs.flatMap((out) => out.shape)),
);
const perRun = events.length / (runs + 2);
const kept = events.slice(Math.round(perRun * 2));
const rows = new Map<string, { micros: number; count: number; flops: number }>();
let total = 0;
for (const { name, dur, args } of kept) {
  const ins = (args.input_type_shape ?? []).map((s) => Object.values(s)[0]!);
  const out = Object.values(args.output_type_shape?.[0] ?? { x: [] })[0]!;
  const product = /Gemm|MatMul/.test(args.op_name!);
  const size = (s: number[]) => s.reduce((a, b) => a * b, 1);
  // Inner length from the sizes: |a|·|b| / |out| = k² per matrix of the batch.
  const b = size(out.slice(0, -2));
  const flops =
    product && ins.length >= 2 && size(out) > 0
      ? 2 *
        size(out) *
        Math.sqrt(
          ((size(ins[0]!) / size(ins[0]!.slice(0, -2))) * (size(ins[1]!) / size(ins[1]!.slice(0, -2)))) /
            (size(out) / b),
        )
      : 0;
  const show = (dims: number[]) => `[${dims.map((d) => (known.has(d) ? d : "n"))}]`;
  const key =
    values.by === "op"
      ? args.op_name!
      : values.by === "place"
        ? name.replace(/_kernel_time$/, "").replace(/\d+/g, "#")
        : `${args.op_name} ${ins.map(show).join(" ")} -> ${show(out)}`;
  const row = rows.get(key) ?? { micros: 0, count: 0, flops: 0 };
  row.micros += dur / runs;
  row.count += 1 / runs;
  row.flops += flops / runs;
  total += dur / runs;
  rows.set(key, row);
}
const sorted = [...rows].sort((a, b) => b[1].micros - a[1].micros);
console.log(
  `run: median ${times
    .slice(2)
    .sort((a, b) => a - b)
    [runs >> 1]!.toFixed(
      0,
    )} ms, best ${Math.min(...times).toFixed(0)} ms; nodes ${(total / 1000).toFixed(0)} ms, ${Math.round(perRun)} of them`,
);
const all = [...rows.values()];
const products = all.filter((r) => r.flops > 0);
const sum = (list: { micros: number; flops: number }[], key: "micros" | "flops") =>
  list.reduce((s, r) => s + r[key], 0);
console.log(
  `products: ${(sum(products, "micros") / 1000).toFixed(1)} ms, ${(sum(products, "flops") / 1e9).toFixed(2)} GFLOP, ${(sum(products, "flops") / sum(products, "micros") / 1e3).toFixed(0)} GFLOP/s; the rest ${((total - sum(products, "micros")) / 1000).toFixed(1)} ms`,
);
for (const [key, { micros, count, flops }] of sorted.slice(0, Number(values.top)))
  console.log(
    `${(micros / 1000).toFixed(2).padStart(8)} ms ${((100 * micros) / total).toFixed(1).padStart(5)} % ${count.toFixed(0).padStart(5)} × ${flops > 0 ? `${(flops / micros / 1e3).toFixed(0).padStart(4)} GFLOP/s` : "            "} ${key}`,
  );
process.exit(0);
