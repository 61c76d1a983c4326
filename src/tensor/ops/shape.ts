/** Operations that move elements and compute nothing: other shapes, orders, parts. */
import { ShapeError } from "../../errors.ts";
import { axisOf, type Dim, dimAdd, dimDiv, dimProduct, type Shape, sameShape, show } from "../dims.ts";
import type { Emitter } from "../emitter.ts";
import { apply, type Primitive, place, Tensor } from "../tensor.ts";

const reshape_: Primitive<{ shape: Dim[] }> = {
  name: "reshape",
  infer: ([x], { shape }) => {
    const from = dimProduct(x!.shape);
    const to = dimProduct(shape);
    if (from !== to)
      throw new ShapeError(
        `${place("reshape")}: expected as many elements as in ${show(x!.shape)}, got ${show(shape)}`,
      );
    return [{ dtype: x!.dtype, shape }];
  },
  emit: (emitter, node, [x]) =>
    emitter.node("Reshape", [x!, emitter.reshapeTarget(node.inputs[0]!.shape, node.params.shape)]),
  grad: (node, [g]) => [g && reshape(g, node.inputs[0]!.shape)],
};

/** The same elements in another shape; one axis may be -1 (what is left). */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const to = [...shape];
  const open = to.indexOf(-1);
  if (open >= 0) {
    const rest = dimDiv(dimProduct(x.shape), dimProduct(to.filter((_, i) => i !== open)));
    if (rest === undefined)
      throw new ShapeError(`${place("reshape")}: expected a shape that divides ${show(x.shape)}, got ${show(shape)}`);
    to[open] = rest;
  }
  if (sameShape(x.shape, to)) return x;
  if (x.node.primitive === reshape_) return reshape(x.node.inputs[0]!, to);
  return apply(reshape_, [x], { shape: to })[0]!;
}

const transpose_: Primitive<{ order: number[] }> = {
  name: "transpose",
  infer: ([x], { order }) => [{ dtype: x!.dtype, shape: order.map((i) => x!.shape[i]!) }],
  emit: (emitter, node, inputs) => emitter.node("Transpose", inputs, { attributes: { perm: node.params.order } }),
  grad: (node, [g]) => [
    g &&
      transpose(
        g,
        node.params.order.map((_, i) => node.params.order.indexOf(i)),
      ),
  ],
};

/** Reorders the axes: axis i of the result is axis order[i] of x. */
export function transpose(x: Tensor, order: number[]): Tensor {
  if (order.length !== x.rank || [...order].sort((a, b) => a - b).some((v, i) => v !== i))
    throw new ShapeError(`${place("transpose")}: expected an order of ${x.rank} axes, got [${order}]`);
  return order.every((v, i) => v === i) ? x : apply(transpose_, [x], { order })[0]!;
}

interface ConcatParams {
  axis: number;
  /** True when the last input is an i64 vector of the parts' lengths, kept for the gradient. */
  sized: boolean;
}

const concat_: Primitive<ConcatParams> = {
  name: "concat",
  infer: (inputs, { axis, sized }) => {
    const parts = sized ? inputs.slice(0, -1) : inputs;
    const first = parts[0]!;
    for (const part of parts)
      if (
        part.dtype !== first.dtype ||
        part.rank !== first.rank ||
        part.shape.some((d, i) => i !== axis && d !== first.shape[i])
      )
        throw new ShapeError(
          `${place("concat")}: expected parts alike but for axis ${axis}, got ${parts.map((p) => show(p.shape)).join(" ")}`,
        );
    return [
      {
        dtype: first.dtype,
        shape: first.shape.map((d, i) => (i === axis ? parts.map((p) => p.shape[i]!).reduce(dimAdd) : d)),
      },
    ];
  },
  emit: (emitter, node, inputs) => {
    const { axis, sized } = node.params;
    let parts = sized ? inputs.slice(0, -1) : inputs;
    if (emitter.provider === "webgpu")
      while (parts.length > GPU_PARTS)
        parts = groups(parts).flatMap((group) => emitter.node("Concat", group, { attributes: { axis } }));
    return emitter.node("Concat", parts, { attributes: { axis } });
  },
  grad: (node, [g]) => {
    if (!g) return node.inputs.map(() => undefined);
    const { axis, sized } = node.params;
    const parts = sized ? node.inputs.slice(0, -1) : node.inputs;
    const lengths = parts.map((p) => p.shape[axis]!);
    const sizes = sized ? node.inputs.at(-1)! : (lengths as number[]);
    if (!sized && lengths.some((d) => typeof d !== "number"))
      throw new ShapeError(
        `${place("concat")}: expected known lengths or a sizes tensor for the gradient, got ${lengths.join()}`,
      );
    return [...split(g, axis, sizes, lengths), ...(sized ? [undefined] : [])];
  },
};

