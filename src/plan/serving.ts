/** Serving a model: how many tokens a second a group of GPUs prefills and decodes, and what they cost. */
import { ConfigError } from "../errors.ts";
import { presetConfig } from "../model/presets.ts";
import { type Architecture, architectureOf } from "./architecture.ts";
import { chipOf } from "./chips.ts";
import { clusterOf } from "./cluster.ts";
import { CONSTANTS, type Constants } from "./constants.ts";
import {
  cacheBytes,
  cacheBytesPerToken,
  copiesOf,
  DECODE_SOURCES,
  decodeSeconds,
  layoutOf,
  passSeconds,
  type ServingLayout,
  servedWeightBytes,
} from "./decode.ts";
import type { Cluster, Job, Op, Precision, Source } from "./types.ts";
import { modelWork } from "./work.ts";

const overview: Source = {
  title:
    "DeepSeek-V3/R1 inference system overview (a day's mean of 73.7K input tokens/s, 56.3 % of them from the cache, or 14.8K output tokens/s for a node of 8 H800; mean cache 4,989; 20 to 22 tokens/s a user)",
  date: "2025-03-01",
  mark: "primary",
  url: "https://github.com/deepseek-ai/open-infra-index/blob/main/202502OpenSourceWeek/day_6_one_more_thing_deepseekV3R1_inference_system_overview.md",
};
const mtp: Source = {
  title:
    "DeepSeek-V3 Technical Report, arXiv:2412.19437, §5.4.3 (second token accepted 85 to 90 % of the time, 1.8 times the speed)",
  date: "2024-12-27",
  mark: "primary",
  url: "https://arxiv.org/abs/2412.19437",
};
export const SERVING_SOURCES: readonly Source[] = [overview, mtp, ...DECODE_SOURCES];

/** DeepSeek's own service on one day, per GPU; a mean over load that rises and falls, so below what a full machine does. */
export const DEEPSEEK_SERVICE = {
  inputTokensPerSecondPerGpu: 73_700 / 8,
  cacheHitShare: 342 / 608,
  outputTokensPerSecondPerGpu: 14_800 / 8,
  meanContext: 4989,
  tokensPerSecondPerUser: 21,
  prefillUnit: 32,
  /** 144 with copies of busy experts; 128 is the divisor of 256 experts next to it. */
  decodeUnit: 144,
  source: overview,
} as const;

export interface Speculation {
  /** Chance that the drafted token is right; V3's module: 0.85 to 0.9. */
  acceptance: number;
  /** Tokens drafted at a time. */
  drafted: number;
}

export interface ServingQuestion {
  architecture: Architecture;
  cluster: Cluster;
  precision: Precision;
  /** Mean prompt and answer; the cache holds the prompt and half the answer in the mean. */
  inputTokens?: number;
  outputTokens?: number;
  /** Share of input tokens whose cache was kept. */
  cacheHitShare?: number;
  /** GPUs that work as one for decoding; default: the best unit the cluster holds. */
  decodeUnit?: number;
  prefillUnit?: number;
  /** Slowest answer a user accepts; limits the batch. */
  tokensPerSecondPerUser?: number;
  speculation?: Speculation;
  usdPerGpuHour?: number;
  constants?: Constants;
}

export interface Serving {
  prefill: {
    unit: ServingLayout;
    tokensPerSecondPerGpu: number /** Without those the cache had. */;
    computedTokensPerSecondPerGpu: number;
    secondsToFirstToken: number;
  };
  decode: {
    unit: ServingLayout;
    sequencesPerGpu: number;
    /** By memory: weights and cache. */
    mostSequencesPerGpu: number;
    passSeconds: number;
    tokensPerSecondPerGpu: number;
    tokensPerSecondPerUser: number;
    /** Tokens a pass yields; above 1 with speculation. */
    tokensPerPass: number;
  };
  weightBytesPerGpu: number;
  cacheBytesPerToken: number;
  cacheBytesPerSequence: number;
  usdPerMillionInput?: number;
  usdPerMillionOutput?: number;
  sources: Source[];
}

/** Memory that is left to weights and caches. */
const USABLE = 0.9;
const PREFILL_TOKENS = 16_384;

/** Tokens that a pass with `drafted` drafts yields in the mean: 1 + a + a² + …; V3's one draft at 85 to 90 %: 1.85 to 1.9. */
export const tokensPerPass = ({ acceptance, drafted }: Speculation): number =>
  Array.from({ length: drafted + 1 }, (_, i) => acceptance ** i).reduce((a, b) => a + b, 0);

