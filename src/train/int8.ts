/** Training in 8-bit integers as CPUs have them: products, experts and head with their gradients. */
import type { Product, Routed, Swiglu } from "../model/index.ts";
import {
  add,
  assume,
  byteMatmul,
  concat,
  constant,
  custom,
  dequantize,
  type HeadProducts,
  i64,
  iota,
  matmul,
  maximum,
  mul,
  quantize,
  reshape,
  scalar,
  scatterElements,
  sigmoid,
  silu,
  split,
  stopGradient,
  sub,
  sum,
  type Tensor,
  takeRows,
  transpose,
} from "../tensor/index.ts";
import { FULL_PRECISION } from "./fp8.ts";
import {
  backward,
  byColumn,
  byRow,
  forward,
  type InBytes,
  inRows,
  LEFT,
  outer,
  type Quantized,
  rowMax,
  stepFor,
  weightInputs,
  whole,
} from "./quantized.ts";

/**
 * Linear layers that multiply in 8-bit integers, four times as fast as f32 on processors with byte dot products: V3's FP8
 * training carried to CPUs. All three products (forward, input gradient, weight gradient) take bytes and sum in 32-bit integers;
 * activations and gradients have a scale for each token, or for each feature where tokens are summed, weights one for the
 * matrix. Master weights, gradients, moments and everything between the products are f32. `range` is the largest byte of
 * right operands. With `exact` the forward pass is in f32, and only gradients are products of bytes. arXiv:2412.19437 §3.3,
 * arXiv:2304.13013 §2. Differs: integers for E4M3, rows for 1×128 tiles.
 */
export function int8Arithmetic(range: number, exact = false): { product: Product; swiglu: Swiglu; head: HeadProducts } {
  const inBytes = weightInputs();
  return {
    product: int8Product(range, inBytes, exact),
    swiglu: int8Swiglu(range, inBytes, exact),
    head: int8Head(range, inBytes),
  };
}

/** x · wᵀ in f32. */
const product = (x: Tensor, w: Tensor): Tensor => matmul(x, stopGradient(w), { transB: true });

const int8Product =
  (range: number, inBytes: InBytes, exact: boolean): Product =>
  (x_XI, weight, key) => {
    if (FULL_PRECISION.test(key)) return matmul(x_XI, weight, { transB: true });
    const x = stopGradient(x_XI);
    const w = inBytes([weight]);
    const inRows = () => {
      const rows = byRow(x);
      return mul(forward(rows.bytes, w), rows.scale);
    };
    return custom("int8Product", [x_XI, weight], [exact ? product(x, weight) : inRows()], ([g], needed) => {
      if (g === undefined) return [undefined, undefined];
      const d = byRow(g);
      return [
        needed[0] ? mul(backward(d.bytes, w), d.scale) : undefined,
        needed[1] ? outer(byColumn(g, "u8", LEFT), whole(x, range)) : undefined,
      ];
    })[0]!;
  };

/** Steps of the high and the low byte of numbers within ±1. */
const [HIGH, LOW] = [1 / LEFT, 1 / (2 * LEFT * LEFT)];

/**
 * The gradient of the head. Probabilities are many and small, and a byte would lose them: they take two, a high and a low one, and the
 * product with each.
 */
const int8Head = (range: number, inBytes: InBytes): HeadProducts => {
  const twoBytes = (d: Tensor) => {
    const high = quantize(d, scalar(HIGH), "u8");
    return [high, quantize(sub(d, dequantize(high, scalar(HIGH))), scalar(LOW), "u8")] as const;
  };
  const sumOfBoth = ([high, low]: readonly [Tensor, Tensor], right: Quantized) =>
    add(byteMatmul(high, right.bytes, mul(right.scale, HIGH)), byteMatmul(low, right.bytes, mul(right.scale, LOW)));
  return {
    toInput: (d_XV, w_VD) => sumOfBoth(twoBytes(d_XV), inBytes([w_VD])),
    toWeight(d_XV, h_XD) {
      const [high, low] = twoBytes(d_XV);
      return sumOfBoth([transpose(high, [1, 0]), transpose(low, [1, 0])], whole(h_XD, range));
    },
  };
};

