/** What follows from a data sheet: the export rules' measures, and figures that cannot be true. */
import type { ChipFacts } from "../types.ts";

/** Bits times dense tera-operations a second, the most over precisions (2 × MacTOPS × bits). Undefined where no rate is published. */
export function totalProcessingPerformance(chip: ChipFacts): number | undefined {
  if (chip.tpp !== undefined) return chip.tpp;
  return fromRates(chip);
}

/** TPP over the area of the logic dies, in mm². Undefined where either is unknown. */
export function performanceDensity(chip: ChipFacts): number | undefined {
  const tpp = totalProcessingPerformance(chip);
  return tpp === undefined || chip.logicDieMm2 === undefined ? undefined : tpp / chip.logicDieMm2;
}

function fromRates({ bf16FlopsPerSec, eightBitOpsPerSec, fp4FlopsPerSec }: ChipFacts): number | undefined {
  const tops = [
    [bf16FlopsPerSec, 16],
    [eightBitOpsPerSec, 8],
    [fp4FlopsPerSec, 4],
  ] as const;
  const known = tops.flatMap(([rate, bits]) => (rate === undefined ? [] : [(rate / 1e12) * bits]));
  return known.length > 0 ? Math.max(...known) : undefined;
}

/**
 * What in a chip's figures contradicts physics or the way such chips are built, as sentences with the numbers; none for a sound table. Catches
 * what tables get wrong in practice: a rate with sparsity, one precision's rate in another's place, a link of a whole node, GB for bytes.
 */
export function physicsFaults(chip: ChipFacts): string[] {
  const faults: string[] = [];
  const doubted = (field: string) => chip.doubts?.[field] !== undefined;
  const within = (value: number | undefined, low: number, high: number, say: (value: string) => string) => {
    if (value !== undefined && !(value >= low && value <= high)) faults.push(say(figure(value)));
  };
  const {
    bf16FlopsPerSec: bf16,
    eightBitOpsPerSec: eight,
    fp4FlopsPerSec: fp4,
    hbmBytes,
    hbmBytesPerSec,
    linkBytesPerSec,
    linkedChips,
    watts,
  } = chip;
  within(bf16, 1e12, 1e17, (v) => `bf16FlopsPerSec: expected 1 TFLOP/s to 100 PFLOP/s, in FLOP/s, got ${v}`);
  if (bf16 !== undefined && eight !== undefined && !doubted("eightBitOpsPerSec")) {
    const [low, high] = chip.fp8 ? [1.8, 2.2] : [0.45, 4.2];
    // Gaudi 3's engine does both at one rate.
    if (eight !== bf16)
      within(
        eight / bf16,
        low,
        high,
        (v) =>
          `8-bit over BF16: expected ${low} to ${high}${chip.fp8 ? " (FP8 is about twice BF16, both dense)" : ""}, got ${v}`,
      );
  }
  if (eight !== undefined && fp4 !== undefined && !doubted("fp4FlopsPerSec"))
    within(fp4 / eight, 1.5, 4.2, (v) => `FP4 over FP8: expected 1.5 to 4.2, got ${v}`);
  within(hbmBytes, 4e9, 2e12, (v) => `hbmBytes: expected 4 GB to 2 TB, in bytes, got ${v}`);
  if (hbmBytes !== undefined && hbmBytesPerSec !== undefined)
    within(
      hbmBytes / hbmBytesPerSec,
      0.005,
      0.12,
      (v) => `seconds to read the memory once: expected 0.005 to 0.12, got ${v}`,
    );
  if (bf16 !== undefined && hbmBytesPerSec !== undefined)
    within(
      bf16 / hbmBytesPerSec,
      20,
      800,
      (v) => `BF16 FLOPs per byte of memory traffic: expected 20 to 800, got ${v}`,
    );
  if (linkedChips !== undefined && linkBytesPerSec !== undefined) {
    const [low, high] = linkedChips > 1 ? [30e9, 8e12] : [8e9, 300e9];
    within(
      linkBytesPerSec,
      low,
      high,
      (v) =>
        `linkBytesPerSec of ${linkedChips > 1 ? "linked chips" : "a card on PCIe"}: expected ${figure(low)} to ${figure(high)}, in bytes a second, got ${v}`,
    );
    if (
      hbmBytesPerSec !== undefined &&
      linkBytesPerSec > hbmBytesPerSec &&
      !doubted("linkBytesPerSec") &&
      !doubted("hbmBytesPerSec")
    )
      faults.push(
        `linkBytesPerSec: expected less than the memory's ${figure(hbmBytesPerSec)}, got ${figure(linkBytesPerSec)}`,
      );
  }
  within(watts, 50, 3000, (v) => `watts: expected 50 to 3000 for one chip, got ${v}`);
  if (watts !== undefined && bf16 !== undefined)
    within(bf16 / 1e12 / watts, 0.15, 4.5, (v) => `BF16 TFLOP/s per watt: expected 0.15 to 4.5, got ${v}`);
  within(chip.logicDieMm2, 50, 4000, (v) => `logicDieMm2: expected 50 to 4000, got ${v}`);
  const computed = fromRates(chip);
  if (chip.tpp !== undefined && computed !== undefined)
    within(
      chip.tpp / computed,
      0.98,
      2.06,
      (v) => `tpp: expected once to twice what the rates give (${figure(computed)}), got ${v} times`,
    );
  return faults;
}

const figure = (n: number): string => Number(n.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 4 });
