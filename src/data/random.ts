/** Small deterministic hashes and a permutation: everything random about data comes from these, never from Math.random. Shards and resumed runs depend on their bits. */
import { fnv1a } from "../random.ts";

/** A 32-bit mix of two 32-bit numbers; any bit of either changes about half of the result's. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul((b + 0x165667b1) | 0, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A 32-bit hash of a text. The same on every machine. */
export const hashText = (text: string): number => mix(fnv1a(text), text.length);

/** A stream of numbers from a seed and any further keys. */
export class Random {
  private state: number;

  constructor(...keys: number[]) {
    this.state = keys.reduce((state, key) => mix(mix(state, key >>> 0), Math.floor(key / 2 ** 32) >>> 0), 0x5bd1e995);
  }

  /** 0 <= x < 2^32 */
  next(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    return mix(this.state, 0x2545f491);
  }

  /** 0 <= x < 1 */
  unit(): number {
    return this.next() / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)]!;
  }

  chance(share: number): boolean {
    return this.unit() < share;
  }
}

/**
 * Where `index` goes in a permutation of 0 … size-1 drawn by `seed`: a four-round Feistel network over the next even
 * power of two, walked until it lands inside. No table: O(1) memory and under four steps on average. size up to 2^52.
 */
export function permute(index: number, size: number, seed: number): number {
  if (size <= 1) return 0;
  let halfBits = 1;
  while (2 ** (2 * halfBits) < size) halfBits++;
  const half = 2 ** halfBits;
  let at = index;
  do {
    let left = Math.floor(at / half);
    let right = at % half;
    for (let round = 0; round < 4; round++) {
      const f = mix(mix(seed, round), right) % half;
      [left, right] = [right, (left ^ f) >>> 0];
    }
    at = left * half + right;
  } while (at >= size);
  return at;
}
