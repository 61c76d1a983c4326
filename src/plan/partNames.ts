/** What the parts of a step's time are called. */
import type { StepEstimate } from "./types.ts";

export const PART_NAMES: Record<keyof StepEstimate["parts"], string> = {
  compute: "computation",
  memoryBound: "memory-bound work",
  tp: "exposed tensor-parallel communication",
  ep: "exposed expert all-to-all",
  cp: "exposed context-parallel communication",
  pp: "sends between stages",
  dp: "exposed gradient and weight exchange",
  bubble: "pipeline bubble",
  optimizer: "optimizer",
  overhead: "kernel launches",
};
