/** How much of its data sheet a chip gives: clocks, matrix products, memory. */
import type { Constants } from "./constants.ts";
import type { Chip, Op, Precision } from "./types.ts";

/**
 * Share of its data sheet's clock that a chip keeps in dense products. Power goes with the cube of the clock (voltage follows frequency), so a chip whose
 * limit is short of what its peak needs slows by the cube root. H20 and A100 keep their clock, H100 and B200 do not.
 */
export function sustainedClock(chip: Chip, constants: Constants): number {
  const wattsPerTeraflop = chip.watts / (chip.bf16FlopsPerSec / 1e12);
  return Math.min(1, Math.cbrt(wattsPerTeraflop / constants.wattsPerTeraflop));
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

/**
 * Seconds of an operation that is no collective, on one chip, with the gap after it. `unfusedHead` says that attention runs as batched products whose short side is a
 * head of that width; else it is one fused kernel.
 */
export function opSeconds(
  op: Exclude<Op, { kind: "collective" }>,
  chip: Chip,
  constants: Constants,
  unfusedHead?: number,
): number {
  const memory = chip.hbmBytesPerSec * constants.memoryShare;
  switch (op.kind) {
    case "gemm":
      return productSeconds(op, chip, constants) + constants.launchSeconds;
    case "memory":
      return op.bytes / memory + constants.launchSeconds;
    case "attention": {
      const share =
        unfusedHead === undefined
          ? constants.attentionShare
          : (constants.productShare * unfusedHead) / (unfusedHead + constants.productHalfSize);
      const rate = chip.bf16FlopsPerSec * sustainedClock(chip, constants) * share;
      return Math.max(op.flops / rate, op.bytes / memory) + constants.launchSeconds;
    }
  }
}
