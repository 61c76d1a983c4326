/** What generating tokens takes on GPUs: operations of a decoding pass, weights and cache held. */
import {
  type Architecture,
  type Attention,
  type Ffn,
  headWidths,
  type ListedAttention,
  mostKeys,
  parameterCount,
} from "./architecture.ts";
import { chipOf } from "./chips.ts";
import { collectiveSeconds, spanOf } from "./collectives.ts";
import type { Constants } from "./constants.ts";
import { opSeconds, sustainedClock } from "./efficiency.ts";
import { UNSPREAD } from "./layouts.ts";
import { FP8, HALF } from "./operations.ts";
import type { Cluster, Job, Layout, Op, Precision, Source } from "./types.ts";
import { parametersPerGpu } from "./work.ts";

export const DECODE_SOURCES: readonly Source[] = [
  {
    title: "deepseek-ai/FlashMLA of February 2025: 580 TFLOP/s and 3,000 GB/s on H800, remembered",
    date: "2025-02-24",
    mark: "unconfirmed",
    url: "https://github.com/deepseek-ai/FlashMLA",
  },
  { title: "Decoding runs as a recorded graph: 4 µs between kernels, assumed", date: "2026-11", mark: "unconfirmed" },
];

/**
 * Decoding is other work than training: one attention kernel made for it and recorded graphs. What the fit found for training's kernels
 * (mean of forward and backward, launches from Python) is replaced by that kernel's published rates.
 */
export function decodeConstants(constants: Constants): Constants {
  const h800 = chipOf("h800");
  return {
    ...constants,
    attentionShare: Math.min(1, 580e12 / (h800.bf16FlopsPerSec * sustainedClock(h800, constants))),
    memoryShare: Math.max(constants.memoryShare, 3000e9 / h800.hbmBytesPerSec),
    launchSeconds: Math.min(constants.launchSeconds, 4e-6),
  };
}

/** How a model is served on one unit of GPUs: attention in `gpus / tp` replicas, experts spread over all. */
export interface ServingLayout {
  gpus: number;
  tp: number;
  ep: number;
}

export const layoutOf = ({ gpus, tp, ep }: ServingLayout, microBatch = 1): Layout => ({
  ...UNSPREAD,
  dp: gpus / tp,
  tp,
  ep,
  zero: 0,
  microBatch,
});

/** What a listed attention keeps of every further token of a long sequence. */
const growing = (a: ListedAttention): number =>
  a.cached.reduce((sum, { numbers, every, most }) => sum + (most === undefined ? numbers / every : 0), 0);

/** Numbers it keeps of a sequence. */
const keptNumbers = (a: ListedAttention, tokens: number): number =>
  a.cached.reduce(
    (sum, { numbers, every, most = Number.POSITIVE_INFINITY }) => sum + numbers * Math.min(tokens / every, most),
    a.state,
  );

/** Numbers cached per token and layer on one GPU; TP splits key heads, MLA's latent and the indexer's key have none to split. */
export const cachedNumbers = (a: Attention, tp: number): number =>
  a.kind === "listed"
    ? growing(a)
    : a.kind === "mla"
      ? a.kvRank + a.rope + (a.indexer?.width ?? 0)
      : 2 * a.headDim * Math.max(1, a.kvHeads / tp);

/** Bytes a cached token takes on one GPU over all layers, in 16 bits unless said otherwise. */
export const cacheBytesPerToken = (architecture: Architecture, tp = 1, bytesPerNumber = 2): number =>
  architecture.layers.reduce(
    (sum, { count, attention }) => sum + count * cachedNumbers(attention, tp) * bytesPerNumber,
    0,
  );

/** Bytes that a sequence of `tokens` takes on one GPU: a layer with a window keeps no more than that (in the mean less, where attention is in chunks). */
export const cacheBytes = (architecture: Architecture, tp: number, tokens: number, bytesPerNumber = 2): number =>
  architecture.layers.reduce((sum, { count, attention: a }) => {
    if (a.kind === "listed") return sum + count * keptNumbers(a, tokens) * bytesPerNumber;
    const kept = a.kind === "gqa" ? Math.min(tokens, mostKeys(a)) : tokens;
    return sum + count * cachedNumbers(a, tp) * bytesPerNumber * kept;
  }, 0);

/** Weights on one GPU: matrices at the precision's width, embedding and head in 16 bits. */
export function servedWeightBytes(job: Job, serving: ServingLayout): number {
  const layout = layoutOf(serving);
  const width = job.precision === "fp8" ? FP8 : HALF;
  const { architecture } = job;
  let numbers = 0;
  for (const run of architecture.layers) {
    const { sharedParameters, expertParameters } = parametersPerGpu(job, layout, run);
    // Where experts do not divide evenly, some GPUs hold a copy more.
    const copies =
      run.ffn.kind === "moe" ? (Math.ceil(run.ffn.experts / serving.ep) * serving.ep) / run.ffn.experts : 1;
    numbers += run.count * (sharedParameters + expertParameters * copies);
  }
  return numbers * width + ((architecture.tied ? 1 : 2) * architecture.vocab * architecture.hidden * HALF) / serving.tp;
}

