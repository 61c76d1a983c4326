/** ggml's blocks as the numbers that they stand for, to the bit: each step is rounded to f32 in the order of gguf's quants.py. */
import { BLOCK, type BlockWeight } from "../../model/index.ts";
import { decodeBf16, decodeF16 } from "../floats.ts";
import type { GgmlTypeName } from "./types.ts";

const f32 = Math.fround;

let halves: Float32Array | undefined;

/** Every f16 by its bits. */
const halfTable = (): Float32Array => (halves ??= decodeF16(Uint16Array.from({ length: 65536 }, (_, i) => i)));

/** IQ4's sixteen steps, of quants.py. */
const IQ4_STEPS = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

type Decode = (bytes: Uint8Array, out: Float32Array) => void;

/** A decoder of blocks of 32 that begin with an f16 scale: `values` fills in 32 whole numbers. */
const scaled =
  (size: number, values: (bytes: Uint8Array, at: number, into: Float32Array) => void): Decode =>
  (bytes, out) => {
    const half = halfTable();
    const steps = new Float32Array(BLOCK);
    for (let at = 0, o = 0; o < out.length; at += size, o += BLOCK) {
      const scale = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
      values(bytes, at + 2, steps);
      for (let i = 0; i < BLOCK; i++) out[o + i] = scale * steps[i]!;
    }
  };

/** The same with an f16 minimum behind the scale: scale · step + minimum. */
const shifted =
  (size: number, values: (bytes: Uint8Array, at: number, into: Float32Array) => void): Decode =>
  (bytes, out) => {
    const half = halfTable();
    const steps = new Float32Array(BLOCK);
    for (let at = 0, o = 0; o < out.length; at += size, o += BLOCK) {
      const scale = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
      const least = half[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
      values(bytes, at + 4, steps);
      for (let i = 0; i < BLOCK; i++) out[o + i] = f32(scale * steps[i]!) + least;
    }
  };

/** 16 bytes: the low halves are the first 16 numbers, the high halves the others. */
const nibbles = (bytes: Uint8Array, at: number, into: Float32Array, zero: number): void => {
  for (let i = 0; i < 16; i++) {
    const byte = bytes[at + i]!;
    into[i] = (byte & 15) - zero;
    into[i + 16] = (byte >> 4) - zero;
  }
};

/** 4 bytes of fifth bits, then nibbles. */
const fives = (bytes: Uint8Array, at: number, into: Float32Array, zero: number): void => {
  const high = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  for (let i = 0; i < 16; i++) {
    const byte = bytes[at + 4 + i]!;
    into[i] = ((byte & 15) | (((high >>> i) & 1) << 4)) - zero;
    into[i + 16] = ((byte >> 4) | (((high >>> (i + 16)) & 1) << 4)) - zero;
  }
};

const signed = (byte: number): number => (byte << 24) >> 24;

/** The 6-bit scale of sub-block `i` of Q4_K and Q5_K and its minimum, from 12 bytes. */
const scaleOf = (bytes: Uint8Array, at: number, i: number): number =>
  i < 4 ? bytes[at + i]! & 63 : (bytes[at + i + 4]! & 15) | ((bytes[at + i - 4]! >> 2) & 48);
const leastOf = (bytes: Uint8Array, at: number, i: number): number =>
  i < 4 ? bytes[at + i + 4]! & 63 : (bytes[at + i + 4]! >> 4) | ((bytes[at + i]! >> 2) & 48);

/** Q4_K and Q5_K: eight sub-blocks of 32, each with a scale and a minimum; Q5_K has fifth bits before its nibbles. */
const sixBitScales =
  (size: number, fifthBits: boolean): Decode =>
  (bytes, out) => {
    const half = halfTable();
    for (let at = 0, o = 0; o < out.length; at += size, o += 256) {
      const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
      const dMin = half[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
      const high = at + 16;
      const low = fifthBits ? high + 32 : high;
      for (let sub = 0; sub < 8; sub++) {
        const scale = f32(d * scaleOf(bytes, at + 4, sub));
        const least = f32(dMin * leastOf(bytes, at + 4, sub));
        for (let i = 0; i < 32; i++) {
          const nibble = (bytes[low + 32 * (sub >> 1) + i]! >> (4 * (sub & 1))) & 15;
          const fifth = fifthBits ? ((bytes[high + i]! >> sub) & 1) << 4 : 0;
          out[o + 32 * sub + i] = f32(scale * (nibble | fifth)) - least;
        }
      }
    }
  };

const q6k: Decode = (bytes, out) => {
  const half = halfTable();
  for (let at = 0, o = 0; o < out.length; at += 210, o += 256) {
    const d = half[bytes[at + 208]! | (bytes[at + 209]! << 8)]!;
    for (let sub = 0; sub < 8; sub++) {
      // each half of the block: 64 bytes of low nibbles, 32 of high pairs
      const [part, quarter] = [sub >> 2, sub & 3];
      const low = at + 64 * part + 32 * (quarter & 1);
      const high = at + 128 + 32 * part;
      for (let i = 0; i < 32; i++) {
        const nibble = (bytes[low + i]! >> (4 * (quarter >> 1))) & 15;
        const pair = (bytes[high + i]! >> (2 * quarter)) & 3;
        const scale = f32(d * signed(bytes[at + 192 + 2 * sub + (i >> 4)]!));
        out[o + 32 * sub + i] = scale * ((nibble | (pair << 4)) - 32);
      }
    }
  }
};

const q2k: Decode = (bytes, out) => {
  const half = halfTable();
  for (let at = 0, o = 0; o < out.length; at += 84, o += 256) {
    const d = half[bytes[at + 80]! | (bytes[at + 81]! << 8)]!;
    const dMin = half[bytes[at + 82]! | (bytes[at + 83]! << 8)]!;
    for (let sub = 0; sub < 16; sub++) {
      const packed = bytes[at + sub]!;
      const scale = f32(d * (packed & 15));
      const least = f32(dMin * (packed >> 4));
      const from = at + 16 + 32 * (sub >> 3) + 16 * (sub & 1);
      for (let i = 0; i < 16; i++) {
        const step = (bytes[from + i]! >> (2 * ((sub >> 1) & 3))) & 3;
        out[o + 16 * sub + i] = f32(scale * step) - least;
      }
    }
  }
};

const q3k: Decode = (bytes, out) => {
  const half = halfTable();
  for (let at = 0, o = 0; o < out.length; at += 110, o += 256) {
    const d = half[bytes[at + 108]! | (bytes[at + 109]! << 8)]!;
    for (let sub = 0; sub < 16; sub++) {
      const low = (bytes[at + 96 + (sub & 7)]! >> (4 * (sub >> 3))) & 15;
      const high = (bytes[at + 104 + (sub & 3)]! >> (2 * (sub >> 2))) & 3;
      const scale = f32(d * ((low | (high << 4)) - 32));
      const from = at + 32 + 32 * (sub >> 3) + 16 * (sub & 1);
      for (let i = 0; i < 16; i++) {
        const step = (bytes[from + i]! >> (2 * ((sub >> 1) & 3))) & 3;
        const third = (bytes[at + 16 * (sub & 1) + i]! >> (sub >> 1)) & 1;
        out[o + 16 * sub + i] = scale * (step - 4 * (1 - third));
      }
    }
  }
};

const iq4xs: Decode = (bytes, out) => {
  const half = halfTable();
  for (let at = 0, o = 0; o < out.length; at += 136, o += 256) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const highs = bytes[at + 2]! | (bytes[at + 3]! << 8);
    for (let sub = 0; sub < 8; sub++) {
      const low = (bytes[at + 4 + (sub >> 1)]! >> (4 * (sub & 1))) & 15;
      const scale = f32(d * ((low | (((highs >> (2 * sub)) & 3) << 4)) - 32));
      for (let i = 0; i < 16; i++) {
        const byte = bytes[at + 8 + 16 * sub + i]!;
        out[o + 32 * sub + i] = scale * IQ4_STEPS[byte & 15]!;
        out[o + 32 * sub + i + 16] = scale * IQ4_STEPS[byte >> 4]!;
      }
    }
  }
};

/** 16-bit numbers of bytes that may lie anywhere. */
const shorts = (bytes: Uint8Array): Uint16Array => {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
};

const DECODE: Record<GgmlTypeName, Decode> = {
  F32: (bytes, out) => new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes),
  F16: (bytes, out) => void decodeF16(shorts(bytes), out),
  BF16: (bytes, out) => void decodeBf16(shorts(bytes), out),
  Q4_0: scaled(18, (bytes, at, into) => nibbles(bytes, at, into, 8)),
  Q4_1: shifted(20, (bytes, at, into) => nibbles(bytes, at, into, 0)),
  Q5_0: scaled(22, (bytes, at, into) => fives(bytes, at, into, 16)),
  Q5_1: shifted(24, (bytes, at, into) => fives(bytes, at, into, 0)),
  Q8_0: scaled(34, (bytes, at, into) => {
    for (let i = 0; i < BLOCK; i++) into[i] = signed(bytes[at + i]!);
  }),
  IQ4_NL: scaled(18, (bytes, at, into) => {
    for (let i = 0; i < 16; i++) {
      into[i] = IQ4_STEPS[bytes[at + i]! & 15]!;
      into[i + 16] = IQ4_STEPS[bytes[at + i]! >> 4]!;
    }
  }),
  IQ4_XS: iq4xs,
  Q2_K: q2k,
  Q3_K: q3k,
  Q4_K: sixBitScales(144, false),
  Q5_K: sixBitScales(176, true),
  Q6_K: q6k,
};

