/** How wide the planner's errors are, by what is known of a question before it is answered. */
import type { Job } from "./types.ts";

/** What widens errors: experts, the chip's generation (before Hopper is none), a layout that nobody gave, a whole run's hours rather than a steady state. */
export type Trait = "mixture" | "hopper" | "later" | "searched" | "wholeRun";
export const TRAITS: readonly Trait[] = ["mixture", "hopper", "later", "searched", "wholeRun"];

/** ln(measured ÷ predicted) is of a width whose square is that of the base and of each trait, added up; between `low` and `high` widths lie 80 %. */
export type BandModel = Record<"base" | Trait, number> & { low: number; high: number };
export const WIDTHS: readonly ("base" | Trait)[] = ["base", ...TRAITS];

export interface Known {
  /** The layout is given (tp and pp at least), not searched. */
  layoutGiven: boolean;
  /** Hours of a whole run are asked for, not the speed of a step. */
  wholeRun: boolean;
}

/** The traits of a job. Chips of other makers than NVIDIA's, of which no row is known, count with the latest. */
export function traitsOf(
  { architecture, cluster: { chip } }: Pick<Job, "architecture" | "cluster">,
  { layoutGiven, wholeRun }: Known,
): Trait[] {
  const later = chip.fp4FlopsPerSec !== undefined || chip.vendor !== "NVIDIA";
  return [
    ...(architecture.layers.some(({ ffn }) => ffn.kind === "moe") ? (["mixture"] as const) : []),
    ...(later ? (["later"] as const) : chip.fp8 ? (["hopper"] as const) : []),
    ...(layoutGiven ? [] : (["searched"] as const)),
    ...(wholeRun ? (["wholeRun"] as const) : []),
  ];
}

export const widthOf = (traits: readonly Trait[], model: BandModel): number =>
  Math.hypot(model.base, ...traits.map((trait) => model[trait]));
