/** The memory of the cache: for every tensor of `storedRows` one pool of blocks of 16 positions, each [heads, 16, width]. */
import type { HostTensor } from "../tensor/index.ts";
import type { StoredRows } from "./cacheForm.ts";
import { BLOCK_TOKENS } from "./engine.ts";

interface Pool extends StoredRows {
  data: Rows;
  /** [blocks · heads, 16 · width]: what a graph gathers from. */
  tensor: HostTensor;
  /** The last view that was asked for. */
  view: HostTensor;
}

type Rows = Float32Array | Uint8Array;

/** Pools of one capacity, which grows; block 0 is never written. */
export class Pools {
  readonly pools: readonly Pool[];
  #blocks = 0;

  constructor(spec: readonly StoredRows[]) {
    this.pools = spec.map((rows) => {
      const data = rowsOf(rows.dtype, 0);
      const empty = tensorOf([0], data);
      return { ...rows, data, tensor: empty, view: empty };
    });
    this.reserve(1);
  }

  /** What graphs gather from, by name: of those that `which` picks. */
  tensors(which: (name: string) => boolean = () => true): Record<string, HostTensor> {
    const tensors: Record<string, HostTensor> = {};
    for (const { name, tensor } of this.pools) if (which(name)) tensors[name] = tensor;
    return tensors;
  }

  /** Bytes that one block takes in all pools. */
  get blockBytes(): number {
    return this.pools.reduce((sum, pool) => sum + pool.data.BYTES_PER_ELEMENT * sizeOf(pool), 0);
  }

  /** Makes room for so many blocks, those in use included. */
  reserve(blocks: number): void {
    if (blocks <= this.#blocks) return;
    this.#blocks = blocks;
    for (const pool of this.pools) {
      const grown = rowsOf(pool.dtype, blocks * sizeOf(pool));
      grown.set(pool.data);
      pool.data = grown;
      pool.tensor = tensorOf([blocks * pool.heads, BLOCK_TOKENS * pool.width], grown);
    }
  }

  /** Copies what a block holds to another. */
  copy(from: number, to: number): void {
    for (const pool of this.pools) {
      const size = sizeOf(pool);
      pool.data.copyWithin(to * size, from * size, (from + 1) * size);
    }
  }

  /** What a block holds, pool by pool. */
  read(block: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.blockBytes);
    let at = 0;
    for (const pool of this.pools) {
      const own = bytesOf(pool, block);
      bytes.set(own, at);
      at += own.length;
    }
    return bytes;
  }

  /** The reverse of `read`. */
  restore(block: number, bytes: Uint8Array): void {
    let at = 0;
    for (const pool of this.pools) {
      const own = bytesOf(pool, block);
      own.set(bytes.subarray(at, at + own.length));
      at += own.length;
    }
  }

  /** Zeros, so that nobody reads what is not finite. */
  clear(block: number): void {
    for (const pool of this.pools) pool.data.fill(0, block * sizeOf(pool), (block + 1) * sizeOf(pool));
  }

  /** The first S positions from a block on as they lie, [1, S, width], of a pool without heads; undefined where the pool ends before. */
  view(i: number, first: number, S: number): HostTensor | undefined {
    const pool = this.pools[i];
    if (pool === undefined || first + S / BLOCK_TOKENS > this.#blocks) return undefined;
    const from = first * sizeOf(pool);
    const { data, shape } = pool.view;
    const same =
      data.buffer === pool.data.buffer && data.byteOffset === data.BYTES_PER_ELEMENT * from && shape[1] === S;
    if (!same) pool.view = tensorOf([1, S, pool.width], pool.data.subarray(from, from + S * pool.width));
    return pool.view;
  }

  /** Writes rows [·, heads, T, width] of line `b` for its first `count` tokens, at `start` and after, by its table. */
  write(i: number, rows: Rows, b: number, T: number, count: number, start: number, table: ArrayLike<number>): void {
    const pool = this.pools[i];
    if (pool === undefined) return;
    const { heads, width, data } = pool;
    for (let t = 0; t < count; ) {
      const at = (start + t) % BLOCK_TOKENS;
      const run = Math.min(BLOCK_TOKENS - at, count - t);
      const block = table[Math.floor((start + t) / BLOCK_TOKENS)] ?? 0;
      for (let h = 0; h < heads; h++) {
        const from = ((b * heads + h) * T + t) * width;
        data.set(rows.subarray(from, from + run * width), ((block * heads + h) * BLOCK_TOKENS + at) * width);
      }
      t += run;
    }
  }
}

function bytesOf(pool: Pool, block: number): Uint8Array {
  const size = sizeOf(pool);
  const { buffer, byteOffset, byteLength } = pool.data.subarray(block * size, (block + 1) * size);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

const rowsOf = (dtype: StoredRows["dtype"], length: number): Rows =>
  dtype === "u8" ? new Uint8Array(length) : new Float32Array(length);

const tensorOf = (shape: number[], data: Rows): HostTensor =>
  data instanceof Uint8Array ? { dtype: "u8", shape, data } : { dtype: "f32", shape, data };

const sizeOf = ({ heads, width }: StoredRows): number => heads * width * BLOCK_TOKENS;
