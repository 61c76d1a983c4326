import { chipOf } from "../chips.ts";
import { SOURCES } from "../sources.ts";
import type { World } from "./audit.ts";

/** The chip table, the export rules, the price lists and the planner, as an audit asks them. */
export const realWorld: World = {
  chipOf,
  obtainable: () => ({ known: false, ever: false, short: "unknown", sources: [] }),
  predict: () => undefined,
  rental: () => ({ from: 1.7, to: 2.95, source: SOURCES.epoch }),
};
