export { compile } from "./compile.ts";
export { measureGemmPeak, measureMemoryBandwidth } from "./measure.ts";
export { setThreads, threads } from "./threads.ts";
export type { Binding, CompileOptions, Executable, Provider, TensorInfo, Tensors } from "./types.ts";
