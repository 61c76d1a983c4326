// A model's loss (forward) and training step (loss and all gradients) through the WebGPU provider, compared with the CPU
// provider output by output and timed beside it, in one run:
//   npx tsx bench/webgpu.ts [--recipe nano] [--sizes recipe,large] [--batch 8] [--sequence 256] [--threads 2] [--rounds 7]
//     [--trace 1] [--machine TEXT] [--out FILE [--overwrite]]
// The library that Sumbi installs has no WebGPU provider, onnxruntime-node's has: `npm i --no-save --ignore-scripts onnxruntime-node`, then
// SUMBI_ONNXRUNTIME=node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1. Vulkan must be there (libvulkan.so.1 and a driver). One JSON object on stdout or in FILE; exits with 1 when wrong.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { modelBuilder, mtpDepth, trainingLoss } from "../src/model/index.ts";
import { readRecipe } from "../src/runs/index.ts";
import {
  type CompileOptions,
  compile,
  ortVersion,
  type Provider,
  setThreads,
  type Tensors,
} from "../src/runtime/index.ts";
import * as t from "../src/tensor/index.ts";
import {
  type ParameterStore,
  type Phase,
  parseRecipe,
  phasesOf,
  pretraining,
  type Recipe,
  storeOf,
  traceTraining,
} from "../src/train/index.ts";
import { resultFile } from "./result.ts";

const LIMIT = 1e-3;

const { values } = parseArgs({
  options: {
    recipe: { type: "string", default: "nano" },
    sizes: { type: "string", default: "recipe,large" },
    batch: { type: "string" },
    sequence: { type: "string" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "7" },
    trace: { type: "string", default: "1" },
    machine: { type: "string", default: cpus()[0]?.model ?? "" },
    out: { type: "string" },
    overwrite: { type: "boolean", default: false },
  },
});
const save = resultFile(values.out, "WebGPU beside CPU: loss, and loss with all gradients", values.overwrite);
const rounds = Number(values.rounds);

/** A model in which the matrix products, not the number of kernels, take the time: about 220M parameters. */
const LARGE = {
  hidden_size: 1024,
  intermediate_size: 4096,
  moe_intermediate_size: 512,
  num_hidden_layers: 8,
  num_attention_heads: 8,
  num_key_value_heads: 8,
  kv_lora_rank: 256,
  qk_nope_head_dim: 64,
  qk_rope_head_dim: 32,
  v_head_dim: 64,
};

interface Graph {
  what: string;
  onnx(provider: Provider): t.OnnxGraph;
}

/** The step's graphs: weights fed as inputs, as training does, and for the forward also kept in the graph. */
function graphsOf(phase: Phase, recipe: Recipe, store: ParameterStore): Graph[] {
  const { config, microBatch, sequence } = phase;
  const forward = (provider: Provider, source?: (key: string) => t.Tensor): t.OnnxGraph => {
    const ids = t.input("ids", "i64", [microBatch, sequence + 1]);
    const { mainLoss, nll_X, routings } = trainingLoss(modelBuilder(config, { source }), ids, { depth: 0, lambda: 0 });
    const loads = routings.map((routing, i) => [`load ${i}`, routing.load_E]);
    return t.toOnnx({ loss: mainLoss, nll: nll_X, ...Object.fromEntries(loads) }, { name: "forward", provider });
  };
  return [
    { what: "forward, weights fed", onnx: (provider) => forward(provider) },
    {
      what: "forward, weights in the graph",
      onnx: (provider) => forward(provider, (key) => t.constant(store.parameter(key))),
    },
    {
      what: "training step, weights fed",
      onnx: (provider) =>
        traceTraining(phase, pretraining(recipe.balance), { precision: recipe.precision, provider }).onnx,
    },
  ];
}

/** Ids that any machine draws alike, and everything else that the graph asks for. */
function inputsOf(graph: t.OnnxGraph, phase: Phase, store: ParameterStore): Tensors {
  let state = 12345;
  const draw = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;
  const { microBatch, sequence, config } = phase;
  const all = Array.from({ length: microBatch * (sequence + 1 + mtpDepth(config)) }, () =>
    Math.floor(draw() * config.vocab_size),
  );
  return Object.fromEntries(
    Object.entries(graph.inputs).map(([name, { shape }]): [string, t.HostTensor] => {
      if (name === "ids") return [name, t.i64(shape as number[], all.slice(0, t.sizeOf(shape as number[])))];
      if (name === "lambda") return [name, t.f32([], [0.3])];
      if (name === "share") return [name, t.f32([], [1])];
      return [name, store.parameter(name)];
    }),
  );
}

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
const milliseconds = (seconds: number): number => Math.round(seconds * 1e5) / 100;
const timed = async <T>(run: () => Promise<T>): Promise<[T, number]> => {
  const start = performance.now();
  const result = await run();
  return [result, (performance.now() - start) / 1000];
};

/** Compiles, runs once (shaders are made then), then `rounds` times with inputs and outputs bound to the same buffers. */
async function measure(graph: Graph, provider: Provider, phase: Phase, store: ParameterStore) {
  const onnx = graph.onnx(provider);
  const [executable, compileSeconds] = await timed(() => compile(onnx.bytes, optionsOf(graph, provider)));
  const outputs = Object.fromEntries(
    Object.entries(onnx.outputs).map(([name, { shape }]) => [
      name,
      t.f32(shape as number[], new Float32Array(t.sizeOf(shape as number[]))),
    ]),
  );
  const inputs = inputsOf(onnx, phase, store);
  const binding = executable.bind(inputs, outputs);
  const [, firstSeconds] = await timed(() => binding.run());
  const seconds: number[] = [];
  for (let i = 0; i < rounds; i++) seconds.push((await timed(() => binding.run()))[1]);
  binding.dispose();
  executable.dispose();
  const bytes = (tensors: Tensors) => Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
  return {
    outputs,
    report: {
      nodes: onnx.nodeCount,
      compileSeconds: Math.round(compileSeconds * 100) / 100,
      firstMilliseconds: milliseconds(firstSeconds),
      medianMilliseconds: milliseconds(median(seconds)),
      bestMilliseconds: milliseconds(Math.min(...seconds)),
      tokensPerSecond: Math.round((phase.microBatch * phase.sequence) / median(seconds)),
      hostMegabytes: { in: Math.round(bytes(inputs) / 1e4) / 100, out: Math.round(bytes(outputs) / 1e4) / 100 },
    },
  };
}

