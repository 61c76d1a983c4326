/** Operations on bytes: quantize, dequantize, and products of 8-bit matrices. */
import { ShapeError } from "../../errors.ts";
import { show } from "../dims.ts";
import type { HostTensor } from "../dtype.ts";
import { apply, type Primitive, place, type Tensor } from "../tensor.ts";

type Byte = "u8" | "i8";

/** The byte that stands for zero. */
const zeroOf = (dtype: Byte): HostTensor => ({
  dtype,
  shape: [],
  data: dtype === "u8" ? Uint8Array.of(128) : Int8Array.of(0),
});

const quantize_: Primitive<{ to: Byte }> = {
  name: "quantize",
  infer: ([x, scale], { to }) => {
    if (scale!.rank > 1 || (scale!.rank === 1 && scale!.dim(0) !== x!.dim(0)))
      throw new ShapeError(
        `${place("quantize")}: expected one scale, or one for each row of ${show(x!.shape)}, got ${show(scale!.shape)}`,
      );
    return [{ dtype: to, shape: [...x!.shape] }];
  },
  emit: (emitter, node, [x, scale]) => {
    const { to } = node.params;
    const scales = node.inputs[1]!;
    let zero = emitter.constant(zeroOf(to));
    if (scales.rank === 0) return emitter.node("QuantizeLinear", [x!, scale!, zero]);
    const rows = scales.dim(0);
    zero = emitter.node("Expand", [
      zero,
      typeof rows === "number" ? emitter.ints([rows]) : emitter.node("Shape", [scale!])[0]!,
    ])[0]!;
    return emitter.node("QuantizeLinear", [x!, scale!, zero], { attributes: { axis: 0 } });
  },
};

/**
 * x / scale, rounded to the nearest byte (halves to even) and kept within its range; `scale` is one number or one for each
 * row. A u8 stands for its value less 128. No gradient.
 */
export function quantize(x: Tensor, scale: Tensor, to: Byte): Tensor {
  return apply(quantize_, [x, scale], { to })[0]!;
}

const dequantize_: Primitive<null> = {
  name: "dequantize",
  infer: ([bytes, scale]) => {
    if ((bytes!.dtype !== "u8" && bytes!.dtype !== "i8") || scale!.rank !== 0)
      throw new ShapeError(
        `${place("dequantize")}: expected bytes and one scale, got ${bytes!.dtype} and ${show(scale!.shape)}`,
      );
    return [{ dtype: "f32", shape: [...bytes!.shape] }];
  },
  emit: (emitter, node, [bytes, scale]) =>
    emitter.node("DequantizeLinear", [bytes!, scale!, emitter.constant(zeroOf(node.inputs[0]!.dtype as Byte))]),
};

/** What bytes of one scale stand for, as f32. No gradient. */
export function dequantize(bytes: Tensor, scale: Tensor): Tensor {
  return apply(dequantize_, [bytes, scale], null)[0]!;
}

const byteMatmul_: Primitive<null> = {
  name: "byteMatmul",
  infer: ([a, b, scale]) => {
    if (
      a!.rank !== 2 ||
      b!.rank !== 2 ||
      a!.dtype !== "u8" ||
      b!.dtype !== "i8" ||
      a!.dim(1) !== b!.dim(0) ||
      scale!.rank > 1 ||
      (scale!.rank === 1 && scale!.dim(0) !== b!.dim(1))
    )
      throw new ShapeError(
        `${place("byteMatmul")}: expected u8[m, k] × i8[k, n] and one scale or n, got ${a!.dtype}${show(a!.shape)} × ${b!.dtype}${show(b!.shape)} and ${show(scale!.shape)}`,
      );
    return [{ dtype: "f32", shape: [a!.dim(0), b!.dim(1)] }];
  },
  emit: (emitter, _, [a, b, scale]) => {
    const one = emitter.constant({ dtype: "f32", shape: [], data: Float32Array.of(1) });
    return emitter.node("MatMulIntegerToFloat", [a!, b!, one, scale!, emitter.constant(zeroOf("u8"))], {
      domain: "com.microsoft",
    });
  },
};

/**
 * scale · (a − 128) · b for a u8[m, k] and b i8[k, n], summed in 32-bit integers: the fastest product that processors with
 * byte dot products have. `scale` is one number, or one for each of the n columns. k must not be 0 at run time: the runtime
 * then leaves the result as it was. No gradient.
 */
export function byteMatmul(a: Tensor, b: Tensor, scale: Tensor): Tensor {
  return apply(byteMatmul_, [a, b, scale], null)[0]!;
}

export const all: Primitive[] = [quantize_, dequantize_, byteMatmul_];
