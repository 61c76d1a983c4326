export { compile } from "./compile.ts";
export { setThreads, threads } from "./threads.ts";
export type { Binding, CompileOptions, Executable, Provider, TensorInfo, Tensors } from "./types.ts";
