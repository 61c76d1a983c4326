/** f32 as ggml's types that are written: F32, F16, Q8_0 and Q4_0, the same bytes as gguf's quants.py makes. */
import { encodeF16 } from "../floats.ts";
import { type GgmlTypeName, ggmlType } from "./types.ts";

const f32 = Math.fround;

export const WRITTEN_TYPES = ["f32", "f16", "q8_0", "q4_0"] as const;
export type WrittenType = (typeof WRITTEN_TYPES)[number];

/** The name of a type as ggml has it. */
export const ggmlNameOf = (type: WrittenType): GgmlTypeName & Uppercase<WrittenType> =>
  type.toUpperCase() as GgmlTypeName & Uppercase<WrittenType>;

const bytesOf = (data: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Rows of whole blocks -> bytes. Returns undefined where a number, or a block's scale, is past f16's range. */
export function quantize(type: Uppercase<WrittenType>, values: Float32Array): Uint8Array | undefined {
  if (type === "F32") return bytesOf(values);
  if (type === "F16") {
    const halves = encodeF16(values);
    return fits(halves) ? bytesOf(halves) : undefined;
  }
  return type === "Q8_0" ? q8(values) : q4(values);
}

const fits = (halves: Uint16Array): boolean => halves.every((bits) => (bits & 0x7c00) !== 0x7c00);

/** Every block's scale as f16, then what `put` makes of its numbers and the scale's inverse. */
function blocks(
  type: GgmlTypeName,
  values: Float32Array,
  scaleOf: (start: number) => number,
  put: (out: Uint8Array, at: number, start: number, inverse: number) => void,
): Uint8Array | undefined {
  const { block, bytes } = ggmlType(type);
  const count = values.length / block;
  const scales = new Float32Array(count);
  const out = new Uint8Array(count * bytes);
  for (let b = 0; b < count; b++) {
    const scale = f32(scaleOf(b * block));
    scales[b] = scale;
    put(out, b * bytes + 2, b * block, scale === 0 ? 0 : f32(1 / scale));
  }
  const halves = encodeF16(scales);
  if (!fits(halves)) return undefined;
  for (let b = 0; b < count; b++) {
    out[b * bytes] = halves[b]! & 0xff;
    out[b * bytes + 1] = halves[b]! >> 8;
  }
  return out;
}

/** Scale = largest magnitude / 127; halves are rounded away from zero. */
function q8(values: Float32Array): Uint8Array | undefined {
  const largest = (start: number): number => {
    let most = 0;
    for (let i = 0; i < 32; i++) most = Math.max(most, Math.abs(values[start + i]!));
    return most / 127;
  };
  return blocks("Q8_0", values, largest, (out, at, start, inverse) => {
    for (let i = 0; i < 32; i++) {
      const x = f32(values[start + i]! * inverse);
      const magnitude = Math.abs(x);
      const whole = Math.floor(magnitude);
      out[at + i] = Math.sign(x) * (whole + Math.floor(f32(2 * f32(magnitude - whole))));
    }
  });
}

/** The number of largest magnitude becomes −8, the first of several. */
function q4(values: Float32Array): Uint8Array | undefined {
  const largest = (start: number): number => {
    let most = values[start]!;
    for (let i = 1; i < 32; i++) if (Math.abs(values[start + i]!) > Math.abs(most)) most = values[start + i]!;
    return most / -8;
  };
  const code = (x: number, inverse: number): number =>
    Math.max(0, Math.min(15, Math.trunc(f32(f32(x * inverse) + 8.5))));
  return blocks("Q4_0", values, largest, (out, at, start, inverse) => {
    for (let i = 0; i < 16; i++)
      out[at + i] = code(values[start + i]!, inverse) | (code(values[start + 16 + i]!, inverse) << 4);
  });
}
