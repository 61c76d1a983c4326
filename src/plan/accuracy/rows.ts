/** Published speeds of training runs, with their sources: what the planner is fitted on and judged by. */
import { type Architecture, gptArchitecture } from "../architecture.ts";
import { DEEPSEEK } from "../memory.ts";
import type { Job, Layout } from "../types.ts";
import { LATER_ROWS } from "./laterRows.ts";
import {
  bridgeRow,
  GUESSED,
  gpt,
  H100_500W,
  job,
  preset,
  primary,
  type Row,
  run,
  secondary,
  TITAN24,
  titan,
} from "./rowKinds.ts";

export type { Row } from "./rowKinds.ts";

const MEGATRON = secondary(
  "Narayanan and others, Efficient Large-Scale Language Model Training, arXiv:2104.04473, tables 1 and 2",
  "2021-08",
  "https://arxiv.org/abs/2104.04473",
);
const KORTHIKANTI = secondary(
  "Korthikanti and others, arXiv:2205.05198, table 5, as calculon's validation has it",
  "2022-05",
  "https://arxiv.org/abs/2205.05198",
);
const CORE = primary("Megatron-LM, images/model_table.png", "2024", "https://github.com/NVIDIA/Megatron-LM");
const TITAN25 = primary(
  "torchtitan, benchmarks/asyncTP_llama3_h100_2025-06_torchtitan.md",
  "2025-06",
  "https://github.com/pytorch/torchtitan",
);
const TITAN200 = primary(
  "torchtitan, benchmarks/llama3-8b_h200_202506_trainy-whitefiber.md",
  "2025-06",
  "https://github.com/pytorch/torchtitan",
);
const TITAN100 = primary("torchtitan, docs/performance.md", "2024-07", "https://github.com/pytorch/torchtitan");
const PYTHIA = primary(
  "Pythia, arXiv:2304.01373, appendix; layouts from the repository's models/*.yml",
  "2023-04",
  "https://github.com/EleutherAI/pythia",
);
const LLAMA1 = primary(
  "LLaMA, arXiv:2302.13971, table 15 and section 2.4",
  "2023-02",
  "https://arxiv.org/abs/2302.13971",
);
const LLAMA2 = primary(
  "Llama 2 model card, meta-llama/llama-models",
  "2023-07",
  "https://github.com/meta-llama/llama-models",
);
const GLM = primary("GLM-130B, arXiv:2210.02414", "2022-10", "https://arxiv.org/abs/2210.02414");
const V2 = primary("DeepSeek-V2, arXiv:2405.04434, section 3.2.3", "2024-05", "https://arxiv.org/abs/2405.04434");
const V3 = primary(
  "DeepSeek-V3, arXiv:2412.19437, table 1; step of arXiv:2505.09343, table 4",
  "2025-05",
  "https://arxiv.org/abs/2505.09343",
);

/** Megatron-LM of 2021 summed and exchanged gradients in 16 bits. */
const HALF_GRADIENTS = { weight: 2, gradient: 2, master: 4, moments: 8 };
/** Before fused attention and overlap. */
const OLD: Partial<Job> = {
  fusedAttention: false,
  sequenceParallel: false,
  fusedLoss: false,
  overlap: { tp: false, dp: false },
};

/** Megatron's count of a GPT's matrix FLOPs a step, attention whole, `passes` 4 with recomputation (hardware FLOPs) or 3 (model FLOPs). */
const gptFlops = (B: number, s: number, l: number, h: number, V: number, passes: 3 | 4): number =>
  24 * passes * B * s * l * h * h * (1 + s / (6 * h)) + 6 * B * s * h * V;

