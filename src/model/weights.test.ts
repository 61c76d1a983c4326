import fc from "fast-check";
import { expect, test } from "vitest";
import { f32 } from "../tensor/dtype.ts";
import { BLOCK, fromBlocks, toBlocks } from "./weights.ts";

const numbers = fc.integer({ min: 0, max: 2 ** 31 }).map((seed) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
});

test("no number moves further than its block's step allows, and no block of 4 bits loses more than Q4_0's", () => {
  const size = fc.integer({ min: 1, max: 100 });
  fc.assert(
    fc.property(size, size, fc.constantFrom(4, 8), numbers, (rows, columns, bits, next) => {
      const magnitude = 10 ** (4 * next());
      const data = Float32Array.from({ length: rows * columns }, () => magnitude * next());
      const weight = toBlocks(f32([rows, columns], data), bits);
      const back = fromBlocks(weight);
      expect(back.shape).toEqual([rows, columns]);
      const blocks = Math.ceil(columns / BLOCK);
      for (let block = 0; block < rows * blocks; block++) {
        const start = Math.floor(block / blocks) * columns + (block % blocks) * BLOCK;
        const end = Math.min(start + BLOCK, Math.floor(block / blocks + 1) * columns);
        const values = data.subarray(start, end);
        const scale = weight.scales[block]!;
        values.forEach((x, i) => {
          // half a step within the codes; scale and product are rounded to f32
          const [low, high] = bits === 4 ? [-8.5, 7.5] : [-128, 127.5];
          const inside = x / scale >= low && x / scale <= high;
          if (inside)
            expect(Math.abs(back.data[start + i]! - x)).toBeLessThanOrEqual(0.5 * Math.abs(scale) + 1e-6 * Math.abs(x));
          else expect(bits).toBe(4);
        });
        const squared = values.reduce((sum, x, i) => sum + (back.data[start + i]! - x) ** 2, 0);
        const power = values.reduce((sum, x) => sum + x * x, 0);
        if (bits === 4)
          expect(squared).toBeLessThanOrEqual(squaredErrorOfQ4_0(values) + 4e-7 * Math.sqrt(squared * power));
      }
    }),
  );
});

/** ggml's rule: the number of largest magnitude becomes −8. */
function squaredErrorOfQ4_0(values: Float32Array): number {
  const largest = values.reduce((a, x) => (Math.abs(x) > Math.abs(a) ? x : a), 0);
  const scale = largest / -8;
  return values.reduce((sum, x) => {
    const code = scale === 0 ? 0 : Math.min(15, Math.floor(x / scale + 8.5)) - 8;
    return sum + (x - scale * code) ** 2;
  }, 0);
}

test("codes are Q4_0's and Q8_0's", () => {
  const row = f32([1, 32], [-16, 14, 2, -2, ...Array<number>(28).fill(0)]);
  const four = toBlocks(row, 4);
  expect([...four.scales]).toEqual([2]);
  // −16 → −8, 14 → 7, 2 → 1, −2 → −1; the lower half of a byte first
  expect([...four.codes.slice(0, 3)]).toEqual([0 | (15 << 4), 9 | (7 << 4), 0x88]);
  expect([...fromBlocks(four).data.slice(0, 5)]).toEqual([-16, 14, 2, -2, 0]);
  const eight = toBlocks(f32([1, 32], [-254, 127, ...Array<number>(30).fill(0)]), 8);
  expect([...eight.scales]).toEqual([2]);
  expect([...eight.codes.slice(0, 3)]).toEqual([1, 128 + 64, 128]);
  // what blocks hold exactly comes back as it was
  for (const bits of [4, 8] as const) {
    const once = fromBlocks(toBlocks(f32([1, 32], [-8, 7, 1, ...Array<number>(29).fill(-3)]), bits));
    expect(fromBlocks(toBlocks(once, bits))).toEqual(once);
  }
});

test("zeros stay zeros, and what fills a last block is none of the matrix", () => {
  for (const bits of [4, 8] as const) {
    const data = new Float32Array(3 * 33);
    data[66 + 32] = 5;
    const weight = toBlocks(f32([3, 33], data), bits);
    expect(weight.codes.length).toBe(3 * 2 * 4 * bits);
    const back = fromBlocks(weight).data;
    expect(back[98]).toBeCloseTo(5, 5);
    expect(back.subarray(0, 98).every((x) => x === 0)).toBe(true);
  }
});

test("only matrices", () => {
  expect(() => toBlocks(f32([4], [1, 2, 3, 4]), 4)).toThrow("toBlocks: expected a matrix, got [4]");
});
