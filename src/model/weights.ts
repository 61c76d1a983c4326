/** What a model is fed with: a type for weights in host memory, whatever their form. */
import { ShapeError } from "../errors.ts";
import { type HostTensor, sizeOf } from "../tensor/index.ts";
import type { Lora } from "./lora.ts";

/**
 * A matrix [rows, columns] in blocks of 32 along its rows: scale · (code − 2^(bits−1)), which holds Q4_0 and Q8_0 exactly. 4-bit codes stand
 * two to a byte, the lower half first. A row whose length is no multiple of 32 ends with codes of zero.
 */
export interface BlockWeight {
  dtype: "blocks";
  bits: 4 | 8;
  shape: readonly [rows: number, columns: number];
  /** [rows, blocks, 4 · bits]. */
  codes: Uint8Array;
  /** [rows, blocks]. */
  scales: Float32Array;
}

/** f32 (perhaps a view of the trainer's array), bf16 as files have it, or blocks. */
export type Weight = HostTensor | BlockWeight;

/** Weights by checkpoint key; a Map of them is one. */
export interface Weights {
  get(key: string): Weight | undefined;
  /** Moves when values change: what keeps a copy of its own compares it. Absent where nothing changes. */
  readonly version?: number;
  /** Present where adapters are among them, which a model computes with beside the rest. */
  readonly lora?: Lora;
}

export const BLOCK = 32;

/** Bytes that the codes of a block take. */
export const codeBytes = ({ bits }: Pick<BlockWeight, "bits">): number => (BLOCK * bits) / 8;

/** Number of blocks in a row. */
export const blocksOf = ({ shape }: Pick<BlockWeight, "shape">): number => Math.ceil(shape[1] / BLOCK);

/** Blocks of zeros. Throws ShapeError for what is no matrix. */
export function emptyBlocks(shape: readonly number[], bits: 4 | 8): BlockWeight {
  const [rows, columns] = shape;
  if (shape.length !== 2 || rows === undefined || columns === undefined)
    throw new ShapeError(`toBlocks: expected a matrix, got [${shape.join(", ")}]`);
  const blocks = rows * blocksOf({ shape: [rows, columns] });
  const codes = new Uint8Array(blocks * codeBytes({ bits }));
  return { dtype: "blocks", bits, shape: [rows, columns], codes, scales: new Float32Array(blocks) };
}

/** Rounds a matrix to blocks, as `roundRows` says. */
export function toBlocks({ shape, data }: HostTensor<Float32Array>, bits: 4 | 8): BlockWeight {
  const blocks = emptyBlocks(shape, bits);
  roundRows(data, blocks, 0, blocks.shape[0]);
  return blocks;
}

/**
 * Rounds rows [from, to) of a matrix into blocks. 8 bits: scale = largest magnitude / 127, error at most scale / 2. 4 bits: Q4_0's codes (the
 * number of largest magnitude becomes −8), a scale fitted to them by least squares, and the codes nearest by that: never a larger squared
 * error than Q4_0's. A block of zeros stays zeros.
 */
export function roundRows(data: Float32Array, { bits, shape, codes, scales }: BlockWeight, from: number, to: number) {
  const columns = shape[1];
  const blocks = blocksOf({ shape });
  const bytes = codeBytes({ bits });
  const values = new Float32Array(BLOCK);
  for (let at = from * blocks; at < to * blocks; at++) {
    const row = Math.floor(at / blocks);
    const start = (at - row * blocks) * BLOCK;
    const count = Math.min(BLOCK, columns - start);
    let largest = 0;
    for (let i = 0; i < count; i++) {
      const x = data[row * columns + start + i]!;
      values[i] = x;
      if (Math.abs(x) > Math.abs(largest)) largest = x;
    }
    values.fill(0, count);
    const scale = largest === 0 || bits === 8 ? Math.fround(Math.abs(largest) / 127) : fittedScale(values, largest);
    scales[at] = scale;
    const inverse = scale === 0 ? 0 : 1 / scale;
    if (bits === 8) for (let i = 0; i < BLOCK; i++) codes[at * bytes + i] = Math.round(values[i]! * inverse) + 128;
    else
      for (let i = 0; i < BLOCK; i += 2)
        codes[at * bytes + (i >> 1)] =
          (nibble(values[i]! * inverse) + 8) | ((nibble(values[i + 1]! * inverse) + 8) << 4);
  }
}

/** The nearest of −8 … 7. */
const nibble = (steps: number): number => Math.max(-8, Math.min(7, Math.floor(steps + 0.5)));

/** Q4_0's scale, by which the number of largest magnitude becomes −8, fitted to the codes that it gives: Σ x·code / Σ code². */
function fittedScale(values: Float32Array, largest: number): number {
  const inverse = -8 / largest;
  let products = 0;
  let squares = 0;
  for (let i = 0; i < BLOCK; i++) {
    const code = nibble(values[i]! * inverse);
    products += values[i]! * code;
    squares += code * code;
  }
  return Math.fround(products / squares);
}

/** The numbers that blocks stand for, exactly. */
export function fromBlocks({ bits, shape, codes, scales }: BlockWeight): HostTensor<Float32Array> {
  const [rows, columns] = shape;
  const blocks = blocksOf({ shape });
  const data = new Float32Array(sizeOf(shape));
  const zero = 2 ** (bits - 1);
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < columns; i++) {
      const at = row * blocks * BLOCK + i;
      const code = bits === 8 ? codes[at]! : (codes[at >> 1]! >> (4 * (at & 1))) & 15;
      data[row * columns + i] = (code - zero) * scales[row * blocks + Math.floor(i / BLOCK)]!;
    }
  return { dtype: "f32", shape, data };
}
