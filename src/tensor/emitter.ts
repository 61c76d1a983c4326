/** Nodes, constants and shapes of an ONNX graph, collected as primitives write themselves. */
import { ShapeError } from "../errors.ts";
import { type Dim, factorsOf, type Shape, summandsOf } from "./dims.ts";
import { type HostTensor, i64 } from "./dtype.ts";
import { type Attribute, type OnnxNode, tensorProto } from "./messages.ts";
import type { ProtoWriter } from "./protobuf.ts";

/** Where a graph runs. `webgpu` places what it can on the GPU and the rest on the CPU. */
export type Provider = "cpu" | "webgpu";

export interface NodeOptions {
  attributes?: Record<string, Attribute>;
  outputs?: number;
  domain?: string;
}

/** Collects ONNX nodes and constants. Primitives call `node` and `constant`; everything else is for `toOnnx`. */
export class Emitter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: ProtoWriter[] = [];
  readonly domains = new Set<string>([""]);
  #constants = new Map<string, string>();
  #symbols = new Map<string, { name: string; axis: number }>();
  #lengths = new Map<string, string>();
  #counter = 0;
  #place = "";

  constructor(readonly provider: Provider) {}

  /** Where the nodes emitted from now on belong: a node's scope. */
  at(scope: string): void {
    this.#place = scope;
  }

  #fresh(op: string): string {
    return `${this.#place === "" ? "" : `${this.#place}/`}${op}_${this.#counter++}`;
  }

  /** Adds a node and returns its outputs' names. An input "" is an absent optional one. */
  node(op: string, inputs: string[], options: NodeOptions = {}): string[] {
    const name = this.#fresh(op);
    const count = options.outputs ?? 1;
    const outputs = Array.from({ length: count }, (_, i) => (count === 1 ? name : `${name}:${i}`));
    if (options.domain) this.domains.add(options.domain);
    this.nodes.push({
      op,
      name,
      inputs,
      outputs: [...outputs],
      attributes: options.attributes ?? {},
      domain: options.domain ?? "",
    });
    return outputs;
  }

  /** Adds a constant once, however often it is asked for. */
  constant(value: HostTensor): string {
    const bytes = new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
    const key = bytes.length <= 64 ? `${value.dtype}${value.shape}:${bytes.join()}` : undefined;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `constant_${this.#counter++}`;
    this.initializers.push(tensorProto(name, value));
    if (key !== undefined) this.#constants.set(key, name);
    return name;
  }

  ints(values: readonly number[]): string {
    return this.constant(i64([values.length], values));
  }

  /** Remembers which input and axis tells a symbol's length at run time. */
  learnSymbols(name: string, shape: Shape): void {
    shape.forEach((dim, axis) => {
      if (typeof dim === "string" && !this.#symbols.has(dim)) this.#symbols.set(dim, { name, axis });
    });
  }

  /** Name of a one-element i64 tensor that holds an axis length. */
  length(dim: Dim): string {
    if (typeof dim === "number") return this.ints([dim]);
    const known = this.#lengths.get(dim);
    if (known !== undefined) return known;
    const symbol = this.#symbols.get(dim);
    let name: string;
    if (symbol !== undefined)
      name = this.node("Shape", [symbol.name], { attributes: { start: symbol.axis, end: symbol.axis + 1 } })[0]!;
    else {
      const summands = summandsOf(dim);
      const parts = summands ?? factorsOf(dim);
      if (parts.length < 2)
        throw new ShapeError(`expected axis ${dim} to be the length of some input's axis, but no input has it`);
      name = parts.map((part) => this.length(part)).reduce((a, b) => this.node(summands ? "Add" : "Mul", [a, b])[0]!);
    }
    this.#lengths.set(dim, name);
    return name;
  }

  /** Name of an i64 vector that holds a shape at run time. */
  shape(shape: Shape): string {
    if (shape.every((d) => typeof d === "number")) return this.ints(shape as number[]);
    const parts: string[] = [];
    let run: number[] = [];
    const flush = () => {
      if (run.length > 0) parts.push(this.ints(run));
      run = [];
    };
    for (const dim of shape) {
      if (typeof dim === "number") run.push(dim);
      else {
        flush();
        parts.push(this.length(dim));
      }
    }
    flush();
    return parts.length === 1 ? parts[0]! : this.node("Concat", parts, { attributes: { axis: 0 } })[0]!;
  }

  /** The target vector of a Reshape: constants, copied axes (0) and one inferred axis (-1) where these suffice. */
  reshapeTarget(from: Shape, to: Shape): string {
    const target = to.map((dim, i) => (typeof dim === "number" ? dim : from[i] === dim ? 0 : -1));
    const clash = to.some((dim, i) => dim === 0 && target[i] === 0);
    if (!clash && target.filter((d) => d === -1).length <= 1) return this.ints(target);
    return this.shape(to);
  }
}
