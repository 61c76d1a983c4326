import { expect, it } from "vitest";
import { parameterCount } from "./architecture.ts";
import { ARCHITECTURES } from "./architectures.ts";

it.each([
  // parameters as published, in billions
  ["megatron-22b", 22.1, 22.1],
  ["gpt3-175b", 174.6, 174.6],
  ["mt-nlg-530b", 529.6, 529.6],
  ["megatron-1t", 1008, 1008],
  ["llama-1-7b", 6.74, 6.74],
  ["llama-1-13b", 13.02, 13.02],
  ["llama-1-33b", 32.53, 32.53],
  ["llama-1-65b", 65.29, 65.29],
  ["llama-2-70b", 68.98, 68.98],
  ["glm-130b", 130, 130],
  ["pythia-70m", 0.0704, 0.0704],
  ["pythia-1b", 1.012, 1.012],
  ["pythia-12b", 11.85, 11.85],
  ["mixtral-8x7b", 46.7, 12.9],
  ["mixtral-8x22b", 141, 39],
])("%s has %sB parameters, %sB active", (name, total, active) => {
  const count = parameterCount(ARCHITECTURES[name]!);
  expect(Math.abs(count.total / 1e9 / total - 1)).toBeLessThan(0.011);
  // an embedding is counted as one row
  const { vocab, hidden, tied } = ARCHITECTURES[name]!;
  expect(Math.abs((count.active + (tied ? 0 : (vocab - 1) * hidden)) / 1e9 / active - 1)).toBeLessThan(0.02);
});
