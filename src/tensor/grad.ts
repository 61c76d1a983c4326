/** Reverse-mode differentiation of a graph, by the primitives' rules. */
import { ShapeError } from "../errors.ts";
import { sameShape, show } from "./dims.ts";
import { reachable } from "./onnx.ts";
import { add } from "./ops/elementwise.ts";
import { type Node, scalar, scope, type Tensor } from "./tensor.ts";

/**
 * Gradients of a rank-0 f32 loss with respect to any tensors of its graph (parameters or things computed on the way),
 * as new symbolic tensors of the same shapes. One that the loss does not depend on gives undefined.
 * Asking for an intermediate tensor (an embedding's gathered rows, say) does not stop the flow to what it was made from.
 */
export function grad(loss: Tensor, wanted: Tensor[]): (Tensor | undefined)[] {
  if (loss.rank !== 0 || loss.dtype !== "f32")
    throw new ShapeError(`grad: expected a scalar f32 loss, got ${loss.dtype}${show(loss.shape)}`);
  const nodes = reachable([loss]);
  const needed = new Set<Node>();
  const targets = new Set(wanted);
  for (const node of nodes)
    if (node.outputs.some((t) => targets.has(t)) || node.inputs.some((t) => needed.has(t.node))) needed.add(node);
  const gradients = new Map<Tensor, Tensor>([[loss, scalar(1)]]);
  const accumulate = (tensor: Tensor, gradient: Tensor) => {
    if (!sameShape(tensor.shape, gradient.shape))
      throw new ShapeError(`grad: expected a gradient like ${tensor}, got ${show(gradient.shape)}`);
    const before = gradients.get(tensor);
    gradients.set(tensor, before === undefined ? gradient : add(before, gradient));
  };
  for (const node of nodes.reverse()) {
    if (!needed.has(node)) continue;
    const own = node.outputs.map((t) => gradients.get(t));
    const need = node.inputs.map((t) => needed.has(t.node));
    if (!need.some(Boolean) || own.every((g) => g === undefined) || node.primitive.grad === undefined) continue;
    const flows = scope(node.scope === "" ? "grad" : `grad/${node.scope}`, () => node.primitive.grad!(node, own, need));
    flows.forEach((flow, i) => {
      if (flow !== undefined && need[i]) accumulate(node.inputs[i]!, flow);
    });
  }
  return wanted.map((tensor) => gradients.get(tensor));
}
