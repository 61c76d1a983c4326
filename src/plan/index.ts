/**
 * The planner: what training and serving a model costs, on which chips, for how long. Pure: no files, no network, runs in a browser.
 * `plan` answers a question; the rest is what the answer is made of.
 */
export { plan, sensibleCounts, type PlanOptions } from "./plan.ts";
export { nearest } from "./nearest.ts";
export { PHASES, PLAN_PRESETS, planModel, planModelNames, type NamedModel, type PlanPreset } from "./presets.ts";
export { jobOf, SCHEDULES } from "./question.ts";
export { architectureOf, flopsPerToken, gptArchitecture, parameterCount, type Architecture } from "./architecture.ts";
export { CHIPS, chipOf, parseChip } from "./chips.ts";
export { clusterOf, type ClusterOptions } from "./cluster.ts";
export { layoutProblem, layoutText } from "./layouts.ts";
export { memoryOf } from "./memory.ts";
export { estimateStep } from "./step.ts";
export { searchLayouts } from "./search.ts";
export { simulate } from "./schedule/index.ts";
export { goodput, impliedGoodput, type Goodput, type GoodputQuestion } from "./goodput.ts";
export { energy, GRIDS, gridOf, type Energy } from "./energy.ts";
export { lines, owned, parseCurrency, PER_USD, PROGRAMME_MULTIPLE, type Lines, type Owned } from "./money.ts";
export { purchasePrice, rentalRate, fromUsd, toUsd, type Currency, type Rate } from "./prices.ts";
export { planPhases, type PhaseOptions, type PhaseResult, type PhaseSpec, type PhasesResult } from "./phases.ts";
export { rollout, type Rollout, type RolloutQuestion } from "./rollouts.ts";
export { DEEPSEEK_SERVICE, measuredShare, serve, tokensPerPass, type Serving, type ServingQuestion } from "./serving.ts";
export type * from "./types.ts";
