/** Symbolic tensors: functions build a graph, `grad` extends it with gradients, `toOnnx` writes it for the runtime.
 * Fast habits: keep activations flattened (x_XD) and weights as the checkpoint has them ([out, in], used with
 * `transB`): rank-2 products become Gemm. Experts: nonZero of the E×X choice sorts assignments by expert, `dispatch`
 * takes each expert's rows, `collect` adds the results up where they came from. Use `attention`, `linearCrossEntropy` and `linearReverseKl`: their gradients take fewer passes. When a
 * gradient of an embedding table is wanted, ask `grad` for the gathered rows and add them up outside the graph.
 */

export {
  attention,
  type CrossEntropy,
  type CrossEntropyOptions,
  causalAttention,
  collect,
  dispatch,
  type HeadProducts,
  HIDDEN_SCORE,
  linearCrossEntropy,
  linearReverseKl,
  type ReverseKl,
  type Teaching,
} from "./composite.ts";
export { custom } from "./custom.ts";
export * from "./dims.ts";
export * from "./dtype.ts";
export type { Provider } from "./emitter.ts";
export { grad } from "./grad.ts";
export {
  type Attribute,
  externalTensor,
  graphProto,
  modelBytes,
  type OnnxNode,
  tensorProto,
  type ValueType,
} from "./messages.ts";
export { type OnnxGraph, reachable, toOnnx } from "./onnx.ts";
export { blockMatmul } from "./ops/blocks.ts";
export { expand, expandLike, sum, sumTo } from "./ops/broadcast.ts";
export { byteMatmul, dequantize, quantize } from "./ops/bytes.ts";
export {
  abs,
  add,
  and,
  cast,
  div,
  equal,
  exp,
  floor,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  type Operand,
  or,
  reciprocal,
  round,
  sigmoid,
  sign,
  silu,
  sqrt,
  stopGradient,
  sub,
  tanh,
  where,
} from "./ops/elementwise.ts";
export {
  addRows,
  cumsum,
  gather,
  gatherElements,
  iota,
  nonZero,
  scatterElements,
  setRows,
  takeRows,
  topK,
} from "./ops/indexing.ts";
export { matmul } from "./ops/matmul.ts";
export { logSoftmax, rmsNorm, rope, softmax } from "./ops/nn.ts";
export { max, mean } from "./ops/reduce.ts";
export { assume, concat, lengthOf, pad, reshape, slice, split, transpose, zerosLike } from "./ops/shape.ts";
export {
  constant,
  constantOf,
  input,
  inputOf,
  type Node,
  type Primitive,
  parameter,
  place,
  scalar,
  scope,
  Tensor,
} from "./tensor.ts";
