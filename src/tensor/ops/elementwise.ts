/** Operations element by element, over operands that broadcast. */
import { ShapeError } from "../../errors.ts";
import { broadcast } from "../dims.ts";
import { DTYPES, type DType } from "../dtype.ts";
import { apply, type Primitive, place, scalar, scalarOf, type Tensor } from "../tensor.ts";
import { sumTo } from "./broadcast.ts";

/** A tensor, or a number that becomes an f32 constant. */
export type Operand = Tensor | number;
export const lift = (x: Operand): Tensor => (typeof x === "number" ? scalar(x) : x);

type Rule = (gradient: Tensor, x: Tensor, y: Tensor) => Tensor;

/** One input, one output of the same shape. */
function unary(
  name: string,
  op: string,
  rule?: Rule,
  extra: { domain?: string; attributes?: Record<string, any> } = {},
): Primitive<null> {
  return {
    name,
    infer: ([x]) => [{ dtype: x!.dtype, shape: [...x!.shape] }],
    emit: (emitter, _, inputs) => emitter.node(op, inputs, extra),
    grad: rule && ((node, [g]) => [g && rule(g, node.inputs[0]!, node.outputs[0]!)]),
  };
}

type BinaryRule = (gradient: Tensor, a: Tensor, b: Tensor, out: Tensor) => Tensor;

/** Two inputs that broadcast. */
function binary(name: string, op: string, rules?: [BinaryRule, BinaryRule], result?: DType): Primitive<null> {
  return {
    name,
    infer: ([a, b]) => {
      if (a!.dtype !== b!.dtype)
        throw new ShapeError(`${place(name)}: expected two ${a!.dtype}, got ${b!.dtype} second`);
      return [{ dtype: result ?? a!.dtype, shape: broadcast(a!.shape, b!.shape, place(name)) }];
    },
    emit: (emitter, _, inputs) => emitter.node(op, inputs),
    grad:
      rules &&
      ((node, [g], needed) =>
        node.inputs.map((x, i) =>
          g && needed[i] ? sumTo(rules[i]!(g, node.inputs[0]!, node.inputs[1]!, node.outputs[0]!), x.shape) : undefined,
        )),
  };
}

export const primitives = {
  neg: unary("neg", "Neg", (g) => neg(g)),
  exp: unary("exp", "Exp", (g, _, y) => mul(g, y)),
  log: unary("log", "Log", (g, x) => div(g, x)),
  sqrt: unary("sqrt", "Sqrt", (g, _, y) => div(mul(g, 0.5), y)),
  reciprocal: unary("reciprocal", "Reciprocal", (g, _, y) => neg(mul(g, mul(y, y)))),
  abs: unary("abs", "Abs", (g, x) => mul(g, sign(x))),
  sign: unary("sign", "Sign"),
  round: unary("round", "Round"),
  floor: unary("floor", "Floor"),
  sigmoid: unary("sigmoid", "Sigmoid", (g, _, y) => mul(g, mul(y, sub(1, y)))),
  tanh: unary("tanh", "Tanh", (g, _, y) => mul(g, sub(1, mul(y, y)))),
  /** QuickGelu with alpha 1 is x·sigmoid(x), in one pass. d/dx = s + y·(1 − s). */
  silu: unary(
    "silu",
    "QuickGelu",
    (g, x, y) => {
      const s = sigmoid(x);
      return mul(g, add(s, mul(y, sub(1, s))));
    },
    { domain: "com.microsoft", attributes: { alpha: { float: 1 } } },
  ),
  not: unary("not", "Not"),
  add: binary("add", "Add", [(g) => g, (g) => g]),
  sub: binary("sub", "Sub", [(g) => g, (g) => neg(g)]),
  mul: binary("mul", "Mul", [(g, _, b) => mul(g, b), (g, a) => mul(g, a)]),
  div: binary("div", "Div", [(g, _, b) => div(g, b), (g, _, b, out) => neg(mul(g, div(out, b)))]),
  maximum: binary("maximum", "Max", [(g, a, b) => where(lessEqual(b, a), g, 0), (g, a, b) => where(less(a, b), g, 0)]),
  minimum: binary("minimum", "Min", [(g, a, b) => where(lessEqual(a, b), g, 0), (g, a, b) => where(less(b, a), g, 0)]),
  equal: binary("equal", "Equal", undefined, "bool"),
  less: binary("less", "Less", undefined, "bool"),
  lessEqual: binary("lessEqual", "LessOrEqual", undefined, "bool"),
  and: binary("and", "And", undefined, "bool"),
  or: binary("or", "Or", undefined, "bool"),
};

