/** A graph compiled: an ONNX Runtime session with its provider, threads, constants and packed weights. */
import { fileURLToPath } from "node:url";
import { RuntimeError, ShapeError } from "../errors.ts";
import { DTYPES, type HostTensor } from "../tensor/index.ts";
import { explainCompile, plain } from "./messages.ts";
import { externalInitializers } from "./onnx-reader.ts";
import { call, callAsync, callOut, check, ort, type Pointer, pointers, strings } from "./ort.ts";
import { dtypeOf, Session, valueOver } from "./session.ts";
import { env } from "./threads.ts";
import type { CompileOptions, Executable, PackedWeights } from "./types.ts";

const OPTIMIZATION = { none: 0, basic: 1, extended: 2, all: 99 } as const;

/**
 * Compiles an ONNX model (ModelProto bytes) without blocking the event loop. The constants' memory stays in use, the
 * model's does not. Throws RuntimeError naming the graph, and the node where one is at fault.
 */
export async function compile(onnx: Uint8Array, options: CompileOptions = {}): Promise<Executable> {
  const name = options.name ?? "graph";
  if (options.constants) checkConstants(name, onnx, options.constants);
  try {
    return await createSession(name, onnx, options, SHOWN_BYTES);
  } catch (error) {
    if (!(error instanceof UnseenConstantError)) throw error;
    return createSession(name, onnx, options, Infinity);
  }
}

/** Graph optimization wanted to compute with a constant that it was not shown: it takes another try, with all of them in its sight. */
class UnseenConstantError extends RuntimeError {}
/** How ONNX Runtime says that. */
const UNSEEN = /External initializer: .* out of bounds/s;

async function createSession(
  name: string,
  onnx: Uint8Array,
  options: CompileOptions,
  shownBytes: number,
): Promise<Executable> {
  const environment = env();
  const native = callOut("CreateSessionOptions");
  const constants = options.constants ?? {};
  const values = new Map<string, Pointer>(); // the session refers to these by address until it is made, and holds what lies there
  let session: Executable | undefined;
  try {
    configure(name, native, options);
    addConstants(name, native, constants, shownBytes, values);
    const out = pointers(1);
    const container = options.packed && containers.get(options.packed);
    const status = await (container
      ? callAsync(
          "CreateSessionFromArrayWithPrepackedWeightsContainer",
          environment,
          onnx,
          onnx.length,
          native,
          container,
          out,
        )
      : callAsync("CreateSessionFromArray", environment, onnx, onnx.length, native, out));
    check(status, (message) => {
      const says = explainCompile(name, message, onnx);
      if (UNSEEN.test(message) && shownBytes < Infinity) throw new UnseenConstantError(says);
      return says;
    });
    return (session = new Session(name, out[0]!, values, { ...constants }, options.packed));
  } finally {
    ort().ReleaseSessionOptions(native);
    if (!session) for (const value of values.values()) ort().ReleaseValue(value);
  }
}

const containers = new WeakMap<PackedWeights, Pointer>();
const collectedContainers = new FinalizationRegistry<Pointer>((container) =>
  ort().ReleasePrepackedWeightsContainer(container),
);

/** A place for prepacked constants that several graphs share. */
export function packedWeights(): PackedWeights {
  const packed: PackedWeights = { kind: "packed weights" };
  const container = callOut("CreatePrepackedWeightsContainer");
  containers.set(packed, container);
  collectedContainers.register(packed, container);
  return packed;
}

function configure(name: string, native: Pointer, options: CompileOptions): void {
  if (options.threads === undefined) call("DisablePerSessionThreads", native);
  else call("SetIntraOpNumThreads", native, options.threads);
  call("SetSessionGraphOptimizationLevel", native, OPTIMIZATION[options.optimization ?? "all"]);
  if (!options.memoryPattern) call("DisableMemPattern", native);
  if (options.trace !== undefined) call("EnableProfiling", native, options.trace);
  const config: Record<string, string> = {};
  if (options.arena === false) call("DisableCpuMemArena", native);
  else if (options.arena !== "own") config["session.use_env_allocators"] = "1";
  if (options.disablePrepacking) config["session.disable_prepacking"] = "1";
  if (options.constants) config["session.model_external_initializers_file_folder_path"] = CONSTANTS_FOLDER;
  for (const [key, value] of Object.entries({ ...config, ...options.config }))
    call("AddSessionConfigEntry", native, key, value);
  if (options.provider === "webgpu") {
    const none = pointers(1);
    check(
      ort().AppendExecutionProvider(native, "WebGPU", none, none, 0),
      (message) =>
        `${name}: the webgpu provider cannot be used: ${plain(message)}; set SUMBI_ONNXRUNTIME to a library that has it, such as onnxruntime-node's`,
    );
  } else if (options.provider !== undefined && options.provider !== "cpu")
    throw new RuntimeError(`${name}: expected provider cpu or webgpu, got ${String(options.provider)}`);
}

/** Refuses constants that are not exactly the model's external initializers: ONNX Runtime would ignore some mistakes. */
function checkConstants(name: string, onnx: Uint8Array, constants: Readonly<Record<string, HostTensor>>): void {
  const declared = externalInitializers(onnx);
  for (const [key, { type, shape }] of declared) {
    const tensor = constants[key];
    if (!tensor)
      throw new RuntimeError(
        `${name}: expected a constant ${JSON.stringify(key)}, which the model declares as external data; got none`,
      );
    if (DTYPES[tensor.dtype].onnx !== type || tensor.shape.join() !== shape.join())
      throw new ShapeError(
        `${name}: constant ${JSON.stringify(key)}: expected ${dtypeOf(type)} [${shape.join(", ")}], got ${tensor.dtype} [${tensor.shape.join(", ")}]`,
      );
  }
  for (const key of Object.keys(constants))
    if (!declared.has(key))
      throw new RuntimeError(
        `${name}: constant ${JSON.stringify(key)}: the model has no external initializer of that name`,
      );
}

/**
 * AddInitializer makes kernels read our memory. Graph optimization does not see those values; AddExternalInitializers
 * shows them to it, at the price of a copy of each while the session is made, so only small ones are shown.
 */
function addConstants(
  name: string,
  native: Pointer,
  constants: Readonly<Record<string, HostTensor>>,
  shownBytes: number,
  values: Map<string, Pointer>,
): void {
  const shown: [string, Pointer][] = [];
  for (const [key, tensor] of Object.entries(constants)) {
    const value = valueOver(`${name}: constant ${JSON.stringify(key)}`, tensor);
    values.set(key, value);
    call("AddInitializer", native, key, value);
    if (tensor.data.byteLength <= shownBytes) shown.push([key, value]);
  }
  if (shown.length === 0) return;
  const names = strings(shown.map(([key]) => key));
  call("AddExternalInitializers", native, names.array, pointers(shown.map(([, value]) => value)), shown.length);
}
const SHOWN_BYTES = 4096;

/**
 * A model's external initializers must lie in an existing file, though ours never reads them: this folder of the package holds an empty
 * one named `constants`, the location that models with constants have to declare. One made for each process would outlive a killed one.
 */
const CONSTANTS_FOLDER = fileURLToPath(new URL("../../data", import.meta.url));