// -- Megatron-LM 2021 -------------------------------------------------------------------------------------------------------------------------
// [parameters in billions, heads, hidden, layers, tp, pp, gpus, batch, TFLOP/s]
const MEGATRON_2021: [number, number, number, number, number, number, number, number, number][] = [
  [1.7, 24, 2304, 24, 1, 1, 32, 512, 137],
  [3.6, 32, 3072, 30, 2, 1, 64, 512, 138],
  [7.5, 32, 4096, 36, 4, 1, 128, 512, 142],
  [18.4, 48, 6144, 40, 8, 1, 256, 1024, 135],
  [39.1, 64, 8192, 48, 8, 2, 512, 1536, 138],
  [76.1, 80, 10240, 60, 8, 4, 1024, 1792, 140],
  [145.6, 96, 12288, 80, 8, 8, 1536, 2304, 148],
  [310.1, 128, 16384, 96, 8, 16, 1920, 2160, 155],
  [529.6, 128, 20480, 105, 8, 35, 2520, 2520, 163],
  [1008, 160, 25600, 128, 8, 64, 3072, 3072, 163],
];
const TABLE_2: [number, number, number, number, number, number, number, number, number][] = [
  [174.6, 96, 12288, 96, 8, 12, 384, 1536, 153],
  [174.6, 96, 12288, 96, 8, 12, 768, 1536, 149],
  [174.6, 96, 12288, 96, 8, 12, 1536, 1536, 141],
  [529.6, 128, 20480, 105, 8, 35, 560, 2240, 171],
  [529.6, 128, 20480, 105, 8, 35, 1120, 2240, 167],
  [529.6, 128, 20480, 105, 8, 35, 2240, 2240, 159],
];
const ZERO_3: [number, number, number, number, number, number, number, number, number][] = [
  [174.6, 96, 12288, 96, 1, 1, 384, 1536, 144],
  [174.6, 96, 12288, 96, 1, 1, 768, 1536, 88],
  [174.6, 96, 12288, 96, 1, 1, 1536, 1536, 44],
  [529.6, 128, 20480, 105, 1, 1, 640, 2560, 138],
  [529.6, 128, 20480, 105, 1, 1, 1120, 2240, 98],
  [529.6, 128, 20480, 105, 1, 1, 2240, 2240, 48],
];
const megatronRow =
  (family: string, zero: 0 | 3, interleave: boolean) =>
  ([billions, heads, hidden, layers, tp, pp, gpus, batch, tflops]: (typeof TABLE_2)[number]): Row => {
    const perStage = layers / pp,
      dp = gpus / (tp * pp);
    const vp = interleave && pp > 1 && (batch / dp) % pp === 0 ? [2, 3, 5, 1].find((v) => perStage % v === 0)! : 1;
    return {
      id: `${family} ${billions}B × ${gpus}`,
      family,
      job: job(gpt(`GPT ${billions}B`, hidden, heads, layers), "a100-80", gpus, 2048, batch, {
        ...OLD,
        schedule: vp > 1 ? "interleaved" : "1f1b",
        bytes: HALF_GRADIENTS,
        fusedAccumulation: false,
        ...(zero === 3 && { overlap: { tp: false, dp: true } }),
      }),
      fixed: {
        dp,
        tp,
        pp,
        cp: 1,
        ep: 1,
        zero,
        vp,
        recompute: "full",
        ...(zero === 3 ? { microBatch: batch / gpus } : { microBatch: pp > 4 ? 1 : undefined }),
      },
      stepSeconds: gptFlops(batch, 2048, layers, hidden, 51200, 4) / (tflops * 1e12 * gpus),
      measured: `${tflops} TFLOP/s, recomputation counted, attention whole`,
      source: billions < 10 ? { ...MEGATRON, mark: "unconfirmed" } : MEGATRON,
      ...(zero === 3 && {
        apart: "the first ZeRO-3: what held it back (few buckets, no prefetch) is not in the model",
      }),
      note: zero === 3 ? "micro-batch = batch ÷ GPUs" : vp > 1 ? `interleaving of ${vp} assumed` : undefined,
    };
  };

// -- Korthikanti 2022 -------------------------------------------------------------------------------------------------------------------------
const korthikanti = (
  name: string,
  hidden: number,
  heads: number,
  layers: number,
  pp: number,
  vp: number,
  batch: number,
  microBatch: number,
  times: { full: number; selective: number },
): Row[] =>
  (["full", "selective"] as const).map((recompute) => ({
    id: `Korthikanti ${name} ${recompute}`,
    family: "Korthikanti 2022",
    job: job(gpt(name, hidden, heads, layers), "a100-80", 8 * pp, 2048, batch, {
      ...OLD,
      sequenceParallel: recompute === "selective",
      schedule: vp > 1 ? "interleaved" : "1f1b",
    }),
    fixed: { dp: 1, tp: 8, pp, cp: 1, ep: 1, vp, zero: 0, microBatch, recompute },
    stepSeconds: times[recompute],
    measured: `${times[recompute]} s a step`,
    source: KORTHIKANTI,
  }));

