/** Uniform random numbers from a seed, for sampling. */
import { splitmix32 } from "../random.ts";

/** A deterministic stream of uniform numbers in [0, 1). */
export type Random = () => number;

/**
 * xoshiro128** (Blackman and Vigna, arXiv:1805.01407), state filled by splitmix32 from all bits of the seed.
 * The same seed gives the same numbers on every machine. Not for secrets.
 */
export function random(seed: number): Random {
  const low = splitmix32(seed | 0);
  const high = splitmix32(Math.floor(seed / 2 ** 32) | 0);
  let a = low() ^ high();
  let b = low() ^ Math.imul(high(), 3);
  let c = low() ^ Math.imul(high(), 5);
  let d = low() ^ Math.imul(high(), 7);
  if ((a | b | c | d) === 0) d = 1;
  const next = (): number => {
    const r = Math.imul(b, 5);
    const result = Math.imul((r << 7) | (r >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  // 53 bits, so that a vocabulary's rarest tokens can still be drawn
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}
