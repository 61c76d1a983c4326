/** Matrix products. */
import { ShapeError } from "../../errors.ts";
import { broadcast, show } from "../dims.ts";
import { apply, type Primitive, place, type Tensor } from "../tensor.ts";
import { sumTo } from "./broadcast.ts";

interface MatmulParams {
  transA: boolean;
  transB: boolean;
  alpha: number;
}

const swapLast = (rank: number): number[] =>
  Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));

const matmul_: Primitive<MatmulParams> = {
  name: "matmul",
  infer: ([a, b], { transA, transB }) => {
    if (a!.rank < 2 || b!.rank < 2 || a!.dtype !== b!.dtype)
      throw new ShapeError(
        `${place("matmul")}: expected two matrices of one dtype, got ${a!.dtype}${show(a!.shape)} and ${b!.dtype}${show(b!.shape)}`,
      );
    const [m, k] = transA ? [a!.dim(-1), a!.dim(-2)] : [a!.dim(-2), a!.dim(-1)];
    const [k2, n] = transB ? [b!.dim(-1), b!.dim(-2)] : [b!.dim(-2), b!.dim(-1)];
    if (k !== k2)
      throw new ShapeError(
        `${place("matmul")}: expected inner axes of one length, got ${show(a!.shape)}${transA ? "ᵀ" : ""} × ${show(b!.shape)}${transB ? "ᵀ" : ""}`,
      );
    return [
      { dtype: a!.dtype, shape: [...broadcast(a!.shape.slice(0, -2), b!.shape.slice(0, -2), place("matmul")), m, n] },
    ];
  },
  emit: (emitter, node, inputs) => {
    const { transA, transB, alpha } = node.params;
    const [a, b] = node.inputs as [Tensor, Tensor];
    if (a.rank === 2 && b.rank === 2)
      return emitter.node("Gemm", inputs, {
        attributes: { transA: Number(transA), transB: Number(transB), alpha: { float: alpha } },
      });
    if (emitter.provider === "cpu" && (transA || transB || alpha !== 1))
      return emitter.node("FusedMatMul", inputs, {
        attributes: {
          transA: Number(transA),
          transB: Number(transB),
          alpha: { float: alpha },
        },
        domain: "com.microsoft",
      });
    let [x, y] = inputs as [string, string];
    if (transA) x = emitter.node("Transpose", [x], { attributes: { perm: swapLast(a.rank) } })[0]!;
    if (transB) y = emitter.node("Transpose", [y], { attributes: { perm: swapLast(b.rank) } })[0]!;
    const product = emitter.node("MatMul", [x, y]);
    if (alpha === 1) return product;
    return emitter.node("Mul", [
      product[0]!,
      emitter.constant({ dtype: "f32", shape: [], data: Float32Array.of(alpha) }),
    ]);
  },
  grad: (node, [g], needed) => {
    if (!g) return [undefined, undefined];
    const [a, b] = node.inputs as [Tensor, Tensor];
    const { transA, transB, alpha } = node.params;
    const da = () =>
      transA ? matmul(b, g, { transA: transB, transB: true, alpha }) : matmul(g, b, { transB: !transB, alpha });
    const db = () =>
      transB ? matmul(g, a, { transA: true, transB: transA, alpha }) : matmul(a, g, { transA: !transA, alpha });
    return [needed[0] ? sumTo(da(), a.shape) : undefined, needed[1] ? sumTo(db(), b.shape) : undefined];
  },
};

/** alpha · op(a) · op(b) over the last two axes, leading axes broadcast; accumulated in f32. */
export function matmul(a: Tensor, b: Tensor, options: Partial<MatmulParams> = {}): Tensor {
  return apply(matmul_, [a, b], { transA: false, transB: false, alpha: 1, ...options })[0]!;
}

export const all: Primitive[] = [matmul_];
