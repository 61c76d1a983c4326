/** Reductions other than the sum. */
import { ShapeError } from "../../errors.ts";
import { type Dim, dimProduct, show } from "../dims.ts";
import { type Primitive, place, type Tensor } from "../tensor.ts";
import { type ReduceParams, reduce, reduction, restore, sum } from "./broadcast.ts";
import { div, equal, mul, stopGradient, where } from "./elementwise.ts";

const reduceMax_ = reduction("max", "ReduceMax", (node, [g]) => {
  const x = node.inputs[0]!;
  const hit = equal(x, stopGradient(restore(node.outputs[0]!, x, node.params.axes)));
  const share = where(hit, 1, 0);
  const count = sum(share, node.params.axes, true);
  return [g && div(mul(restore(g, x, node.params.axes), share), count)];
});

/** Rows that one pooling joins: columns' maxima take a few of these, six times as fast as reducing axis 0. */
const POOL = 16;

const max_: Primitive<ReduceParams> = {
  ...reduceMax_,
  emit: (emitter, node, inputs) => {
    const { shape } = node.inputs[0]!;
    const { axes, keep } = node.params;
    let rows = shape[0]!;
    if (
      emitter.provider !== "cpu" ||
      shape.length !== 2 ||
      axes.length !== 1 ||
      axes[0] !== 0 ||
      typeof rows !== "number" ||
      rows < POOL
    )
      return reduceMax_.emit(emitter, node, inputs);
    let x = emitter.node("Unsqueeze", [inputs[0]!, emitter.ints([0, 1])]);
    for (; rows > 1; rows = Math.ceil(rows / POOL)) {
      const window = [Math.min(POOL, rows), 1];
      x = emitter.node("MaxPool", x, { attributes: { kernel_shape: window, strides: window, ceil_mode: 1 } });
    }
    return emitter.node("Squeeze", [...x, emitter.ints(keep ? [0, 1] : [0, 1, 2])]);
  },
};

/** Maximum over axes. Ties share the gradient. */
export function max(x: Tensor, axes?: number | number[], keep = false): Tensor {
  return reduce(max_, x, axes, keep);
}

/** Mean over axes of known length. */
export function mean(x: Tensor, axes?: number | number[], keep = false): Tensor {
  const list = axes === undefined ? x.shape.map((_, i) => i) : [axes].flat();
  const size: Dim = dimProduct(list.map((a) => x.dim(a)));
  if (typeof size !== "number")
    throw new ShapeError(`${place("mean")}: expected axes of known length, got ${show(x.shape)}`);
  return mul(sum(x, axes, keep), 1 / size);
}

export const all: Primitive[] = [max_];
