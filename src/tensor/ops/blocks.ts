/** Products with weights in low-bit blocks. */
import { ShapeError } from "../../errors.ts";
import { show } from "../dims.ts";
import { apply, type Primitive, place, type Tensor } from "../tensor.ts";

interface BlockParams {
  bits: 4 | 8;
  block: number;
  /** The inner length, at most blocks × block. */
  inner: number;
  /** Rows of x are rounded to 8 bits, block by block, and products summed in integers within a block. Otherwise they stay f32: exact and much slower. */
  rounded?: boolean;
  /** A row of zeros goes along unless x is known to have two rows: the kernel for one row sums in another order than that for more. */
  twoRows?: boolean;
}

/** MatMulNBits' accuracy levels: what rows are rounded to. */
const F32 = 0;
const INT8 = 4;

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
    const { bits, block, inner, rounded = false, twoRows = false } = node.params;
    const [x, codes] = node.inputs as [Tensor, Tensor];
    const N = codes.dim(0) as number;
    const axis = x.rank - 2;
    const rows = x.dim(axis);
    const padded = twoRows && !(typeof rows === "number" && rows > 1);
    const pads = Array.from({ length: 2 * x.rank }, (_, i) => Number(i === axis + x.rank));
    const operand = padded ? emitter.node("Pad", [inputs[0]!, emitter.ints(pads)])[0]! : inputs[0]!;
    const product = emitter.node("MatMulNBits", [operand, ...inputs.slice(1)], {
      attributes: { K: inner, N, bits, block_size: block, accuracy_level: rounded ? INT8 : F32 },
      domain: "com.microsoft",
    });
    if (!padded) return product;
    return emitter.node("Slice", [product[0]!, emitter.ints([0]), emitter.ints([-1]), emitter.ints([axis])]);
  },
};

/**
 * x · wᵀ for w[n, inner] in blocks along its rows: scale · (code − 2^(bits−1)), 4-bit codes two to a byte, the lower half first. Summed
 * in f32 over blocks. Codes and scales should be constants of the graph: fed at run time they take a path hundreds of times slower. No gradient.
 */
export function blockMatmul(x: Tensor, codes: Tensor, scales: Tensor, params: BlockParams): Tensor {
  return apply(blockMatmul_, [x, codes, scales], params)[0]!;
}

export const all: Primitive[] = [blockMatmul_];
