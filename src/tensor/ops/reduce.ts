import { ShapeError } from "../../errors.ts";
import { axisOf, type Dim, dimProduct, isStatic, type Shape, sameShape, show } from "../dims.ts";
import { f32 } from "../dtype.ts";
import { apply, constant, type Primitive, place, type Tensor } from "../tensor.ts";
import { div, equal, expandLike, mul, stopGradient, where } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { reshape } from "./shape.ts";

interface ReduceParams {
  axes: number[];
  keep: boolean;
}

function reduction(name: string, op: string, grad?: Primitive<ReduceParams>["grad"]): Primitive<ReduceParams> {
  return {
    name,
    infer: ([x], { axes, keep }) => [
      { dtype: x!.dtype, shape: x!.shape.flatMap((d, i) => (axes.includes(i) ? (keep ? [1] : []) : [d])) },
    ],
    emit: (emitter, node, [x]) =>
      emitter.node(op, [x!, emitter.ints(node.params.axes)], { attributes: { keepdims: node.params.keep ? 1 : 0 } }),
    grad,
  };
}

/** Puts reduced axes back as length 1, so that a gradient broadcasts over what was reduced. */
const restore = (g: Tensor, like: Tensor, axes: number[]): Tensor =>
  reshape(
    g,
    like.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
  );

const sum_ = reduction("sum", "ReduceSum", (node, [g]) => {
  const x = node.inputs[0]!;
  return [g && expandLike(restore(g, x, node.params.axes), x)];
});

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
      emitter.target !== "cpu" ||
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

function reduce(
  primitive: Primitive<ReduceParams>,
  x: Tensor,
  axes: number | number[] | undefined,
  keep: boolean,
): Tensor {
  const list =
    axes === undefined ? x.shape.map((_, i) => i) : [axes].flat().map((a) => axisOf(a, x.rank, place(primitive.name)));
  return list.length === 0 ? x : apply(primitive, [x], { axes: list.sort((a, b) => a - b), keep })[0]!;
}

/** Sum over axes (all when left out), accumulated in f32. Columns of a matrix are summed by a ones-vector GEMM, 3× as fast. */
export function sum(x: Tensor, axes?: number | number[], keep = false): Tensor {
  const list = axes === undefined ? undefined : [axes].flat();
  if (x.dtype === "f32" && x.rank === 2 && list?.length === 1 && list[0] === 0 && isStatic(x.shape)) {
    const ones = constant(f32([1, x.shape[0]!], new Float32Array(x.shape[0]!).fill(1)));
    const row = matmul(ones, x);
    return keep ? row : reshape(row, [x.shape[1]!]);
  }
  return reduce(sum_, x, axes, keep);
}

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

/** Undoes broadcasting: sums a gradient down to the shape of the operand it belongs to. */
export function sumTo(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const lead = g.rank - shape.length;
  const axes = g.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  return reshape(sum(g, axes, false), shape);
}

export const all: Primitive[] = [sum_, max_];