/**
 * SwiGLU blocks with a rule of their own: what experts share is quantized once for all, gradients included, and elementwise work is
 * done on all assignments' rows A at once.
 */
const int8Swiglu =
  (range: number, inBytes: InBytes, exact: boolean): Swiglu =>
  (x_XD, blocks, routed) => {
    const x = stopGradient(x_XD);
    const rows = routed ? rowsOf(routed) : ALL_ROWS;
    const { take, takeScales, cut, join, collected } = rows;
    const weights = blocks.map(({ gate, up, down }) => ({ gateUp: inBytes([gate, up]), down: inBytes([down]) }));
    const F = blocks[0]!.gate.dim(0) as number;
    /** Gates and ups of all assignments [A, F]. */
    const gatesAndUps = (): [Tensor, Tensor] => {
      if (exact) {
        const own = take(x);
        return [
          join(blocks.map(({ gate }, e) => product(own[e]!, gate))),
          join(blocks.map(({ up }, e) => product(own[e]!, up))),
        ];
      }
      const xRows = byRow(x);
      const own = take(xRows.bytes);
      const both_A2F = mul(join(weights.map((w, e) => forward(own[e]!, w.gateUp))), takeScales(xRows.scale));
      return split(both_A2F, 1, [F, F]) as [Tensor, Tensor];
    };
    const downs = (hidden_AF: Tensor): Tensor => {
      if (exact) {
        const parts = cut(hidden_AF);
        return join(blocks.map(({ down }, e) => product(parts[e]!, down)));
      }
      const hidden = byRow(hidden_AF);
      const parts = cut(hidden.bytes);
      return mul(join(weights.map((w, e) => forward(parts[e]!, w.down))), hidden.scale);
    };
    const [gate_AF, up_AF] = gatesAndUps();
    const silu_AF = silu(gate_AF);
    const product_AF = mul(silu_AF, up_AF);
    const weight_A1 = routed && stopGradient(routed.weight_A1);
    const hidden_AF = weight_A1 ? mul(product_AF, weight_A1) : product_AF;
    const out_XD = collected(downs(hidden_AF), routed && stopGradient(routed.onto_XD));

    const inputs = [
      x_XD,
      ...blocks.flatMap(({ gate, up, down }) => [gate, up, down]),
      ...(routed ? [routed.weight_A1, routed.onto_XD] : []),
    ];
    return custom("int8Swiglu", inputs, [out_XD], ([g]) => {
      if (g === undefined) return inputs.map(() => undefined);
      const gRows = byRow(g);
      const dOut = take(gRows.bytes);
      const gScale_A1 = takeScales(gRows.scale);
      const raw_AF = join(weights.map((w, e) => backward(dOut[e]!, w.down)));
      const dProduct_AF = mul(raw_AF, weight_A1 ? mul(weight_A1, gScale_A1) : gScale_A1);
      const dUp_AF = mul(dProduct_AF, silu_AF);
      // up · silu′(gate) = up · (s + silu·(1 − s)), with silu·up at hand already.
      const dGate_AF = mul(dProduct_AF, add(product_AF, mul(sigmoid(gate_AF), sub(up_AF, product_AF))));

      // Both in steps of one size, so that one product brings both to x.
      const step_A = stepFor(maximum(rowMax(dGate_AF), rowMax(dUp_AF)), LEFT);
      const [dGate, dUp] = [inRows(dGate_AF, step_A), inRows(dUp_AF, step_A)];
      const dBytes = cut(concat([dGate.bytes, dUp.bytes], 1));
      const dx_AD = mul(join(weights.map((w, e) => backward(dBytes[e]!, w.gateUp))), dGate.scale);

      const parts = (of: Quantized, split: (bytes: Tensor) => Tensor[]): Quantized[] =>
        split(of.bytes).map((bytes) => ({ bytes, scale: of.scale }));
      const gParts = parts(byColumn(g, "u8", LEFT), rows.takeNonEmpty);
      const xParts = parts(whole(x, range), rows.takeNonEmpty);
      const hiddenParts = parts(byColumn(hidden_AF, "i8", range), rows.cutNonEmpty);
      const gateParts = parts(byColumn(dGate_AF, "u8", LEFT), rows.cutNonEmpty);
      const upParts = parts(byColumn(dUp_AF, "u8", LEFT), rows.cutNonEmpty);
      const dWeights = blocks.flatMap((_, e) => [
        outer(gateParts[e]!, xParts[e]!),
        outer(upParts[e]!, xParts[e]!),
        outer(gParts[e]!, hiddenParts[e]!),
      ]);
      const dRouted = routed ? [mul(sum(mul(raw_AF, product_AF), 1, true), gScale_A1), g] : [];
      return [collected(dx_AD), ...dWeights, ...dRouted];
    })[0]!;
  };

