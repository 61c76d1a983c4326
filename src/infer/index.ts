/** Inference: decoding graphs, sequences and their cache, sampling. Knows no HTTP. */
export { Decoder, openDecoder, type DecoderOptions } from "./decoder.ts";
export {
  BusyError, EngineClosedError, SAMPLING_DEFAULTS, type Engine, type GeneratedToken, type GenerateRequest, type LanguageModel, type Sampling,
  type ScoredId, type SequenceCache, type TokenScore,
} from "./engine.ts";
export { Gate } from "./gate.ts";
export { ModelEngine, shareOf, type ModelEngineOptions } from "./model-engine.ts";
export { random, type Random } from "./random.ts";
export { argmax, logprobOf, logSumExp, Sampler, topLogprobs } from "./sampling.ts";