// -- Megatron-Core on H100 ----------------------------------------------------------------------------------------------------------------------
const CORE_H100: [number, number, number, number, number, number, number, number, number][] = [
  [1.7, 16, 2048, 24, 1, 1, 48, 192, 408.8],
  [16, 48, 6144, 32, 4, 1, 192, 192, 489.1],
  [32, 56, 7168, 48, 8, 1, 384, 192, 459.6],
  [119, 80, 10240, 92, 8, 4, 1536, 768, 420.5],
  [314, 128, 16384, 96, 8, 8, 3072, 1536, 474.4],
];
const coreRow = ([billions, heads, hidden, layers, tp, pp, gpus, batch, tflops]: (typeof TABLE_2)[number]): Row => ({
  id: `Megatron-Core H100 ${billions}B × ${gpus}`,
  family: "Megatron-Core H100",
  job: job({ ...gpt(`GPT ${billions}B`, hidden, heads, layers, 131072), dropout: false }, "h100", gpus, 4096, batch, {
    schedule: pp > 1 ? "interleaved" : "1f1b",
  }),
  fixed: { dp: 48, tp, pp, cp: 1, ep: 1, zero: 1, microBatch: pp > 1 ? 1 : undefined },
  stepSeconds: gptFlops(batch, 4096, layers, hidden, 131072, 3) / (tflops * 1e12 * gpus),
  measured: `${tflops} TFLOP/s, model FLOPs, attention whole`,
  source: CORE,
  note: "micro-batch, interleaving and recomputation searched",
});

// -- Megatron-Bridge --------------------------------------------------------------------------------------------------------------------------
const BRIDGE: Row[] = [
  bridgeRow(
    "DeepSeek-V3",
    preset("deepseek-v3"),
    "h100",
    1024,
    8192,
    4096,
    { tp: 2, pp: 8, vp: 4, ep: 64 },
    1297,
    "25.09",
    { mtp: true, overlap: { ep: true } },
  ),
  bridgeRow("DeepSeek-V3", preset("deepseek-v3"), "b200", 256, 4096, 4096, { pp: 16, ep: 8 }, 2689, "26.08", {
    mtp: true,
  }),
  bridgeRow("DeepSeek-V3", preset("deepseek-v3"), "gb200", 256, 4096, 4096, { pp: 4, vp: 4, ep: 64 }, 4912, "26.08", {
    mtp: true,
  }),
  bridgeRow(
    "Llama 3.1 405B",
    preset("llama-3.1-405b"),
    "h100",
    1024,
    1536,
    8192,
    { tp: 8, pp: 8, cp: 2, vp: 8, recompute: "none" },
    326,
    "26.06",
  ),
  bridgeRow(
    "Llama 3.1 405B",
    preset("llama-3.1-405b"),
    "gb200",
    256,
    1536,
    8192,
    { tp: 4, pp: 16, vp: 4, recompute: "none" },
    843,
    "26.06",
  ),
  bridgeRow(
    "Llama 3 70B",
    preset("llama-3.1-70b"),
    "h100",
    64,
    256,
    8192,
    { tp: 4, pp: 8, vp: 5, recompute: "none" },
    1664,
    "26.04",
  ),
  bridgeRow(
    "Llama 3 70B",
    preset("llama-3.1-70b"),
    "gb200",
    64,
    256,
    8192,
    { zero: 3, microBatch: 2, recompute: "none" },
    4224,
    "26.04",
  ),
  bridgeRow("Llama 3 8B", preset("llama-3.1-8b"), "h100", 8, 128, 8192, { zero: 3, recompute: "none" }, 14451, "25.11"),
  bridgeRow(
    "Qwen3 30B-A3B",
    preset("qwen3-30b-a3b"),
    "h100",
    16,
    1024,
    4096,
    { ep: 16, recompute: "none" },
    8826,
    "26.06",
  ),
  bridgeRow(
    "Qwen3 235B-A22B",
    preset("qwen3-235b-a22b"),
    "h100",
    256,
    8192,
    4096,
    { tp: 2, pp: 8, vp: 4, ep: 32 },
    1712,
    "26.04",
    { overlap: { ep: true } },
  ),
];

// -- torchtitan -------------------------------------------------------------------------------------------------------------------------------
const EAGER = "not compiled: its element-wise kernels are not fused, which the model does not describe";
const FP8: Partial<Job> = { precision: "fp8" };
const ASYNC: Partial<Job> = { overlap: { tp: true, dp: true } };
const M8 = "llama-3.1-8b",
  M70 = "llama-3.1-70b";
