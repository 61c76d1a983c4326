/** A graph written as an ONNX model: what nobody needs dropped, what is the same merged. */
import { ShapeError } from "../errors.ts";
import { Emitter, type Provider } from "./emitter.ts";
import { externalTensor, graphProto, modelBytes, type OnnxNode } from "./messages.ts";
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

/**
 * Writes the graph that computes `outputs` as an ONNX model. Nodes nobody needs are left out; nodes that
 * compute the same thing from the same inputs are emitted once. Inputs that `external` names become initializers whose
 * values the runtime is given apart (`constants`): it may repack them, and they must not change.
 */
export function toOnnx(
  outputs: Record<string, Tensor>,
  options: { provider?: Provider; name?: string; external?: (name: string) => boolean } = {},
): OnnxGraph {
  const emitter = new Emitter(options.provider ?? "cpu");
  const needed = reachable(Object.values(outputs));
  const inputs = inputsOf(needed);
  for (const [name, { shape }] of Object.entries(inputs)) emitter.learnSymbols(name, shape);
  const nodes = named(emitter, emitAll(emitter, needed), outputs);
  const isExternal = (name: string): boolean => options.external?.(name) ?? false;
  const entries = Object.entries(inputs);
  const graph = graphProto({
    name: options.name ?? "sumbi",
    nodes: leavesLast(nodes),
    initializers: [
      ...emitter.initializers,
      ...entries.filter(([name]) => isExternal(name)).map(([name, tensor]) => externalTensor(name, tensor)),
    ],
    inputs: Object.fromEntries(entries.filter(([name]) => !isExternal(name))),
    outputs,
  });
  return { bytes: modelBytes(graph, emitter.domains), inputs, outputs, nodeCount: nodes.length };
}

/** The inputs and parameters among the nodes, by name. */
function inputsOf(nodes: readonly Node[]): Record<string, Tensor> {
  const inputs: Record<string, Tensor> = {};
  for (const { outputs } of nodes) {
    const tensor = outputs[0]!;
    const info = inputOf(tensor);
    if (info === undefined) continue;
    const other = inputs[info.name];
    if (other !== undefined && other !== tensor)
      throw new ShapeError(`graph: two different inputs are named ${info.name}`);
    inputs[info.name] = tensor;
  }
  return inputs;
}

/** Lets every node write itself, those that compute the same thing once; the names that its tensors have in the ONNX graph. */
function emitAll(emitter: Emitter, nodes: readonly Node[]): Map<Tensor, string> {
  const names = new Map<Tensor, string>();
  const known = new Map<string, string[]>();
  for (const node of nodes) {
    const inputNames = node.inputs.map((t) => names.get(t)!);
    const large = node.primitive.name === "constant" && node.params.data.length > 64;
    const key =
      large || inputOf(node.outputs[0]!)
        ? undefined
        : `${node.primitive.name}(${inputNames.join()})${paramKey(node.params)}`;
    let outputNames = key === undefined ? undefined : known.get(key);
    if (outputNames === undefined) {
      emitter.at(node.scope);
      outputNames = node.primitive.emit(emitter, node, inputNames);
      if (key !== undefined) known.set(key, outputNames);
    }
    node.outputs.forEach((tensor, i) => names.set(tensor, outputNames[i]!));
  }
  return names;
}

/** The emitted nodes that results need, each result under the name it is asked for: its own node's, or that of a copy where the node has another. */
function named(
  emitter: Emitter,
  names: ReadonlyMap<Tensor, string>,
  outputs: Readonly<Record<string, Tensor>>,
): OnnxNode[] {
  const renamed = new Map<string, string>();
  const produced = new Set(emitter.nodes.flatMap((node) => node.outputs));
  const copies: OnnxNode[] = [];
  for (const [name, tensor] of Object.entries(outputs)) {
    const inner = names.get(tensor)!;
    if (produced.has(inner) && !renamed.has(inner)) renamed.set(inner, name);
    else
      copies.push({
        op: "Identity",
        name: `output ${name}`,
        inputs: [inner],
        outputs: [name],
        attributes: {},
        domain: "",
      });
  }
  const final = (name: string): string => renamed.get(name) ?? name;
  return used([...emitter.nodes, ...copies], new Set([...renamed.keys(), ...Object.keys(outputs)])).map((node) => ({
    ...node,
    inputs: node.inputs.map(final),
    outputs: node.outputs.map(final),
  }));
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
