/** The claim: DeepSeek-V3, 2.788 M GPU-hours and $5.576 M. */
import type { ClaimInput } from "../audit/claim.ts";

const report = {
  title: "DeepSeek-V3 Technical Report, arXiv:2412.19437, table 1",
  date: "2024-12-27",
  mark: "primary",
  url: "https://arxiv.org/abs/2412.19437",
} as const;
const isca = {
  title: "Insights into DeepSeek-V3, ISCA 2025, arXiv:2505.09343, table 4",
  date: "2025-05-14",
  mark: "primary",
  url: "https://arxiv.org/abs/2505.09343",
} as const;
const trace = {
  title: "deepseek-ai/profile-data, train.json (one DualPipe pair, 4 MoE layers, EP64, sequence 4096, H800)",
  date: "2025-02",
  mark: "primary",
  url: "https://github.com/deepseek-ai/profile-data",
} as const;

/** "2.788M H800 hours, $5.576M": the claim that half the world did not believe. */
export const deepseekV3: ClaimInput = {
  name: "deepseek-v3",
  title: "DeepSeek-V3",
  who: "DeepSeek-AI",
  date: "2024-12-27",
  seat: "CN",
  notBefore: "2024-05-07",
  model: "deepseek-v3",
  tokens: "14.8T",
  sequence: 4096,
  batch: 15360,
  chip: "h800",
  gpus: 2048,
  precision: "fp8",
  mtp: true,
  layout: { pp: 16, ep: 64, zero: 1, tp: 1, microBatch: 1 },
  schedule: "dualpipe",
  stepSeconds: 19.926,
  stepParts: { "1F": 1.13, bubble: 2.06, "1B": 1.99, "1W": 0.48, "1F1B": 13.95, optimizer: 0.29 },
  trace: { pairSeconds: 0.129, source: trace },
  phases: [
    { name: "pre-training", kind: "pretrain", tokens: "14.8T", gpuHours: "2.664M", usd: "5.328M" },
    {
      name: "context extension",
      kind: "extend",
      gpuHours: "119K",
      usd: "0.238M",
      stretches: [
        { steps: 1000, batch: 1920, sequence: 32768 },
        { steps: 1000, batch: 480, sequence: 131072 },
      ],
    },
    { name: "post-training", kind: "sft", gpuHours: "5K", usd: "0.01M" },
  ],
  usdPerGpuHour: 2,
  stated: {
    gpuHours: "2.788M",
    usd: "5.576M",
    gpuHoursPerTrillionTokens: "180K",
    daysPerTrillionTokens: 3.7,
    flopsPerSecCausal: 385e12,
    flopsPerSecFull: 432e12,
    mfuCausal: 0.3894,
    mfuFull: 0.4373,
  },
  excludes: ["earlier research", "ablations on architecture, algorithms and data"],
  alternatives: [
    { kind: "understated", factor: 2 },
    { kind: "understated", factor: 4 },
    { kind: "chip", chip: "h100" },
    {
      kind: "mixed",
      fleet: [
        { chip: "h800", gpus: 10_000 },
        { chip: "h100", gpus: 10_000 },
        { chip: "h20", gpus: 30_000 },
      ],
      source: {
        title:
          "SemiAnalysis, DeepSeek Debates: about 50,000 Hopper GPUs, 10,000 H800 and 10,000 H100 among them, the rest orders of H20",
        date: "2025-01-31",
        mark: "secondary",
        url: "https://semianalysis.com/2025/01/31/deepseek-debates",
      },
    },
    {
      kind: "fleet",
      chip: "h100",
      gpus: 50000,
      source: {
        title: "Alexandr Wang to CNBC, as reported by OfficeChai",
        date: "2025-01",
        mark: "secondary",
        url: "https://officechai.com/ai/scale-ai-ceo-says-deepseek-had-50000-nvidia-h100-gpus-elon-musk-agrees",
      },
    },
  ],
  sources: [report, isca, trace],
  notes: [
    "The batch grew from 3,072 to 15,360 sequences over the first 469B tokens; the sums here take the full batch throughout.",
  ],
};
