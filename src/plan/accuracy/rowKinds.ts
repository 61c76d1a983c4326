/** What rows of published speeds are made of: jobs, layouts, and each source's way to state a speed. */
import { presetConfig } from "../../model/presets.ts";
import { type Architecture, architectureOf, gptArchitecture } from "../architecture.ts";
import { chipOf } from "../chips.ts";
import { clusterOf } from "../cluster.ts";
import { FSDP, MIXED } from "../memory.ts";
import type { Chip, Job, Layout, Source } from "../types.ts";

/**
 * One published figure of speed. `fixed` is what the source says of the layout; what it leaves open is searched, within memory. Whatever was measured is
 * kept as `stepSeconds`, so that all errors mean the same.
 */
export interface Row {
  id: string;
  /** Rows that share authors, software and machine; nothing is fitted on the family that is tested. */
  family: string;
  job: Job;
  fixed: Partial<Layout>;
  stepSeconds: number;
  /** As published, with its convention. */
  measured: string;
  /** Hours of a whole run: failures, restarts and evaluation are in it. `rate` hours are stated per tokens of steady training. */
  whole?: "run" | "rate";
  gpuHours?: number;
  tokens?: number;
  /** Active parameters, for 6ND. */
  active?: number;
  /** Utilization the source itself reports, for the second baseline. */
  reportedMfu?: number;
  source: Source;
  /** What had to be assumed. */
  note?: string;
  /** Known only after the time model was made: its errors say what the planner does with what nobody had seen. */
  later?: true;
  /** Why the row is shown but neither fitted nor counted. */
  apart?: string;
}

export const primary = (title: string, date: string, url?: string): Source => ({
  title,
  date,
  mark: "primary",
  ...(url && { url }),
});
export const secondary = (title: string, date: string, url?: string): Source => ({
  title,
  date,
  mark: "secondary",
  ...(url && { url }),
});

export const bridge = (version: string) =>
  primary(
    `Megatron-Bridge, docs/performance-summary, container ${version}`,
    `20${version.slice(0, 2)}-${version.slice(3, 5)}`,
    "https://github.com/NVIDIA-NeMo/Megatron-Bridge",
  );
export const TITAN24 = primary(
  "torchtitan, benchmarks/llama3_h100_202412_torchtitan.md",
  "2024-12",
  "https://github.com/pytorch/torchtitan",
);

export const GUESSED = "number of GPUs assumed";

/** H100 with slower, larger memory and a limit of 500 W, as torchtitan's machines have. */
export const H100_500W: Chip = {
  ...chipOf("h100"),
  id: "h100-500w",
  name: "H100 96 GB, 500 W",
  hbmBytes: 96e9,
  hbmBytesPerSec: 2.4e12,
  watts: 500,
};

export const job = (
  architecture: Architecture,
  chip: Chip | string,
  gpus: number,
  sequence: number,
  batch: number,
  more: Partial<Job> = {},
): Job => ({
  architecture,
  cluster: clusterOf(typeof chip === "string" ? chipOf(chip) : chip, gpus),
  sequence,
  batch,
  precision: "bf16",
  schedule: "1f1b",
  imbalance: 1,
  bytes: MIXED,
  mtp: false,
  ...more,
});
export const gpt = (name: string, hidden: number, heads: number, layers: number, vocab = 51200): Architecture =>
  gptArchitecture({ name, hidden, heads, layers, vocab, positions: 2048 });

export const preset = (name: string) => architectureOf(presetConfig(name), name);
export const bridgeRow = (
  name: string,
  architecture: Architecture,
  chip: Chip | string,
  gpus: number,
  batch: number,
  sequence: number,
  fixed: Partial<Layout>,
  tokensPerSec: number,
  version: string,
  more: Partial<Job> = {},
): Row => ({
  id: `Megatron-Bridge ${name} ${typeof chip === "string" ? chip : chip.id} × ${gpus}`,
  family: `Megatron-Bridge ${architecture.layers.some(({ ffn }) => ffn.kind === "moe") ? "MoE" : "dense"}`,
  job: job(architecture, chip, gpus, sequence, batch, {
    precision: "fp8",
    schedule: (fixed.vp ?? 1) > 1 ? "interleaved" : "1f1b",
    ...more,
  }),
  fixed: {
    cp: 1,
    tp: 1,
    pp: 1,
    vp: 1,
    ep: 1,
    zero: 1,
    microBatch: 1,
    ...fixed,
    dp: gpus / ((fixed.tp ?? 1) * (fixed.pp ?? 1) * (fixed.cp ?? 1)),
  },
  stepSeconds: (batch * sequence) / (gpus * tokensPerSec),
  measured: `${tokensPerSec} tokens/s and GPU`,
  source: bridge(version),
  note: "routing forced into balance where there are experts; recomputation as in the repository's recipes (the 70B on GB200 offloads activations to the host)",
});
export const titan = (
  id: string,
  model: string,
  chip: Chip | string,
  gpus: number,
  sequence: number,
  local: number,
  fixed: Partial<Layout>,
  tokensPerSec: number,
  source: Source,
  more: Partial<Job> = {},
  apart?: string,
): Row => {
  const dp = gpus / ((fixed.tp ?? 1) * (fixed.cp ?? 1) * (fixed.pp ?? 1));
  return {
    id: `torchtitan ${id}`,
    family: "torchtitan",
    job: job(preset(model), chip, gpus, sequence, local * dp, {
      bytes: FSDP,
      fusedLoss: false,
      selective: "alternate",
      overlap: { tp: false, dp: true },
      attentionKernels: chip === "a100-80" ? "tuned" : "older",
      ...more,
    }),
    fixed: { cp: 1, tp: 1, pp: 1, vp: 1, ep: 1, zero: 3, microBatch: local, recompute: "selective", ...fixed, dp },
    stepSeconds: (local * dp * sequence) / (gpus * tokensPerSec),
    measured: `${tokensPerSec} tokens/s and GPU`,
    source,
    apart,
  };
};
export interface Run {
  id: string;
  family: string;
  architecture: Architecture;
  chip: string;
  gpus: number;
  sequence: number;
  batch: number;
  tokens: number;
  gpuHours: number;
  active: number;
  source: Source;
  fixed?: Partial<Layout>;
  more?: Partial<Job>;
  whole?: "run" | "rate";
  note?: string;
  reportedMfu?: number;
}
export const run = (r: Run): Row => ({
  id: r.id,
  family: r.family,
  job: job(r.architecture, r.chip, r.gpus, r.sequence, r.batch, r.more),
  fixed: { cp: 1, ...r.fixed },
  stepSeconds: ((r.gpuHours * 3600) / r.gpus) * ((r.batch * r.sequence) / r.tokens),
  measured: `${r.gpuHours.toLocaleString("en")} GPU-hours`,
  whole: r.whole ?? "run",
  gpuHours: r.gpuHours,
  tokens: r.tokens,
  active: r.active,
  source: r.source,
  note: r.note,
  reportedMfu: r.reportedMfu,
});
