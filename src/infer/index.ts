/** Inference: decoding graphs, sequences and their cache, sampling. Knows no HTTP. */
export { Decoder, type DecoderOptions, openDecoder } from "./decoder.ts";
export {
  BusyError,
  type Engine,
  EngineClosedError,
  type GeneratedToken,
  type GenerateRequest,
  type LanguageModel,
  SAMPLING_DEFAULTS,
  type Sampling,
  type ScoredId,
  type SequenceCache,
  type TokenScore,
} from "./engine.ts";
export { Gate } from "./gate.ts";
export { ModelEngine, type ModelEngineOptions, shareOf } from "./model-engine.ts";
export { type Random, random } from "./random.ts";
export { argmax, logprobOf, logSumExp, Sampler, topLogprobs } from "./sampling.ts";
