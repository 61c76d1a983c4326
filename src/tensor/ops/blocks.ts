/** Products with weights in low-bit blocks. */
import { ShapeError } from "../../errors.ts";
import { show } from "../dims.ts";
import { apply, type Primitive, place, type Tensor } from "../tensor.ts";

interface BlockParams {
  bits: 4 | 8;
  block: number;
  /** The inner length, at most blocks × block. */
  inner: number;
}

const blockMatmul_: Primitive<BlockParams> = {
  name: "blockMatmul",
  infer: ([x, codes, scales], { bits, block, inner }) => {
    const blocks = Math.ceil(inner / block);
    const [n, ...rest] = codes!.shape;
    if (
      x!.dtype !== "f32" ||
      x!.dim(-1) !== inner ||
      codes!.dtype !== "u8" ||
      rest.join() !== `${blocks},${(block * bits) / 8}` ||
      scales!.shape.join() !== `${n},${blocks}`
    )
      throw new ShapeError(
        `${place("blockMatmul")}: expected f32[…, ${inner}], u8[n, ${blocks}, ${(block * bits) / 8}] and [n, ${blocks}] scales, got ${x!.dtype}${show(x!.shape)}, ${codes!.dtype}${show(codes!.shape)} and ${show(scales!.shape)}`,
      );
    return [{ dtype: "f32", shape: [...x!.shape.slice(0, -1), n!] }];
  },
  emit: (emitter, node, inputs) => {
    const { bits, block, inner } = node.params;
    const N = node.inputs[1]!.dim(0) as number;
    const EXACT = 0; // activations stay f32
    return emitter.node("MatMulNBits", inputs, {
      attributes: { K: inner, N, bits, block_size: block, accuracy_level: EXACT },
      domain: "com.microsoft",
    });
  },
};

/**
 * x · wᵀ for w[n, inner] in blocks along its rows: scale · (code − 2^(bits−1)), 4-bit codes two to a byte, the lower half first. Summed in
 * f32. Codes and scales should be constants of the graph: fed at run time they take a path hundreds of times slower. No gradient.
 */
export function blockMatmul(x: Tensor, codes: Tensor, scales: Tensor, params: BlockParams): Tensor {
  return apply(blockMatmul_, [x, codes, scales], params)[0]!;
}

export const all: Primitive[] = [blockMatmul_];
