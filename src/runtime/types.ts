/** The runtime's types: executables, bindings, options. */
import type { DType, HostTensor, Provider } from "../tensor/index.ts";

/** A declared input or output. A fixed dimension is a number, a free one its symbol (`""` when it has none). */
export interface TensorInfo {
  name: string;
  dtype: DType;
  shape: readonly (number | string)[];
}

/** Opaque: made by `packedWeights()`. */
export interface PackedWeights {
  readonly kind: "packed weights";
}

export interface CompileOptions {
  /** Named in every error message. */
  name?: string;
  /**
   * Values of initializers that the model declares as external data, by initializer name. Used in place, not copied:
   * do not change them while the graph lives (a prepacked weight would not follow).
   */
  constants?: Readonly<Record<string, HostTensor>>;
  provider?: Provider;
  /** Keeps constant matrices as they are: no second copy in memory, and constants may be rewritten between runs. */
  disablePrepacking?: boolean;
  /** How much ONNX Runtime rewrites the graph; `all` by default. */
  optimization?: "none" | "basic" | "extended" | "all";
  /**
   * Prepacked copies of constants, shared by the graphs compiled with the same object when they share the constants'
   * names and values (prefill and decode of one model). Freed with it.
   */
  packed?: PackedWeights;
  /** Plans one block for the intermediates of a repeated shape. Off by default: no faster, and each shape's block stays. */
  memoryPattern?: boolean;
  /**
   * Threads of the graph's own instead of the shared pool, callers included. With 1 a run stays on the thread that calls it, so
   * that bindings run at the same time do not wait for one another.
   */
  threads?: number;
  /**
   * Keeps freed intermediates for reuse by all graphs (true, the default) or by this one alone ("own": what a core frees comes back to
   * it, not to another). Off: slower, but memory returns to the system.
   */
  arena?: boolean | "own";
  /**
   * Prefix of a file that gets a trace of every kernel run, with its provider and time (Chrome's trace format); it is
   * whole once the graph is disposed of.
   */
  trace?: string;
  /** Further session configuration entries, verbatim (`session.…`, `ep.…`). */
  config?: Readonly<Record<string, string>>;
}

export type Tensors = Readonly<Record<string, HostTensor>>;

/** Inputs and outputs of a graph tied to host buffers once, to be run often. One run at a time. */
export interface Binding {
  /**
   * Runs the graph without blocking the event loop. Outputs that were bound are written in place and returned as
   * bound; the others are returned as fresh tensors. Bound buffers must not be transferred or read meanwhile.
   */
  run(): Promise<Record<string, HostTensor>>;
  /** The same on the calling thread: less delay for graphs of some microseconds, blocks for all others. */
  runSync(): Record<string, HostTensor>;
  /** Ties some inputs or outputs to other buffers; the rest stay as they are. `null` unbinds an output. */
  rebind(inputs: Tensors, outputs?: Readonly<Record<string, HostTensor | null>>): void;
  dispose(): void;
}

/** A compiled graph. Several bindings of it may run at the same time. */
export interface Executable {
  readonly name: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Ties buffers to the graph. Throws ShapeError when a name, an element type or a fixed dimension does not fit. */
  bind(inputs: Tensors, outputs?: Tensors): Binding;
  run(inputs: Tensors, outputs?: Tensors): Promise<Record<string, HostTensor>>;
  runSync(inputs: Tensors, outputs?: Tensors): Record<string, HostTensor>;
  /**
   * Lets go of the memory of constants that no kernel reads any more: right operands of matrix products only, which were packed when the
   * graph was compiled. Any other constant must stay; names the graph does not have are passed over.
   */
  release(constants: readonly string[]): void;
  /** Frees the graph once its runs have ended. Optional: the garbage collector does the same, later. */
  dispose(): void;
}
