import { ConfigError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import { PRESETS, presetConfig } from "../model/presets.ts";
import { nearest } from "./nearest.ts";
import type { Precision, ScheduleName, Source } from "./types.ts";

const paper = (title: string, date: string, id: string): Source => ({
  title: `${title}, arXiv:${id}`, date, mark: "primary", url: `https://arxiv.org/abs/${id}`,
});
const remembered = (title: string, date: string): Source => ({ title: `${title}, remembered`, date, mark: "unconfirmed" });

/** How a published model was trained: what a question leaves out is taken from here. */
export interface PlanPreset {
  sequence: number;
  /** Sequences of a global batch. */
  batch: number;
  tokens: number;
  precision: Precision;
  schedule?: ScheduleName;
  mtp?: boolean;
  chip?: string;
  gpus?: number;
  sources: Source[];
}

const v3 = paper("DeepSeek-V3 Technical Report", "2024-12-27", "2412.19437");
const v2 = paper("DeepSeek-V2", "2024-05-07", "2405.04434");
const llm = paper("DeepSeek LLM", "2024-01-05", "2401.02954");
const llama = paper("The Llama 3 Herd of Models", "2024-07-31", "2407.21783");
const qwen25 = paper("Qwen2.5 Technical Report (18T tokens; batch assumed)", "2024-12-19", "2412.15115");
const qwen3 = paper("Qwen3 Technical Report (36T tokens; batch assumed)", "2025-05-14", "2505.09388");
const qwen: PlanPreset = { sequence: 4096, batch: 2048, tokens: 18e12, precision: "bf16", chip: "h800", gpus: 1024, sources: [qwen25] };

/** By the names of the model presets. */
export const PLAN_PRESETS: Record<string, PlanPreset> = {
  "deepseek-v3": {
    sequence: 4096, batch: 15360, tokens: 14.8e12, precision: "fp8", schedule: "dualpipe", mtp: true, chip: "h800", gpus: 2048, sources: [v3],
  },
  "deepseek-v2": {
    sequence: 4096, batch: 9216, tokens: 8.1e12, precision: "bf16", schedule: "zero-bubble", chip: "h800", sources: [v2],
  },
  "deepseek-v2-lite": {
    sequence: 4096, batch: 4608, tokens: 5.7e12, precision: "bf16", schedule: "zero-bubble", chip: "h800", gpus: 256, sources: [v2],
  },
  "deepseek-llm-7b": { sequence: 4096, batch: 2304, tokens: 2e12, precision: "bf16", chip: "h800", gpus: 256, sources: [llm] },
  "deepseek-llm-67b": { sequence: 4096, batch: 4608, tokens: 2e12, precision: "bf16", chip: "h800", gpus: 1024, sources: [llm] },
  "moonlight-16b-a3b": {
    sequence: 8192, batch: 2048, tokens: 5.7e12, precision: "bf16", chip: "h800", gpus: 256,
    sources: [paper("Muon is Scalable for LLM Training", "2025-02-24", "2502.16982")],
  },
  "kimi-k2": {
    sequence: 4096, batch: 16384, tokens: 15.5e12, precision: "bf16", chip: "h800", gpus: 2048,
    sources: [paper("Kimi K2 (67M tokens a batch)", "2025-07-28", "2507.20534")],
  },
  "llama-3.1-8b": {
    sequence: 8192, batch: 1024, tokens: 15e12, precision: "bf16", chip: "h100", gpus: 1024, sources: [llama, remembered("Batch of the smaller Llama 3.1 models", "2024")],
  },
  "llama-3.1-70b": {
    sequence: 8192, batch: 2048, tokens: 15e12, precision: "bf16", chip: "h100", gpus: 4096, sources: [llama, remembered("Batch of the smaller Llama 3.1 models", "2024")],
  },
  "llama-3.1-405b": { sequence: 8192, batch: 2048, tokens: 15.6e12, precision: "bf16", chip: "h100", gpus: 16384, sources: [llama] },
  "qwen2.5-1.5b": { ...qwen, gpus: 256 },
  "qwen2.5-7b": { ...qwen, gpus: 512 },
  "qwen2.5-14b": qwen,
  "qwen2.5-32b": qwen,
  "qwen3-8b": { sequence: 4096, batch: 2048, tokens: 36e12, precision: "bf16", chip: "h800", gpus: 1024, sources: [qwen3] },
};

/** Short names people type. */
const ALIASES: Record<string, string> = {
  v3: "deepseek-v3", v2: "deepseek-v2", r1: "deepseek-r1", "deepseek-67b": "deepseek-llm-67b", k2: "kimi-k2", "llama-405b": "llama-3.1-405b",
};

export interface NamedModel {
  name: string;
  config: ModelConfig;
  /** How it was pretrained, where that is published. */
  preset?: PlanPreset;
}

export const planModelNames = (): string[] => Object.keys(PRESETS);

/** A published model and its training by name, in any case. Throws ConfigError with the nearest names. */
export function planModel(name: string): NamedModel {
  const lower = name.toLowerCase();
  const key = ALIASES[lower] ?? lower;
  if (!Object.hasOwn(PRESETS, key))
    throw new ConfigError(`plan: expected a published model, a folder or a config.json, came ${name}; nearest: ${nearest(name, planModelNames()).slice(0, 4).join(", ")}`);
  return { name: key, config: presetConfig(key), preset: PLAN_PRESETS[key === "deepseek-r1" ? "deepseek-v3" : key] };
}