const TITAN: Row[] = [
  titan("8B × 8 eager", M8, H100_500W, 8, 8192, 2, {}, 5762, TITAN24, {}, EAGER),
  titan("8B × 8", M8, H100_500W, 8, 8192, 2, {}, 6667, TITAN24),
  titan("8B × 8 FP8", M8, H100_500W, 8, 8192, 2, {}, 8532, TITAN24, FP8),
  titan("8B × 128 eager", M8, H100_500W, 128, 8192, 2, {}, 5605, TITAN24, {}, EAGER),
  titan("8B × 128", M8, H100_500W, 128, 8192, 2, {}, 6514, TITAN24),
  titan("8B × 128 FP8", M8, H100_500W, 128, 8192, 2, {}, 8380, TITAN24, FP8),
  ...(
    [
      [1, 32768, 3890],
      [2, 65536, 2540],
      [4, 131072, 1071],
      [8, 262144, 548],
    ] as const
  ).map(([cp, sequence, v]) =>
    titan(`8B × 8 at ${sequence / 1024}K`, M8, H100_500W, 8, sequence, 1, { cp, recompute: "full" }, v, TITAN24, FP8),
  ),
  titan("70B × 256 tp 8 FP8", M70, H100_500W, 256, 8192, 16, { tp: 8, recompute: "full" }, 829, TITAN24, FP8),
  titan("70B × 256 tp 8 FP8 async", M70, H100_500W, 256, 8192, 16, { tp: 8, recompute: "full" }, 876, TITAN24, {
    ...FP8,
    ...ASYNC,
  }),
  titan("70B × 256 tp 8 (2025)", M70, H100_500W, 256, 8192, 16, { tp: 8, recompute: "full" }, 597.3, TITAN25),
  titan(
    "70B × 256 tp 8 async (2025)",
    M70,
    H100_500W,
    256,
    8192,
    16,
    { tp: 8, recompute: "full" },
    652.4,
    TITAN25,
    ASYNC,
  ),
  titan("70B × 256 tp 8 FP8 (2025)", M70, H100_500W, 256, 8192, 16, { tp: 8, recompute: "full" }, 809.8, TITAN25, FP8),
  titan(
    "70B × 256 tp 8 FP8 async (2025)",
    M70,
    H100_500W,
    256,
    8192,
    16,
    { tp: 8, recompute: "full" },
    942.4,
    TITAN25,
    { ...FP8, ...ASYNC },
  ),
  titan("8B × 64 tp 8 (2025)", M8, H100_500W, 64, 8192, 12, { tp: 8 }, 4378, TITAN25),
  titan("8B × 64 tp 8 async (2025)", M8, H100_500W, 64, 8192, 12, { tp: 8 }, 4809.4, TITAN25, ASYNC),
  titan("8B × 64 tp 8 FP8 (2025)", M8, H100_500W, 64, 8192, 12, { tp: 8 }, 5078.1, TITAN25, FP8),
  titan("8B × 64 tp 8 FP8 async (2025)", M8, H100_500W, 64, 8192, 12, { tp: 8 }, 5570.1, TITAN25, { ...FP8, ...ASYNC }),
  titan("8B × 32 H200 FP8", M8, "h200", 32, 8192, 2, {}, 10938, TITAN200, FP8),
  titan("8B × 64 H200 FP8", M8, "h200", 64, 8192, 2, {}, 10753, TITAN200, FP8),
  titan("8B × 64 A100", M8, "a100-80", 64, 8192, 1, {}, 2973, TITAN100),
  titan("70B × 64 A100", M70, "a100-80", 64, 8192, 1, { recompute: "full" }, 331, TITAN100),
];

// -- whole runs -------------------------------------------------------------------------------------------------------------------------------
const neox = (name: string, hidden: number, heads: number, layers: number): Architecture =>
  gptArchitecture({ name, hidden, heads, layers, vocab: 50304, tied: false, dropout: false });
