/** How much of its data sheet a chip gives: clocks, matrix products, memory. */
import type { Constants } from "./constants.ts";
import type { Chip, Op, Precision } from "./types.ts";

/**
 * Share of its data sheet's clock that a chip keeps in dense products. Power goes with the cube of the clock (voltage follows frequency), so a chip whose
 * limit is short of what its peak needs slows by the cube root. H20 and A100 keep their clock, H100 and B200 do not.
 */
export function sustainedClock(chip: Chip, constants: Constants): number {
  const wattsPerTeraflop = chip.watts / (chip.bf16FlopsPerSec / 1e12);
  const needed = constants.wattsPerTeraflop * (chip.fp4FlopsPerSec === undefined ? 1 : constants.laterWattsShare);
  return Math.min(1, Math.cbrt(wattsPerTeraflop / needed));
}

/** Best rate of a large matrix product, FLOP/s. A chip without FP8 falls back to 16 bits. */
export function productFlopsPerSec(chip: Chip, precision: Precision, constants: Constants): number {
  const clock = sustainedClock(chip, constants);
  return precision === "fp8" && chip.fp8
    ? chip.eightBitOpsPerSec * clock * constants.eightBitShare
    : chip.bf16FlopsPerSec * clock * constants.productShare;
}

/** Seconds of `count` products [m,k]·[k,n]: the slower of arithmetic and memory, sides that are short costing rate. */
export function productSeconds(
  { m, n, k, count, precision }: { m: number; n: number; k: number; count: number; precision: Precision },
  chip: Chip,
  constants: Constants,
): number {
  if (m <= 0 || n <= 0 || k <= 0 || count <= 0) return 0;
  const half = constants.productHalfSize;
  const shape = (m / (m + half)) * (n / (n + half)) * (k / (k + half));
  const arithmetic = (2 * m * n * k * count) / (productFlopsPerSec(chip, precision, constants) * shape);
  const width = precision === "fp8" && chip.fp8 ? 1 : 2;
  const memory = (count * (width * (m * k + k * n) + 2 * m * n)) / (chip.hbmBytesPerSec * constants.memoryShare);
  return Math.max(arithmetic, memory);
}

/** How attention runs: as one fused kernel over `sequence` keys, or as batched products whose short side is a head. */
export interface AttentionKernel {
  fused: boolean;
  /** Made for this generation of chips; an older one reaches OLDER_KERNEL of it. */
  older: boolean;
  sequence: number;
  /** Numbers of a head. */
  width: number;
}

/** FlashAttention-2 of FlashAttention-3 on H100 (35 of 75 %), FlashAttention of FlashAttention-2 on A100 (25 to 40 of 50 to 73 %): arXiv:2407.08608, arXiv:2307.08691. */
const OLDER_KERNEL = 0.5;
/** Sequence, and width of a head, at which a fused kernel reaches half of its best: the curves of both papers, causal, 512 to 16,384 tokens, heads of 64 and 128. */
const HALF_SEQUENCE = 400;
const HALF_WIDTH = 32;

/** Share of the sustained 16-bit peak that attention reaches, mean of forward and backward: long sequences fill the kernel's tiles, short ones and narrow heads do not. */
export function attentionRateShare({ fused, older, sequence, width }: AttentionKernel, constants: Constants): number {
  if (!fused) return (constants.productShare * width) / (width + constants.productHalfSize);
  const shape = (sequence / (sequence + HALF_SEQUENCE)) * (width / (width + HALF_WIDTH));
  return constants.attentionShare * shape * (older ? OLDER_KERNEL : 1);
}

/** Seconds of an operation that is no collective, on one chip, with the gap after it; attention at `attentionShare` of the sustained 16-bit peak. */
export function opSeconds(
  op: Exclude<Op, { kind: "collective" }>,
  chip: Chip,
  constants: Constants,
  attentionShare: number = constants.attentionShare,
): number {
  const memory = chip.hbmBytesPerSec * constants.memoryShare;
  switch (op.kind) {
    case "gemm":
      return productSeconds(op, chip, constants) + constants.launchSeconds;
    case "memory":
      return ((op.routed ? constants.routingPasses : 1) * op.bytes) / memory + constants.launchSeconds;
    case "attention": {
      const rate = chip.bf16FlopsPerSec * sustainedClock(chip, constants) * attentionShare;
      return Math.max(op.flops / rate, op.bytes / memory) + constants.launchSeconds;
    }
  }
}
