/** Small ONNX models of any operators, written for probes of the runtime. */
import { DTYPES, type DType, type HostTensor, ProtoWriter } from "../tensor/index.ts";

/** An attribute: an integer, a float, a text, a list of integers or a graph. */
export type Attribute = number | { float: number } | string | readonly number[] | ProbeModel;

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

/** Any few nodes. An initializer without data is external: its value is given to `compile` as a constant. */
export interface ProbeModel {
  nodes: readonly ProbeNode[];
  inputs: readonly ProbeValue[];
  outputs: readonly ProbeValue[];
  initializers?: Readonly<Record<string, Omit<HostTensor, "data"> & { data?: HostTensor["data"] }>>;
}

/** ONNX bytes of a few hand-written nodes: to measure the machine and to test this room without the tensor room's ops. */
export function probeModel(model: ProbeModel): Uint8Array {
  const standard = new ProtoWriter().string(1, "").int(2, 21);
  const contributed = new ProtoWriter().string(1, "com.microsoft").int(2, 1);
  return new ProtoWriter().int(1, 10).message(7, graph(model)).message(8, standard).message(8, contributed).finish();
}

function graph({ nodes, initializers = {}, inputs, outputs }: ProbeModel): ProtoWriter {
  const out = new ProtoWriter();
  for (const node of nodes) {
    const proto = new ProtoWriter();
    for (const name of node.inputs) proto.string(1, name);
    for (const name of node.outputs) proto.string(2, name);
    proto.string(3, node.name ?? node.outputs[0]!).string(4, node.op);
    for (const [name, value] of Object.entries(node.attributes ?? {})) proto.message(5, attribute(name, value));
    if (node.domain) proto.string(7, node.domain);
    out.message(1, proto);
  }
  out.string(2, "probe");
  for (const [name, { dtype, shape, data }] of Object.entries(initializers)) {
    const proto = new ProtoWriter();
    for (const size of shape) proto.int(1, size);
    proto.int(2, DTYPES[dtype].onnx).string(8, name);
    if (data) proto.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    else proto.message(13, new ProtoWriter().string(1, "location").string(2, "constants")).int(14, 1);
    out.message(5, proto);
  }
  for (const input of inputs) out.message(11, valueInfo(input));
  for (const output of outputs) out.message(12, valueInfo(output));
  return out;
}

function attribute(name: string, value: Attribute): ProtoWriter {
  const out = new ProtoWriter().string(1, name);
  if (typeof value === "number") return out.int(3, value).int(20, 2);
  if (typeof value === "string") return out.string(4, value).int(20, 3);
  if ("float" in value) return out.float(2, value.float).int(20, 1);
  if ("nodes" in value) return out.message(6, graph(value)).int(20, 5);
  for (const v of value) out.int(8, v);
  return out.int(20, 7);
}

function valueInfo({ name, dtype, shape }: ProbeValue): ProtoWriter {
  const dims = new ProtoWriter();
  for (const size of shape)
    dims.message(1, typeof size === "number" ? new ProtoWriter().int(1, size) : new ProtoWriter().string(2, size));
  const type = new ProtoWriter().int(1, DTYPES[dtype].onnx).message(2, dims);
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, type));
}
