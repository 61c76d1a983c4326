/** Fill-in-the-middle: some documents rearranged so that a model learns to fill a hole. */
import { mix, Random } from "./random.ts";

export interface FimTokens {
  bos: number | null;
  eos: number | null;
  /** begin, hole, end */
  fim: [begin: number, hole: number, end: number];
}

/** Shorter pieces stay as they are. */
const MIN_TOKENS = 8;

/**
 * Fill-in-the-middle in the form prefix-suffix-middle: with probability `rate` a document becomes
 * `begin prefix hole suffix end middle` (arXiv:2412.19437 §4.1), its BOS and EOS where they were. Works on a window of
 * packed documents in place; what no longer fits falls off its end. `positionOf(i)` names the token at i for all time: a
 * document's fate and cuts depend on its first token's position and the seed alone.
 * Differs: V3 cuts before packing, by characters; here the part of a document that lies in the window is cut, by tokens.
 */
export function fillInMiddle(
  ids: Int32Array,
  tokens: FimTokens,
  rate: number,
  seed: number,
  positionOf: (index: number) => number,
  allowed: (position: number) => boolean,
): void {
  const source = ids.slice();
  let out = 0;
  const put = (from: number, to: number) => {
    for (let i = from; i < to && out < ids.length; i++) ids[out++] = source[i]!;
  };
  const mark = (id: number) => {
    if (out < ids.length) ids[out++] = id;
  };
  for (let start = 0; start < source.length && out < ids.length; ) {
    let end = start;
    while (end < source.length && source[end] !== tokens.eos) end++;
    const from = source[start] === tokens.bos ? start + 1 : start;
    const position = positionOf(start);
    const random = new Random(mix(seed, 0xf13), position);
    const length = end - from;
    if (random.chance(rate) && length >= MIN_TOKENS && allowed(position)) {
      let a = random.int(0, length);
      let b = random.int(0, length);
      if (a > b) [a, b] = [b, a];
      put(start, from);
      mark(tokens.fim[0]);
      put(from, from + a);
      mark(tokens.fim[1]);
      put(from + b, end);
      mark(tokens.fim[2]);
      put(from + a, from + b);
    } else put(start, end);
    if (end < source.length) mark(source[end]!);
    start = end + 1;
  }
}
