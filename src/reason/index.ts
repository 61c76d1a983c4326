/** Teaching a model to reason: tasks, rewards by rule, the arithmetic of GRPO, statistics of samples. */
export { finalAnswer, sameAnswer } from "./answers/index.ts";
export { type Checked, checkWorking, type SelfCorrection, selfCorrection } from "./countdown/working.ts";
export { type DiagnosedStep, Diagnosis, diagnose, type Finding, type Told } from "./diagnose.ts";
export { type DistillRequest, distill } from "./distill.ts";
export type { DistillProgress, DistillReport } from "./distiller.ts";
export { type DistillOptions, distillSchema, parseDistill } from "./distillOptions.ts";
export {
  type DistillSamplesRequest,
  type DistillSamplesResult,
  distillSamples,
  parseSamplesPlan,
  SAMPLES_STAGES,
  type SamplesPlan,
  type SamplesStage,
} from "./distillSamples.ts";
export {
  Endpoint,
  EndpointError,
  type EndpointOptions,
  type EndpointReply,
  type EndpointRequest,
  isUrl,
} from "./endpoint.ts";
export {
  compareEvaluations,
  type EvaluateOptions,
  type EvaluateRun,
  type EvaluationDifference,
  evaluateTask,
  type KeptAnswer,
  type TaskEvaluation,
  type Transcript,
  type TranscriptStore,
} from "./evaluate.ts";
export { EvaluationFile, type EvaluationHeader } from "./evaluationFile.ts";
export { FORMULAS } from "./formulas.ts";
export { GATE, type GateSample, type GateVerdict, judgeGate } from "./gate.ts";
export { drawOptions, FIRST_PROGRESS, Grpo, type ReinforceProgress, type ReinforceReport } from "./grpo.ts";
export { mixture } from "./mixture.ts";
export { parseReinforce, type ReinforceOptions, reinforceSchema } from "./options.ts";
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
export { parsePlan, R1_STAGES, type R1Plan, type R1Request, type R1Result, type R1Stage, r1 } from "./r1.ts";
export { GateError, type ReinforceRequest, type ReinforceResult, reinforce } from "./reinforce.ts";
export { askEndpoint, openModel, type Respondent } from "./respondents.ts";
export { type Format, type Reward, type RewardOptions, Rewards } from "./rewards.ts";
export { type Group, type Rollout, Rollouts } from "./rollouts.ts";
export { type SampleReport, type SampleRequest, sampleDataset } from "./sample.ts";
export { type SftProgress, type SftReport, type SftRequest, sft } from "./sft.ts";
export { parseSft, type SftOptions, sftSchema } from "./sftOptions.ts";
export type { StageResult, StageStart } from "./stage.ts";
export type { StageRequest } from "./stageOpen.ts";
export {
  type Comparison,
  comparePaired,
  type Estimate,
  type Evaluation,
  estimate,
  evaluateSamples,
  type Majority,
  majority,
  passAtK,
  type QuestionSamples,
  type QuestionValues,
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
