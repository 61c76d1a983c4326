/** Checkpoints: safetensors and Hugging Face folders, read and written; Sumbi's own files among a person's. */
export {
  ADAPTER_CONFIG,
  type Adapter,
  type AdapterToWrite,
  baseMark,
  isAdapter,
  RANK_MAX,
  readAdapter,
  writeAdapter,
} from "./adapter/index.ts";
export {
  type AtomicOptions,
  atomicFile,
  atomicFolder,
  freeBytes,
  isDiskFault,
  recoverFolder,
  removeFolder,
  writeError,
} from "./atomic.ts";
export {
  type BlockStore,
  type BlockStoreOptions,
  chainOf,
  digest,
  openBlockStore,
  type PlacedKey,
} from "./blockStore.ts";
export { type Checkpoint, openCheckpoint, readJsonFile, TensorFolder, type TensorInfo } from "./checkpoint.ts";
export {
  CONVERTED_TYPES,
  type Converted,
  type ConvertedType,
  type ConvertOptions,
  convertModel,
} from "./convert.ts";
export { tokenizerFiles } from "./files.ts";
export { bundledModels, findModel, resolveModel } from "./find.ts";
export {
  decodeBf16,
  decodeE4m3,
  decodeF16,
  E4M3_MAX,
  encodeBf16,
  encodeE4m3,
  encodeF16,
  firstNotFinite,
} from "./floats.ts";
export { dequantizeBlocks, FP8_BLOCK, type Fp8Matrix, quantizeBlocks, quantizeTiles } from "./fp8.ts";
export { type GgufModel, ggufTexts, isGguf, readGguf } from "./gguf/index.ts";
export { hashFile } from "./hashFile.ts";
export { quoted } from "./header.ts";
export {
  COMMIT,
  filesOfModel,
  findPulled,
  type HubName,
  hubCache,
  hubHome,
  parseHubName,
  repoFolder,
} from "./hubCache.ts";
export { here, isAlive, release, removeLeftovers, temporaryIn } from "./leftovers.ts";
export { MANIFEST, type Manifest, type Origin, readManifest } from "./manifest.ts";
export { checkTakeable, type Judgement, judgeFolder, type OwnedOptions, ownedFolder, settleFolder } from "./owned.ts";
export type { MappedFile } from "./packed.ts";
export { type KeptWeights, keptWeights } from "./packedPlaces.ts";
export { kindOf, openRegularFile, openRegularSync, readRegularFile, readRegularText } from "./regularFile.ts";
export { type RawTensor, SafetensorsFile, writeSafetensors } from "./safetensors.ts";
export {
  type SavedDType,
  type SavedTensor,
  type SaveOptions,
  SHARD_BYTES,
  saveCheckpoint,
  writeShards,
} from "./save.ts";
export { tensorsHeld } from "./stacks.ts";
export type { StoredTensor, Tensors } from "./tensors.ts";
export {
  type LoadedWeights,
  type LoadOptions,
  loadWeights,
  ModelWeights,
  type WeightOptions,
} from "./weights.ts";
export { weightsDigest } from "./weightsDigest.ts";
export { checkWritable } from "./writable.ts";
