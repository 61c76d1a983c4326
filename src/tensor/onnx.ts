/** A graph written as an ONNX model: what nobody needs dropped, what is the same merged. */
import { ShapeError } from "../errors.ts";
import { Emitter, externalTensor, nodeProto, type OnnxNode, type Target, valueInfo } from "./emitter.ts";
import { ProtoWriter } from "./protobuf.ts";
import { inputOf, type Node, type Tensor } from "./tensor.ts";

/** A finished graph: ONNX bytes plus the names and types of what goes in and out. */
export interface OnnxGraph {
  bytes: Uint8Array;
  inputs: Record<string, Tensor>;
  outputs: Record<string, Tensor>;
  nodeCount: number;
}

/** Every node that the tensors need, in the order in which they were made (a topological order). */
export function reachable(roots: Iterable<Tensor>): Node[] {
  const seen = new Set<Node>();
  const stack = [...roots].map((t) => t.node);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) stack.push(input.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

const OPSET = 23;
const IR_VERSION = 11;

/**
 * Writes the graph that computes `outputs` as an ONNX model (opset 23). Nodes nobody needs are left out; nodes that
 * compute the same thing from the same inputs are emitted once. Inputs that `external` names become initializers whose
 * values the runtime is given apart (`constants`): it may repack them, and they must not change.
 */
export function toOnnx(
  outputs: Record<string, Tensor>,
  options: { target?: Target; name?: string; external?: (name: string) => boolean } = {},
): OnnxGraph {
  const emitter = new Emitter(options.target ?? "cpu");
  const names = new Map<Tensor, string>();
  const known = new Map<string, string[]>();
  const inputs: Record<string, Tensor> = {};
  const nodes = reachable(Object.values(outputs));
  for (const node of nodes) {
    const tensor = node.outputs[0]!;
    const info = inputOf(tensor);
    if (info === undefined) continue;
    const other = inputs[info.name];
    if (other !== undefined && other !== tensor)
      throw new ShapeError(`graph: two different inputs are named ${info.name}`);
    inputs[info.name] = tensor;
    emitter.learnSymbols(tensor);
  }
  for (const node of nodes) {
    const inputNames = node.inputs.map((t) => names.get(t)!);
    const large = node.primitive.name === "constant" && node.params.data.length > 64;
    const key =
      large || inputOf(node.outputs[0]!)
        ? undefined
        : `${node.primitive.name}(${inputNames.join()})${paramKey(node.params)}`;
    let outputNames = key === undefined ? undefined : known.get(key);
    if (outputNames === undefined) {
      emitter.at(node);
      outputNames = node.primitive.emit(emitter, node, inputNames);
      if (key !== undefined) known.set(key, outputNames);
    }
    node.outputs.forEach((tensor, i) => names.set(tensor, outputNames[i]!));
  }
  const graph = new ProtoWriter();
  const renamed = new Map<string, string>();
  const produced = new Set(emitter.nodes.flatMap((node) => node.outputs));
  for (const [name, tensor] of Object.entries(outputs)) {
    const inner = names.get(tensor)!;
    if (produced.has(inner) && !renamed.has(inner)) renamed.set(inner, name);
    else
      emitter.nodes.push({
        op: "Identity",
        name: `output ${name}`,
        inputs: [inner],
        outputs: [name],
        attributes: {},
        domain: "",
      });
  }
  const final = (name: string): string => renamed.get(name) ?? name;
  const nodesUsed = used(emitter.nodes, new Set([...renamed.keys(), ...Object.keys(outputs)]));
  for (const node of leavesLast(nodesUsed))
    graph.message(1, nodeProto({ ...node, inputs: node.inputs.map(final), outputs: node.outputs.map(final) }));
  graph.string(2, options.name ?? "sumbi");
  for (const initializer of emitter.initializers) graph.message(5, initializer);
  for (const [name, tensor] of Object.entries(inputs))
    if (options.external?.(name)) graph.message(5, externalTensor(name, tensor));
    else graph.message(11, valueInfo(name, tensor));
  for (const [name, tensor] of Object.entries(outputs)) graph.message(12, valueInfo(name, tensor));
  const model = new ProtoWriter().int(1, IR_VERSION).string(2, "sumbi").message(7, graph);
  for (const domain of emitter.domains)
    model.message(8, new ProtoWriter().string(1, domain).int(2, domain === "" ? OPSET : 1));
  return { bytes: model.finish(), inputs, outputs, nodeCount: nodesUsed.length };
}

/** The nodes that some result in `wanted` depends on, in their order: a primitive may emit some for an output nobody reads. */
function used(nodes: readonly OnnxNode[], wanted: Set<string>): OnnxNode[] {
  return nodes
    .toReversed()
    .filter((node) => {
      const needed = node.outputs.some((name) => wanted.has(name));
      if (needed) for (const name of node.inputs) wanted.add(name);
      return needed;
    })
    .reverse();
}

/**
 * The same nodes with those that no other reads at the end, the first made last. ONNX Runtime walks back from these, from the last of
 * the list to the first, and runs what each needs: so every weight's gradient is computed as soon as it can be, while what it
 * needs is still in the cache, and not all of them after everything else.
 */
function leavesLast(nodes: readonly OnnxNode[]): OnnxNode[] {
  const read = new Set(nodes.flatMap((node) => node.inputs));
  const isLeaf = (node: OnnxNode) => !node.outputs.some((name) => read.has(name));
  return [...nodes.filter((node) => !isLeaf(node)), ...nodes.filter(isLeaf).reverse()];
}

/** A text that is equal exactly for equal parameters. Functions (custom rules) are told apart by identity. */
function paramKey(params: unknown): string {
  return JSON.stringify(params, (_, value) => {
    if (typeof value === "function") return identity(value);
    if (ArrayBuffer.isView(value))
      return `${value.constructor.name}:${Array.from(value as unknown as ArrayLike<number>).join()}`;
    if (typeof value === "bigint") return `${value}n`;
    return value;
  });
}

const identities = new WeakMap<object, number>();
let identitiesGiven = 0;
function identity(value: object): number {
  let id = identities.get(value);
  if (id === undefined) identities.set(value, (id = identitiesGiven++));
  return id;
}
