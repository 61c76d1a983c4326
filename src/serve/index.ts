export { createApp, type AppOptions } from "./app.ts";
export { Decoder, openDecoder, type DecoderOptions } from "./decoder.ts";
export {
  BusyError, EngineClosedError, SAMPLING_DEFAULTS, type Engine, type GeneratedToken, type GenerateRequest, type LanguageModel, type Sampling,
  type ScoredId, type SequenceCache, type TokenScore,
} from "./engine.ts";
export { loadModel, loadServed, resolveModel, type LoadOptions, type OpenLanguageModel } from "./load.ts";
export { ModelEngine, type ModelEngineOptions } from "./model-engine.ts";
export { hasPages, pageRoutes, PAGES } from "./pages.ts";
export { random, type Random } from "./random.ts";
export { Sampler } from "./sampling.ts";
export type { ModelInfo, ServedModel } from "./served.ts";
export { listen, type ListenOptions, type RunningServer } from "./server.ts";
export { writeText, type Piece, type WriteOptions } from "./write.ts";
export type { ServeTokenizer } from "./tokens.ts";
