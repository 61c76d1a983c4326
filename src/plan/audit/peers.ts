/** Checks of an audit: the claimed rate beside those of comparable published runs. */
import { hasMoe } from "../../model/config.ts";
import type { Chip, Precision, Source } from "../types.ts";
import { presetOf } from "./claim.ts";
import { gradeUpTo, percent, trim, whole } from "./figures.ts";
import type { Check, PeerComparison } from "./report.ts";
import { type Subject, trainingFlops } from "./subject.ts";

/** A published rate of somebody's training run. FLOPs are the model's, causal, without MTP or recomputation. */
interface Peer {
  name: string;
  kind: "moe" | "dense";
  /** Chips whose arithmetic is the same count as one generation. */
  generation: "ampere" | "hopper" | "blackwell";
  /** Whose word it is. */
  maker: string;
  model?: string;
  precision: Precision;
  tokensPerSecondPerGpu: number;
  flopsPerToken: number;
  bf16FlopsPerSec: number;
  source: Source;
}

const HOPPER = 989.5e12;
const AMPERE = 312e12;
const BLACKWELL = 2250e12;
const preset = (name: string, sequence: number) => trainingFlops(presetOf(name), sequence);

const megatronBridge: Source = {
  title: "NVIDIA Megatron-Bridge performance summary (balanced routing forced, no token dropped)",
  date: "2026-08-22",
  mark: "primary",
  url: "https://github.com/NVIDIA-NeMo/Megatron-Bridge/blob/main/docs/performance-summary.md",
};
const torchtitanV3: Source = {
  title:
    "torchtitan, DeepSeek-V3 on B200 with DeepEP: 859 tokens/s a GPU in BF16, 918 with MXFP8 experts (the least tuned replication known)",
  date: "2026-03",
  mark: "primary",
  url: "https://pytorch.org/blog/enabling-up-to-41-faster-pre-training-mxfp8-and-deepep-for-deepseek-v3-on-b200-with-torchtitan",
};
const v2Paper: Source = {
  title: "DeepSeek-V2, arXiv:2405.04434, section 3.2.3: 172.8K and 300.6K H800 hours per trillion tokens",
  date: "2024-05-07",
  mark: "primary",
  url: "https://arxiv.org/abs/2405.04434",
};

/** Hours per trillion tokens as a rate. */
const rate = (hoursPerTrillion: number) => 1e12 / hoursPerTrillion / 3600;

/** Made when first asked for: FLOPs of four models take a while to count. */
let known: Peer[] | undefined;
const peersKnown = (): Peer[] =>
  (known ??= [
    {
      name: "NVIDIA's DeepSeek-V3, 1,024 H100",
      kind: "moe",
      maker: "NVIDIA",
      generation: "hopper",
      model: "deepseek-v3",
      precision: "fp8",
      tokensPerSecondPerGpu: 1297,
      flopsPerToken: preset("deepseek-v3", 4096),
      bf16FlopsPerSec: HOPPER,
      source: megatronBridge,
    },
    {
      name: "torchtitan's DeepSeek-V3, 256 B200",
      kind: "moe",
      maker: "Meta",
      generation: "blackwell",
      model: "deepseek-v3",
      precision: "bf16",
      tokensPerSecondPerGpu: 859,
      flopsPerToken: preset("deepseek-v3", 4096),
      bf16FlopsPerSec: BLACKWELL,
      source: torchtitanV3,
    },
    {
      name: "DeepSeek-V2, H800",
      kind: "moe",
      maker: "DeepSeek-AI",
      generation: "hopper",
      model: "deepseek-v2",
      precision: "bf16",
      tokensPerSecondPerGpu: rate(172_800),
      flopsPerToken: preset("deepseek-v2", 4096),
      bf16FlopsPerSec: HOPPER,
      source: v2Paper,
    },
    {
      name: "DeepSeek 67B, H800",
      kind: "dense",
      maker: "DeepSeek-AI",
      generation: "hopper",
      model: "deepseek-llm-67b",
      precision: "bf16",
      tokensPerSecondPerGpu: rate(300_600),
      flopsPerToken: preset("deepseek-llm-67b", 4096),
      bf16FlopsPerSec: HOPPER,
      source: v2Paper,
    },
    {
      name: "NVIDIA's Llama 3.1 405B, 1,024 H100",
      kind: "dense",
      maker: "NVIDIA",
      generation: "hopper",
      model: "llama-3.1-405b",
      precision: "fp8",
      tokensPerSecondPerGpu: 326,
      flopsPerToken: preset("llama-3.1-405b", 8192),
      bf16FlopsPerSec: HOPPER,
      source: megatronBridge,
    },
    {
      name: "Llama 2 70B, A100",
      kind: "dense",
      maker: "Meta",
      generation: "ampere",
      model: "llama-2-70b",
      precision: "bf16",
      tokensPerSecondPerGpu: 2e12 / 1_720_320 / 3600,
      flopsPerToken: 6 * 69e9,
      bf16FlopsPerSec: AMPERE,
      source: {
        title: "Llama 2 model card",
        date: "2023-07-18",
        mark: "primary",
        url: "https://github.com/meta-llama/llama-models",
      },
    },
    {
      name: "LLaMA 65B, 2,048 A100",
      kind: "dense",
      maker: "Meta",
      generation: "ampere",
      precision: "bf16",
      tokensPerSecondPerGpu: 380,
      flopsPerToken: 6 * 65.2e9,
      bf16FlopsPerSec: AMPERE,
      source: {
        title: "LLaMA, arXiv:2302.13971",
        date: "2023-02-27",
        mark: "primary",
        url: "https://arxiv.org/abs/2302.13971",
      },
    },
  ]);