const llama = (
  name: string,
  hidden: number,
  heads: number,
  layers: number,
  width: number,
  kvHeads = heads,
): Architecture => ({
  name,
  hidden,
  vocab: 32000,
  tied: false,
  mtpDepth: 0,
  norm: "rms",
  dropout: false,
  layers: [
    {
      count: layers,
      attention: {
        kind: "gqa",
        heads,
        kvHeads,
        headDim: hidden / heads,
        qkvBias: false,
        outBias: false,
        qkNorm: false,
      },
      ffn: { kind: "dense", width, gated: true, bias: false },
    },
  ],
});
// [name, hidden, heads, layers, gpus, tp, micro-batch, hours, parameters in billions]
const PYTHIAS: [string, number, number, number, number, number, number, number, number][] = [
  ["70M", 512, 8, 6, 32, 1, 32, 510, 0.0704],
  ["160M", 768, 12, 12, 32, 1, 32, 1030, 0.162],
  ["410M", 1024, 16, 24, 32, 1, 32, 2540, 0.405],
  ["1B", 2048, 8, 16, 64, 1, 16, 4830, 1.01],
  ["1.4B", 2048, 16, 24, 64, 1, 16, 7120, 1.41],
  ["2.8B", 2560, 32, 32, 64, 1, 16, 14240, 2.78],
  ["6.9B", 4096, 32, 32, 128, 2, 8, 33500, 6.86],
  ["12B", 5120, 40, 36, 256, 4, 8, 72300, 11.85],
];
const RUNS: Row[] = [
  ...PYTHIAS.map(([name, hidden, heads, layers, gpus, tp, microBatch, gpuHours, billions]) =>
    run({
      id: `Pythia ${name}`,
      family: "Pythia",
      architecture: neox(`Pythia ${name}`, hidden, heads, layers),
      chip: "a100-40",
      gpus,
      sequence: 2048,
      batch: 1024,
      tokens: 299.9e9,
      gpuHours,
      active: billions * 1e9,
      source: PYTHIA,
      fixed: { dp: gpus / tp, tp, pp: 1, ep: 1, vp: 1, zero: 1, microBatch, recompute: "full" },
      more: { sequenceParallel: false, overlap: { tp: false, dp: true }, fusedLoss: false, attentionKernels: "older" },
    }),
  ),
  ...(
    [
      ["7B", 4096, 32, 32, 11008, 512, 1e12, 82432, 6.7],
      ["13B", 5120, 40, 40, 13824, 512, 1e12, 135168, 13],
      ["33B", 6656, 52, 60, 17920, 1024, 1.4e12, 530432, 32.5],
      ["65B", 8192, 64, 80, 22016, 2048, 1.4e12, 1022362, 65.2],
    ] as const
  ).map(([name, hidden, heads, layers, width, gpus, tokens, gpuHours, billions]) =>
    run({
      id: `LLaMA ${name}`,
      family: "LLaMA",
      architecture: llama(`LLaMA ${name}`, hidden, heads, layers, width),
      chip: "a100-80",
      gpus,
      sequence: 2048,
      batch: 2048,
      tokens,
      gpuHours,
      active: billions * 1e9,
      source: LLAMA1,
      more: { attentionKernels: "older" },
      note: name === "65B" ? undefined : GUESSED,
    }),
  ),
  ...(
    [
      ["7B", 4096, 32, 32, 11008, 32, 512, 184320, 6.74],
      ["13B", 5120, 40, 40, 13824, 40, 512, 368640, 13.0],
      ["34B", 8192, 64, 48, 22016, 8, 1024, 1038336, 33.7],
      ["70B", 8192, 64, 80, 28672, 8, 2048, 1720320, 69.0],
    ] as const
  ).map(([name, hidden, heads, layers, width, kvHeads, gpus, gpuHours, billions]) =>
    run({
      id: `Llama 2 ${name}`,
      family: "Llama 2",
      architecture: llama(`Llama 2 ${name}`, hidden, heads, layers, width, kvHeads),
      chip: "a100-80",
      gpus,
      sequence: 4096,
      batch: 1024,
      tokens: 2e12,
      gpuHours,
      active: billions * 1e9,
      source: LLAMA2,
      more: { attentionKernels: "older" },
      note: GUESSED,
    }),
  ),
  run({
    id: "GLM-130B",
    family: "GLM",
    architecture: gptArchitecture({
      name: "GLM-130B",
      hidden: 12288,
      heads: 96,
      layers: 70,
      vocab: 150528,
      width: 32768,
      gated: true,
    }),
    chip: "a100-40",
    gpus: 768,
    sequence: 2048,
    batch: 4224,
    tokens: 400e9,
    gpuHours: 1105920,
    active: 130e9,
    source: GLM,
    reportedMfu: 0.325,
    fixed: { dp: 24, tp: 4, pp: 8, ep: 1, vp: 1, zero: 1, microBatch: 1, recompute: "full" },
    more: { ...OLD, fusedAccumulation: false, bytes: HALF_GRADIENTS },
    note: "an upper bound: 60 days of 768 GPUs; layout unconfirmed",
  }),
  run({
    id: "DeepSeek 67B",
    family: "DeepSeek 2024",
    architecture: preset("deepseek-llm-67b"),
    chip: "h800",
    gpus: 1024,
    sequence: 4096,
    batch: 4608,
    tokens: 1e12,
    gpuHours: 300600,
    more: { attentionKernels: "older" },
    active: 67.4e9,
    source: V2,
    whole: "rate",
    note: GUESSED,
  }),
  run({
    id: "DeepSeek-V2",
    family: "DeepSeek 2024",
    architecture: preset("deepseek-v2"),
    chip: "h800",
    gpus: 1024,
    sequence: 4096,
    batch: 9216,
    tokens: 1e12,
    gpuHours: 172800,
    active: 21.4e9,
    source: V2,
    whole: "rate",
    note: `${GUESSED}; busiest expert rank 1.1 of the mean assumed`,
    fixed: { dp: 64, tp: 1, pp: 16, ep: 8, vp: 1, zero: 1, recompute: "selective" },
    more: { schedule: "zero-bubble", imbalance: 1.1, attentionKernels: "older" },
  }),
];

