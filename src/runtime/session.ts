/** A session of ONNX Runtime: buffers of ours bound to its inputs and outputs, runs, release. */
import { RuntimeError, ShapeError } from "../errors.ts";
import { DTYPES, type DType, type HostTensor, sizeOf, type TypedArray } from "../tensor/index.ts";
import { explainRun } from "./messages.ts";
import {
  addressOf,
  call,
  callAsync,
  callOut,
  check,
  memoryAt,
  ort,
  type Pointer,
  pointers,
  stringAt,
  strings,
} from "./ort.ts";
import { cpuMemoryInfo } from "./threads.ts";
import type { Binding, Executable, TensorInfo, Tensors } from "./types.ts";

/** What a session owns in native memory, and the JavaScript memory that it reads. */
interface Handle {
  session: Pointer;
  name: string;
  /** OrtValues of the constants, and the memory they lie in. */
  values: Map<string, Pointer>;
  constants: Record<string, HostTensor>;
  packed: unknown;
  running: number;
  closed: boolean;
}

const collectedSessions = new FinalizationRegistry<Handle>(release);
const collectedValues = new FinalizationRegistry<Set<Pointer>>((values) =>
  values.forEach((value) => ort().ReleaseValue(value)),
);

const DTYPE_OF = new Map(Object.entries(DTYPES).map(([dtype, info]) => [info.onnx, dtype as DType]));

/** Our name of an ONNX element type. */
export const dtypeOf = (type: number): string => DTYPE_OF.get(type) ?? `ONNX element type ${type}`;

/** An OrtValue over a host tensor's own memory. The caller releases it and keeps `tensor.data` alive until then. */
export function valueOver(where: string, tensor: HostTensor): Pointer {
  const { dtype, shape, data } = tensor;
  const info = DTYPES[dtype];
  if (!info || data.BYTES_PER_ELEMENT !== info.bytes)
    throw new ShapeError(`${where}: expected data for ${dtype}, got ${data.constructor.name}`);
  if (data.length !== sizeOf(shape))
    throw new ShapeError(`${where}: expected ${sizeOf(shape)} elements for [${shape.join(", ")}], got ${data.length}`);
  const dims = BigInt64Array.from(shape, BigInt);
  const at = data.byteLength > 0 ? addressOf(data) : addressOf(NOTHING);
  return callOut("CreateTensorWithDataAsOrtValue", cpuMemoryInfo(), at, data.byteLength, dims, shape.length, info.onnx);
}
const NOTHING = new Uint8Array(new ArrayBuffer(64));

export class Session implements Executable {
  readonly name: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #handle: Handle;
  readonly #inputPorts: Ports;
  readonly #outputPorts: Ports;

