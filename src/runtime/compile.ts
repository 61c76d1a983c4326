import { RuntimeError } from "../errors.ts";
import { explainCompile, plain } from "./messages.ts";
import { call, callAsync, callOut, check, ort, pointers, strings, type Pointer } from "./ort.ts";
import { Session, valueOver } from "./session.ts";
import { env } from "./threads.ts";
import type { CompileOptions, Executable } from "./types.ts";

const OPTIMIZATION = { none: 0, basic: 1, extended: 2, all: 99 } as const;

/**
 * Compiles an ONNX model (ModelProto bytes) without blocking the event loop. Constants and nothing else of the
 * caller's memory stay in use afterwards. Throws RuntimeError naming the graph, and the node where one is at fault.
 */
export async function compile(onnx: Uint8Array, options: CompileOptions = {}): Promise<Executable> {
  const name = options.name ?? "graph";
  const environment = env();
  const native = callOut("CreateSessionOptions");
  const values: Pointer[] = [];
  try {
    configure(name, native, options);
    const constants = Object.entries(options.constants ?? {});
    for (const [key, tensor] of constants) values.push(valueOver(`${name}: constant ${JSON.stringify(key)}`, tensor));
    const names = strings(constants.map(([key]) => key));
    if (constants.length > 0) call("AddExternalInitializers", native, names.array, pointers(values), values.length);
    const out = pointers(1);
    const status = await callAsync("CreateSessionFromArray", environment, onnx, onnx.length, native, out);
    check(status, (message) => explainCompile(name, message, onnx));
    return new Session(name, out[0]!, constants);
  } finally {
    for (const value of values) ort().ReleaseValue(value);
    ort().ReleaseSessionOptions(native);
  }
}

function configure(name: string, native: Pointer, options: CompileOptions): void {
  call("DisablePerSessionThreads", native);
  call("SetSessionGraphOptimizationLevel", native, OPTIMIZATION[options.optimization ?? "all"]);
  if (options.memoryPattern === false) call("DisableMemPattern", native);
  if (options.arena === false) call("DisableCpuMemArena", native);
  const config: Record<string, string> = { ...options.config };
  if (options.disablePrepacking) config["session.disable_prepacking"] = "1";
  for (const [key, value] of Object.entries(config)) call("AddSessionConfigEntry", native, key, value);
  if (options.provider === "webgpu") {
    const none = pointers(1);
    check(ort().AppendExecutionProvider(native, "WebGPU", none, none, 0), (message) => `${name}: the webgpu provider cannot be used: ${plain(message)}`);
  } else if (options.provider !== undefined && options.provider !== "cpu")
    throw new RuntimeError(`${name}: expected provider cpu or webgpu, got ${String(options.provider)}`);
}
