/** Published speeds that were unknown when the time model was made: its errors on them are those of new questions. */
import { type Architecture, gptArchitecture } from "../architecture.ts";
import { chipOf } from "../chips.ts";
import { FSDP, MIXED } from "../memory.ts";
import type { Job, Layout } from "../types.ts";
import { bridgeRow, GUESSED, H100_500W, job, preset, primary, type Row, run, TITAN24, titan } from "./rowKinds.ts";

const CARDS = primary(
  "Llama 3 and 3.1 model cards, meta-llama/llama-models",
  "2024-07",
  "https://github.com/meta-llama/llama-models",
);
const FOUNDRY = primary(
  "llm-foundry, scripts/train/benchmarking/README.md (H100 80 GB)",
  "2023-11",
  "https://github.com/mosaicml/llm-foundry",
);
const MPT = primary(
  "Introducing MPT-7B: 440 A100 40 GB, 9.5 days, 1T tokens",
  "2023-05-05",
  "https://www.databricks.com/blog/mpt-7b",
);
const TITAN_B200 = primary(
  "Enabling up to 41 % faster pre-training: MXFP8 and DeepEP for DeepSeek-V3 on B200 with torchtitan",
  "2026-03",
  "https://pytorch.org/blog/enabling-up-to-41-faster-pre-training-mxfp8-and-deepep-for-deepseek-v3-on-b200-with-torchtitan",
);

// -- torchtitan: 405B with a pipeline -----------------------------------------------------------------------------------------------------------
/** FSDP within a pipeline keeps gathered weights and whole 32-bit gradients: ZeRO-1's memory. */
const PIPELINED: Partial<Job> = { precision: "fp8", bytes: MIXED, overlap: { tp: true, dp: true } };
const titan405 = (id: string, sequence: number, batch: number, cp: number, tokensPerSec: number, vp?: number): Row => {
  const dp = 8 / cp;
  return titan(
    `405B × 512 ${id}`,
    "llama-3.1-405b",
    H100_500W,
    512,
    sequence,
    batch / dp,
    { tp: 8, pp: 8, cp, vp: vp === undefined ? 1 : undefined, zero: 1, microBatch: undefined, recompute: "full" },
    tokensPerSec,
    TITAN24,
    { ...PIPELINED, schedule: vp === undefined ? "1f1b" : "interleaved" },
  );
};
const TITAN_405B: Row[] = [
  titan405("1F1B", 8192, 256, 1, 100),
  titan405("interleaved", 8192, 256, 1, 128, 2),
  titan405("at 32K", 32768, 64, 1, 76),
  titan405("at 64K", 65536, 32, 2, 47),
  titan405("at 128K", 131072, 16, 4, 31),
  titan405("at 256K", 262144, 8, 8, 16),
];
const titanV3 = (id: string, precision: Job["precision"], tokensPerSec: number): Row => ({
  id: `torchtitan DeepSeek-V3 b200 × 256 ${id}`,
  family: "torchtitan DeepSeek-V3",
  job: job(preset("deepseek-v3"), "b200", 256, 4096, 2048, { precision, bytes: FSDP }),
  fixed: { cp: 1 },
  stepSeconds: (2048 * 4096) / (256 * tokensPerSec),
  measured: `${tokensPerSec} tokens/s and GPU`,
  source: TITAN_B200,
  note: "layout and batch assumed",
});