export interface DecodePoint {
  /** Sequences a TP group works on at once. */
  sequences: number;
  /** Tokens already cached of each. */
  context: number;
  /** Tokens looked at in one pass: 1, or more when drafts are verified. */
  width: number;
}

/** The operations of one decode pass on one GPU: MLA absorbed (queries meet the latent), every weight that is hit read once. */
export function decodeOps(job: Job, serving: ServingLayout, { sequences, context, width }: DecodePoint): Op[] {
  const { architecture, precision } = job;
  const D = architecture.hidden;
  const T = sequences * width;
  const ops: Op[] = [];
  for (const run of architecture.layers) {
    const layer: Op[] = [];
    attentionOps(layer, run.attention, { D, T, sequences, context, tp: serving.tp, precision });
    ffnOps(layer, run.ffn, { D, T, serving, precision });
    layer.push({ kind: "memory", name: "norms and residuals", bytes: T * D * HALF * 10 });
    for (let i = 0; i < run.count; i++) ops.push(...layer);
  }
  ops.push({ kind: "gemm", name: "head", m: T, n: architecture.vocab / serving.tp, k: D, count: 1, precision: "bf16" });
  ops.push({ kind: "memory", name: "sampling", bytes: (T * architecture.vocab * 8) / serving.tp });
  return ops;
}

interface At {
  D: number;
  T: number;
  precision: Precision;
}

function attentionOps(
  ops: Op[],
  a: Attention,
  { D, T, sequences, context, tp, precision }: At & { sequences: number; context: number; tp: number },
): void {
  const gemm = (name: string, n: number, k: number, count = 1, p = precision): unknown =>
    ops.push({ kind: "gemm", name, m: T, n, k, count, precision: p });
  const heads = a.heads / tp;
  const { query, value } = headWidths(a);
  if (a.kind === "listed") {
    a.products.forEach(({ name, inner, outer, count = 1, copied }, i) => {
      if (copied) gemm(name, outer, inner, count);
      else if (i === a.products.length - 1) gemm(name, outer, inner / tp);
      else if (count > 1) gemm(name, outer, inner, count / tp);
      else gemm(name, outer / tp, inner);
    });
    const pairs = a.pairs.reduce(
      (sum, { flops, every, most = Number.POSITIVE_INFINITY }) => sum + flops * Math.min(context / every, most),
      0,
    );
    ops.push({
      kind: "attention",
      name: "attention",
      flops: (T * (pairs + a.stateFlops)) / tp,
      bytes: sequences * keptNumbers(a, context) * HALF,
    });
    if (tp > 1) ops.push(tpSum("attention sum", T * D * HALF));
    return;
  }
  if (a.kind === "mla") {
    gemm("latents", (a.qRank ?? 0) + a.kvRank + a.rope, D);
    gemm("query up", heads * query, a.qRank ?? D);
    gemm("query into latent", a.kvRank, a.nope, heads, "bf16");
  } else gemm("qkv", ((a.gate ? 2 : 1) * heads + 2 * Math.max(1, a.kvHeads / tp)) * a.headDim, D);
  const perPair = a.kind === "mla" ? 2 * a.kvRank + a.rope : query + value;
  const indexer = a.kind === "mla" ? a.indexer : undefined;
  const keys = Math.min(context, mostKeys(a));
  const indexed = indexer?.width ?? 0;
  if (a.kind === "mla" && indexer) {
    gemm("index queries", indexer.heads * indexed, a.qRank ?? D);
    gemm("index keys and weights", indexed + indexer.heads, D);
    ops.push({
      kind: "attention",
      name: "index scores",
      flops: 2 * T * indexer.heads * (indexed + 1) * context,
      bytes: sequences * context * indexed * HALF,
    });
  }
  ops.push({
    kind: "attention",
    name: "attention",
    flops: 2 * T * heads * perPair * keys,
    bytes: sequences * keys * (cachedNumbers(a, tp) - indexed) * HALF,
  });
  if (a.kind === "mla") gemm("latent into value", a.value, a.kvRank, heads, "bf16");
  gemm("o", D, heads * (a.kind === "mla" ? a.value : a.headDim));
  if (tp > 1) ops.push(tpSum("attention sum", T * D * HALF));
}

const tpSum = (name: string, bytes: number): Op => ({
  kind: "collective",
  name,
  collective: "allReduce",
  bytes,
  group: "tp",
  overlaps: false,
});