/** The job and layout of DeepSeek-V3's own training (batch once grown). */
export const V3_JOB: Job = job(preset("deepseek-v3"), "h800", 2048, 4096, 15360, {
  precision: "fp8",
  schedule: "dualpipe",
  bytes: DEEPSEEK,
  mtp: true,
  imbalance: 1.1,
});
export const V3_LAYOUT: Layout = {
  dp: 128,
  tp: 1,
  cp: 1,
  pp: 16,
  vp: 1,
  ep: 64,
  zero: 1,
  microBatch: 1,
  recompute: "selective",
};
/** Parts of V3's step as published, in seconds; "optimizer" is all that follows the pipeline. */
export const V3_STEP = {
  step: 19.926,
  forward: 1.13,
  backward: 1.99,
  weight: 0.48,
  pair: 13.95,
  bubble: 2.06,
  optimizer: 0.29,
} as const;
/** A pair of DualPipe's in a published profile (deepseek-ai/profile-data, train.json): four MoE layers, balanced, without sends. */
export const V3_PAIR = { seconds: 0.129, computeSeconds: 0.1182, communicationSeconds: 0.1145 } as const;
const V3_NOTE = "busiest expert rank 1.1 of the mean assumed";
const V3_ROWS: Row[] = [
  {
    id: "DeepSeek-V3 step",
    family: "DeepSeek-V3",
    job: V3_JOB,
    fixed: V3_LAYOUT,
    stepSeconds: V3_STEP.step,
    measured: "19.926 s a step",
    source: V3,
    note: V3_NOTE,
  },
  run({
    id: "DeepSeek-V3",
    family: "DeepSeek-V3",
    architecture: V3_JOB.architecture,
    chip: "h800",
    gpus: 2048,
    sequence: 4096,
    batch: 15360,
    tokens: 14.8e12,
    gpuHours: 2664000,
    active: 36.7e9,
    source: V3,
    whole: "rate",
    fixed: V3_LAYOUT,
    more: V3_JOB,
    reportedMfu: 0.3894,
    note: V3_NOTE,
  }),
];

export const ROWS: Row[] = [
  ...MEGATRON_2021.map(megatronRow("Megatron-LM 2021", 0, true)),
  ...TABLE_2.map(megatronRow("Megatron-LM 2021", 0, true)).map((r) => ({ ...r, id: `${r.id} (table 2)` })),
  ...ZERO_3.map(megatronRow("ZeRO-3 2021", 3, false)),
  ...korthikanti("22B", 6144, 64, 48, 1, 1, 4, 4, { full: 1.42, selective: 1.1 }),
  ...korthikanti("175B", 12288, 96, 96, 8, 3, 64, 1, { full: 18.13, selective: 13.75 }),
  ...korthikanti("530B", 20480, 128, 105, 35, 3, 280, 1, { full: 49.05, selective: 37.83 }),
  ...korthikanti("1T", 25600, 160, 128, 64, 1, 512, 1, { full: 94.42, selective: 71.49 }),
  ...CORE_H100.map(coreRow),
  ...BRIDGE,
  ...TITAN,
  ...RUNS,
  ...V3_ROWS,
  ...LATER_ROWS,
];