/** As EvaluationProgram and TrainingProgram compile theirs. */
const optionsOf = (graph: Graph, provider: Provider): CompileOptions => ({
  name: graph.what,
  provider,
  ...(graph.what.startsWith("training") ? { optimization: "basic" } : {}),
});

/** The second run of a traced graph: kernels by provider, and the operators that did not run on the GPU. */
async function placement(graph: Graph, phase: Phase, store: ParameterStore) {
  const folder = mkdtempSync(join(tmpdir(), "sumbi-webgpu-"));
  try {
    const onnx = graph.onnx("webgpu");
    const executable = await compile(onnx.bytes, { ...optionsOf(graph, "webgpu"), trace: join(folder, "trace") });
    const inputs = inputsOf(onnx, phase, store);
    await executable.run(inputs);
    await executable.run(inputs);
    executable.dispose();
    const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), "utf8")) as {
      cat: string;
      name: string;
      dur: number;
      args: { op_name?: string; provider?: string };
    }[];
    const kernels = events.filter(({ cat, name }) => cat === "Node" && name.endsWith("_kernel_time"));
    const providers: Record<string, { kernels: number; hostMilliseconds: number }> = {};
    const operators: Record<string, number> = {};
    for (const { dur, args } of kernels.slice(kernels.length / 2)) {
      const provider = args.provider!.replace("ExecutionProvider", "");
      const total = (providers[provider] ??= { kernels: 0, hostMilliseconds: 0 });
      total.kernels++;
      total.hostMilliseconds += dur / 1000;
      const copy = args.op_name!.startsWith("Memcpy");
      if (provider === "CPU" || copy) operators[args.op_name!] = (operators[args.op_name!] ?? 0) + 1;
    }
    for (const total of Object.values(providers))
      total.hostMilliseconds = Math.round(total.hostMilliseconds * 100) / 100;
    return { providers, notOnGpu: Object.fromEntries(Object.entries(operators).sort((a, b) => b[1] - a[1])) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Largest difference in an output, over the output's largest magnitude; infinite when a number is missing. */
function errors(expected: Tensors, got: Tensors): { worst: number; output: string; wrong: number; outputs: number } {
  let [worst, output, wrong] = [0, "", 0];
  for (const [name, { data }] of Object.entries(expected)) {
    const want = data as Float32Array;
    const have = got[name]!.data as Float32Array;
    let [difference, size] = [0, 1e-30];
    for (let i = 0; i < want.length; i++) {
      difference = Math.max(difference, Number.isFinite(have[i]!) ? Math.abs(have[i]! - want[i]!) : Infinity);
      size = Math.max(size, Math.abs(want[i]!));
    }
    const error = difference / size;
    if (error > LIMIT) wrong++;
    if (error >= worst) [worst, output] = [error, name];
  }
  return { worst, output, wrong, outputs: Object.keys(expected).length };
}

async function main(): Promise<void> {
  setThreads(Number(values.threads));
  const { json } = readRecipe(values.recipe);
  const cases: object[] = [];
  let right = true;
  for (const size of values.sizes.split(",")) {
    const model = { ...(json["model"] as object), ...(size === "large" ? LARGE : {}) };
    const recipe = parseRecipe({
      ...json,
      model,
      precision: "f32",
      ...(values.batch ? { batch: { end: Number(values.batch) } } : {}),
      ...(values.sequence ? { sequence: Number(values.sequence) } : {}),
    });
    const phase = phasesOf(recipe, model)[0]!;
    const store = storeOf([phase]);
    store.initialize(recipe.seed, 0.02);
    for (const graph of graphsOf(phase, recipe, store)) {
      process.stderr.write(`${size}: ${graph.what}\n`);
      const result: Record<string, unknown> = {
        size,
        what: graph.what,
        parameters: store.parameters.length,
        batch: phase.microBatch,
        sequence: phase.sequence,
      };
      cases.push(result);
      try {
        const cpu = await measure(graph, "cpu", phase, store);
        result["cpu"] = cpu.report;
        const webgpu = await measure(graph, "webgpu", phase, store);
        result["webgpu"] = webgpu.report;
        result["speedup"] =
          Math.round((cpu.report.medianMilliseconds / webgpu.report.medianMilliseconds) * 1000) / 1000;
        const error = errors(cpu.outputs, webgpu.outputs);
        result["error"] = error;
        right &&= error.worst <= LIMIT;
        if (values.trace !== "0") result["placement"] = await placement(graph, phase, store);
      } catch (error) {
        right = false;
        result["failed"] = (error as Error).message;
      }
    }
  }
  const report = {
    date: new Date().toISOString().slice(0, 10),
    machine: values.machine,
    versions: { node: process.version, onnxruntime: ortVersion() },
    threads: Number(values.threads),
    rounds,
    limit: LIMIT,
    right,
    cases,
  };
  save(report);
  if (values.out === undefined) process.stdout.write(`${JSON.stringify(report, null, 1)}\n`);
  if (!right) process.exitCode = 1;
}

void main();
