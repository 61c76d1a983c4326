/**
 * The model: config.json in, symbolic tensors out. `trainingLoss` for training, `languageModel` for prefill and decode; both are
 * built of the same layers. Everything here runs in a browser.
 */
export { DIMS, type Dim as DimLetter } from "./dims.ts";
export {
  attentionBias, cacheWidth, eosTokenIds, hasMoe, headDims, isDeepseek, isGroupLimited, isMoeLayer, mlpBias, MODEL_TYPES, mtpDepth,
  parseConfig, type DeepseekConfig, type DeepseekV2Config, type DeepseekV3Config, type DenseConfig, type LlamaConfig, type ModelConfig,
  type ModelType, type Qwen2Config, type Qwen3Config, type RopeParameters,
} from "./config.ts";
export {
  headKey, listParameters, parameterKinds, parameterShapes, tensorCount, trainableShapes, type Parameter, type ParameterKind, type Part,
} from "./parameters.ts";
export {
  cacheBytesPerToken, countParameters, flopsPerDecodedToken, flopsPerToken, summarizeParameters, weightBytes, type FlopOptions, type Flops, type ParameterCount,
  type ParameterSummary,
} from "./flops.ts";
export { presetConfig, PRESETS } from "./presets.ts";
export { ropeFrequencies, ropeInterleaved, ropeTable, softmaxScale, type RopeFrequencies } from "./rope.ts";
export { checkGraphSize, GRAPH_TENSORS_MAX, modelBuilder, ropeAt, ropeFromStart, type BuilderOptions, type ModelBuilder, type Product, type Rope, type Tokens } from "./builder.ts";
export { balanceLoss, mixture, route, type Routing } from "./moe.ts";
export { mtpModule } from "./mtp.ts";
export {
  cacheSpec, embed, languageModel, layer, layerCacheSpec, logits, tokensOf, transformer, type LayerOptions,
} from "./transformer.ts";
export { trainingLoss, type LossOptions, type TrainingLoss } from "./loss.ts";