/** Joins along an axis. `sizes` (i64 vector of the parts' lengths) is needed for gradients when lengths are only known at run time. */
export function concat(parts: Tensor[], axis: number, sizes?: Tensor): Tensor {
  if (parts.length === 1) return parts[0]!;
  const at = axisOf(axis, parts[0]!.rank, place("concat"));
  return apply(concat_, sizes ? [...parts, sizes] : parts, { axis: at, sized: sizes !== undefined })[0]!;
}

/** A WebGPU shader reads and writes at least 8 buffers: one whole and this many parts of it. */
const GPU_PARTS = 7;
const groups = <T>(items: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(items.length / GPU_PARTS) }, (_, i) =>
    items.slice(i * GPU_PARTS, (i + 1) * GPU_PARTS),
  );

const emitSplit = (emitter: Emitter, x: string, axis: number, sizes: string, count: number): string[] =>
  emitter.node("Split", [x, sizes], { attributes: { axis }, outputs: count });

/** Cuts into at most GPU_PARTS pieces at a time, by the sums of runs of `sizes`. */
function emitSplits(emitter: Emitter, x: string, axis: number, sizes: string, count: number): string[] {
  if (count <= GPU_PARTS) return emitSplit(emitter, x, axis, sizes, count);
  const runs = groups(Array.from({ length: count }, (_, i) => i));
  const runSizes = runs.map(
    (run) => emitter.node("Slice", [sizes, emitter.ints([run[0]!]), emitter.ints([run.at(-1)! + 1])])[0]!,
  );
  const sums = runSizes.map((run) => emitter.node("ReduceSum", [run])[0]!);
  const pieces = emitSplits(
    emitter,
    x,
    axis,
    emitter.node("Concat", sums, { attributes: { axis: 0 } })[0]!,
    runs.length,
  );
  return pieces.flatMap((piece, i) => emitSplit(emitter, piece, axis, runSizes[i]!, runs[i]!.length));
}

interface SplitParams {
  axis: number;
  lengths: Dim[];
  sized: boolean;
}

const split_: Primitive<SplitParams> = {
  name: "split",
  infer: ([x], { axis, lengths, sized }) => {
    if (!sized && lengths.reduce(dimAdd) !== x!.shape[axis])
      throw new ShapeError(
        `${place("split")}: expected lengths that add up to ${x!.shape[axis]}, got ${lengths.join()}`,
      );
    return lengths.map((d) => ({ dtype: x!.dtype, shape: x!.shape.map((s, i) => (i === axis ? d : s)) }));
  },
  emit: (emitter, node, [x, sizes]) => {
    const { axis, lengths } = node.params;
    const from = sizes ?? emitter.ints(lengths as number[]);
    return emitter.provider === "webgpu"
      ? emitSplits(emitter, x!, axis, from, lengths.length)
      : emitSplit(emitter, x!, axis, from, lengths.length);
  },
  grad: (node, gradients) => {
    if (gradients.every((g) => g === undefined)) return node.inputs.map(() => undefined);
    const parts = node.outputs.map((out, i) => gradients[i] ?? zerosLike(out));
    const joined = concat(parts, node.params.axis, node.inputs[1]);
    const back = sameShape(joined.shape, node.inputs[0]!.shape) ? joined : assume(joined, node.inputs[0]!.shape);
    return node.params.sized ? [back, undefined] : [back];
  },
};

