/** What a model is fed with: a type for weights in host memory, whatever their form. */
import { ShapeError } from "../errors.ts";
import { type HostTensor, sizeOf } from "../tensor/index.ts";

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
}

export const BLOCK = 32;

/** Bytes that the codes of a block take. */
export const codeBytes = ({ bits }: Pick<BlockWeight, "bits">): number => (BLOCK * bits) / 8;

/** Number of blocks in a row. */
export const blocksOf = ({ shape }: Pick<BlockWeight, "shape">): number => Math.ceil(shape[1] / BLOCK);

/**
 * Rounds a matrix to blocks. 8 bits: scale = largest magnitude / 127, error at most scale / 2. 4 bits: the number of largest magnitude
 * becomes −8 as in Q4_0, error at most scale / 2, or |scale| for what lies beyond 7.5 scales on the other side. A block of zeros stays
 * zeros. Throws ShapeError for what is no matrix.
 */
export function toBlocks({ shape, data }: HostTensor<Float32Array>, bits: 4 | 8): BlockWeight {
  const [rows, columns] = shape;
  if (shape.length !== 2 || rows === undefined || columns === undefined)
    throw new ShapeError(`toBlocks: expected a matrix, got [${shape.join(", ")}]`);
  const blocks = blocksOf({ shape: [rows, columns] });
  const bytes = codeBytes({ bits });
  const zero = 2 ** (bits - 1);
  const codes = new Uint8Array(rows * blocks * bytes);
  const scales = new Float32Array(rows * blocks);
  for (let at = 0; at < rows * blocks; at++) {
    const row = Math.floor(at / blocks);
    const start = (at - row * blocks) * BLOCK;
    const values = data.subarray(row * columns + start, row * columns + Math.min(start + BLOCK, columns));
    let largest = 0;
    for (const x of values) if (Math.abs(x) > Math.abs(largest)) largest = x;
    const scale = Math.fround(bits === 4 ? -largest / 8 : Math.abs(largest) / 127);
    scales[at] = scale;
    for (let i = 0; i < BLOCK; i++) {
      const steps = scale === 0 || i >= values.length ? 0 : Math.round(values[i]! / scale);
      const code = Math.max(0, Math.min(2 * zero - 1, steps + zero));
      if (bits === 8) codes[at * bytes + i] = code;
      else codes[at * bytes + (i >> 1)]! |= code << (4 * (i & 1));
    }
  }
  return { dtype: "blocks", bits, shape: [rows, columns], codes, scales };
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