function ffnOps(ops: Op[], ffn: Ffn, { D, T, serving, precision }: At & { serving: ServingLayout }): void {
  const { tp, ep, gpus } = serving;
  const pair = (name: string, m: number, width: number, gated: boolean, count = 1): unknown =>
    ops.push(
      { kind: "gemm", name: `${name} in`, m, n: (gated ? 2 : 1) * width, k: D, count, precision },
      { kind: "gemm", name: `${name} out`, m, n: D, k: width, count, precision },
    );
  if (ffn.kind === "dense") {
    pair("FFN", T, ffn.width / tp, ffn.gated);
    if (tp > 1) ops.push(tpSum("FFN sum", T * D * HALF));
    return;
  }
  ops.push({ kind: "gemm", name: "router", m: T, n: ffn.experts, k: D, count: 1, precision: "bf16" });
  if (ffn.shared > 0) pair("shared expert", T, (ffn.width * ffn.shared) / tp, true);
  // The unit's tokens fall on all experts alike; those none falls on are not read.
  const unitTokens = (T * gpus) / tp;
  const local = ffn.experts / ep;
  const hit = local * (1 - (1 - ffn.perToken / ffn.experts) ** unitTokens);
  const rows = (unitTokens * ffn.perToken) / ep;
  if (ep > 1) {
    const sent = (T / tp) * ffn.perToken * D;
    ops.push({
      kind: "collective",
      name: "dispatch",
      collective: "allToAll",
      bytes: sent * (precision === "fp8" ? FP8 : HALF),
      group: "ep",
      overlaps: true,
      nodesPerToken: ffn.perToken,
    });
    ops.push({
      kind: "collective",
      name: "combine",
      collective: "allToAll",
      bytes: sent * HALF,
      group: "ep",
      overlaps: true,
      nodesPerToken: ffn.perToken,
    });
  }
  pair("experts", rows / hit, ffn.width, true, hit);
}

/** Seconds of operations on one GPU: what computes, and what communicates by whether it can hide. */
export interface PassSeconds {
  compute: number;
  exposed: number;
  hideable: number;
}

/** Adds operations up. Collectives of experts can hide behind another micro-batch, those of TP cannot. */
export function passSeconds(
  ops: Op[],
  layout: Layout,
  cluster: Cluster,
  constants: Constants,
  copies: number,
): PassSeconds {
  const sums: PassSeconds = { compute: 0, exposed: 0, hideable: 0 };
  const known = new Map<Op, number>();
  for (const op of ops) {
    let seconds = known.get(op);
    if (seconds === undefined) {
      seconds =
        op.kind === "collective"
          ? collectiveSeconds(
              {
                collective: op.collective,
                bytes: op.bytes,
                nodesPerToken: op.nodesPerToken,
                ...(op.collective === "allToAll" && { copies }),
              },
              spanOf(op.group, layout),
              cluster,
              constants,
            )
          : opSeconds(op, cluster.chip, constants);
      known.set(op, seconds);
    }
    if (op.kind !== "collective") sums.compute += seconds;
    else if (op.group === "ep") sums.hideable += seconds;
    else sums.exposed += seconds;
  }
  return sums;
}

/** Experts a token visits, for the traffic of all-to-alls; 1 in a dense model. */
export const copiesOf = (architecture: Architecture): number =>
  Math.max(1, ...architecture.layers.map(({ ffn }) => (ffn.kind === "moe" ? ffn.perToken : 1)));

/**
 * Seconds of one decode pass: all at once, or as two halves of which one computes while the other communicates (each half reads
 * the weights again), whichever is sooner.
 */
export function decodeSeconds(job: Job, serving: ServingLayout, point: DecodePoint, fitted: Constants): number {
  const constants = decodeConstants(fitted);
  const layout = layoutOf(serving);
  const copies = copiesOf(job.architecture);
  const time = (p: DecodePoint) => passSeconds(decodeOps(job, serving, p), layout, job.cluster, constants, copies);
  const whole = time(point);
  const atOnce = whole.compute + whole.exposed + whole.hideable;
  if (whole.hideable === 0 || point.sequences < 2) return atOnce;
  const half = time({ ...point, sequences: point.sequences / 2 });
  const hidden = constants.hiddenShare * Math.min(half.compute, half.hideable);
  return Math.min(atOnce, 2 * (half.compute + half.exposed + half.hideable - hidden));
}

/** Active weights alone set this bound: bytes that must be read for one token of one sequence over the unit's bandwidth. */
export const soloSeconds = (job: Job, serving: ServingLayout): number =>
  (parameterCount(job.architecture).active * (job.precision === "fp8" ? 1 : 2)) /
  (serving.gpus * job.cluster.chip.hbmBytesPerSec);