/** How blocks take their rows from those of all tokens X or assignments A, and give them back. */
interface Rows {
  /** Of every token's rows those of each block. */
  take(of_X: Tensor): Tensor[];
  takeScales(of_X1: Tensor): Tensor;
  /** Of every assignment's rows those of each block, and back. */
  cut(of_A: Tensor): Tensor[];
  join(parts: Tensor[]): Tensor;
  /** Adds the assignments' rows up by token. */
  collected(of_A: Tensor, onto_X?: Tensor): Tensor;
  /** As `take` and `cut`, for sums over a block's rows: one without rows gets a row of zeros, as do all. */
  takeNonEmpty(of_X: Tensor): Tensor[];
  cutNonEmpty(of_A: Tensor): Tensor[];
}

const itself = (of: Tensor): Tensor[] => [of];
/** One block that has them all. */
const ALL_ROWS: Rows = {
  take: itself,
  takeScales: (of) => of,
  cut: itself,
  join: ([all]) => all!,
  collected: (of) => of,
  takeNonEmpty: itself,
  cutNonEmpty: itself,
};

function rowsOf({ tokens, token_A1, assignment_A, counts_E, onto_XD }: Routed): Rows {
  const [X, A] = [onto_XD.dim(0), token_A1.dim(0)] as [number, number];
  const take = (of: Tensor, ids = tokens) => ids.map((own) => takeRows(of, own));
  const cut = (of: Tensor) =>
    split(
      of,
      0,
      counts_E,
      tokens.map((ids) => ids.dim(0)),
    );
  // Where the assignments of each token stand: of its first, its second, …
  const place_A = scatterElements(constant(i64([A], new Float64Array(A))), assignment_A, iota(A), 0);
  const places = split(
    reshape(place_A, [X, A / X]),
    1,
    Array.from({ length: A / X }, () => 1),
  );
  const oneMore = (ids: Tensor[], last: number) => ids.map((own) => concat([own, constant(i64([1, 1], [last]))], 0));
  const [tokensAndZero, placesAndZero] = [oneMore(tokens, X), oneMore(cut(reshape(iota(A), [A, 1])), A)];
  const withZeros = (of: Tensor) => concat([of, zeroRow(of)], 0);
  return {
    take,
    takeScales: (of) => takeRows(of, token_A1),
    cut,
    join: (parts) => assume(concat(parts, 0), [A, parts[0]!.dim(1)]),
    collected(of, onto) {
      const rows = places.map((place_X1) => takeRows(of, place_X1));
      return (onto ? [onto, ...rows] : rows).reduce((a, b) => add(a, b));
    },
    takeNonEmpty: (of) => take(withZeros(of), tokensAndZero),
    cutNonEmpty: (of) => take(withZeros(of), placesAndZero),
  };
}

function zeroRow(like: Tensor): Tensor {
  const width = like.dim(1) as number;
  const data = like.dtype === "u8" ? new Uint8Array(width).fill(128) : new Int8Array(width);
  return constant({ dtype: like.dtype, shape: [1, width], data });
}
