/** Small ONNX models of any operators, written for probes of the runtime. */
import {
  type Attribute,
  type DType,
  externalTensor,
  graphProto,
  type HostTensor,
  modelBytes,
  type Shape,
  tensorProto,
} from "../tensor/index.ts";

export interface ProbeNode {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  /** A ProbeModel is a subgraph. */
  attributes?: Readonly<Record<string, Attribute | ProbeModel>>;
  domain?: string;
  name?: string;
}

export interface ProbeValue {
  name: string;
  dtype: DType;
  shape: Shape;
}

/** Any few nodes. An initializer without data is external: its value is given to `compile` as a constant. */
export interface ProbeModel {
  nodes: readonly ProbeNode[];
  inputs: readonly ProbeValue[];
  outputs: readonly ProbeValue[];
  initializers?: Readonly<Record<string, Omit<HostTensor, "data"> & { data?: HostTensor["data"] }>>;
}

/** ONNX bytes of a few hand-written nodes: to measure the machine and to test this room without the tensor room's ops. */
export const probeModel = (model: ProbeModel): Uint8Array => modelBytes(graph(model), ["", "com.microsoft"]);

const isSubgraph = (value: Attribute | ProbeModel): value is ProbeModel =>
  typeof value === "object" && "nodes" in value;
const byName = (values: readonly ProbeValue[]) => Object.fromEntries(values.map((value) => [value.name, value]));

const graph = ({ nodes, initializers = {}, inputs, outputs }: ProbeModel): ReturnType<typeof graphProto> =>
  graphProto({
    name: "probe",
    nodes: nodes.map(({ name, attributes = {}, domain = "", ...node }) => ({
      ...node,
      name: name ?? node.outputs[0] ?? node.op,
      domain,
      attributes: Object.fromEntries(
        Object.entries(attributes).map(([key, value]) => [key, isSubgraph(value) ? graph(value) : value]),
      ),
    })),
    initializers: Object.entries(initializers).map(([name, { data, ...type }]) =>
      data ? tensorProto(name, { ...type, data }) : externalTensor(name, type),
    ),
    inputs: byName(inputs),
    outputs: byName(outputs),
  });
