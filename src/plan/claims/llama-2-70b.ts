/** The claim: Llama 2 70B, its GPU-hours. */
import type { ClaimInput } from "../audit/claim.ts";

const card = {
  title: "Llama 2 model card, meta-llama/llama-models",
  date: "2023-07-18",
  mark: "primary",
  url: "https://github.com/meta-llama/llama-models/blob/main/models/llama2/MODEL_CARD.md",
} as const;

/** A claim nobody doubted, by the same yardstick. */
export const llama2: ClaimInput = {
  name: "llama-2-70b",
  title: "Llama 2 70B",
  who: "Meta",
  date: "2023-07-18",
  seat: "US",
  model: {
    model_type: "llama",
    vocab_size: 32000,
    hidden_size: 8192,
    intermediate_size: 28672,
    num_hidden_layers: 80,
    num_attention_heads: 64,
    num_key_value_heads: 8,
    max_position_embeddings: 4096,
  },
  tokens: "2T",
  sequence: 4096,
  batch: 1024,
  chip: "a100-80",
  precision: "bf16",
  phases: [{ name: "pre-training", kind: "pretrain", tokens: "2T", gpuHours: 1720320 }],
  sources: [card],
  notes: ["The batch is 4M tokens; the number of GPUs is not stated."],
};