const cast_: Primitive<{ to: DType }> = {
  name: "cast",
  infer: ([x], { to }) => [{ dtype: to, shape: [...x!.shape] }],
  emit: (emitter, node, inputs) => emitter.node("Cast", inputs, { attributes: { to: DTYPES[node.params.to].onnx } }),
  grad: (node, [g]) => {
    const from = node.inputs[0]!.dtype;
    return [g && DTYPES[from].float && DTYPES[node.params.to].float ? cast(g, from) : undefined];
  },
};

const where_: Primitive<null> = {
  name: "where",
  infer: ([c, a, b]) => {
    if (c!.dtype !== "bool" || a!.dtype !== b!.dtype)
      throw new ShapeError(
        `${place("where")}: expected bool and two of one dtype, got ${c!.dtype}, ${a!.dtype}, ${b!.dtype}`,
      );
    const shape = broadcast(broadcast(c!.shape, a!.shape, place("where")), b!.shape, place("where"));
    return [{ dtype: a!.dtype, shape }];
  },
  emit: (emitter, _, inputs) => emitter.node("Where", inputs),
  grad: (node, [g], needed) => {
    const [c, a, b] = node.inputs as [Tensor, Tensor, Tensor];
    return [
      undefined,
      g && needed[1] ? sumTo(where(c, g, 0), a.shape) : undefined,
      g && needed[2] ? sumTo(where(c, 0, g), b.shape) : undefined,
    ];
  },
};

const stopGradient_: Primitive<null> = {
  name: "stopGradient",
  infer: ([x]) => [{ dtype: x!.dtype, shape: [...x!.shape] }],
  emit: (_, __, inputs) => inputs,
};

const un =
  (p: Primitive<null>) =>
  (x: Operand): Tensor =>
    apply(p, [lift(x)], null)[0]!;
const bin =
  (p: Primitive<null>) =>
  (a: Operand, b: Operand): Tensor =>
    apply(p, [lift(a), lift(b)], null)[0]!;

export const neg = un(primitives.neg);
export const exp = un(primitives.exp);
export const log = un(primitives.log);
export const sqrt = un(primitives.sqrt);
export const reciprocal = un(primitives.reciprocal);
export const abs = un(primitives.abs);
export const sign = un(primitives.sign);
export const round = un(primitives.round);
export const floor = un(primitives.floor);
export const sigmoid = un(primitives.sigmoid);
export const tanh = un(primitives.tanh);
/** x · sigmoid(x). */
export const silu = un(primitives.silu);
export const not = un(primitives.not);
export const maximum = bin(primitives.maximum);
export const minimum = bin(primitives.minimum);
export const equal = bin(primitives.equal);
export const less = bin(primitives.less);
export const lessEqual = bin(primitives.lessEqual);
export const and = bin(primitives.and);
export const or = bin(primitives.or);
const add2 = bin(primitives.add);
const sub2 = bin(primitives.sub);
const mul2 = bin(primitives.mul);
const div2 = bin(primitives.div);

/** a + b; adding the number 0 is left out. */
export function add(a: Operand, b: Operand): Tensor {
  if (isNumber(b, 0)) return lift(a);
  return isNumber(a, 0) ? lift(b) : add2(a, b);
}
/** a − b. */
export function sub(a: Operand, b: Operand): Tensor {
  return isNumber(b, 0) ? lift(a) : sub2(a, b);
}
/** a · b; a factor of the number 1 is left out. */
export function mul(a: Operand, b: Operand): Tensor {
  if (isNumber(b, 1)) return lift(a);
  return isNumber(a, 1) ? lift(b) : mul2(a, b);
}
/** a / b; a number b becomes a factor 1/b. */
export function div(a: Operand, b: Operand): Tensor {
  return typeof b === "number" ? mul(a, 1 / b) : div2(a, b);
}
/** True for the number itself or an f32 constant of rank 0 with that value. */
function isNumber(x: Operand, value: number): boolean {
  return typeof x === "number" ? x === value : x.rank === 0 && scalarOf(x) === value;
}

/** condition ? a : b, broadcasting. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  return apply(where_, [condition, lift(a), lift(b)], null)[0]!;
}
/** Converts the element type. f32 → f8e4m3 saturates. Gradients pass through between float types. */
export function cast(x: Tensor, to: DType): Tensor {
  return x.dtype === to ? x : apply(cast_, [x], { to })[0]!;
}
/** The same values; no gradient flows back. */
export const stopGradient = un(stopGradient_);

export const all: Primitive[] = [...Object.values(primitives), cast_, where_, stopGradient_];
