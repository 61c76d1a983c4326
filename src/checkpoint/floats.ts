/** The short floats of checkpoints: f32 to bf16, f16 and e4m3, and back. */

/**
 * Conversions between f32 and the short floats that checkpoints store: bf16, f16 and e4m3 (E4M3FN: no
 * infinities, one NaN per sign, largest value 448). Encoders round to nearest, ties to even.
 * All of them assume a little-endian machine, as safetensors and every platform Node.js supports are.
 */

if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) throw new Error("sumbi: big-endian machines are not supported");

/** Largest finite e4m3 value. */
export const E4M3_MAX = 448;

const F32_INFINITY_BITS = 0x7f800000;

/** The bits of `x` as signed integers, sharing memory (copied only when `x` is not aligned, which f32 arrays always are). */
const bitsOf = (x: Float32Array): Int32Array => new Int32Array(x.buffer, x.byteOffset, x.length);

/** The place of the first NaN or infinity; −1 when there is none. */
export function firstNotFinite(x: Float32Array): number {
  const bits = bitsOf(x);
  for (let i = 0; i < bits.length; i++) if (((bits[i] ?? 0) & F32_INFINITY_BITS) === F32_INFINITY_BITS) return i;
  return -1;
}

/** The same of bf16 bits. */
export const firstNotFiniteBf16 = (bits: Uint16Array): number => bits.findIndex((b) => (b & 0x7f80) === 0x7f80);

/** bf16 bits -> f32 [same length]; exact. Writes into `out` when given. */
export function decodeBf16(bits: Uint16Array, out: Float32Array = new Float32Array(bits.length)): Float32Array {
  const outBits = bitsOf(out);
  for (let i = 0; i < bits.length; i++) outBits[i] = bits[i]! << 16;
  return out;
}

/** f32 -> bf16 bits, round to nearest even; NaN stays NaN (made quiet), overflow becomes infinity. */
export function encodeBf16(x: Float32Array, out: Uint16Array = new Uint16Array(x.length)): Uint16Array {
  const bits = bitsOf(x);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    out[i] = (b & 0x7fffffff) > F32_INFINITY_BITS ? (b >>> 16) | 0x40 : ((b + 0x7fff + ((b >>> 16) & 1)) | 0) >>> 16;
  }
  return out;
}

function f16ToF32Bits(h: number): number {
  const sign = (h & 0x8000) << 16;
  const exponent = (h >>> 10) & 0x1f;
  const fraction = h & 0x3ff;
  if (exponent === 0x1f) return sign | F32_INFINITY_BITS | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  const scratch = Float32Array.of(fraction * 2 ** -24);
  return sign | bitsOf(scratch)[0]!;
}

let f16Table: Int32Array | undefined;

/** f16 bits -> f32; exact, by a table of all 65,536 values. */
export function decodeF16(bits: Uint16Array, out: Float32Array = new Float32Array(bits.length)): Float32Array {
  if (!f16Table) {
    f16Table = new Int32Array(65536);
    for (let h = 0; h < 65536; h++) f16Table[h] = f16ToF32Bits(h);
  }
  const table = f16Table;
  const outBits = bitsOf(out);
  for (let i = 0; i < bits.length; i++) outBits[i] = table[bits[i]!]!;
  return out;
}

/** Adding and subtracting this rounds a double below 2^52 to an integer, ties to even. */
const ROUND_TO_INTEGER = 2 ** 52;

/** f32 -> f16 bits, round to nearest even; over 65,504 (by half a step) becomes infinity, NaN stays NaN. */
export function encodeF16(x: Float32Array, out: Uint16Array = new Uint16Array(x.length)): Uint16Array {
  const bits = bitsOf(x);
  for (let i = 0; i < bits.length; i++) {
    const sign = (bits[i]! >>> 16) & 0x8000;
    const b = bits[i]! & 0x7fffffff;
    let code: number;
    if (b > F32_INFINITY_BITS) code = 0x7e00 | ((b >>> 13) & 0x3ff);
    else if (b >= 0x477ff000) code = 0x7c00;
    else if (b >= 0x38800000) code = ((b + 0xfff + ((b >>> 13) & 1)) >>> 13) - (112 << 10);
    else code = Math.abs(x[i]!) * 2 ** 24 + ROUND_TO_INTEGER - ROUND_TO_INTEGER;
    out[i] = sign | code;
  }
  return out;
}

const e4m3Table = (() => {
  const table = new Float32Array(256);
  for (let code = 0; code < 256; code++) {
    const exponent = (code >>> 3) & 15;
    const fraction = code & 7;
    const magnitude =
      (code & 0x7f) === 0x7f ? NaN : exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10);
    table[code] = code & 0x80 ? -magnitude : magnitude;
  }
  return table;
})();

/** e4m3 codes -> f32; exact. Multiply by the scale yourself, or see `dequantizeBlocks`. */
export function decodeE4m3(codes: Uint8Array, out: Float32Array = new Float32Array(codes.length)): Float32Array {
  for (let i = 0; i < codes.length; i++) out[i] = e4m3Table[codes[i]!]!;
  return out;
}

/** One e4m3 code as a number. */
export const e4m3Value = (code: number): number => e4m3Table[code]!;

const oneF32 = new Float32Array(1);
const oneF32Bits = new Int32Array(oneF32.buffer);

/** One number -> e4m3 code: rounded to f32 first, then to nearest even, saturating at ±448 (infinity too); NaN -> 0x7f. */
export function e4m3Code(value: number): number {
  oneF32[0] = value;
  const sign = (oneF32Bits[0]! >>> 24) & 0x80;
  const b = oneF32Bits[0]! & 0x7fffffff;
  if (b > F32_INFINITY_BITS) return sign | 0x7f;
  if (b >= 0x43e00000) return sign | 0x7e;
  if (b >= 0x3c800000) return sign | (((b + 0x7ffff + ((b >>> 20) & 1)) >>> 20) - (120 << 3));
  return sign | (Math.abs(oneF32[0]) * 512 + ROUND_TO_INTEGER - ROUND_TO_INTEGER);
}

/** f32 -> e4m3 codes; see `e4m3Code`. Differs: PyTorch's cast turns values past 464 into NaN, this saturates. */
export function encodeE4m3(x: Float32Array, out: Uint8Array = new Uint8Array(x.length)): Uint8Array {
  for (let i = 0; i < x.length; i++) out[i] = e4m3Code(x[i]!);
  return out;
}
