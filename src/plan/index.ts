/** The planner: what training and serving a model costs, on which chips, for how long. Pure: no files, no network, runs in a browser.
 * `plan` answers a question; the rest is what the answer is made of.
 */

export { type Architecture, architectureOf, flopsPerToken, gptArchitecture, parameterCount } from "./architecture.ts";
export { BAND_RESTS } from "./band.ts";
export {
  CHIP_FACTS,
  CHIPS,
  chipOf,
  factsOf,
  parseChip,
  performanceDensity,
  totalProcessingPerformance,
} from "./chips.ts";
export { type ClusterOptions, clusterOf } from "./cluster.ts";
export type { Constants } from "./constants.ts";
export { type Energy, energy, GRIDS, gridOf } from "./energy.ts";
export { PLANNED_TYPES, plannedArchitecture } from "./families/index.ts";
export { type Goodput, type GoodputQuestion, goodput, impliedGoodput } from "./goodput.ts";
export { layoutProblem, layoutText } from "./layouts.ts";
export { memoryOf } from "./memory.ts";
export { type Lines, lines, type Owned, owned, PER_USD, PROGRAMME_MULTIPLE, parseCurrency } from "./money.ts";
export { nearest } from "./nearest.ts";
export { type PhaseOptions, type PhaseResult, type PhaseSpec, type PhasesResult, planPhases } from "./phases.ts";
export { type PlanOptions, plan, sensibleCounts } from "./plan.ts";
export {
  type NamedModel,
  PHASES,
  type Phased,
  PLAN_PRESETS,
  type PlanPreset,
  phasesOf,
  planModel,
  planModelNames,
} from "./presets.ts";
export {
  type Currency,
  exchangeRate,
  fromUsd,
  PURCHASE_PRICES,
  purchasePrice,
  type Rate,
  rentalRate,
  toUsd,
} from "./prices.ts";
export { jobOf, questionArchitecture, SCHEDULES } from "./question.ts";
export { type Asked, RefusedError } from "./refusal.ts";
export type * from "./result.ts";
export { type Rollout, type RolloutQuestion, rollout } from "./rollouts.ts";
export { simulate } from "./schedule/index.ts";
export { searchLayouts } from "./search.ts";
export {
  DEEPSEEK_SERVICE,
  measuredShare,
  type Serving,
  type ServingQuestion,
  serve,
  tokensPerPass,
} from "./serving.ts";
export { estimateStep, stepDetails } from "./step.ts";
export type * from "./types.ts";
export type { BandModel, Trait } from "./widths.ts";
