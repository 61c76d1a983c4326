/** Teaching a model to reason: tasks, rewards by rule, the arithmetic of GRPO, statistics of samples. */
export { finalAnswer, sameAnswer } from "./answers/index.ts";
export { type Checked, checkWorking, type SelfCorrection, selfCorrection } from "./countdown/working.ts";
export { GATE, type GateSample, type GateVerdict, judgeGate } from "./gate.ts";
export { mixture } from "./mixture.ts";
export {
  type Aggregation,
  advantages,
  type Clip,
  type GroupStatistics,
  groupStatistics,
  isDead,
  type KlEstimator,
  klEstimate,
  klGradient,
  type Scale,
  signalShare,
  surrogate,
  tokenWeights,
} from "./policy.ts";
export { type Format, type Reward, type RewardOptions, Rewards } from "./rewards.ts";
export {
  type Comparison,
  comparePaired,
  type Estimate,
  type Evaluation,
  estimate,
  evaluateSamples,
  majority,
  passAtK,
  type QuestionSamples,
} from "./statistics.ts";
export {
  type Baselines,
  distinctProblems,
  type Form,
  type Problem,
  type Reply,
  type Score,
  type Solution,
  type Split,
  splitOf,
  type Task,
  type TaskText,
  type TextOptions,
  taskText,
} from "./task.ts";
export { openTask, TASK_NAMES } from "./tasks/named.ts";
export type { OwnOptions } from "./tasks/own.ts";
export { writeTaskTexts } from "./texts.ts";
export { isLong, type Parted, partReply } from "./thought.ts";