/** Cuts along an axis into parts of given lengths: numbers, or an i64 tensor with the parts' symbols in `lengths`. */
export function split(x: Tensor, axis: number, sizes: [number, number]): [Tensor, Tensor];
export function split(x: Tensor, axis: number, sizes: number[] | Tensor, lengths?: Dim[]): Tensor[];
export function split(x: Tensor, axis: number, sizes: number[] | Tensor, lengths?: Dim[]): Tensor[] {
  const at = axisOf(axis, x.rank, place("split"));
  if (sizes instanceof Tensor) return apply(split_, [x, sizes], { axis: at, lengths: lengths!, sized: true });
  return sizes.length === 1 ? [x] : apply(split_, [x], { axis: at, lengths: sizes, sized: false });
}

const assume_: Primitive<{ shape: Dim[] }> = {
  name: "assume",
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  emit: (_, __, inputs) => inputs,
  grad: (node, [g]) => [g && assume(g, node.inputs[0]!.shape)],
};

/** States a shape that inference cannot see (lengths known only at run time). The values are untouched. */
export function assume(x: Tensor, shape: Shape): Tensor {
  return apply(assume_, [x], { shape: [...shape] })[0]!;
}

interface SliceParams {
  axis: number;
  start: number;
  end: number;
}

const slice_: Primitive<SliceParams> = {
  name: "slice",
  infer: ([x], { axis, start, end }) => {
    const length = x!.shape[axis]!;
    if (typeof length === "number" ? !(0 <= start && start <= end && end <= length) : !(0 <= start && start <= end))
      throw new ShapeError(
        `${place("slice")}: expected a range inside axis ${axis} of ${show(x!.shape)}, got ${start}..${end}`,
      );
    return [{ dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === axis ? end - start : d)) }];
  },
  emit: (emitter, node, [x]) =>
    emitter.node("Slice", [
      x!,
      emitter.ints([node.params.start]),
      emitter.ints([node.params.end]),
      emitter.ints([node.params.axis]),
    ]),
  grad: (node, [g]) => {
    const { axis, start, end } = node.params;
    const length = node.inputs[0]!.shape[axis]!;
    if (typeof length !== "number")
      throw new ShapeError(`${place("slice")}: expected a known axis length for the gradient, got ${length}`);
    return [g && pad(g, axis, start, length - end)];
  },
};

/** Elements start ≤ i < end of one axis. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const at = axisOf(axis, x.rank, place("slice"));
  return start === 0 && end === x.shape[at] ? x : apply(slice_, [x], { axis: at, start, end })[0]!;
}

const pad_: Primitive<{ axis: number; before: number; after: number }> = {
  name: "pad",
  infer: ([x], { axis, before, after }) => [
    { dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === axis ? dimAdd(d, before + after) : d)) },
  ],
  emit: (emitter, node, [x]) => {
    const { axis, before, after } = node.params;
    const rank = node.inputs[0]!.rank;
    const pads = new Array<number>(rank * 2).fill(0);
    pads[axis] = before;
    pads[axis + rank] = after;
    return emitter.node("Pad", [x!, emitter.ints(pads)]);
  },
  grad: (node, [g]) => {
    const { axis, before } = node.params;
    const length = node.inputs[0]!.shape[axis] as number;
    return [g && slice(g, axis, before, before + length)];
  },
};

/** Zeros before and after one axis. */
export function pad(x: Tensor, axis: number, before: number, after: number): Tensor {
  const at = axisOf(axis, x.rank, place("pad"));
  return before === 0 && after === 0 ? x : apply(pad_, [x], { axis: at, before, after })[0]!;
}

const lengthOf_: Primitive<{ dim: Dim }> = {
  name: "lengthOf",
  infer: () => [{ dtype: "i64", shape: [1] }],
  emit: (emitter, node) => [emitter.length(node.params.dim)],
};

/** An axis length as an i64 vector of one element, for symbols fed by the inputs' shapes. */
export function lengthOf(dim: Dim): Tensor {
  return apply(lengthOf_, [], { dim })[0]!;
}

const zerosLike_: Primitive<null> = {
  name: "zerosLike",
  infer: ([x]) => [{ dtype: x!.dtype, shape: [...x!.shape] }],
  emit: (emitter, _, inputs) => emitter.node("ConstantOfShape", emitter.node("Shape", inputs)),
};

/** Zeros (f32) of the shape that x has at run time. */
export function zerosLike(x: Tensor): Tensor {
  return apply(zerosLike_, [x], null)[0]!;
}

export const all: Primitive[] = [reshape_, transpose_, concat_, split_, assume_, slice_, pad_, lengthOf_, zerosLike_];
