export { atomicFile, atomicFolder, freeBytes, isDiskFault, recoverFolder, removeFolder, writeError, type AtomicOptions } from "./atomic.ts";
export { isAlive, release, removeLeftovers, temporaryIn } from "./leftovers.ts";
export { MANIFEST, type Manifest, type Origin, readManifest } from "./manifest.ts";
export { checkTakeable, type Judgement, judgeFolder, ownedFolder, type OwnedOptions, settleFolder } from "./owned.ts";
export { openCheckpoint, readJsonFile, TensorFolder, type Checkpoint, type TensorInfo } from "./checkpoint.ts";
export {
  decodeBf16, decodeE4m3, decodeF16, E4M3_MAX, encodeBf16, encodeE4m3, encodeF16, firstNotFinite,
} from "./floats.ts";
export { dequantizeBlocks, FP8_BLOCK, quantizeBlocks, quantizeTiles, type Fp8Matrix } from "./fp8.ts";
export { readRegularFile, readRegularText } from "./regularFile.ts";
export { SafetensorsFile, writeSafetensors, type RawTensor } from "./safetensors.ts";
export { saveCheckpoint, SHARD_BYTES, writeShards, type SavedDType, type SavedTensor, type SaveOptions } from "./save.ts";
export { tokenizerFiles } from "./files.ts";
export { ModelWeights, type WeightOptions } from "./weights.ts";
export { isRecord, quoted } from "./header.ts";
export { checkWritable } from "./writable.ts";
