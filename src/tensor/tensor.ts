/** Symbolic tensors: nodes of a graph, primitives, inputs and constants. */
import { type Dim, type Shape, show } from "./dims.ts";
import type { DType, HostTensor } from "./dtype.ts";
import type { Emitter } from "./emitter.ts";

/** What a primitive gives back for one of its outputs. */
export interface OutputType {
  dtype: DType;
  shape: Dim[];
}

/**
 * One operation of the graph: how its outputs' types follow from its inputs, how ONNX says it, and how a
 * gradient flows back through it. `grad` gets one gradient per output (undefined = not used) and returns one per
 * input (undefined = none). A primitive without `grad` stops gradients.
 */
export interface Primitive<P = any> {
  name: string;
  infer(inputs: Tensor[], params: P): OutputType[];
  emit(emitter: Emitter, node: Node<P>, inputs: string[]): string[];
  grad?(node: Node<P>, gradients: (Tensor | undefined)[], needed: boolean[]): (Tensor | undefined)[];
}

/** One use of a primitive. Nodes are numbered as they are made, so numbers are a topological order. */
export class Node<P = any> {
  static #made = 0;
  readonly id = Node.#made++;
  readonly scope = scopes.join("/");
  readonly outputs: Tensor[];
  constructor(
    readonly primitive: Primitive<P>,
    readonly inputs: Tensor[],
    readonly params: P,
  ) {
    this.outputs = primitive.infer(inputs, params).map((type, i) => new Tensor(this, i, type.dtype, type.shape));
  }
}

/** A symbolic tensor: one output of a node. Holds no data. */
export class Tensor {
  constructor(
    readonly node: Node,
    readonly index: number,
    readonly dtype: DType,
    readonly shape: Shape,
  ) {}

  get rank(): number {
    return this.shape.length;
  }

  /** Length of an axis; negative counts from the end. */
  dim(axis: number): Dim {
    return this.shape[axis < 0 ? axis + this.rank : axis]!;
  }

  toString(): string {
    return `${this.node.primitive.name}#${this.node.id}:${this.dtype}${show(this.shape)}`;
  }
}

const scopes: string[] = [];

/** Names the nodes made inside `build`, for error messages and profiles: `layers.3/self_attn`. */
export function scope<T>(name: string, build: () => T): T {
  scopes.push(name);
  try {
    return build();
  } finally {
    scopes.pop();
  }
}

/** The current place, for error messages. */
export const place = (op: string): string => (scopes.length > 0 ? `${scopes.join("/")}: ${op}` : op);

/** Applies a primitive. */
export function apply<P>(primitive: Primitive<P>, inputs: Tensor[], params: P): Tensor[] {
  return new Node(primitive, inputs, params).outputs;
}

export interface InputParams {
  name: string;
  dtype: DType;
  shape: Dim[];
  parameter: boolean;
}

const inputPrimitive: Primitive<InputParams> = {
  name: "input",
  infer: (_, { dtype, shape }) => [{ dtype, shape }],
  emit: (_, node) => [node.params.name],
};

/** A tensor fed at run time. */
export function input(name: string, dtype: DType, shape: Shape): Tensor {
  return apply(inputPrimitive, [], { name, dtype, shape: [...shape], parameter: false })[0]!;
}

/** A trained tensor, fed at run time under its checkpoint key. */
export function parameter(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
  return apply(inputPrimitive, [], { name, dtype, shape: [...shape], parameter: true })[0]!;
}

/** The input's name and type when the tensor is an input or parameter. */
export function inputOf(tensor: Tensor): InputParams | undefined {
  return tensor.node.primitive === inputPrimitive ? (tensor.node.params as InputParams) : undefined;
}

const constantPrimitive: Primitive<HostTensor> = {
  name: "constant",
  infer: (_, { dtype, shape }) => [{ dtype, shape: [...shape] }],
  emit: (emitter, node) => [emitter.constant(node.params)],
};

/** A tensor whose values are part of the graph. */
export function constant(value: HostTensor): Tensor {
  return apply(constantPrimitive, [], value)[0]!;
}

/** A rank-0 f32 constant. */
export function scalar(value: number): Tensor {
  return constant({ dtype: "f32", shape: [], data: Float32Array.of(value) });
}

/** The value when the tensor is a constant. */
export function constantOf(tensor: Tensor): HostTensor | undefined {
  return tensor.node.primitive === constantPrimitive ? (tensor.node.params as HostTensor) : undefined;
}

/** The number when the tensor is a one-element f32 constant. */
export function scalarOf(tensor: Tensor): number | undefined {
  const value = constantOf(tensor);
  return value?.dtype === "f32" && value.data.length === 1 ? Number(value.data[0]) : undefined;
}
