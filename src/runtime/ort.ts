/** ONNX Runtime's C API, called through a foreign function interface. */
import koffi from "koffi";
import { RuntimeError } from "../errors.ts";
import { libraryPath } from "./library.ts";

/** An address in native memory; 0n is null. */
export type Pointer = bigint;

/** The version of the C API asked for: the first that has every slot used here. Later libraries serve it too. */
const API_VERSION = 17;

/**
 * The functions used, by their slot in `struct OrtApi` (onnxruntime_c_api.h; slots never move). Arguments:
 * p pointer or typed array, s string, f file name, z size, i int. Result: status (OrtStatus*, null when fine), void, or str.
 */
const SLOTS = {
  GetErrorMessage: [2, "str", "p"],
  DisableTelemetryEvents: [6, "status", "p"],
  CreateSessionFromArray: [8, "status", "ppzpp"],
  Run: [9, "status", "ppppzpzp"],
  CreateSessionOptions: [10, "status", "p"],
  EnableProfiling: [14, "status", "pf"],
  DisableMemPattern: [17, "status", "p"],
  DisableCpuMemArena: [19, "status", "p"],
  SetSessionGraphOptimizationLevel: [23, "status", "pi"],
  SetIntraOpNumThreads: [24, "status", "pi"],
  SessionGetInputCount: [30, "status", "pp"],
  SessionGetOutputCount: [31, "status", "pp"],
  SessionGetInputTypeInfo: [33, "status", "pzp"],
  SessionGetOutputTypeInfo: [34, "status", "pzp"],
  SessionGetInputName: [36, "status", "pzpp"],
  SessionGetOutputName: [37, "status", "pzpp"],
  CreateTensorWithDataAsOrtValue: [49, "status", "ppzpzip"],
  GetTensorMutableData: [51, "status", "pp"],
  CastTypeInfoToTensorInfo: [55, "status", "pp"],
  GetTensorElementType: [60, "status", "pp"],
  GetDimensionsCount: [61, "status", "pp"],
  GetDimensions: [62, "status", "ppz"],
  GetSymbolicDimensions: [63, "status", "ppz"],
  GetTensorTypeAndShape: [65, "status", "pp"],
  CreateCpuMemoryInfo: [69, "status", "iip"],
  AllocatorFree: [76, "status", "pp"],
  GetAllocatorWithDefaultOptions: [78, "status", "p"],
  ReleaseStatus: [93, "void", "p"],
  ReleaseSession: [95, "void", "p"],
  ReleaseValue: [96, "void", "p"],
  ReleaseTypeInfo: [98, "void", "p"],
  ReleaseTensorTypeAndShapeInfo: [99, "void", "p"],
  ReleaseSessionOptions: [100, "void", "p"],
  CreateEnvWithGlobalThreadPools: [119, "status", "ispp"],
  DisablePerSessionThreads: [120, "status", "p"],
  CreateThreadingOptions: [121, "status", "p"],
  ReleaseThreadingOptions: [122, "void", "p"],
  AddSessionConfigEntry: [130, "status", "pss"],
  CreateAndRegisterAllocator: [144, "status", "ppp"],
  SetGlobalIntraOpNumThreads: [147, "status", "pi"],
  SetGlobalInterOpNumThreads: [148, "status", "pi"],
  SetGlobalSpinControl: [149, "status", "pi"],
  AddInitializer: [150, "status", "psp"],
  CreatePrepackedWeightsContainer: [166, "status", "p"],
  ReleasePrepackedWeightsContainer: [167, "void", "p"],
  CreateSessionFromArrayWithPrepackedWeightsContainer: [169, "status", "ppzppp"],
  AddExternalInitializers: [210, "status", "pppz"],
  AppendExecutionProvider: [216, "status", "psppz"],
} as const satisfies Record<string, readonly [number, string, string]>;

type Argument = Pointer | ArrayBufferView | string | number | null;
type NativeFunction = ((...args: Argument[]) => unknown) & { async(...args: unknown[]): void };
export type Ort = Record<keyof typeof SLOTS, NativeFunction>;

const ARGUMENTS: Record<string, string> = {
  p: "void *",
  s: "str",
  f: process.platform === "win32" ? "str16" : "str",
  z: "size_t",
  i: "int",
};
const RESULTS: Record<string, string> = { status: "void *", void: "void", str: "str" };

let api: Ort | undefined;
let version: string | undefined;
/** Held for ever: koffi unloads a library that nothing refers to, and function pointers do not count. */
let library: ReturnType<typeof koffi.load> | undefined;

