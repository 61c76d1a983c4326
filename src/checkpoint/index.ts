export { atomicFile, atomicFolder, freeBytes, recoverFolder, removeFolder, type AtomicOptions } from "./atomic.ts";
export { openCheckpoint, readJsonFile, TensorFolder, type Checkpoint, type TensorInfo } from "./checkpoint.ts";
export {
  decodeBf16, decodeE4m3, decodeF16, E4M3_MAX, encodeBf16, encodeE4m3, encodeF16,
} from "./floats.ts";
export { dequantizeBlocks, FP8_BLOCK, quantizeBlocks, quantizeTiles, type Fp8Matrix } from "./fp8.ts";
export { SafetensorsFile, writeSafetensors, type RawTensor } from "./safetensors.ts";
export { saveCheckpoint, type SavedDType, type SavedTensor, type SaveOptions } from "./save.ts";
export { RunReader, type FollowOptions, type NumberedRecord, type RunStatus, type RunSummary } from "./runReader.ts";
export {
  removeRepeats, type EndReason, type LoadRecord, type RunInfo, type RunRecord, type StepRecord,
} from "./runRecords.ts";
export { RunWriter, type NewRun } from "./runWriter.ts";
export { loadState, saveState, StateHistory, type LoadedState, type StateTensor, type TrainingState } from "./state.ts";
export { tokenizerFiles } from "./files.ts";
