/** Inference: one engine for many sequences: graphs, cache, schedule, sampling. Knows no HTTP. */
export { Decoder, type DecoderOptions, type OpenOptions, openDecoder } from "./decoder.ts";
export { DRAFTS, type DraftsKind } from "./drafts/kinds.ts";
export type { DraftStatistics } from "./drafts/statistics.ts";
export {
  BLOCK_TOKENS,
  BusyError,
  type Engine,
  EngineClosedError,
  type GeneratedToken,
  type GenerateRequest,
  type Guide,
  type LanguageModel,
  type Line,
  type Pass,
  RUN,
  SAMPLING_DEFAULTS,
  type Sampling,
  type ScoredId,
  type Scores,
  type TokenScore,
} from "./engine.ts";
export { Gate } from "./gate.ts";
export { ModelEngine, type ModelEngineOptions, shareOf } from "./model-engine.ts";
export { type Random, random } from "./random.ts";
export type { Pooling } from "./readings.ts";
export type { Sampled, SampleRequest } from "./sample.ts";
export { argmax, logprobOf, logSumExp, Sampler, scoresOf, topLogprobs } from "./sampling.ts";
export { StoredPrompts } from "./storedPrompts.ts";
export { formThatFits, openingBytes, type WeightsAbout, type WeightsOptions } from "./weights.ts";
