/** Element types, and tensors of the host's memory. */

/** Element types, named as in the tensors' file formats. bf16, f16 and fp8 travel as raw bits. */
export type DType = "f32" | "f64" | "f16" | "bf16" | "f8e4m3" | "i64" | "i32" | "u8" | "i8" | "bool";

export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Uint8Array
  | Int8Array;

/** A concrete tensor in host memory, row-major. `data.length` is the product of `shape`. */
export interface HostTensor<A extends TypedArray = TypedArray> {
  dtype: DType;
  shape: readonly number[];
  data: A;
}

interface DTypeInfo {
  bytes: number;
  /** ONNX TensorProto.DataType. */
  onnx: number;
  array: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => TypedArray;
  float: boolean;
}

export const DTYPES: Record<DType, DTypeInfo> = {
  f32: { bytes: 4, onnx: 1, array: Float32Array, float: true },
  f64: { bytes: 8, onnx: 11, array: Float64Array, float: true },
  f16: { bytes: 2, onnx: 10, array: Uint16Array, float: true },
  bf16: { bytes: 2, onnx: 16, array: Uint16Array, float: true },
  f8e4m3: { bytes: 1, onnx: 17, array: Uint8Array, float: true },
  i64: { bytes: 8, onnx: 7, array: BigInt64Array, float: false },
  i32: { bytes: 4, onnx: 6, array: Int32Array, float: false },
  u8: { bytes: 1, onnx: 2, array: Uint8Array, float: false },
  i8: { bytes: 1, onnx: 3, array: Int8Array, float: false },
  bool: { bytes: 1, onnx: 9, array: Uint8Array, float: false },
};

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** A zero-filled host tensor. */
export function hostTensor(dtype: DType, shape: readonly number[]): HostTensor {
  const info = DTYPES[dtype];
  const size = sizeOf(shape);
  return { dtype, shape: [...shape], data: new info.array(new ArrayBuffer(size * info.bytes), 0, size) };
}

/** Wraps f32 data; a plain array is copied. */
export function f32(shape: readonly number[], data: ArrayLike<number>): HostTensor<Float32Array> {
  return { dtype: "f32", shape: [...shape], data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

/** Wraps 64-bit integers from ordinary numbers. */
export function i64(shape: readonly number[], data: ArrayLike<number>): HostTensor<BigInt64Array> {
  return { dtype: "i64", shape: [...shape], data: BigInt64Array.from(Array.from(data, BigInt)) };
}