/** The C API, loaded at first use. */
export function ort(): Ort {
  return (api ??= loadApi(libraryPath()));
}

/** The library's own version, such as 1.28.2. */
export function ortVersion(): string {
  ort();
  return version!;
}

function loadApi(path: string): Ort {
  // Native code runs on stacks that koffi allocates; the kernels keep whole matrix panels there.
  koffi.config({ ...koffi.config(), async_stack_size: 4 << 20, max_async_calls: 4096 });
  try {
    library = koffi.load(path);
  } catch (cause) {
    throw new RuntimeError(`runtime: cannot load ONNX Runtime from ${path}: ${(cause as Error).message}`, { cause });
  }
  const base = library.func("OrtGetApiBase", "void *", [])() as Pointer;
  const getApi = koffi.decode(koffi.decode(base, 0, "void *"), koffi.proto("void *", ["uint32_t"]));
  version = koffi.decode(koffi.decode(base, 8, "void *"), koffi.proto("str", []))() as string;
  const table = getApi(API_VERSION) as Pointer | null;
  if (!table) throw new RuntimeError(`runtime: ${path} does not offer version ${API_VERSION} of ONNX Runtime's C API`);
  return Object.fromEntries(
    Object.entries(SLOTS).map(([name, [slot, result, args]]) => {
      const type = koffi.proto(
        RESULTS[result]!,
        [...args].map((a) => ARGUMENTS[a]!),
      );
      return [name, koffi.decode(koffi.decode(table, slot * 8, "void *"), type)];
    }),
  ) as Ort;
}

/** Takes an OrtStatus: nothing when null, else releases it and throws its message as a RuntimeError made by `explain`. */
export function check(status: unknown, explain: (message: string) => string): void {
  if (!status) return;
  const message = ort().GetErrorMessage(status as Pointer) as string;
  ort().ReleaseStatus(status as Pointer);
  throw new RuntimeError(explain(message));
}

/** Calls a function that returns a status, throwing its error as `runtime: function: message`. */
export function call(name: keyof typeof SLOTS, ...args: Argument[]): void {
  check(ort()[name](...args), (message) => `runtime: ${name}: ${message}`);
}

/** Calls a status function whose last argument receives one 8-byte value, and returns that value. */
export function callOut(name: keyof typeof SLOTS, ...args: Argument[]): Pointer {
  const out = pointers(1);
  call(name, ...args, out);
  return out[0]!;
}

/** A function's status from a worker thread. The callback holds the arguments, so their memory outlives the call. */
export function callAsync(name: keyof typeof SLOTS, ...args: Argument[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    ort()[name].async(...args, (error: Error | null, status: unknown) => {
      args.length = 0;
      if (error) reject(error);
      else resolve(status);
    });
  });
}

/** Pointers to pass as a C array; outside V8's heap, so it does not move. */
export function pointers(values: number | readonly Pointer[]): BigUint64Array {
  const length = typeof values === "number" ? values : values.length;
  const array = new BigUint64Array(new ArrayBuffer(Math.max(8, length * 8)), 0, length);
  if (typeof values !== "number") array.set(values);
  return array;
}

/** C strings in one block and the array of pointers to them. Keep both for as long as native code reads them. */
export function strings(values: readonly string[]): { array: BigUint64Array; bytes: Uint8Array } {
  const encoded = values.map((value) => new TextEncoder().encode(`${value}\0`));
  const bytes = new Uint8Array(
    new ArrayBuffer(
      Math.max(
        8,
        encoded.reduce((sum, e) => sum + e.length, 0),
      ),
    ),
  );
  const base = koffi.address(bytes);
  let offset = 0;
  const array = pointers(
    encoded.map((e) => {
      bytes.set(e, offset);
      const at = base + BigInt(offset);
      offset += e.length;
      return at;
    }),
  );
  return { array, bytes };
}

/** Where a typed array's elements lie. The array must be kept alive by the caller. */
export function addressOf(view: ArrayBufferView): Pointer {
  void view.buffer; // V8 moves a small array out of its own heap when its buffer is asked for
  return koffi.address(view);
}

/** The C string at an address. */
export const stringAt = (address: Pointer): string => koffi.decode.string(address);

/** Native memory as bytes, without a copy; valid only while its owner lives. */
export const memoryAt = (address: Pointer, bytes: number): ArrayBuffer => koffi.view(address, bytes);
