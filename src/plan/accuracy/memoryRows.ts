/** Published memory per GPU, and what the planner says of each. */
import { presetConfig } from "../../model/presets.ts";
import { type Architecture, architectureOf, layerCount } from "../architecture.ts";
import { ARCHITECTURES } from "../architectures.ts";
import { ALLOCATOR_SLACK, FSDP, heldByFormula, MIXED, memoryOf } from "../memory.ts";
import type { Job, Layout, ParameterBytes, Source } from "../types.ts";
import { modelWork } from "../work.ts";

/**
 * Published memory per GPU. `counts` says what the figure holds: "states" and "activations" of transformer layers alone (as the paper's figure does),
 * bytes "allocated" (in use), or bytes an allocator "reserved". CUDA's context is in none of them.
 */
export interface MemoryRow {
  family: "Korthikanti 2022" | "torchtitan" | "Megatron Bridge";
  name: string;
  counts: "states" | "activations" | "allocated" | "reserved";
  measuredBytes: number;
  job: Job;
  layout: Layout;
  microBatches: number;
  source: Source;
}

const GiB = 2 ** 30;

const korthikanti: Source = {
  title:
    "Reducing Activation Recomputation in Large Transformer Models, arXiv:2205.05198, figure 1, as read by calculon's validation",
  date: "2022-05-10",
  mark: "secondary",
  url: "https://github.com/calculon-ai/calculon/blob/main/calculon/llm/validation.py",
};
const titan2024: Source = {
  title: "torchtitan benchmarks, Llama 3 on H100, December 2024",
  date: "2024-12-26",
  mark: "primary",
  url: "https://github.com/pytorch/torchtitan/blob/main/benchmarks/llama3_h100_202412_torchtitan.md",
};
const titan2025: Source = {
  title: "torchtitan benchmarks, Llama 3 8B on H200, June 2025",
  date: "2025-06-13",
  mark: "primary",
  url: "https://github.com/pytorch/torchtitan/blob/main/benchmarks/llama3_8b_h200_2025-06_torchtitan_trainy_whitefiber.md",
};
const bridge: Source = {
  title: "Megatron Bridge, notes on recomputation and hardware configurations, August 2026",
  date: "2026-08-22",
  mark: "primary",
  url: "https://github.com/NVIDIA-NeMo/Megatron-Bridge/tree/main/skills",
};

const cluster: Job["cluster"] = {
  chip: {} as never,
  gpus: 1,
  tiers: [
    { name: "node", chips: 8, bytesPerSec: 2e11, latencySeconds: 1e-6 },
    { name: "network", chips: Infinity, bytesPerSec: 5e10, latencySeconds: 1e-5 },
  ],
};
const job = (architecture: Architecture, bytes: ParameterBytes, more: Partial<Job>): Job => ({
  architecture,
  cluster,
  sequence: 8192,
  batch: 1,
  precision: "bf16",
  schedule: "1f1b",
  imbalance: 1,
  bytes,
  mtp: false,
  ...more,
});
const layout = (more: Partial<Layout>): Layout => ({
  dp: 1,
  tp: 1,
  cp: 1,
  pp: 1,
  vp: 1,
  ep: 1,
  zero: 0,
  microBatch: 1,
  recompute: "none",
  ...more,
});

/** GPT models on A100, sequence 2048, no fused attention; the figure's baseline has no sequence parallelism, its best has that and selective recomputation. */
function gptRows(
  name: string,
  pp: number,
  vp: number,
  microBatch: number,
  states: number,
  none: number,
  selective: number,
): MemoryRow[] {
  const gpt = ARCHITECTURES[name]!;
  const base = { family: "Korthikanti 2022" as const, microBatches: pp * 8, source: korthikanti };
  const of = (more: Partial<Job>) =>
    job(gpt, MIXED, { sequence: 2048, fusedAttention: false, schedule: vp > 1 ? "interleaved" : "1f1b", ...more });
  const at = layout({ tp: 8, pp, vp, microBatch });
  return [
    { ...base, name: `${name} states`, counts: "states", measuredBytes: states * GiB, job: of({}), layout: at },
    {
      ...base,
      name: `${name} activations`,
      counts: "activations",
      measuredBytes: none * GiB,
      job: of({ sequenceParallel: false }),
      layout: at,
    },
    {
      ...base,
      name: `${name} activations, selective`,
      counts: "activations",
      measuredBytes: selective * GiB,
      job: of({}),
      layout: { ...at, recompute: "selective" },
    },
  ];
}

const llama = (size: string) => architectureOf(presetConfig(`llama-3.1-${size}`), `llama-3.1-${size}`);

/**
 * torchtitan reports the allocator's reserved peak. In 2024 the loss was not compiled and its gradient took three 32-bit copies of the logits; in June 2025 it was.
 * "Selective" is per operation there.
 */
