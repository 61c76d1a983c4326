/** The claim: DeepSeek-R1, $294,000 for its reinforcement learning and fine-tuning. */
import type { ClaimInput } from "../audit/claim.ts";

const nature = {
  title: "DeepSeek-R1, Nature 645 (2025), supplementary information: training cost",
  date: "2025-09-17",
  mark: "secondary",
  url: "https://www.nature.com/articles/s41586-025-09422-z",
} as const;
const v3 = {
  title: "DeepSeek-V3 Technical Report, arXiv:2412.19437, table 1",
  date: "2024-12-27",
  mark: "primary",
  url: "https://arxiv.org/abs/2412.19437",
} as const;

/** "R1 cost $294,000." Some reports say 648 GPUs: the sign of 64 × 8 was lost on the way; 512 is what the hours multiply to. */
export const deepseekR1: ClaimInput = {
  name: "deepseek-r1",
  title: "DeepSeek-R1",
  who: "DeepSeek-AI",
  date: "2025-01-20",
  seat: "CN",
  model: "deepseek-r1",
  sequence: 32768,
  chip: "h800",
  gpus: 512,
  precision: "fp8",
  phases: [
    {
      name: "R1-Zero",
      kind: "rl",
      gpuHours: "101K",
      hours: 198,
      usd: "202K",
      steps: 10400,
      outputsPerStep: 512,
      outputsPerRollout: 8192,
      meanTokens: 7000,
      maxTokens: 32768,
    },
    { name: "SFT data", kind: "other", gpuHours: "5K", usd: "10K" },
    { name: "R1", kind: "rl", gpuHours: "41K", hours: 80, usd: "82K" },
  ],
  usdPerGpuHour: 2,
  stated: { gpuHours: "147K", usd: "294K" },
  excludes: [],
  standsOn: [{ what: "DeepSeek-V3, the base model it starts from", gpuHours: "2.788M", usd: "5.576M", source: v3 }],
  alternatives: [
    { kind: "understated", factor: 2 },
    { kind: "understated", factor: 4 },
    { kind: "chip", chip: "h100" },
  ],
  sources: [
    nature,
    {
      title: "DeepSeek-R1, arXiv:2501.12948",
      date: "2025-01-22",
      mark: "primary",
      url: "https://arxiv.org/abs/2501.12948",
    },
  ],
  notes: [
    "The mean answer of 7,000 tokens is read off a published curve that rises from a few hundred to over 10,000; it is not stated. Unconfirmed.",
    "Answers were let grow to 65,536 tokens after step 8,200; the clock below takes the 32,768 that held for most of the run.",
  ],
};
