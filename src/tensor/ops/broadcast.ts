/** Broadcasting and summing: each is the gradient of the other, so they stand together. */
import { ShapeError } from "../../errors.ts";
import { axisOf, broadcast, type Dim, isStatic, type Shape, sameShape, show } from "../dims.ts";
import { f32 } from "../dtype.ts";
import { apply, type Primitive, place, type Tensor } from "../tensor.ts";
import { reshape } from "./shape.ts";

const expand_: Primitive<{ shape: Dim[] }> = {
  name: "expand",
  infer: ([x], { shape }) => {
    const out = broadcast(x!.shape, shape, place("expand"));
    if (!sameShape(out, shape))
      throw new ShapeError(`${place("expand")}: expected a shape that becomes ${show(shape)}, got ${show(x!.shape)}`);
    return [{ dtype: x!.dtype, shape }];
  },
  emit: (emitter, node, [x]) => emitter.node("Expand", [x!, emitter.shape(node.params.shape)]),
  grad: (node, [g]) => [g && sumTo(g, node.inputs[0]!.shape)],
};

const expandLike_: Primitive<null> = {
  name: "expandLike",
  infer: ([x, like]) => [{ dtype: x!.dtype, shape: broadcast(x!.shape, like!.shape, place("expandLike")) }],
  emit: (emitter, _node, [x, like]) => emitter.node("Expand", [x!, emitter.node("Shape", [like!])[0]!]),
  grad: (node, [g]) => [g && sumTo(g, node.inputs[0]!.shape), undefined],
};

/** Repeats along axes of length 1 (and new leading axes). */
export function expand(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply(expand_, [x], { shape: [...shape] })[0]!;
}
/** Repeats x to the shape that `like` has at run time. */
export function expandLike(x: Tensor, like: Tensor): Tensor {
  if (sameShape(x.shape, like.shape)) return x;
  return isStatic(like.shape) ? expand(x, like.shape) : apply(expandLike_, [x, like], null)[0]!;
}

export interface ReduceParams {
  axes: number[];
  keep: boolean;
}

/** A reduction of some axes as ONNX has it. */
export function reduction(name: string, op: string, grad: Primitive<ReduceParams>["grad"]): Primitive<ReduceParams> {
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
export const restore = (g: Tensor, like: Tensor, axes: number[]): Tensor =>
  reshape(
    g,
    like.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
  );

/** Applies a reduction to axes, all when left out. */
export function reduce(
  primitive: Primitive<ReduceParams>,
  x: Tensor,
  axes: number | number[] | undefined,
  keep: boolean,
): Tensor {
  const list =
    axes === undefined ? x.shape.map((_, i) => i) : [axes].flat().map((a) => axisOf(a, x.rank, place(primitive.name)));
  return list.length === 0 ? x : apply(primitive, [x], { axes: list.sort((a, b) => a - b), keep })[0]!;
}

const reduceSum_ = reduction("sum", "ReduceSum", (node, [g]) => {
  const x = node.inputs[0]!;
  return [g && expandLike(restore(g, x, node.params.axes), x)];
});

const sum_: Primitive<ReduceParams> = {
  ...reduceSum_,
  emit: (emitter, node, inputs) => {
    const { dtype, shape } = node.inputs[0]!;
    const { axes, keep } = node.params;
    if (dtype !== "f32" || shape.length !== 2 || axes.length !== 1 || axes[0] !== 0 || !isStatic(shape))
      return reduceSum_.emit(emitter, node, inputs);
    const [rows, columns] = shape as [number, number];
    const ones = emitter.constant(f32([1, rows], new Float32Array(rows).fill(1)));
    const row = emitter.node("Gemm", [ones, inputs[0]!]);
    return keep ? row : emitter.node("Reshape", [row[0]!, emitter.ints([columns])]);
  },
};

/** Sum over axes (all when left out), accumulated in f32. Columns of a matrix are summed by a ones-vector GEMM, 3× as fast. */
export function sum(x: Tensor, axes?: number | number[], keep = false): Tensor {
  return reduce(sum_, x, axes, keep);
}

/** Undoes broadcasting: sums a gradient down to the shape of the operand it belongs to. */
export function sumTo(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const lead = g.rank - shape.length;
  const axes = g.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  return lead === 0 ? sum(g, axes, true) : reshape(sum(g, axes), shape);
}

export const all: Primitive[] = [expand_, expandLike_, sum_];
