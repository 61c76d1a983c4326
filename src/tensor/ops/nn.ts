/** Operations of neural networks: softmax, RMS norm, rotary embedding. */
import { ShapeError } from "../../errors.ts";
import { show } from "../dims.ts";
import { f32 } from "../dtype.ts";
import { apply, type Primitive, place, type Tensor } from "../tensor.ts";
import { sum } from "./broadcast.ts";
import { exp, mul, neg, sub } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { reshape } from "./shape.ts";

const softmax_: Primitive<null> = {
  name: "softmax",
  infer: ([x]) => [{ dtype: x!.dtype, shape: [...x!.shape] }],
  emit: (emitter, _, inputs) => emitter.node("Softmax", inputs, { attributes: { axis: -1 } }),
  grad: (node, [g]) => {
    const y = node.outputs[0]!;
    if (!g) return [undefined];
    const gy = mul(g, y);
    return [sub(gy, mul(y, sum(gy, -1, true)))];
  },
};

/** Softmax over the last axis. */
export const softmax = (x: Tensor): Tensor => apply(softmax_, [x], null)[0]!;

const logSoftmax_: Primitive<null> = {
  name: "logSoftmax",
  infer: ([x]) => [{ dtype: x!.dtype, shape: [...x!.shape] }],
  emit: (emitter, _, inputs) =>
    emitter.provider === "webgpu"
      ? emitter.node("Log", emitter.node("Softmax", inputs, { attributes: { axis: -1 } }))
      : emitter.node("LogSoftmax", inputs, { attributes: { axis: -1 } }),
  grad: (node, [g]) => [g && sub(g, mul(exp(node.outputs[0]!), sum(g, -1, true)))],
};

/** log(softmax(x)) over the last axis. */
export const logSoftmax = (x: Tensor): Tensor => apply(logSoftmax_, [x], null)[0]!;

const rmsNorm_: Primitive<{ epsilon: number }> = {
  name: "rmsNorm",
  infer: ([x, weight]) => {
    if (weight!.rank !== 1 || weight!.dim(0) !== x!.dim(-1))
      throw new ShapeError(
        `${place("rmsNorm")}: expected a weight of ${x!.dim(-1)}, got ${show(weight!.shape)} for ${show(x!.shape)}`,
      );
    return [
      { dtype: x!.dtype, shape: [...x!.shape] },
      { dtype: x!.dtype, shape: [...x!.shape.slice(0, -1), 1] },
    ];
  },
  emit: (emitter, node, inputs) => {
    const attributes = { axis: -1, epsilon: { float: node.params.epsilon } };
    if (emitter.provider !== "webgpu")
      return emitter.node("SimplifiedLayerNormalization", inputs, { attributes, outputs: 2 });
    // The WebGPU kernel writes the mean where 1/rms belongs: that output is computed aside, where it is used.
    const [y] = emitter.node("SimplifiedLayerNormalization", inputs, { attributes });
    const square = emitter.node("Mul", [inputs[0]!, inputs[0]!]);
    const mean = emitter.node("ReduceMean", [...square, emitter.ints([-1])]);
    const raised = emitter.node("Add", [...mean, emitter.constant(f32([], [node.params.epsilon]))]);
    return [y!, ...emitter.node("Reciprocal", emitter.node("Sqrt", raised))];
  },
  // With r = 1/rms: dx = r·g·w − x·r³·mean(g·x·w), dw = Σ r·(g·x). Both sums are thin products over one g·x, so that
  // wide values are written five times in all.
  grad: (node, [g], needed) => {
    const [x, weight] = node.inputs as [Tensor, Tensor];
    if (!g) return [undefined, undefined];
    const r = node.outputs[1]!;
    const D = x.dim(-1);
    const gx = mul(g, x);
    const dw = () => {
      const rows = reshape(gx, [-1, D]);
      return reshape(matmul(reshape(r, [1, rows.dim(0)]), rows), [D]);
    };
    if (!needed[0]) return [undefined, needed[1] ? dw() : undefined];
    const dot = matmul(gx, reshape(weight, [D, 1]));
    const share = mul(mul(dot, mul(r, mul(r, r))), 1 / Number(D));
    return [sub(mul(mul(g, weight), r), mul(x, share)), needed[1] ? dw() : undefined];
  },
};

/** x / sqrt(mean(x²) + epsilon) · weight over the last axis; statistics in f32. */
export const rmsNorm = (x: Tensor, weight: Tensor, epsilon: number): Tensor =>
  apply(rmsNorm_, [x, weight], { epsilon })[0]!;

const rope_: Primitive<{ interleaved: boolean }> = {
  name: "rope",
  infer: ([x, positions, cos]) => {
    if (x!.rank !== 4 || positions!.dtype !== "i64" || positions!.rank !== 2 || dimHalf(x!.dim(-1)) !== cos!.dim(-1))
      throw new ShapeError(
        `${place("rope")}: expected x_BHTR, i64 positions_BT and tables of R/2 columns, got ${show(x!.shape)}, ${show(positions!.shape)}, ${show(cos!.shape)}`,
      );
    return [{ dtype: x!.dtype, shape: [...x!.shape] }];
  },
  emit: (emitter, node, [x, positions, cos, sin]) =>
    emitter.node("RotaryEmbedding", [x!, positions!, cos!, sin!], {
      attributes: { interleaved: Number(node.params.interleaved) },
      domain: "com.microsoft",
    }),
  grad: (node, [g]) => {
    const [, positions, cos, sin] = node.inputs as [Tensor, Tensor, Tensor, Tensor];
    return [g && rope(g, positions, cos, neg(sin), node.params.interleaved), undefined, undefined, undefined];
  },
};

const dimHalf = (d: unknown): unknown => (typeof d === "number" ? d / 2 : undefined);

/**
 * Rotary embedding: x_BHTR, positions_BT (i64), cos and sin [maximum position, R/2] → x_BHTR. Interleaved rotates the pairs
 * (0,1), (2,3), …; otherwise (i, i+R/2). arXiv:2104.09864. The rotation is orthogonal, so its gradient turns back.
 */
export const rope = (x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, interleaved: boolean): Tensor =>
  apply(rope_, [x, positions, cos, sin], { interleaved })[0]!;

export const all: Primitive[] = [softmax_, logSoftmax_, rmsNorm_, rope_];
