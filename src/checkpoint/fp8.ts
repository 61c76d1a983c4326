/** FP8 (E4M3) matrices with a scale per block or tile: quantized and dequantized. */
import { ShapeError } from "../errors.ts";
import { E4M3_MAX, e4m3Code, e4m3Value } from "./floats.ts";

/** DeepSeek-V3 scales weights per block of 128 by 128 and activations per tile of 1 by 128 (arXiv:2412.19437 §3.3.2). */
export const FP8_BLOCK = 128;

/** An [rows, cols] matrix in e4m3 with one f32 scale per block: value = e4m3(code) × scaleInv of its block. */
export interface Fp8Matrix {
  rows: number;
  cols: number;
  /** Row-major, rows × cols. */
  codes: Uint8Array;
  /** Row-major, ceil(rows / blockRows) × ceil(cols / blockCols); the last blocks may be ragged. */
  scaleInv: Float32Array;
}

/** Smallest scale used, so that dividing by it never overflows: the smallest normal f32. */
const SCALE_MIN = 2 ** -126;

function checkMatrix(length: number, rows: number, cols: number, what: string): void {
  if (length !== rows * cols) throw new ShapeError(`fp8: expected ${rows} × ${cols} ${what}, got ${length}`);
}

/**
 * x [rows, cols] f32 -> e4m3 codes and scales (largest finite magnitude of the block / 448, in f32).
 * A block of zeros gets scale 1; NaN stays NaN, infinities saturate. `block` is [rows, cols] of one block.
 */
export function quantizeBlocks(
  x: Float32Array,
  rows: number,
  cols: number,
  [blockRows, blockCols]: readonly [number, number] = [FP8_BLOCK, FP8_BLOCK],
): Fp8Matrix {
  checkMatrix(x.length, rows, cols, "values");
  const codes = new Uint8Array(x.length);
  const scaleCols = Math.ceil(cols / blockCols);
  const scaleInv = new Float32Array(Math.ceil(rows / blockRows) * scaleCols);
  for (let top = 0, s = 0; top < rows; top += blockRows) {
    const bottom = Math.min(rows, top + blockRows);
    for (let left = 0; left < cols; left += blockCols, s++) {
      const right = Math.min(cols, left + blockCols);
      let largest = 0;
      for (let row = top; row < bottom; row++)
        for (let i = row * cols + left; i < row * cols + right; i++) {
          const magnitude = Math.abs(x[i]!);
          if (magnitude > largest && magnitude < Infinity) largest = magnitude;
        }
      const scale = largest === 0 ? 1 : Math.fround(Math.max(largest / E4M3_MAX, SCALE_MIN));
      scaleInv[s] = scale;
      for (let row = top; row < bottom; row++)
        for (let i = row * cols + left; i < row * cols + right; i++) codes[i] = e4m3Code(x[i]! / scale);
    }
  }
  return { rows, cols, codes, scaleInv };
}

/** Quantises x [rows, cols] per tile of 1 by 128, as V3 does with activations; scaleInv is [rows, ceil(cols / 128)]. */
export const quantizeTiles = (x: Float32Array, rows: number, cols: number): Fp8Matrix =>
  quantizeBlocks(x, rows, cols, [1, FP8_BLOCK]);

/** codes × scaleInv -> f32 [rows, cols], the product rounded once to f32. Throws ShapeError when the scales do not fit. */
export function dequantizeBlocks(
  { rows, cols, codes, scaleInv }: Fp8Matrix,
  [blockRows, blockCols]: readonly [number, number] = [FP8_BLOCK, FP8_BLOCK],
  out: Float32Array = new Float32Array(codes.length),
): Float32Array {
  checkMatrix(codes.length, rows, cols, "codes");
  const scaleCols = Math.ceil(cols / blockCols);
  checkMatrix(scaleInv.length, Math.ceil(rows / blockRows), scaleCols, "scales");
  for (let row = 0; row < rows; row++) {
    const scaleRow = Math.floor(row / blockRows) * scaleCols;
    for (let block = 0, left = 0; left < cols; left += blockCols, block++) {
      const scale = scaleInv[scaleRow + block]!;
      const end = row * cols + Math.min(cols, left + blockCols);
      for (let i = row * cols + left; i < end; i++) out[i] = e4m3Value(codes[i]!) * scale;
    }
  }
  return out;
}
