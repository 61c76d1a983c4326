/** Seeded random numbers, the same on every machine: a hash of a text to seed from, and a generator. Not for secrets. */

/** FNV-1a of a text's UTF-16 units, 32 bits. */
export function fnv1a(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** splitmix32: 32-bit numbers, each a mix of a counter that begins at `state`. Weights begin with these, and other generators' states are filled by them. */
export function splitmix32(state: number): () => number {
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}
