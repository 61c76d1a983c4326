/** The model: config.json in, symbolic tensors out. `trainingLoss` for training, `languageModel` for prefill and decode; both are
 * built of the same layers. Everything here runs in a browser.
 */

export {
  type BuilderOptions,
  checkGraphSize,
  GRAPH_TENSORS_MAX,
  type LatentProducts,
  type ModelBuilder,
  modelBuilder,
  type Product,
  type Rope,
  type Routed,
  ropeAt,
  ropeFromStart,
  type Swiglu,
  type Tokens,
} from "./builder.ts";
export {
  attentionBias,
  cacheWidth,
  type DeepseekMoeConfig,
  type DeepseekV2Config,
  type DeepseekV3Config,
  type DeepseekV32Config,
  eosTokenIds,
  type GroupedConfig,
  hasMoe,
  headDims,
  isIndexed,
  isLatent,
  isMoeLayer,
  type LatentConfig,
  type LlamaConfig,
  layerRuns,
  type Mixture,
  MODEL_TYPES,
  type ModelConfig,
  type ModelType,
  mixtureOf,
  mlpBias,
  moeLayers,
  mtpDepth,
  parseConfig,
  type Qwen2Config,
  type Qwen3Config,
  type Qwen3MoeConfig,
  qkNorm,
  type RopeParameters,
  routedLayers,
} from "./config.ts";
export { DIMS, type Dim as DimLetter } from "./dims.ts";
export {
  cacheBytesPerToken,
  countParameters,
  type FlopOptions,
  type Flops,
  flopsPerDecodedToken,
  flopsPerToken,
  type ParameterCount,
  type ParameterSummary,
  summarizeParameters,
  weightBytes,
} from "./flops.ts";
export {
  CACHE_FORMS,
  type CacheForm,
  EMBEDDING,
  formBytes,
  type TensorForm,
  tensorForm,
  WEIGHTS_FORMS,
  type WeightsForm,
} from "./forms.ts";
export { isNamed, type Lora, type LowRank, loraKeys, loraLayers, loraScale, loraShapes } from "./lora.ts";
export {
  type LossOptions,
  type Predictions,
  type PredictOptions,
  predict,
  type TrainingLoss,
  trainingLoss,
} from "./loss.ts";
export { balanceLoss, mixture, type Routing, route } from "./moe.ts";
export { mtpJoined, mtpLayer, mtpModule, mtpRows } from "./mtp.ts";
export {
  headKey,
  listParameters,
  type Parameter,
  type ParameterKind,
  type Part,
  parameterKinds,
  parameterShapes,
  tensorCount,
  trainableShapes,
} from "./parameters.ts";
export { type Past, pastMask, placeRows, readMask } from "./past.ts";
export { PRESETS, presetConfig } from "./presets.ts";
export { type RopeFrequencies, ropeFrequencies, ropeInterleaved, ropeTable, softmaxScale } from "./rope.ts";
export {
  type CacheRows,
  cacheSpec,
  embed,
  type LayerOptions,
  languageModel,
  layer,
  layerCacheSpec,
  logits,
  tokensOf,
  transformer,
} from "./transformer.ts";
export {
  BLOCK,
  type BlockWeight,
  blocksOf,
  codeBytes,
  emptyBlocks,
  fromBlocks,
  roundRows,
  toBlocks,
  type Weight,
  type Weights,
} from "./weights.ts";
