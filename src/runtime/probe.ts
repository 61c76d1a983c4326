import { DTYPES, type DType, type HostTensor } from "../tensor/dtype.ts";

export type Attribute = number | { float: number } | string | readonly number[];

export interface ProbeNode {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes?: Readonly<Record<string, Attribute>>;
  domain?: string;
  name?: string;
}

export interface ProbeValue {
  name: string;
  dtype: DType;
  shape: readonly (number | string)[];
}

export interface ProbeModel {
  nodes: readonly ProbeNode[];
  inputs: readonly ProbeValue[];
  outputs: readonly ProbeValue[];
  /** Initializers: with data inside the model, or without (external, given to `compile` as constants). */
  initializers?: readonly { name: string; tensor: Omit<HostTensor, "data"> & { data?: HostTensor["data"] } }[];
  opset?: number;
}

type Field = Uint8Array;

/** A small ONNX model as bytes (onnx.proto3 field numbers): for measuring the machine and for this room's tests. */
export function probeModel(model: ProbeModel): Uint8Array {
  const graph = join([
    ...model.nodes.map((n) => message(1, nodeFields(n))),
    text(2, "probe"),
    ...(model.initializers ?? []).map(({ name, tensor }) =>
      message(5, [
        ...tensor.shape.map((d) => integer(1, d)),
        integer(2, DTYPES[tensor.dtype].onnx),
        text(8, name),
        ...(tensor.data
          ? [bytes(9, new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength))]
          : [message(13, [text(1, "location"), text(2, "given-at-compile-time")]), integer(14, 1)]),
      ]),
    ),
    ...model.inputs.map((v) => message(11, valueFields(v))),
    ...model.outputs.map((v) => message(12, valueFields(v))),
  ]);
  return join([
    integer(1, 10),
    bytes(7, graph),
    message(8, [text(1, ""), integer(2, model.opset ?? 21)]),
    message(8, [text(1, "com.microsoft"), integer(2, 1)]),
  ]);
}

function nodeFields(node: ProbeNode): Field[] {
  return [
    ...node.inputs.map((name) => text(1, name)),
    ...node.outputs.map((name) => text(2, name)),
    text(3, node.name ?? node.outputs[0] ?? ""),
    text(4, node.op),
    ...Object.entries(node.attributes ?? {}).map(([name, value]) => message(5, [text(1, name), ...attributeFields(value)])),
    ...(node.domain ? [text(7, node.domain)] : []),
  ];
}

function attributeFields(value: Attribute): Field[] {
  if (typeof value === "number") return [integer(3, value), integer(20, 2)];
  if (typeof value === "string") return [text(4, value), integer(20, 3)];
  if ("float" in value) return [join([Uint8Array.of((2 << 3) | 5), new Uint8Array(Float32Array.of(value.float).buffer)]), integer(20, 1)];
  return [...value.map((v) => integer(8, v)), integer(20, 7)];
}

function valueFields(value: ProbeValue): Field[] {
  const dims = value.shape.map((d) => message(1, [typeof d === "number" ? integer(1, d) : text(2, d)]));
  return [text(1, value.name), message(2, [message(1, [integer(1, DTYPES[value.dtype].onnx), message(2, dims)])])];
}

function varint(value: number): Field {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...out, Number(rest)]);
}

const integer = (field: number, value: number): Field => join([varint(field << 3), varint(value)]);
const bytes = (field: number, value: Uint8Array): Field => join([varint((field << 3) | 2), varint(value.length), value]);
const text = (field: number, value: string): Field => bytes(field, new TextEncoder().encode(value));
const message = (field: number, fields: readonly Field[]): Field => bytes(field, join(fields));

function join(parts: readonly Field[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
