/** Numbers as bytes with a scale: of rows, of columns, of whole tensors, and weights that a graph is fed as bytes. */
import {
  abs,
  byteMatmul,
  input,
  inputOf,
  max,
  maximum,
  mul,
  quantize,
  reciprocal,
  reshape,
  scalar,
  type Tensor,
  transpose,
} from "../tensor/index.ts";

/** Bytes, and what a step of theirs is worth: one number [], one for each row [X, 1] or one for each column [n]. */
export interface Quantized {
  bytes: Tensor;
  scale: Tensor;
}

/** The largest byte of left operands, u8 around 128. */
export const LEFT = 127;
/** The smallest step: what is all zeros keeps a scale that can be divided by. */
const TINY = 1e-20;

/** The step that brings `largest` to the byte `range`. */
export const stepFor = (largest: Tensor, range: number): Tensor => mul(maximum(largest, TINY), 1 / range);

/** The largest magnitude of each row, [X]. */
export const rowMax = (x: Tensor): Tensor => max(abs(x), 1);

/** x in steps that are given for each row: several operands may share them. */
export const inRows = (x: Tensor, step_X: Tensor): Quantized => ({
  bytes: quantize(x, step_X, "u8"),
  scale: reshape(step_X, [x.dim(0), 1]),
});

/** A scale for each row: left operands of sums over features, whose rows are tokens. */
export const byRow = (x: Tensor): Quantized => inRows(x, stepFor(rowMax(x), LEFT));

/** A scale for each column: operands of sums over tokens, whose rows may differ by orders of magnitude. */
export function byColumn(x: Tensor, to: "u8" | "i8", range: number): Quantized {
  const scale = stepFor(max(abs(x), 0), range);
  return { bytes: quantize(mul(x, reciprocal(scale)), scalar(1), to), scale };
}

/** One scale: right operands of sums over tokens whose rows are alike, since a norm or an average made them. */
export function whole(x: Tensor, range: number): Quantized {
  const scale = stepFor(max(rowMax(x)), range);
  return { bytes: quantize(x, scale, "i8"), scale };
}

/** Names of the graph inputs that hold weights as bytes: those that share a scale stacked, these transposed, and the scale. */
export const bytesName = (keys: readonly string[]): string => `bytes ${keys.join("+")}`;
/** The keys of the weights behind an input of bytes. */
const keysOf = new WeakMap<Tensor, readonly string[]>();
/** The keys of the weights that `weightInputs` stacked into this input; undefined for any other tensor. */
export const keysOfBytes = (bytes: Tensor): readonly string[] | undefined => keysOf.get(bytes);
export const scaleName = (keys: readonly string[]): string => `scale ${keys.join("+")}`;
export const transposedName = (keys: readonly string[]): string => `transposed ${keys.join("+")}`;

/** Weights [O, I] with one scale for all: stacked as they lie [ΣO, I], and transposed [I, ΣO]. */
export interface WeightBytes extends Quantized {
  transposed: Tensor;
}

/** Gives the graph inputs for the bytes of weights that share a scale, the same for the same weights; `WeightQuantizer` fills them once a step. */
export type InBytes = (weights: readonly Tensor[]) => WeightBytes;

export function weightInputs(): InBytes {
  const known = new Map<string, WeightBytes>();
  return (weights) => {
    const keys = weights.map((weight) => inputOf(weight)!.name);
    const rows = weights.reduce((n, weight) => n + (weight.dim(0) as number), 0);
    const columns = weights[0]!.dim(1);
    const name = bytesName(keys);
    const made = known.get(name);
    if (made !== undefined) return made;
    const bytes = input(name, "i8", [rows, columns]);
    keysOf.set(bytes, keys);
    const transposed = input(transposedName(keys), "i8", [columns, rows]);
    const all = { bytes, transposed, scale: input(scaleName(keys), "f32", []) };
    known.set(name, all);
    return all;
  };
}

/** x_XI · wᵀ without the scales of x: [X, ΣO]. */
export const forward = (x: Tensor, w: WeightBytes): Tensor => byteMatmul(x, w.transposed, w.scale);

/** g_XO · w without the scales of g: [X, I]. */
export const backward = (g: Tensor, w: WeightBytes): Tensor => byteMatmul(g, w.bytes, w.scale);

/** Σ over the tokens of g_XO ⊗ x_XI, g (left) with a scale for each column: [O, I], a weight's gradient. */
export const outer = (g: Quantized, x: Quantized): Tensor =>
  mul(byteMatmul(transpose(g.bytes, [1, 0]), x.bytes, x.scale), reshape(g.scale, [g.scale.dim(0), 1]));