/** A job whose forward pass is the prefill of prompts. */
export const servingJob = (
  { architecture, cluster, precision }: Pick<ServingQuestion, "architecture" | "cluster" | "precision">,
  sequence: number,
): Job => ({
  architecture,
  cluster,
  sequence,
  batch: 1,
  precision,
  schedule: "1f1b",
  imbalance: 1,
  mtp: false,
  bytes: { weight: precision === "fp8" ? 1 : 2, gradient: 0, master: 0, moments: 0 },
});

/**
 * Throughput of a model at full load: prompts in chunks of 16K tokens with experts spread over a unit, answers in batches that memory
 * and the user's patience limit. An upper end: real services run below it as load varies.
 * Throws ConfigError when the model does not fit the GPUs, with how many it needs.
 */
export function serve(question: ServingQuestion): Serving {
  const { architecture, inputTokens = 4096, outputTokens = 1024, cacheHitShare = 0, constants = CONSTANTS } = question;
  if (!(cacheHitShare >= 0 && cacheHitShare < 1))
    throw new ConfigError(`serving: expected a cache-hit share from 0 to below 1, got ${cacheHitShare}`);
  const prefill = prefillOf(question, inputTokens, constants);
  const decode = decodeOf(question, inputTokens + outputTokens / 2, inputTokens + outputTokens, constants);
  const perGpu = prefill.computed / (1 - cacheHitShare);
  const usd = (rate: number) =>
    question.usdPerGpuHour === undefined ? undefined : (question.usdPerGpuHour / 3600 / rate) * 1e6;
  const bytesPerToken = cacheBytesPerToken(architecture, decode.unit.tp);
  return {
    prefill: {
      unit: prefill.unit,
      tokensPerSecondPerGpu: perGpu,
      computedTokensPerSecondPerGpu: prefill.computed,
      secondsToFirstToken: prefill.seconds,
    },
    decode,
    weightBytesPerGpu: servedWeightBytes(servingJob(question, inputTokens), decode.unit),
    cacheBytesPerToken: bytesPerToken,
    cacheBytesPerSequence: cacheBytes(architecture, decode.unit.tp, inputTokens + outputTokens),
    usdPerMillionInput: usd(perGpu),
    usdPerMillionOutput: usd(decode.tokensPerSecondPerGpu),
    sources: [...SERVING_SOURCES],
  };
}

let measured: { prefill: number; decode: number } | undefined;

/**
 * What DeepSeek's own service reached of the rates that `serve` gives V3 on the same units of H800 at the pace its users saw: a check of this
 * model, and the share of an ideal engine that a very good one reaches over a day.
 */
export function measuredShare(constants: Constants = CONSTANTS): { prefill: number; decode: number } {
  if (measured && constants === CONSTANTS) return measured;
  const { meanContext, cacheHitShare, prefillUnit } = DEEPSEEK_SERVICE;
  const outputTokens = 1024;
  const at = serve({
    architecture: architectureOf(presetConfig("deepseek-v3")),
    cluster: clusterOf(chipOf("h800"), 2048),
    precision: "fp8",
    inputTokens: meanContext - outputTokens / 2,
    outputTokens,
    cacheHitShare,
    prefillUnit,
    decodeUnit: 128,
    tokensPerSecondPerUser: DEEPSEEK_SERVICE.tokensPerSecondPerUser,
    speculation: { acceptance: 0.87, drafted: 1 },
    constants,
  });
  const share = {
    prefill: DEEPSEEK_SERVICE.inputTokensPerSecondPerGpu / at.prefill.tokensPerSecondPerGpu,
    decode: DEEPSEEK_SERVICE.outputTokensPerSecondPerGpu / at.decode.tokensPerSecondPerGpu,
  };
  if (constants === CONSTANTS) measured = share;
  return share;
}

function prefillOf(question: ServingQuestion, tokens: number, constants: Constants) {
  const { architecture, cluster } = question;
  const job = servingJob(question, tokens);
  let best: { unit: ServingLayout; computed: number; seconds: number } | undefined;
  for (const unit of units(question, question.prefillUnit, 32)) {
    const room = cluster.chip.hbmBytes * USABLE - servedWeightBytes(job, unit);
    if (room <= cacheBytes(architecture, unit.tp, tokens)) continue;
    const layout = layoutOf(unit, Math.max(1, Math.round(PREFILL_TOKENS / tokens)) * unit.tp);
    const work = modelWork(job, layout);
    const ops: Op[] = work.embedding.forward.slice();
    architecture.layers.forEach(({ count }, i) => {
      for (let n = 0; n < count; n++) ops.push(...work.runs[i]!.forward);
    });
    // Only a prompt's last token needs the head.
    ops.push(...work.head.forward.filter((op) => op.kind === "collective"));
    const pass = passSeconds(ops, layout, cluster, constants, copiesOf(architecture));
    const seconds =
      pass.compute + pass.exposed + pass.hideable - constants.hiddenShare * Math.min(pass.compute, pass.hideable);
    const computed = (layout.microBatch * tokens) / unit.tp / seconds;
    if (!best || computed > best.computed) best = { unit, computed, seconds };
  }
  if (!best) throw noRoom(question, tokens);
  return best;
}