function titanRow(
  name: string,
  model: string,
  gib: number,
  l: Partial<Layout>,
  j: Partial<Job>,
  source = titan2024,
): MemoryRow {
  return {
    family: "torchtitan",
    name,
    counts: "reserved",
    measuredBytes: gib * GiB,
    microBatches: 1,
    source,
    job: job(llama(model), FSDP, { fusedLoss: source !== titan2024, selective: "alternate", ...j }),
    layout: layout({ zero: 3, recompute: "selective", ...l }),
  };
}

const MOMENTS_16: ParameterBytes = { weight: 2, gradient: 2, master: 4, moments: 4 };
const GRADIENTS_16: ParameterBytes = { weight: 2, gradient: 2, master: 4, moments: 8 };

const MEMORY_ROWS: MemoryRow[] = [
  ...gptRows("megatron-22b", 1, 1, 4, 45.5625, 59.25, 9.5625),
  ...gptRows("gpt3-175b", 8, 3, 1, 45.5625, 66.84375, 12.3515625),
  ...gptRows("mt-nlg-530b", 35, 3, 1, 31.640625, 114.0234375, 23.076171875),
  ...gptRows("megatron-1t", 64, 1, 1, 32.958984375, 131.25, 26.5625),
  titanRow("8B FSDP 8, eager", "8b", 82.4, { dp: 8, microBatch: 2 }, { selective: "alternateEager" }),
  titanRow("8B FSDP 8, compiled", "8b", 77.0, { dp: 8, microBatch: 2 }, {}),
  titanRow("8B FSDP 8, compiled, FP8", "8b", 76.8, { dp: 8, microBatch: 2 }, { precision: "fp8" }),
  titanRow("8B FSDP 128, eager", "8b", 67.0, { dp: 128, microBatch: 2 }, { selective: "alternateEager" }),
  titanRow("8B FSDP 128, compiled", "8b", 62.0, { dp: 128, microBatch: 2 }, {}),
  titanRow("8B FSDP 128, compiled, FP8", "8b", 61.8, { dp: 128, microBatch: 2 }, { precision: "fp8" }),
  ...[1, 2, 4, 8].map((cp, i) =>
    titanRow(
      `8B FSDP ${8 / cp}, CP ${cp}, full recomputation, FP8`,
      "8b",
      [83.9, 84.2, 84.0, 84.5][i]!,
      { dp: 8 / cp, cp, recompute: "full" },
      { sequence: 32768 * cp, precision: "fp8" },
    ),
  ),
  titanRow(
    "70B FSDP 32, TP 8, full recomputation, FP8",
    "70b",
    71.9,
    { dp: 32, tp: 8, microBatch: 16, recompute: "full" },
    { precision: "fp8" },
  ),
  titanRow(
    "8B FSDP 32 on H200, compiled, FP8",
    "8b",
    47.96,
    { dp: 32, microBatch: 2 },
    { precision: "fp8" },
    titan2025,
  ),
  titanRow(
    "8B FSDP 64 on H200, compiled, FP8",
    "8b",
    46.97,
    { dp: 64, microBatch: 2 },
    { precision: "fp8" },
    titan2025,
  ),
  {
    family: "Megatron Bridge",
    name: "Qwen3-30B-A3B, EP 16, balanced routing",
    counts: "allocated",
    measuredBytes: 62.166 * GiB,
    microBatches: 64,
    source: bridge,
    job: job(architectureOf(presetConfig("qwen3-30b-a3b"), "qwen3-30b-a3b"), GRADIENTS_16, { sequence: 4096 }),
    layout: layout({ dp: 16, ep: 16, zero: 1 }),
  },
  {
    family: "Megatron Bridge",
    name: "Moonlight-16B-A3B, TP 2, EP 8",
    counts: "allocated",
    measuredBytes: 36.618e9,
    microBatches: 1,
    source: bridge,
    job: job(architectureOf(presetConfig("moonlight-16b-a3b"), "moonlight-16b-a3b"), MOMENTS_16, { sequence: 4096 }),
    layout: layout({ dp: 4, tp: 2, ep: 8, zero: 1 }),
  },
];

/** What the memory model says of a row. */
function predictRow({ counts, job, layout, microBatches }: MemoryRow): number {
  const held = heldByFormula(job.schedule, layout, microBatches);
  if (counts === "states" || counts === "activations") {
    const [run] = modelWork(job, layout).runs;
    const perRank = layerCount(job.architecture) / layout.pp;
    const { weight, gradient, master, moments } = job.bytes;
    if (counts === "states") return perRank * run!.sharedParameters * (weight + gradient + master + moments);
    return (perRank / layout.vp) * held.inFlight[0]! * run!.activationBytes;
  }
  return memoryOf(job, layout, held, { slack: counts === "reserved" ? ALLOCATOR_SLACK : 0, contextBytes: 0 }).total;
}

/** Predicted over measured, less one. */
export const memoryErrors = (rows = MEMORY_ROWS): { row: MemoryRow; predictedBytes: number; error: number }[] =>
  rows.map((row) => {
    const predictedBytes = predictRow(row);
    return { row, predictedBytes, error: predictedBytes / row.measuredBytes - 1 };
  });
