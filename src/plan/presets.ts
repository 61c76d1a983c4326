/** Published models as the planner knows them: how they were trained, in which phases. */
import { ConfigError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import { PRESETS, presetConfig } from "../model/presets.ts";
import type { Architecture } from "./architecture.ts";
import { ARCHITECTURES } from "./architectures.ts";
import { plannedArchitecture } from "./families/index.ts";
import { PUBLISHED } from "./families/published.ts";
import { nearest } from "./nearest.ts";
import type { PhaseSpec } from "./phases.ts";
import type { Precision, ScheduleName, Source } from "./types.ts";

const paper = (title: string, date: string, id: string): Source => ({
  title: `${title}, arXiv:${id}`,
  date,
  mark: "primary",
  url: `https://arxiv.org/abs/${id}`,
});
const remembered = (title: string, date: string): Source => ({
  title: `${title}, remembered`,
  date,
  mark: "unconfirmed",
});

/** How a published model was trained: what a question leaves out is taken from here. */
export interface PlanPreset {
  sequence?: number;
  /** Sequences of a global batch. */
  batch?: number;
  tokens: number;
  precision?: Precision;
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
const qwen: PlanPreset = {
  sequence: 4096,
  batch: 2048,
  tokens: 18e12,
  precision: "bf16",
  chip: "h800",
  gpus: 1024,
  sources: [qwen25],
};

/** By the names of the model presets. */
export const PLAN_PRESETS: Record<string, PlanPreset> = {
  "deepseek-v3": {
    sequence: 4096,
    batch: 15360,
    tokens: 14.8e12,
    precision: "fp8",
    schedule: "dualpipe",
    mtp: true,
    chip: "h800",
    gpus: 2048,
    sources: [v3],
  },
  "deepseek-v2": {
    sequence: 4096,
    batch: 9216,
    tokens: 8.1e12,
    precision: "bf16",
    schedule: "zero-bubble",
    chip: "h800",
    sources: [v2],
  },
  "deepseek-v2-lite": {
    sequence: 4096,
    batch: 4608,
    tokens: 5.7e12,
    precision: "bf16",
    schedule: "zero-bubble",
    chip: "h800",
    gpus: 256,
    sources: [v2],
  },
  "deepseek-llm-7b": {
    sequence: 4096,
    batch: 2304,
    tokens: 2e12,
    precision: "bf16",
    chip: "h800",
    gpus: 256,
    sources: [llm],
  },
  "deepseek-llm-67b": {
    sequence: 4096,
    batch: 4608,
    tokens: 2e12,
    precision: "bf16",
    chip: "h800",
    gpus: 1024,
    sources: [llm],
  },
  "moonlight-16b-a3b": {
    sequence: 8192,
    batch: 2048,
    tokens: 5.7e12,
    precision: "bf16",
    chip: "h800",
    gpus: 256,
    sources: [paper("Muon is Scalable for LLM Training", "2025-02-24", "2502.16982")],
  },
  "kimi-k2": {
    sequence: 4096,
    batch: 16384,
    tokens: 15.5e12,
    precision: "bf16",
    chip: "h800",
    gpus: 2048,
    sources: [paper("Kimi K2 (67M tokens a batch)", "2025-07-28", "2507.20534")],
  },
  "llama-3.1-8b": {
    sequence: 8192,
    batch: 1024,
    tokens: 15e12,
    precision: "bf16",
    chip: "h100",
    gpus: 1024,
    sources: [llama, remembered("Batch of the smaller Llama 3.1 models", "2024")],
  },
  "llama-3.1-70b": {
    sequence: 8192,
    batch: 2048,
    tokens: 15e12,
    precision: "bf16",
    chip: "h100",
    gpus: 4096,
    sources: [llama, remembered("Batch of the smaller Llama 3.1 models", "2024")],
  },
  "llama-3.1-405b": {
    sequence: 8192,
    batch: 2048,
    tokens: 15.6e12,
    precision: "bf16",
    chip: "h100",
    gpus: 16384,
    sources: [llama],
  },
  "qwen2.5-1.5b": { ...qwen, gpus: 256 },
  "qwen2.5-7b": { ...qwen, gpus: 512 },
  "qwen2.5-14b": qwen,
  "qwen2.5-32b": qwen,
  "qwen3-8b": {
    sequence: 4096,
    batch: 2048,
    tokens: 36e12,
    precision: "bf16",
    chip: "h800",
    gpus: 1024,
    sources: [qwen3],
  },
  ...told(),
};

/** Of models whose makers told the tokens and little else; chip, batch and layout are asked or searched. */
function told(): Record<string, PlanPreset> {
  const T = 1e12;
  const of = (source: Source, tokens: Record<string, number>, more: Partial<PlanPreset> = {}) =>
    Object.entries(tokens).map(([name, n]): [string, PlanPreset] => [
      name,
      { tokens: n * T, sources: [source], ...more },
    ]);
  return Object.fromEntries([
    ...of(qwen3, { "qwen3-30b-a3b": 36, "qwen3-235b-a22b": 36 }),
    ...of(
      paper("LLaMA", "2023-02-27", "2302.13971"),
      { "llama-1-7b": 1, "llama-1-13b": 1, "llama-1-33b": 1.4, "llama-1-65b": 1.4 },
      { sequence: 2048, batch: 2048, chip: "a100-80", gpus: 2048 },
    ),
    ...of(
      paper("Llama 2", "2023-07-18", "2307.09288"),
      { "llama-2-7b": 2, "llama-2-13b": 2, "llama-2-34b": 2, "llama-2-70b": 2 },
      { sequence: 4096, batch: 1024, chip: "a100-80" },
    ),
    ...of(
      paper("2 OLMo 2 Furious", "2024-12-31", "2501.00656"),
      { "olmo-2-7b": 4.05, "olmo-2-13b": 5.6, "olmo-2-32b": 6.6 },
      { sequence: 4096, chip: "h100" },
    ),
    ...of(
      paper("Gemma 2", "2024-07-31", "2408.00118"),
      { "gemma-2-2b": 2, "gemma-2-9b": 8, "gemma-2-27b": 13 },
      { chip: "tpu-v5p" },
    ),
    ...of(
      paper("Gemma 3", "2025-03-25", "2503.19786"),
      { "gemma-3-1b": 2, "gemma-3-4b": 4, "gemma-3-12b": 12, "gemma-3-27b": 14 },
      { chip: "tpu-v5p" },
    ),
    ...of(paper("GLM-4.5 (15T and 7T tokens)", "2025-08-08", "2508.06471"), { "glm-4.5": 22, "glm-4.5-air": 22 }),
    ...of(
      paper("BLOOM", "2022-11-09", "2211.05100"),
      { "bloom-176b": 0.366 },
      { sequence: 2048, batch: 2048, chip: "a100-80", gpus: 384 },
    ),
    ...of(
      paper("OPT", "2022-05-02", "2205.01068"),
      { "opt-30b": 0.18, "opt-66b": 0.18, "opt-175b": 0.18 },
      { sequence: 2048, chip: "a100-80" },
    ),
    ...of(
      paper("The Falcon Series", "2023-11-28", "2311.16867"),
      { "falcon-7b": 1.5, "falcon-40b": 1, "falcon-180b": 3.5 },
      { sequence: 2048, chip: "a100-40" },
    ),
    ...of(
      remembered("Llama 4's model cards (40T and 22T tokens)", "2025-04"),
      { "llama-4-scout": 40, "llama-4-maverick": 22 },
      { chip: "h100" },
    ),
    ...of(
      remembered("SmolLM3 (11.2T tokens on 384 H100)", "2025-07"),
      { "smollm3-3b": 11.2 },
      { sequence: 4096, chip: "h100", gpus: 384 },
    ),
    ...of(
      remembered("Olmo 3 (5.93T tokens)", "2025-11"),
      { "olmo-3-7b": 5.93, "olmo-3-32b": 5.5 },
      { sequence: 8192, chip: "h100" },
    ),
  ]);
}

const r1 = paper("DeepSeek-R1", "2025-01-22", "2501.12948");
const nature: Source = {
  title: "DeepSeek-R1, Nature 645 (2025) and its supplement: steps, groups, limits of length",
  date: "2025-09-17",
  mark: "secondary",
  url: "https://www.nature.com/articles/s41586-025-09422-z",
};
const assumed = (what: string): Source => ({ title: `${what}, assumed`, date: "2026-11", mark: "unconfirmed" });
const group = { kind: "grpo", outputsPerStep: 512, outputsPerRollout: 8192 } as const;

/** What a published model went through, as work; hours follow from it. */
export const PHASES: Record<
  string,
  {
    model: string;
    chip: string;
    gpus: number;
    usdPerGpuHour?: number;
    speculation?: { acceptance: number; drafted: number };
    phases: PhaseSpec[];
  }
> = {
  "deepseek-v3": {
    model: "deepseek-v3",
    chip: "h800",
    gpus: 2048,
    speculation: { acceptance: 0.87, drafted: 1 },
    phases: [
      { kind: "pretrain", name: "pretraining", tokens: 14.8e12, ramp: { from: 3072, tokens: 469e9 }, sources: [v3] },
      { kind: "extend", name: "context extension, 32K", steps: 1000, batch: 1920, sequence: 32768, sources: [v3] },
      { kind: "extend", name: "context extension, 128K", steps: 1000, batch: 480, sequence: 131072, sources: [v3] },
      {
        kind: "sft",
        name: "fine-tuning",
        samples: 1.5e6,
        meanTokens: 1500,
        epochs: 2,
        sources: [v3, assumed("Mean answer of V3's fine-tuning, 1,500 tokens")],
      },
      {
        ...group,
        kind: "grpo",
        name: "reinforcement learning",
        steps: 200,
        meanTokens: 1500,
        maxTokens: 8192,
        outputsPerRollout: 2048,
        sources: [
          assumed("V3's reinforcement learning: 200 steps of 512 answers, 1,500 tokens in the mean, 8,192 at most"),
        ],
      },
    ],
  },
  "deepseek-r1": {
    model: "deepseek-r1",
    chip: "h800",
    gpus: 512,
    speculation: { acceptance: 0.87, drafted: 1 },
    phases: [
      {
        ...group,
        name: "R1-Zero, answers to 32K",
        steps: 8200,
        meanTokens: 5000,
        maxTokens: 32768,
        sources: [
          r1,
          nature,
          assumed("R1-Zero's mean answer, about 5,000 tokens to step 8,200 and 14,000 after, read off a curve"),
        ],
      },
      {
        ...group,
        name: "R1-Zero, answers to 64K",
        steps: 2200,
        meanTokens: 14000,
        maxTokens: 65536,
        sources: [nature],
      },
      {
        kind: "sample",
        name: "SFT data",
        outputs: 4 * 600_000,
        meanTokens: 6000,
        maxTokens: 32768,
        sources: [r1, assumed("Four answers sampled for each of the 600K kept, 6,000 tokens in the mean")],
      },
      {
        ...group,
        name: "R1, reasoning",
        steps: 2000,
        meanTokens: 7000,
        maxTokens: 32768,
        sources: [nature, assumed("R1's first reinforcement learning: 2,000 steps, 7,000 tokens in the mean")],
      },
      {
        kind: "sft",
        name: "R1, fine-tuning",
        samples: 804_745,
        meanTokens: 5355,
        epochs: 2,
        sources: [
          r1,
          {
            title: "Size of R1's SFT data (804,745 answers, 5,355 tokens in the mean), Nature supplement, remembered",
            date: "2025-09",
            mark: "unconfirmed",
          },
        ],
      },
      {
        ...group,
        name: "R1, all prompts",
        steps: 1700,
        meanTokens: 6000,
        maxTokens: 32768,
        sources: [nature, assumed("Mean answer of R1's second reinforcement learning, 6,000 tokens")],
      },
    ],
  },
};

/** A distill's only training: SFT on the 800K answers that R1 wrote. */
const DISTILLATION: Phased = {
  gpus: 64,
  phases: [{ kind: "sft", name: "distillation", samples: 804_745, meanTokens: 5355, epochs: 2, sources: [r1] }],
};
const DISTILLS: readonly string[] = [
  "r1-distill-qwen-1.5b",
  "r1-distill-qwen-7b",
  "r1-distill-qwen-14b",
  "r1-distill-qwen-32b",
  "r1-distill-llama-8b",
  "r1-distill-llama-70b",
  "r1-0528-qwen3-8b",
];

/** What is known of a model's training in phases. */
export interface Phased {
  gpus?: number;
  speculation?: { acceptance: number; drafted: number };
  phases: PhaseSpec[];
}

/** The phases of a published model's training, of R1's distills too; undefined where none are known. */
export const phasesOf = (name: string): Phased | undefined =>
  Object.hasOwn(PHASES, name) ? PHASES[name] : DISTILLS.includes(name) ? DISTILLATION : undefined;

/** Short names people type. */
const ALIASES: Record<string, string> = {
  v3: "deepseek-v3",
  v2: "deepseek-v2",
  r1: "deepseek-r1",
  "deepseek-67b": "deepseek-llm-67b",
  k2: "kimi-k2",
  "llama-405b": "llama-3.1-405b",
  "gpt-oss": "gpt-oss-120b",
  mixtral: "mixtral-8x7b",
  "gpt-3": "gpt3-175b",
  gpt3: "gpt3-175b",
  bloom: "bloom-176b",
  "mistral-7b-v0.1": "mistral-7b",
};

export interface NamedModel {
  name: string;
  /** What is planned: the config of an architecture that runs here, or sizes alone. */
  model: ModelConfig | Architecture;
  /** How it was pretrained, where that is published. */
  preset?: PlanPreset;
}

/** Models that run here, those of other families, and those of papers without a config.json. */
export const planModelNames = (): string[] => [
  ...new Set([...Object.keys(PRESETS), ...Object.keys(PUBLISHED), ...Object.keys(ARCHITECTURES)]),
];

/** A published model and its training by name, in any case; `others` are further names that would have done. Throws ConfigError with the nearest names. */
export function planModel(name: string, others: readonly string[] = []): NamedModel {
  const lower = name.toLowerCase();
  const key = ALIASES[lower] ?? lower;
  const model = modelOf(key);
  if (model === undefined)
    throw new ConfigError(
      `model: expected a folder with a config.json, a config.json or a model's name, got ${name}; nearest: ${nearest(
        name,
        [...others, ...planModelNames()],
      )
        .slice(0, 4)
        .join(", ")}`,
    );
  return { name: key, model, preset: presetOf(key) };
}

const presetOf = (key: string): PlanPreset | undefined => {
  const trained = key === "deepseek-r1" ? "deepseek-v3" : key;
  return Object.hasOwn(PLAN_PRESETS, trained) ? PLAN_PRESETS[trained] : undefined;
};

function modelOf(key: string): ModelConfig | Architecture | undefined {
  if (Object.hasOwn(PRESETS, key)) return presetConfig(key);
  if (Object.hasOwn(PUBLISHED, key)) return plannedArchitecture(PUBLISHED[key]!.config, { name: key });
  return Object.hasOwn(ARCHITECTURES, key) ? ARCHITECTURES[key] : undefined;
}