/** Whole blocks -> f32, into `out` of as many numbers as they hold. */
export const dequantize = (type: GgmlTypeName, bytes: Uint8Array, out: Float32Array): void => DECODE[type](bytes, out);

/** How many bits the codes have of a type that blocks of ours hold exactly; undefined for others. */
export const exactBits = (type: GgmlTypeName): 4 | 8 | undefined =>
  type === "Q4_0" ? 4 : type === "Q8_0" ? 8 : undefined;

/** Rows of Q4_0 or Q8_0 -> blocks, exactly: ggml's halves of 16 become neighbours, signed bytes get the zero point 128. */
export function keepBlocks(bits: 4 | 8, bytes: Uint8Array, shape: readonly [number, number]): BlockWeight {
  const size = bits === 4 ? 18 : 34;
  const width = 4 * bits;
  const count = bytes.length / size;
  const half = halfTable();
  const codes = new Uint8Array(count * width);
  const scales = new Float32Array(count);
  for (let b = 0; b < count; b++) {
    const at = b * size;
    scales[b] = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    if (bits === 8) for (let i = 0; i < 32; i++) codes[b * 32 + i] = bytes[at + 2 + i]! ^ 0x80;
    else
      for (let i = 0; i < 8; i++) {
        const [one, two] = [bytes[at + 2 + 2 * i]!, bytes[at + 3 + 2 * i]!];
        codes[b * 16 + i] = (one & 15) | ((two & 15) << 4);
        codes[b * 16 + 8 + i] = (one >> 4) | (two & 0xf0);
      }
  }
  return { dtype: "blocks", bits, shape, codes, scales };
}