function decodeOf(
  question: ServingQuestion,
  context: number,
  longest: number,
  constants: Constants,
): Serving["decode"] {
  const { architecture, cluster, speculation, tokensPerSecondPerUser: patience = 0 } = question;
  const job = servingJob(question, context);
  const width = speculation ? speculation.drafted + 1 : 1;
  const yielded = speculation ? tokensPerPass(speculation) : 1;
  let best: Serving["decode"] | undefined;
  for (const unit of units(question, question.decodeUnit, 144)) {
    const room = cluster.chip.hbmBytes * USABLE - servedWeightBytes(job, unit);
    const most = Math.floor(room / cacheBytes(architecture, unit.tp, (context + longest) / 2));
    if (most < 1) continue;
    for (const sequences of batches(most)) {
      const seconds = decodeSeconds(job, unit, { sequences, context, width }, constants);
      const perUser = yielded / seconds;
      if (perUser < patience) break;
      const rate = (sequences * perUser) / unit.tp;
      if (!best || rate > best.tokensPerSecondPerGpu)
        best = {
          unit,
          sequencesPerGpu: sequences / unit.tp,
          mostSequencesPerGpu: most / unit.tp,
          passSeconds: seconds,
          tokensPerSecondPerGpu: rate,
          tokensPerSecondPerUser: perUser,
          tokensPerPass: yielded,
        };
    }
  }
  if (!best) throw noRoom(question, longest, patience);
  return best;
}

/** Batches worth trying up to the most that fits: powers of two, three quarters between, and the most itself. */
function batches(most: number): number[] {
  const list: number[] = [];
  for (let n = 1; n < Math.min(most, 1024); n *= 2) list.push(n, ...(n >= 4 ? [n * 1.5] : []));
  return [...list.filter((n) => n < Math.min(most, 1024)), Math.min(most, 1024)];
}

/** Units of GPUs that could serve one copy: dense models over TP within a node, experts over whole nodes. */
export function units(
  { architecture, cluster }: ServingQuestion,
  fixed: number | undefined,
  most: number,
): ServingLayout[] {
  const node = Math.max(1, Math.min(cluster.gpus, cluster.tiers[0]!.chips === Infinity ? 8 : cluster.tiers[0]!.chips));
  const experts = architecture.layers.reduce(
    (most, { ffn }) => (ffn.kind === "moe" ? Math.max(most, ffn.experts) : most),
    0,
  );
  const heads = Math.min(...architecture.layers.map(({ attention }) => attention.heads));
  const tps = [1, 2, 4, 8, 16].filter((tp) => heads % tp === 0 && tp <= Math.max(node, 8));
  const found: ServingLayout[] = [];
  for (const tp of tps) {
    if (experts === 0) {
      if (tp <= cluster.gpus && (fixed === undefined || fixed % tp === 0)) found.push({ gpus: tp, tp, ep: 1 });
      continue;
    }
    // More GPUs than experts divide hold copies of the busiest; the unit is then counted as one of `ep` that divides.
    const sizes =
      fixed !== undefined
        ? [fixed]
        : [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 144, 256, 320].filter((n) => n <= Math.min(cluster.gpus, most));
    for (const gpus of sizes)
      if (gpus % tp === 0 && gpus <= cluster.gpus && gpus <= experts * tp) found.push({ gpus, tp, ep: gpus });
  }
  return found;
}

function noRoom(question: ServingQuestion, tokens: number, patience = 0): ConfigError {
  const { architecture, cluster } = question;
  const job = servingJob(question, tokens);
  for (const gpus of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
    for (const unit of units({ ...question, cluster: { ...cluster, gpus } }, undefined, gpus)) {
      if (
        servedWeightBytes(job, unit) + cacheBytes(architecture, unit.tp, tokens) > cluster.chip.hbmBytes * USABLE ||
        gpus <= cluster.gpus
      )
        continue;
      return new ConfigError(
        `serving: ${architecture.name} with one sequence of ${tokens} tokens does not fit ${cluster.gpus} × ${cluster.chip.name}; ${gpus} of them hold it`,
      );
    }
  return new ConfigError(
    patience > 0
      ? `serving: no batch of ${architecture.name} on ${cluster.chip.name} answers at ${patience} tokens/s a user; ask for less`
      : `serving: ${architecture.name} with one sequence of ${tokens} tokens does not fit ${cluster.chip.name}, on however many`,
  );
}
