/** The claim: DeepSeek-V2, its GPU-hours. */
import type { ClaimInput } from "../audit/claim.ts";

const paper = {
  title: "DeepSeek-V2, arXiv:2405.04434, section 3.2.3",
  date: "2024-05-07",
  mark: "primary",
  url: "https://arxiv.org/abs/2405.04434",
} as const;

/** 172.8K H800 hours for a trillion tokens; the number of GPUs is not stated. */
export const deepseekV2: ClaimInput = {
  name: "deepseek-v2",
  title: "DeepSeek-V2",
  who: "DeepSeek-AI",
  date: "2024-05-07",
  seat: "CN",
  model: "deepseek-v2",
  tokens: "8.1T",
  sequence: 4096,
  batch: 9216,
  chip: "h800",
  precision: "bf16",
  layout: { pp: 16, ep: 8, zero: 1, tp: 1 },
  schedule: "zero-bubble",
  phases: [{ name: "pre-training", kind: "pretrain", tokens: "8.1T", gpuHours: "1399680" }],
  sources: [paper],
  notes: ["Hours are the stated hours per trillion tokens times 8.1; the paper gives no total."],
};