// -- Megatron-Bridge ------------------------------------------------------------------------------------------------------------------------------
/** Sizes of openai/gpt-oss-120b; its sliding windows are taken as whole attention. */
const GPT_OSS: Architecture = {
  ...preset("qwen3-30b-a3b"),
  name: "gpt-oss-120b",
  hidden: 2880,
  vocab: 201088,
  layers: [
    {
      count: 36,
      attention: { kind: "gqa", heads: 64, kvHeads: 8, headDim: 64, qkvBias: true, outBias: true, qkNorm: false },
      ffn: { kind: "moe", experts: 128, perToken: 4, width: 2880, shared: 0 },
    },
  ],
};
const GB300 = { ...chipOf("gb200"), id: "gb300", name: "GB300", hbmBytes: 277e9, watts: 1400 };
const BF16: Partial<Job> = { precision: "bf16" };
const MTP: Partial<Job> = { mtp: true };
const BRIDGE: Row[] = [
  bridgeRow("gpt-oss 120B", GPT_OSS, "h100", 64, 1280, 4096, { pp: 4, ep: 8 }, 5993, "26.02", BF16),
  bridgeRow("gpt-oss 120B", GPT_OSS, "b200", 64, 1280, 4096, { ep: 8, microBatch: 4 }, 13045, "26.04", BF16),
  bridgeRow("gpt-oss 120B", GPT_OSS, "gb200", 64, 1280, 4096, { ep: 64, microBatch: 4 }, 15938, "26.04", BF16),
  bridgeRow(
    "Qwen3 235B-A22B",
    preset("qwen3-235b-a22b"),
    "gb200",
    256,
    8192,
    4096,
    { pp: 8, vp: 3, ep: 32 },
    7280,
    "26.08",
  ),
  bridgeRow(
    "Qwen3 235B-A22B",
    preset("qwen3-235b-a22b"),
    "b200",
    64,
    1024,
    4096,
    { pp: 8, vp: 2, ep: 8 },
    3269,
    "25.11",
  ),
  bridgeRow("Qwen3 30B-A3B", preset("qwen3-30b-a3b"), "gb200", 8, 512, 4096, { ep: 8, microBatch: 4 }, 39936, "26.08"),
  bridgeRow("Qwen3 30B-A3B", preset("qwen3-30b-a3b"), "b300", 8, 512, 4096, { ep: 8, microBatch: 8 }, 40769, "26.06"),
  bridgeRow(
    "DeepSeek-V3",
    preset("deepseek-v3"),
    "b300",
    256,
    4096,
    4096,
    { pp: 8, ep: 8, microBatch: 2 },
    3541,
    "26.06",
    MTP,
  ),
  bridgeRow(
    "DeepSeek-V3 BF16",
    preset("deepseek-v3"),
    "gb200",
    256,
    4096,
    4096,
    { pp: 4, vp: 4, ep: 64 },
    3139,
    "25.11",
    BF16,
  ),
  bridgeRow("DeepSeek-V3", preset("deepseek-v3"), GB300, 256, 4096, 4096, { pp: 2, vp: 8, ep: 32 }, 6288, "26.08", MTP),
  bridgeRow(
    "Kimi K2",
    preset("kimi-k2"),
    GB300,
    256,
    4096,
    4096,
    { pp: 4, vp: 4, ep: 64, microBatch: 2 },
    5372,
    "26.06",
  ),
  bridgeRow("Llama 3 8B", preset("llama-3.1-8b"), "gb200", 8, 128, 8192, { microBatch: 2 }, 31508, "25.11"),
  bridgeRow("Llama 3 8B", preset("llama-3.1-8b"), "b200", 8, 128, 8192, { microBatch: 2 }, 30624, "25.11"),
  bridgeRow("Llama 3.1 405B", preset("llama-3.1-405b"), GB300, 256, 1536, 8192, { tp: 4, pp: 8, vp: 4 }, 1048, "26.06"),
  bridgeRow(
    "Llama 3.1 405B",
    preset("llama-3.1-405b"),
    "b200",
    128,
    64,
    8192,
    { tp: 4, pp: 8, cp: 2, vp: 8 },
    661,
    "25.11",
  ),
  bridgeRow(
    "Llama 3.1 405B batch 512",
    preset("llama-3.1-405b"),
    "h100",
    1024,
    512,
    8192,
    { tp: 8, pp: 8, cp: 2, vp: 8 },
    292,
    "25.11",
  ),
];

// -- MosaicML: MPT under FSDP ---------------------------------------------------------------------------------------------------------------------
const mpt = (name: string, hidden: number, heads: number, layers: number): Architecture => ({
  ...gptArchitecture({ name, hidden, heads, layers, vocab: 50368, dropout: false }),
});
const MPT_7B = mpt("MPT-7B", 4096, 32, 32),
  MPT_13B = mpt("MPT-13B", 5120, 40, 40),
  MPT_30B = mpt("MPT-30B", 7168, 56, 48);