/** What FP8 gave one and the same run on H100 over BF16, whole step: how rates are carried from one precision to the other. */
const FP8_GAIN = 8532 / 6667;
const fp8Source: Source = {
  title: "torchtitan benchmarks, Llama 3 8B on 8 H100: 6,667 tokens/s compiled, 8,532 with FP8",
  date: "2025",
  mark: "primary",
  url: "https://github.com/pytorch/torchtitan/tree/main/benchmarks",
};

/** Faster than the best comparable run by this much: what tuning brings in a year, and what nobody showed. */
const PEER_LIMITS = { ok: 1.05, aggressive: 1.35 } as const;

const generationOf = (chip: Chip): Peer["generation"] | undefined =>
  near(chip.bf16FlopsPerSec, HOPPER)
    ? "hopper"
    : near(chip.bf16FlopsPerSec, AMPERE)
      ? "ampere"
      : near(chip.bf16FlopsPerSec, BLACKWELL)
        ? "blackwell"
        : undefined;
const near = (a: number, b: number) => Math.abs(a / b - 1) < 0.05;

/** Published rates carried over to the claim's model and chip: like for like as tokens, others by the share of the peak they reached. */
export function comparePeers(
  subject: Subject,
): (PeerComparison & { sigma: number; comparable: boolean; own: boolean; kin: boolean })[] {
  const { pretrain, chip, claim, config } = subject;
  if (!pretrain) return [];
  const generation = generationOf(chip);
  const kind = hasMoe(config) ? "moe" : "dense";
  return peersKnown()
    .filter((peer) => peer.model !== claim.name || claim.name === "deepseek-v3")
    .map((peer) => {
      const same =
        peer.model !== undefined &&
        peer.model === claim.model &&
        peer.generation === generation &&
        peer.precision === claim.precision;
      const gain = peer.precision === claim.precision ? 1 : claim.precision === "fp8" ? FP8_GAIN : 1 / FP8_GAIN;
      const share = (peer.tokensPerSecondPerGpu * peer.flopsPerToken) / peer.bf16FlopsPerSec;
      const perSecond = same
        ? peer.tokensPerSecondPerGpu
        : (share * gain * chip.bf16FlopsPerSec * pretrain.tokens) / pretrain.causal;
      const gpuHours = pretrain.tokens / perSecond / 3600;
      const comparable = peer.kind === kind && peer.generation === generation;
      return {
        name: peer.name,
        gpuHours,
        ratio: gpuHours / pretrain.gpuHours,
        like: same,
        comparable,
        own: peer.maker === claim.who,
        kin: peer.kind === kind,
        sigma: same ? 0.22 : comparable ? 0.3 : 0.5,
        how: same
          ? `${whole(peer.tokensPerSecondPerGpu)} tokens/s/GPU, the same model on a chip with the same arithmetic`
          : `${peer.maker === claim.who ? "the same makers' word: " : ""}${percent(share)} of its BF16 peak${gain === 1 ? "" : claim.precision === "fp8" ? `, × ${trim(FP8_GAIN)} for FP8` : `, ÷ ${trim(FP8_GAIN)} for BF16`}`,
        sources: gain === 1 ? [peer.source] : [peer.source, fp8Source],
      };
    });
}

/** Whether anyone else was seen to run as fast. */
export function checkPeers(subject: Subject): Check[] {
  const { pretrain } = subject;
  if (!pretrain) return [];
  const all = comparePeers(subject);
  const like = all.filter((peer) => peer.like);
  const pool = like.length > 0 ? like : all.filter((peer) => peer.comparable);
  if (pool.length === 0) {
    return [
      {
        id: "peers",
        topic: "peers",
        kind: "peers",
        title: "speed beside other runs",
        grade: "unknown",
        numbers: {},
        sources: [],
        says: `No published run of this kind of model on chips like the ${subject.chip.name} is known here.`,
        short: "no comparable run known",
      },
    ];
  }
  const best = pool.reduce((a, b) => (a.gpuHours < b.gpuHours ? a : b));
  const faster = best.ratio;
  const mine = pretrain.tokens / pretrain.gpuHours / 3600;
  const theirs = mine / faster;
  return [
    {
      id: "peers",
      topic: "peers",
      kind: "peers",
      title: "speed beside other runs",
      grade: gradeUpTo(faster, PEER_LIMITS, "unshown"),
      says: `${whole(mine)} tokens/s/GPU are ${faster >= 1 ? `${percent(faster - 1, 0)} faster than` : `${percent(1 - faster, 0)} slower than`} the best comparable public run, ${best.name}: ${whole(theirs)} (${best.how}).`,
      short: `${whole(mine)} tokens/s/GPU, ${faster >= 1 ? `${percent(faster - 1, 0)} faster` : `${percent(1 - faster, 0)} slower`} than ${best.name} (${whole(theirs)})`,
      numbers: { tokensPerSecondPerGpu: mine, peerTokensPerSecondPerGpu: theirs, ratio: faster },
      sources: best.sources,
    },
  ];
}