  /** Takes over an OrtSession and the OrtValues of its constants; `constants` is the memory that these lie in. */
  constructor(
    name: string,
    session: Pointer,
    values: Map<string, Pointer>,
    constants: Record<string, HostTensor>,
    packed: unknown,
  ) {
    this.name = name;
    this.inputs = describe(session, "Input");
    this.outputs = describe(session, "Output");
    this.#handle = { session, name, values, constants, packed, running: 0, closed: false };
    this.#inputPorts = portsOf("input", this.inputs);
    this.#outputPorts = portsOf("output", this.outputs);
    collectedSessions.register(this, this.#handle, this.#handle);
  }

  bind(inputs: Tensors, outputs: Tensors = {}): Binding {
    if (this.#handle.closed) throw new RuntimeError(`${this.name}: expected a live graph, got one that was disposed`);
    return new SessionBinding(this, this.#handle, this.#inputPorts, this.#outputPorts, inputs, outputs);
  }

  async run(inputs: Tensors, outputs?: Tensors): Promise<Record<string, HostTensor>> {
    const binding = this.bind(inputs, outputs);
    try {
      return await binding.run();
    } finally {
      binding.dispose();
    }
  }

  runSync(inputs: Tensors, outputs?: Tensors): Record<string, HostTensor> {
    const binding = this.bind(inputs, outputs);
    try {
      return binding.runSync();
    } finally {
      binding.dispose();
    }
  }

  release(constants: readonly string[]): void {
    const { values, constants: held } = this.#handle;
    for (const name of constants) {
      const value = values.get(name);
      if (value === undefined) continue;
      ort().ReleaseValue(value);
      values.delete(name);
      delete held[name];
    }
  }

  dispose(): void {
    if (this.#handle.closed) return;
    this.#handle.closed = true;
    collectedSessions.unregister(this.#handle);
    releaseWhenIdle(this.#handle);
  }
}

/** A graph's inputs, or its outputs. */
interface Ports {
  kind: "input" | "output";
  infos: readonly TensorInfo[];
  names: ReturnType<typeof strings>;
  /** Where a name stands. */
  places: ReadonlyMap<string, number>;
}

const portsOf = (kind: Ports["kind"], infos: readonly TensorInfo[]): Ports => ({
  kind,
  infos,
  names: strings(infos.map(({ name }) => name)),
  places: new Map(infos.map(({ name }, i) => [name, i])),
});

/** What is bound to ports, in their order. */
class Bound {
  readonly values: BigUint64Array;
  /** Native code writes and reads their memory, so they live as long as this. */
  readonly tensors: (HostTensor | undefined)[];

  constructor(readonly ports: Ports) {
    this.values = pointers(ports.infos.length);
    this.tensors = ports.infos.map(() => undefined);
  }
}

class SessionBinding implements Binding {
  readonly #inputs: Bound;
  readonly #outputs: Bound;
  /** Every OrtValue made here and not yet released. */
  readonly #owned = new Set<Pointer>();
  #running = false;
  #disposed = false;

  constructor(
    readonly executable: Session, // a bound graph stays alive
    private readonly handle: Handle,
    inputPorts: Ports,
    outputPorts: Ports,
    inputs: Tensors,
    outputs: Tensors,
  ) {
    this.#inputs = new Bound(inputPorts);
    this.#outputs = new Bound(outputPorts);
    collectedValues.register(this, this.#owned, this.#owned);
    try {
      for (const port of inputPorts.infos)
        if (!inputs[port.name])
          throw new ShapeError(`${handle.name}: expected input ${JSON.stringify(port.name)}, got ${listed(inputs)}`);
      this.rebind(inputs, outputs);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  rebind(inputs: Tensors, outputs: Readonly<Record<string, HostTensor | null>> = {}): void {
    this.#assertIdle("rebind");
    for (const [name, tensor] of Object.entries(inputs)) this.#tie(this.#inputs, name, tensor);
    for (const [name, tensor] of Object.entries(outputs)) this.#tie(this.#outputs, name, tensor);
  }

  #tie({ ports: { kind, infos, places }, values, tensors }: Bound, name: string, tensor: HostTensor | null): void {
    const where = `${this.handle.name}: ${kind} ${JSON.stringify(name)}`;
    const index = places.get(name);
    if (index === undefined) throw new ShapeError(`${where}: expected one of ${infos.map((p) => p.name).join(", ")}`);
    if (tensor === tensors[index] && tensor) return;
    const value = tensor ? (fits(where, infos[index]!, tensor), valueOver(where, tensor)) : 0n;
    const old = values[index]!;
    if (old) {
      this.#owned.delete(old);
      ort().ReleaseValue(old);
    }
    if (value) this.#owned.add(value);
    values[index] = value;
    tensors[index] = tensor ?? undefined;
  }

  async run(): Promise<Record<string, HostTensor>> {
    this.#begin();
    try {
      return this.#finish(await callAsync("Run", ...this.#arguments()));
    } finally {
      this.#end();
    }
  }

  runSync(): Record<string, HostTensor> {
    this.#begin();
    try {
      return this.#finish(ort().Run(...this.#arguments()));
    } finally {
      this.#end();
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (!this.#running) this.#release();
  }

  #arguments() {
    const [inputs, outputs] = [this.#inputs, this.#outputs];
    return [
      this.handle.session,
      0n,
      inputs.ports.names.array,
      inputs.values,
      inputs.values.length,
      outputs.ports.names.array,
      outputs.values.length,
      outputs.values,
    ] as const;
  }

  #begin(): void {
    this.#assertIdle("run");
    if (this.handle.closed)
      throw new RuntimeError(`${this.handle.name}: expected a live graph, got one that was disposed`);
    this.#assertAttached(this.#inputs);
    this.#assertAttached(this.#outputs);
    this.#running = true;
    this.handle.running += 1;
  }

  #end(): void {
    this.#running = false;
    this.handle.running -= 1;
    if (this.#disposed) this.#release();
    releaseWhenIdle(this.handle);
  }

  #assertIdle(what: string): void {
    if (this.#running)
      throw new RuntimeError(
        `${this.handle.name}: cannot ${what} a binding while it runs; make one binding per concurrent run`,
      );
    if (this.#disposed) throw new RuntimeError(`${this.handle.name}: cannot ${what} a binding that was disposed`);
  }

  /** A buffer that was transferred elsewhere is no longer ours to point at: its array reads as empty. */
  #assertAttached({ ports, tensors }: Bound): void {
    for (let i = 0; i < tensors.length; i++) {
      const tensor = tensors[i];
      if (tensor && tensor.data.length === 0 && sizeOf(tensor.shape) > 0)
        throw new RuntimeError(
          `${this.handle.name}: the buffer bound to ${JSON.stringify(ports.infos[i]!.name)} was transferred or resized away`,
        );
    }
  }

  /** Collects a run's outputs: the bound ones as they are, the others copied out of native memory and freed there. */
  #finish(status: unknown): Record<string, HostTensor> {
    const fresh: Pointer[] = [];
    const { ports, values, tensors } = this.#outputs;
    try {
      check(status, (message) => explainRun(this.handle.name, message));
      const results: Record<string, HostTensor> = {};
      ports.infos.forEach((port, i) => {
        results[port.name] = tensors[i] ?? copyOut(values[i]!);
      });
      return results;
    } finally {
      for (const [i, tensor] of tensors.entries()) {
        if (tensor) continue;
        if (values[i]) fresh.push(values[i]!);
        values[i] = 0n;
      }
      for (const value of fresh) ort().ReleaseValue(value);
    }
  }

  #release(): void {
    collectedValues.unregister(this.#owned);
    for (const value of this.#owned) ort().ReleaseValue(value);
    this.#owned.clear();
    this.#inputs.tensors.fill(undefined);
    this.#outputs.tensors.fill(undefined);
  }
}

function releaseWhenIdle(handle: Handle): void {
  if (handle.closed && handle.running === 0) release(handle);
}

function release(handle: Handle): void {
  if (handle.session) ort().ReleaseSession(handle.session);
  for (const value of handle.values.values()) ort().ReleaseValue(value);
  handle.values.clear();
  handle.session = 0n;
  handle.constants = {};
  handle.packed = undefined;
}

/** Checks a tensor against a declared port, before native code sees it. */
function fits(where: string, port: TensorInfo, tensor: HostTensor): void {
  const same =
    tensor.shape.length === port.shape.length &&
    tensor.shape.every(
      (d, i) => Number.isInteger(d) && d >= 0 && (typeof port.shape[i] !== "number" || port.shape[i] === d),
    );
  if (tensor.dtype !== port.dtype || !same)
    throw new ShapeError(
      `${where}: expected ${port.dtype} [${port.shape.map((d) => d || "?").join(", ")}], got ${tensor.dtype} [${tensor.shape.join(", ")}]`,
    );
}

/** Names for a message, a few of many. */
function listed(tensors: Tensors): string {
  const names = Object.keys(tensors);
  const more = names.length - NAMES_SHOWN;
  return `${names.slice(0, NAMES_SHOWN).join(", ") || "no inputs"}${more > 0 ? ` and ${more} more` : ""}`;
}
const NAMES_SHOWN = 8;

/** A value that ONNX Runtime allocated, as a host tensor of its own. */
function copyOut(value: Pointer): HostTensor {
  const info = callOut("GetTensorTypeAndShape", value);
  const { dtype, dims } = typeAndDims(info);
  ort().ReleaseTensorTypeAndShapeInfo(info);
  const { array, bytes } = DTYPES[dtype];
  const length = sizeOf(dims);
  if (length === 0) return { dtype, shape: dims, data: new array(new ArrayBuffer(0), 0, 0) };
  const memory = memoryAt(callOut("GetTensorMutableData", value), length * bytes);
  return { dtype, shape: dims, data: new array(memory, 0, length).slice() as TypedArray };
}

function typeAndDims(info: Pointer): { dtype: DType; dims: number[] } {
  const out = new Int32Array(new ArrayBuffer(8), 0, 1);
  call("GetTensorElementType", info, out);
  const dtype = DTYPE_OF.get(out[0]!);
  if (!dtype)
    throw new RuntimeError(
      `runtime: expected a tensor of ${[...DTYPE_OF.values()].join(", ")}, got ${dtypeOf(out[0]!)}`,
    );
  const rank = Number(callOut("GetDimensionsCount", info));
  const dims = new BigInt64Array(rank);
  if (rank > 0) call("GetDimensions", info, dims, rank);
  return { dtype, dims: Array.from(dims, Number) };
}

/** The declared inputs or outputs of a session. */
function describe(session: Pointer, kind: "Input" | "Output"): TensorInfo[] {
  const allocator = callOut("GetAllocatorWithDefaultOptions");
  const count = Number(callOut(`SessionGet${kind}Count`, session));
  return Array.from({ length: count }, (_, i) => {
    const text = callOut(`SessionGet${kind}Name`, session, i, allocator);
    const name = stringAt(text);
    call("AllocatorFree", allocator, text);
    const type = callOut(`SessionGet${kind}TypeInfo`, session, i);
    try {
      const info = callOut("CastTypeInfoToTensorInfo", type);
      if (!info)
        throw new RuntimeError(`runtime: expected ${kind.toLowerCase()} ${JSON.stringify(name)} to be a tensor`);
      const { dtype, dims } = typeAndDims(info);
      const symbols = pointers(dims.length);
      if (dims.length > 0) call("GetSymbolicDimensions", info, symbols, dims.length);
      return { name, dtype, shape: dims.map((d, axis) => (d >= 0 ? d : stringAt(symbols[axis]!))) };
    } finally {
      ort().ReleaseTypeInfo(type);
    }
  });
}
