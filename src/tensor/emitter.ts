/** Nodes, constants and shapes of an ONNX graph, collected as primitives write themselves. */
import { ShapeError } from "../errors.ts";
import type { Dim, Shape } from "./dims.ts";
import { DTYPES, type HostTensor, i64 } from "./dtype.ts";
import { ProtoWriter } from "./protobuf.ts";
import { inputOf, type Node, type Tensor } from "./tensor.ts";

export type Attribute = number | { float: number } | string | number[];
export type Target = "cpu" | "webgpu";

export interface NodeOptions {
  attributes?: Record<string, Attribute>;
  outputs?: number;
  domain?: string;
}

/** One ONNX node before it is written. */
export interface OnnxNode {
  op: string;
  name: string;
  inputs: string[];
  outputs: string[];
  attributes: Record<string, Attribute>;
  domain: string;
}

const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_STRING = 3;
const ATTRIBUTE_INTS = 7;

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

  constructor(readonly target: Target) {}

  /** Where the nodes emitted from now on belong. */
  at(node: Node): void {
    this.#place = node.scope;
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
    const writer = new ProtoWriter();
    for (const dim of value.shape) writer.int(1, dim);
    writer.int(2, DTYPES[value.dtype].onnx).string(8, name).bytes(9, bytes);
    this.initializers.push(writer);
    if (key !== undefined) this.#constants.set(key, name);
    return name;
  }

  ints(values: readonly number[]): string {
    return this.constant(i64([values.length], values));
  }

  /** Remembers which input and axis tells a symbol's length at run time. */
  learnSymbols(tensor: Tensor): void {
    const name = inputOf(tensor)!.name;
    tensor.shape.forEach((dim, axis) => {
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
    else if (/^\(.*\)$/.test(dim) && balanced(dim.slice(1, -1)))
      name = splitAt(dim.slice(1, -1), "+")
        .map((d) => this.length(toDim(d)))
        .reduce((a, b) => this.node("Add", [a, b])[0]!);
    else {
      const factors = splitAt(dim, "*");
      if (factors.length < 2)
        throw new ShapeError(`expected axis ${dim} to be the length of some input's axis, but no input has it`);
      name = factors.map((d) => this.length(toDim(d))).reduce((a, b) => this.node("Mul", [a, b])[0]!);
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

const toDim = (text: string): Dim => (/^\d+$/.test(text) ? Number(text) : text);

function balanced(text: string): boolean {
  let depth = 0;
  for (const c of text) {
    if (c === "(") depth++;
    if (c === ")" && --depth < 0) return false;
  }
  return depth === 0;
}

function splitAt(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    if (text[i] === "(") depth++;
    if (text[i] === ")") depth--;
    if (i === text.length || (text[i] === separator && depth === 0)) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return parts;
}

function attribute(name: string, value: Attribute): ProtoWriter {
  const writer = new ProtoWriter().string(1, name);
  if (typeof value === "number") {
    if (!Number.isInteger(value)) throw new ShapeError(`attribute ${name}: expected {float: ${value}} or an integer`);
    return writer.int(3, value).int(20, ATTRIBUTE_INT);
  }
  if (typeof value === "string") return writer.string(4, value).int(20, ATTRIBUTE_STRING);
  if (Array.isArray(value)) {
    for (const v of value) writer.int(8, v);
    return writer.int(20, ATTRIBUTE_INTS);
  }
  return writer.float(2, value.float).int(20, ATTRIBUTE_FLOAT);
}

/** NodeProto. */
export function nodeProto(node: OnnxNode): ProtoWriter {
  const writer = new ProtoWriter();
  for (const input of node.inputs) writer.string(1, input);
  for (const output of node.outputs) writer.string(2, output);
  writer.string(3, node.name).string(4, node.op);
  for (const [key, value] of Object.entries(node.attributes)) writer.message(5, attribute(key, value));
  if (node.domain !== "") writer.string(7, node.domain);
  return writer;
}

/** TensorProto of an initializer whose values are given to the runtime apart, under the location it expects. */
export function externalTensor(name: string, tensor: Tensor): ProtoWriter {
  const writer = new ProtoWriter();
  for (const dim of tensor.shape) writer.int(1, dim as number);
  const location = new ProtoWriter().string(1, "location").string(2, "constants");
  return writer.int(2, DTYPES[tensor.dtype].onnx).string(8, name).message(13, location).int(14, 1);
}

/** ValueInfoProto: a name with its element type and shape. */
export function valueInfo(name: string, tensor: Tensor): ProtoWriter {
  const shape = new ProtoWriter();
  for (const dim of tensor.shape)
    shape.message(1, typeof dim === "number" ? new ProtoWriter().int(1, dim) : new ProtoWriter().string(2, dim));
  const type = new ProtoWriter().int(1, DTYPES[tensor.dtype].onnx).message(2, shape);
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, type));
}
