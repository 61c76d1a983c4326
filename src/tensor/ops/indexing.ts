/** Operations that pick and place by index: gather, scatter, topK, nonZero, cumsum. */
import { ShapeError } from "../../errors.ts";
import { axisOf, type Dim, sameShape, show } from "../dims.ts";
import { i64 } from "../dtype.ts";
import { apply, constant, type Primitive, place, type Tensor } from "../tensor.ts";
import { cast, equal } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { reshape, zerosLike } from "./shape.ts";

const gather_: Primitive<null> = {
  name: "gather",
  infer: ([table, ids]) => {
    if (ids!.dtype !== "i64") throw new ShapeError(`${place("gather")}: expected i64 ids, got ${ids!.dtype}`);
    return [{ dtype: table!.dtype, shape: [...ids!.shape, ...table!.shape.slice(1)] }];
  },
  emit: (emitter, _, inputs) => emitter.node("Gather", inputs, { attributes: { axis: 0 } }),
  // ScatterND with addition races in the CPU runtime when ids repeat, so the general rule is a one-hot product.
  // Differs for big tables: the trainer asks grad() for the rows instead (see `rows` there).
  grad: (node, [g], needed) => {
    const [table, ids] = node.inputs as [Tensor, Tensor];
    if (!g || !needed[0]) return [undefined, undefined];
    const count = table.dim(0);
    if (typeof count !== "number")
      throw new ShapeError(`${place("gather")}: expected a table of known length for the gradient, got ${count}`);
    const all = constant(
      i64(
        [count, 1],
        Array.from({ length: count }, (_, i) => i),
      ),
    );
    const oneHot = cast(equal(all, reshape(ids, [1, -1])), "f32");
    const width = table.shape.slice(1);
    const flat = matmul(oneHot, reshape(g, [oneHot.dim(1), width.length === 0 ? 1 : widthOf(width)]));
    return [reshape(flat, table.shape), undefined];
  },
};

function widthOf(dims: readonly Dim[]): number {
  if (dims.some((d) => typeof d !== "number"))
    throw new ShapeError(`gather: expected rows of known width, got ${show(dims)}`);
  return (dims as number[]).reduce((a, b) => a * b, 1);
}

/** Rows of a table: table [n, …], ids […] → [ids…, …]. */
export function gather(table: Tensor, ids: Tensor): Tensor {
  return apply(gather_, [table, ids], null)[0]!;
}

const gatherElements_: Primitive<{ axis: number; unique: boolean }> = {
  name: "gatherElements",
  infer: ([x, ids]) => {
    if (ids!.dtype !== "i64" || ids!.rank !== x!.rank)
      throw new ShapeError(
        `${place("gatherElements")}: expected i64 ids of rank ${x!.rank}, got ${ids!.dtype}${show(ids!.shape)}`,
      );
    return [{ dtype: x!.dtype, shape: [...ids!.shape] }];
  },
  emit: (emitter, node, inputs) => emitter.node("GatherElements", inputs, { attributes: { axis: node.params.axis } }),
  grad: (node, [g], needed) => {
    const [x, ids] = node.inputs as [Tensor, Tensor];
    return [
      g && needed[0] ? scatterElements(zerosLike(x), ids, g, node.params.axis, !node.params.unique) : undefined,
      undefined,
    ];
  },
};

/** out[i][j] = x[i][ids[i][j]] along `axis`. Say `unique` when no id repeats within a line: the gradient is then a plain write. */
export function gatherElements(x: Tensor, ids: Tensor, axis: number, unique = false): Tensor {
  return apply(gatherElements_, [x, ids], { axis: axisOf(axis, x.rank, place("gatherElements")), unique })[0]!;
}

const scatterElements_: Primitive<{ axis: number; add: boolean }> = {
  name: "scatterElements",
  infer: ([x, ids, values]) => {
    if (!sameShape(ids!.shape, values!.shape) || ids!.dtype !== "i64")
      throw new ShapeError(
        `${place("scatterElements")}: expected i64 ids shaped like the values ${show(values!.shape)}, got ${ids!.dtype}${show(ids!.shape)}`,
      );
    return [{ dtype: x!.dtype, shape: [...x!.shape] }];
  },
  emit: (emitter, node, inputs) =>
    emitter.node("ScatterElements", inputs, {
      attributes: { axis: node.params.axis, reduction: node.params.add ? "add" : "none" },
    }),
};

/** x with `values` written (or added) at ids along `axis`. No gradient. Adding is slow (0.8 GB/s) but exact. */
export function scatterElements(x: Tensor, ids: Tensor, values: Tensor, axis: number, add = false): Tensor {
  return apply(scatterElements_, [x, ids, values], { axis: axisOf(axis, x.rank, place("scatterElements")), add })[0]!;
}

const takeRows_: Primitive<null> = {
  name: "takeRows",
  infer: ([x, ids]) => [{ dtype: x!.dtype, shape: [ids!.dim(0), x!.dim(1)] }],
  emit: (emitter, _, inputs) => emitter.node("GatherND", inputs),
  grad: (node, [g], needed) => [
    g && needed[0] ? addRows(zerosLike(node.inputs[0]!), node.inputs[1]!, g) : undefined,
    undefined,
  ],
};

/** The rows of x_XD that ids_n1 (i64) names, each at most once, so that the gradient is a plain `addRows`. */
export const takeRows = (x_XD: Tensor, ids_n1: Tensor): Tensor => apply(takeRows_, [x_XD, ids_n1], null)[0]!;

