/** The runtime: compiles an ONNX graph and runs it with ONNX Runtime. */

export type { Provider } from "../tensor/index.ts";
export { compile, packedWeights } from "./compile.ts";
export { type MappedFile, mapFile, trimMemory } from "./mapped.ts";
export { measureGemmPeak, measureMemoryBandwidth } from "./measure.ts";
export { ortVersion } from "./ort.ts";
export { setThreads, threads } from "./threads.ts";
export type { Binding, CompileOptions, Executable, PackedWeights, TensorInfo, Tensors } from "./types.ts";
