/** ONNX's messages (onnx.proto3): nodes, attributes, tensors, types of values, graphs and models, as protocol buffers. */
import { ShapeError } from "../errors.ts";
import type { Shape } from "./dims.ts";
import { DTYPES, type DType, type HostTensor } from "./dtype.ts";
import { ProtoWriter } from "./protobuf.ts";

/** An attribute: an integer, a float, a text, a list of integers or a graph. */
export type Attribute = number | { float: number } | string | readonly number[] | ProtoWriter;

/** One ONNX node before it is written. */
export interface OnnxNode {
  op: string;
  name: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, Attribute>>;
  domain: string;
}

/** The element type and shape of a value. */
export interface ValueType {
  dtype: DType;
  shape: Shape;
}

/** The parts of a graph; `initializers` are TensorProtos. */
export interface GraphParts {
  name: string;
  nodes: readonly OnnxNode[];
  initializers: readonly ProtoWriter[];
  inputs: Readonly<Record<string, ValueType>>;
  outputs: Readonly<Record<string, ValueType>>;
}

const ATTRIBUTE = { float: 1, int: 2, string: 3, graph: 5, ints: 7 } as const;

function attribute(name: string, value: Attribute): ProtoWriter {
  const writer = new ProtoWriter().string(1, name);
  if (typeof value === "number") {
    if (!Number.isInteger(value)) throw new ShapeError(`attribute ${name}: expected {float: ${value}} or an integer`);
    return writer.int(3, value).int(20, ATTRIBUTE.int);
  }
  if (typeof value === "string") return writer.string(4, value).int(20, ATTRIBUTE.string);
  if (value instanceof ProtoWriter) return writer.message(6, value).int(20, ATTRIBUTE.graph);
  if ("float" in value) return writer.float(2, value.float).int(20, ATTRIBUTE.float);
  for (const v of value) writer.int(8, v);
  return writer.int(20, ATTRIBUTE.ints);
}

/** NodeProto. */
function nodeProto(node: OnnxNode): ProtoWriter {
  const writer = new ProtoWriter();
  for (const input of node.inputs) writer.string(1, input);
  for (const output of node.outputs) writer.string(2, output);
  writer.string(3, node.name).string(4, node.op);
  for (const [key, value] of Object.entries(node.attributes)) writer.message(5, attribute(key, value));
  if (node.domain !== "") writer.string(7, node.domain);
  return writer;
}

/** TensorProto: an initializer with its values. */
export function tensorProto(name: string, { dtype, shape, data }: HostTensor): ProtoWriter {
  const writer = new ProtoWriter();
  for (const size of shape) writer.int(1, size);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return writer.int(2, DTYPES[dtype].onnx).string(8, name).bytes(9, bytes);
}

/** TensorProto of an initializer whose values are given to the runtime apart, under the location it expects. */
export function externalTensor(name: string, { dtype, shape }: ValueType): ProtoWriter {
  const writer = new ProtoWriter();
  for (const size of shape) writer.int(1, size as number);
  const location = new ProtoWriter().string(1, "location").string(2, "constants");
  return writer.int(2, DTYPES[dtype].onnx).string(8, name).message(13, location).int(14, 1);
}

/** ValueInfoProto: a name with its element type and shape. */
function valueInfo(name: string, { dtype, shape }: ValueType): ProtoWriter {
  const dims = new ProtoWriter();
  for (const dim of shape)
    dims.message(1, typeof dim === "number" ? new ProtoWriter().int(1, dim) : new ProtoWriter().string(2, dim));
  const type = new ProtoWriter().int(1, DTYPES[dtype].onnx).message(2, dims);
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, type));
}

/** GraphProto. */
export function graphProto({ name, nodes, initializers, inputs, outputs }: GraphParts): ProtoWriter {
  const writer = new ProtoWriter();
  for (const node of nodes) writer.message(1, nodeProto(node));
  writer.string(2, name);
  for (const initializer of initializers) writer.message(5, initializer);
  for (const [key, type] of Object.entries(inputs)) writer.message(11, valueInfo(key, type));
  for (const [key, type] of Object.entries(outputs)) writer.message(12, valueInfo(key, type));
  return writer;
}

const OPSET = 23;
const IR_VERSION = 11;

/** ModelProto's bytes: a graph in opset 23, with version 1 of whatever other `domains` it takes operators from ("" is ONNX's own). */
export function modelBytes(graph: ProtoWriter, domains: Iterable<string> = [""]): Uint8Array {
  const model = new ProtoWriter().int(1, IR_VERSION).string(2, "sumbi").message(7, graph);
  for (const domain of domains) model.message(8, new ProtoWriter().string(1, domain).int(2, domain === "" ? OPSET : 1));
  return model.finish();
}