const addRows_: Primitive<null> = {
  name: "addRows",
  infer: ([x]) => [{ dtype: x!.dtype, shape: [...x!.shape] }],
  // Addition races in the CPU runtime when ids repeat: hence the condition.
  emit: (emitter, _, inputs) => emitter.node("ScatterND", inputs, { attributes: { reduction: "add" } }),
  grad: (node, [g], needed) => [g, undefined, g && needed[2] ? takeRows(g, node.inputs[1]!) : undefined],
};

/** x_XD with rows_nD added at the rows that ids_n1 (i64) names, each at most once. */
export const addRows = (x_XD: Tensor, ids_n1: Tensor, rows_nD: Tensor): Tensor =>
  apply(addRows_, [x_XD, ids_n1, rows_nD], null)[0]!;

const setRows_: Primitive<null> = {
  name: "setRows",
  infer: ([x, ids, rows]) => {
    if (ids!.dtype !== "i64" || ids!.rank !== 2 || !sameShape(rows!.shape, [ids!.dim(0), x!.dim(1)]))
      throw new ShapeError(
        `${place("setRows")}: expected x_XD, i64 ids_n1 and rows_nD, got ${show(x!.shape)}, ${ids!.dtype}${show(ids!.shape)} and ${show(rows!.shape)}`,
      );
    return [{ dtype: x!.dtype, shape: [...x!.shape] }];
  },
  emit: (emitter, _, inputs) => emitter.node("ScatterND", inputs),
};

/** x_XD with rows_nD in the places that ids_n1 (i64) names, each at most once. No gradient. */
export const setRows = (x_XD: Tensor, ids_n1: Tensor, rows_nD: Tensor): Tensor =>
  apply(setRows_, [x_XD, ids_n1, rows_nD], null)[0]!;

const topK_: Primitive<{ k: number; axis: number }> = {
  name: "topK",
  infer: ([x], { k, axis }) => {
    const shape = x!.shape.map((d, i) => (i !== axis ? d : typeof d === "number" ? k : `min(${k},${d})`));
    return [
      { dtype: x!.dtype, shape },
      { dtype: "i64", shape },
    ];
  },
  emit: (emitter, node, [x]) => {
    const { k, axis } = node.params;
    let count = emitter.ints([k]);
    if (typeof node.inputs[0]!.dim(axis) !== "number") {
      const [length] = emitter.node("Shape", [x!], { attributes: { start: axis, end: axis + 1 } });
      count = emitter.node("Min", [count, length!])[0]!;
    }
    return emitter.node("TopK", [x!, count], { attributes: { axis }, outputs: 2 });
  },
  grad: (node, [g]) => [g && scatterElements(zerosLike(node.inputs[0]!), node.outputs[1]!, g, node.params.axis)],
};

/** The k largest along the last axis, sorted, with their i64 indices; all there are where a symbolic axis turns out shorter. Of equal ones the first. */
export function topK(x: Tensor, k: number): { values: Tensor; indices: Tensor } {
  const last = x.dim(-1);
  if (typeof last === "number" && k > last)
    throw new ShapeError(`${place("topK")}: expected k of at most ${last}, got ${k}`);
  const [values, indices] = apply(topK_, [x], { k, axis: x.rank - 1 });
  return { values: values!, indices: indices! };
}

const nonZero_: Primitive<{ count: Dim }> = {
  name: "nonZero",
  infer: ([x], { count }) => [{ dtype: "i64", shape: [x!.rank, count] }],
  emit: (emitter, _, inputs) => emitter.node("NonZero", inputs),
};

/** Coordinates of the elements that are not zero, in row-major order: [rank, count]; `count` names how many there will be. */
export function nonZero(x: Tensor, count: Dim): Tensor {
  return apply(nonZero_, [x], { count })[0]!;
}

const cumsum_: Primitive<{ axis: number; exclusive: boolean }> = {
  name: "cumsum",
  infer: ([x]) => [{ dtype: x!.dtype, shape: [...x!.shape] }],
  emit: (emitter, node, [x]) =>
    emitter.node("CumSum", [x!, emitter.constant(i64([], [node.params.axis]))], {
      attributes: { exclusive: Number(node.params.exclusive) },
    }),
};

/** Running sum along an axis. No gradient. */
export function cumsum(x: Tensor, axis: number, exclusive = false): Tensor {
  return apply(cumsum_, [x], { axis: axisOf(axis, x.rank, place("cumsum")), exclusive })[0]!;
}

const iota_: Primitive<{ length: Dim }> = {
  name: "iota",
  infer: (_, { length }) => [{ dtype: "i64", shape: [length] }],
  emit: (emitter, node) => {
    const { length } = node.params;
    if (typeof length === "number")
      return [
        emitter.constant(
          i64(
            [length],
            Array.from({ length }, (_, i) => i),
          ),
        ),
      ];
    const end = emitter.node("Squeeze", [emitter.length(length)]);
    return emitter.node("Range", [emitter.constant(i64([], [0])), end[0]!, emitter.constant(i64([], [1]))]);
  },
};

/** 0, 1, … length−1 as i64. */
export function iota(length: Dim): Tensor {
  return apply(iota_, [], { length })[0]!;
}

export const all: Primitive[] = [
  gather_,
  gatherElements_,
  scatterElements_,
  topK_,
  nonZero_,
  cumsum_,
  iota_,
  takeRows_,
  addRows_,
  setRows_,
];
