/** Matrix products. */
import { ShapeError } from "../../errors.ts";
import { broadcast, show } from "../dims.ts";
import { apply, type Primitive, place, type Tensor } from "../tensor.ts";
import { sumTo } from "./broadcast.ts";

interface MatmulParams {
  transA: boolean;
  transB: boolean;
  alpha: number;
  /** b is [n0, batch…, n1] instead of [batch…, n0, n1]: heads side by side in rows, read as they lie. n0 must not be 0 at run time: the runtime ends the process. No gradient. */
  rowsB: boolean;
}

const swapLast = (rank: number): number[] =>
  Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));

/** [n0, batch…, n1] turned into [batch…, n0, n1]. */
const rowsLast = (rank: number): number[] => [...Array.from({ length: rank - 2 }, (_, i) => i + 1), 0, rank - 1];

const matmul_: Primitive<MatmulParams> = {
  name: "matmul",
  infer: ([a, b], { transA, transB, rowsB }) => {
    if (rowsB && b!.rank < 3)
      throw new ShapeError(`${place("matmul")}: expected rows [n0, batch…, n1], got ${show(b!.shape)}`);
    const bShape = rowsB ? [...b!.shape.slice(1, -1), b!.dim(0), b!.dim(-1)] : b!.shape;
    if (a!.rank < 2 || b!.rank < 2 || a!.dtype !== b!.dtype)
      throw new ShapeError(
        `${place("matmul")}: expected two matrices of one dtype, got ${a!.dtype}${show(a!.shape)} and ${b!.dtype}${show(b!.shape)}`,
      );
    const [m, k] = transA ? [a!.dim(-1), a!.dim(-2)] : [a!.dim(-2), a!.dim(-1)];
    const [k2, n] = transB ? [bShape.at(-1)!, bShape.at(-2)!] : [bShape.at(-2)!, bShape.at(-1)!];
    if (k !== k2)
      throw new ShapeError(
        `${place("matmul")}: expected inner axes of one length, got ${show(a!.shape)}${transA ? "ᵀ" : ""} × ${show(b!.shape)}${transB ? "ᵀ" : ""}`,
      );
    return [
      { dtype: a!.dtype, shape: [...broadcast(a!.shape.slice(0, -2), bShape.slice(0, -2), place("matmul")), m, n] },
    ];
  },
  emit: (emitter, node, inputs) => {
    const { transA, transB, alpha, rowsB } = node.params;
    const [a, b] = node.inputs as [Tensor, Tensor];
    if (a.rank === 2 && b.rank === 2)
      return emitter.node("Gemm", inputs, {
        attributes: { transA: Number(transA), transB: Number(transB), alpha: { float: alpha } },
      });
    if (emitter.provider === "cpu" && (transA || transB || rowsB || alpha !== 1))
      return emitter.node("FusedMatMul", inputs, {
        attributes: {
          transA: Number(transA),
          transB: Number(transB),
          alpha: { float: alpha },
          ...(rowsB ? { transBatchB: 1 } : {}),
        },
        domain: "com.microsoft",
      });
    let [x, y] = inputs as [string, string];
    if (transA) x = emitter.node("Transpose", [x], { attributes: { perm: swapLast(a.rank) } })[0]!;
    if (rowsB) y = emitter.node("Transpose", [y], { attributes: { perm: rowsLast(b.rank) } })[0]!;
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
    const { transA, transB, alpha, rowsB } = node.params;
    if (rowsB) throw new ShapeError("matmul: a product with heads side by side in rows has no gradient");
    const da = () =>
      transA ? matmul(b, g, { transA: transB, transB: true, alpha }) : matmul(g, b, { transB: !transB, alpha });
    const db = () =>
      transB ? matmul(g, a, { transA: true, transB: transA, alpha }) : matmul(a, g, { transA: !transA, alpha });
    return [needed[0] ? sumTo(da(), a.shape) : undefined, needed[1] ? sumTo(db(), b.shape) : undefined];
  },
};

/** alpha · op(a) · op(b) over the last two axes, leading axes broadcast; accumulated in f32. */
export function matmul(a: Tensor, b: Tensor, options: Partial<MatmulParams> = {}): Tensor {
  return apply(matmul_, [a, b], { transA: false, transB: false, alpha: 1, rowsB: false, ...options })[0]!;
}

export const all: Primitive[] = [matmul_];
