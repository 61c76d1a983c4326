/** The planner's fitted constants and their bounds. */

/**
 * All that is fitted in the planner. Everything else is a data sheet, an architecture or a layout. Each constant is a property of hardware or of
 * common practice that nobody prints on a data sheet; `bounds` says what a physicist would believe before seeing any training run, and a fit may not leave them.
 */
export interface Constants {
  /** Best share of the sustained 16-bit peak that a large matrix product reaches. */
  productShare: number;
  /** The same of the 8-bit peak, scales and casts inside the kernel included. */
  eightBitShare: number;
  /** Size of a product's side, in elements, at which that side alone costs half the rate: tiles, waves, pipeline fill. */
  productHalfSize: number;
  /** Share of the sustained 16-bit peak that a fused attention kernel nears for long sequences and wide heads (`attentionRateShare`), mean of forward and backward. */
  attentionShare: number;
  /** Share of the memory's bandwidth that element-wise kernels reach. */
  memoryShare: number;
  /** Share of a link's bandwidth that a collective reaches. */
  linkShare: number;
  /** Seconds a collective takes before its first byte: launch, handshake, waiting for the last of the group. */
  collectiveSeconds: number;
  /** Seconds after an operation (one or a few kernels) that nothing fills: launch, prologue, tail. */
  launchSeconds: number;
  /** Share of communication hidden behind computation where software overlaps the two. */
  hiddenShare: number;
  /** Watts that a chip needs per 16-bit TFLOP/s of its peak to keep its full clock in dense products; with less, the clock falls by the cube root. */
  wattsPerTeraflop: number;
  /** The same of the generation that has FP4, as a share: what its tensor cores save in moving operands. */
  laterWattsShare: number;
  /** Times that software passes over the rows it sorts by expert: padding, weighing and summing beside the sort. */
  routingPasses: number;
  /** Throughput of a whole run (failures, restarts, evaluation, a layout that is not the best) over the best layout's steady state. */
  wholeRunShare: number;
}

export type ConstantName = keyof Constants;

/** Fitted on all rows by `npm run accuracy -- --fit`. */
export const CONSTANTS: Readonly<Constants> = {
  productShare: 0.831,
  eightBitShare: 0.773,
  productHalfSize: 88.3,
  attentionShare: 0.724,
  memoryShare: 0.692,
  linkShare: 0.85,
  collectiveSeconds: 28.2e-6,
  launchSeconds: 15e-6,
  hiddenShare: 0.735,
  wattsPerTeraflop: 1.8,
  laterWattsShare: 0.745,
  routingPasses: 4.25,
  wholeRunShare: 0.761,
};

/** What each may be, and where one expects it before any fit. */
export const BOUNDS: Readonly<
  Record<ConstantName, { low: number; prior: number; high: number; unit: string; meaning: string }>
> = {
  productShare: {
    low: 0.75,
    prior: 0.9,
    high: 0.98,
    unit: "of sustained 16-bit peak",
    meaning: "a large matrix product",
  },
  eightBitShare: {
    low: 0.45,
    prior: 0.7,
    high: 0.95,
    unit: "of sustained 8-bit peak",
    meaning: "a large 8-bit product with its scales",
  },
  productHalfSize: {
    low: 20,
    prior: 120,
    high: 400,
    unit: "elements",
    meaning: "side of a product that costs half the rate",
  },
  attentionShare: {
    low: 0.5,
    prior: 0.85,
    high: 1,
    unit: "of sustained 16-bit peak",
    meaning: "fused attention of long sequences and wide heads, both ways",
  },
  memoryShare: { low: 0.6, prior: 0.8, high: 0.95, unit: "of memory bandwidth", meaning: "element-wise kernels" },
  linkShare: { low: 0.5, prior: 0.75, high: 0.95, unit: "of link bandwidth", meaning: "collectives" },
  collectiveSeconds: { low: 5e-6, prior: 20e-6, high: 80e-6, unit: "s", meaning: "start of a collective" },
  launchSeconds: {
    low: 0.5e-6,
    prior: 5e-6,
    high: 15e-6,
    unit: "s",
    meaning: "gap after an operation (one or a few kernels)",
  },
  hiddenShare: {
    low: 0.3,
    prior: 0.7,
    high: 0.95,
    unit: "of overlapped communication",
    meaning: "hidden behind computation",
  },
  wattsPerTeraflop: {
    low: 0.8,
    prior: 1.25,
    high: 2,
    unit: "W per 16-bit TFLOP/s",
    meaning: "power at which the clock holds",
  },
  laterWattsShare: { low: 0.4, prior: 0.7, high: 1, unit: "of it", meaning: "the same where tensor cores have FP4" },
  routingPasses: { low: 1, prior: 2, high: 6, unit: "times", meaning: "passes over rows sorted by expert" },
  wholeRunShare: {
    low: 0.6,
    prior: 0.85,
    high: 1,
    unit: "of steady state",
    meaning: "whole runs against their best steady state",
  },
};

export const CONSTANT_NAMES = Object.keys(BOUNDS) as ConstantName[];
