// Random numbers that are the same on every machine, from a seed that is a text.

export interface Random {
  /** A whole number from 0 to below n. */
  below(n: number): number;
  /** True with a chance of 1 in n. */
  oneIn(n: number): boolean;
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
}

/** FNV-1a of the seed, then mulberry32. */
export function randomOf(seed: string): Random {
  let state = 2166136261;
  for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 16777619);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number): number => Math.floor(next() * n);
  return {
    below,
    oneIn: (n) => below(n) === 0,
    pick<T>(list: readonly T[]): T {
      if (list.length === 0) throw new Error("fuzz: nothing to pick from");
      return list[below(list.length)] as T;
    },
  };
}