/** Triton's FlashAttention and PyTorch's first FSDP. */
const FSDP_2023: Partial<Job> = { overlap: { tp: false, dp: true }, fusedLoss: false, attentionKernels: "older" };
const foundry = (
  architecture: Architecture,
  gpus: number,
  sequence: number,
  batch: number,
  microBatch: number,
  recompute: Layout["recompute"],
  tokensPerSec: number,
): Row => ({
  id: `${architecture.name} × ${gpus} at ${sequence}`,
  family: "MosaicML",
  job: job(architecture, "h100", gpus, sequence, batch, FSDP_2023),
  fixed: { dp: gpus, tp: 1, cp: 1, pp: 1, vp: 1, ep: 1, zero: 3, microBatch, recompute },
  stepSeconds: (batch * sequence) / (gpus * tokensPerSec),
  measured: `${tokensPerSec} tokens/s and GPU`,
  source: FOUNDRY,
});
const FOUNDRY_ROWS: Row[] = [
  foundry(mpt("MPT-70B", 8192, 64, 80), 64, 2048, 2048, 8, "full", 1039),
  foundry(MPT_30B, 16, 2048, 480, 10, "full", 2263),
  foundry(MPT_30B, 8, 8192, 168, 1, "full", 1384),
  foundry(MPT_13B, 64, 2048, 128, 2, "none", 4800),
  foundry(MPT_13B, 8, 16384, 72, 3, "full", 2985),
  foundry(MPT_7B, 8, 2048, 48, 6, "none", 10643),
  foundry(MPT_7B, 8, 8192, 128, 8, "full", 6935),
  foundry(mpt("MPT-3B", 2560, 20, 32), 64, 2048, 1152, 6, "none", 22525),
  foundry(mpt("MPT-1B", 2048, 16, 24), 64, 2048, 1280, 20, "none", 44402),
];

// -- whole runs ---------------------------------------------------------------------------------------------------------------------------------
const llama3 = (
  id: string,
  model: string,
  gpus: number,
  batch: number,
  tokens: number,
  gpuHours: number,
  active: number,
  note: string,
  fixed?: Partial<Layout>,
): Row =>
  run({
    id,
    family: "Llama 3",
    architecture: preset(model),
    chip: "h100",
    gpus,
    sequence: 8192,
    batch,
    tokens,
    gpuHours,
    active,
    source: CARDS,
    note,
    fixed,
    more: { attentionKernels: "older", ...(fixed?.pp && { schedule: "interleaved" }) },
  });
const RUNS: Row[] = [
  llama3("Llama 3 8B", "llama-3.1-8b", 2048, 1024, 15e12, 1.3e6, 8.03e9, GUESSED),
  llama3("Llama 3 70B", "llama-3.1-70b", 8192, 2048, 15e12, 6.4e6, 70.6e9, GUESSED),
  llama3(
    "Llama 3.1 8B",
    "llama-3.1-8b",
    2048,
    1024,
    15e12,
    1.46e6,
    8.03e9,
    `${GUESSED}; hours hold the extension to 128K`,
  ),
  llama3(
    "Llama 3.1 70B",
    "llama-3.1-70b",
    8192,
    2048,
    15e12,
    7e6,
    70.6e9,
    `${GUESSED}; hours hold the extension to 128K`,
  ),
  llama3(
    "Llama 3.1 405B",
    "llama-3.1-405b",
    16384,
    2048,
    15.6e12,
    30.84e6,
    405.9e9,
    "hours hold the extension to 128K and annealing",
    { dp: 128, tp: 8, pp: 16 },
  ),
  run({
    id: "MPT-7B",
    family: "MosaicML",
    architecture: mpt("MPT-7B", 4096, 32, 32),
    chip: "a100-40",
    gpus: 440,
    sequence: 2048,
    batch: 1760,
    tokens: 1e12,
    gpuHours: 100_320,
    active: 6.65e9,
    source: MPT,
    fixed: { dp: 440, tp: 1, pp: 1, ep: 1, vp: 1, zero: 3 },
    more: FSDP_2023,
  }),
];

export const LATER_ROWS: Row[] = [
  ...TITAN_405B,
  titanV3("BF16", "bf16", 859),
  titanV3("MXFP8", "fp8", 918),
  ...BRIDGE,
  ...FOUNDRY_ROWS,
  ...RUNS,
].map((row) => ({ ...row, later: true }));
