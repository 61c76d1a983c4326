import fc from "fast-check";
import { expect, test } from "vitest";
import { ShapeError } from "../errors.ts";
import { e4m3Value } from "./floats.ts";
import { dequantizeBlocks, quantizeBlocks, quantizeTiles } from "./fp8.ts";

const matrix = fc
  .tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 11 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 5 }),
  )
  .chain(([rows, cols, blockRows, blockCols]) =>
    fc.record({
      rows: fc.constant(rows),
      cols: fc.constant(cols),
      block: fc.constant([blockRows, blockCols] as const),
      x: fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -Math.fround(1e30), max: Math.fround(1e30) }), {
        minLength: rows * cols,
        maxLength: rows * cols,
      }),
    }),
  );

test("a block's largest value becomes 448 and the rest keeps e4m3's relative precision", () => {
  fc.assert(
    fc.property(matrix, ({ rows, cols, block, x }) => {
      const quantized = quantizeBlocks(Float32Array.from(x), rows, cols, block);
      const back = dequantizeBlocks(quantized, block);
      const scaleCols = Math.ceil(cols / block[1]);
      for (let row = 0; row < rows; row++)
        for (let col = 0; col < cols; col++) {
          const i = row * cols + col;
          const scale = quantized.scaleInv[Math.floor(row / block[0]) * scaleCols + Math.floor(col / block[1])]!;
          // 3 fraction bits: half a step is 2^-4 of the value, or 2^-10 of the scale among the subnormals.
          expect(Math.abs(back[i]! - x[i]!)).toBeLessThanOrEqual(
            Math.max(Math.abs(x[i]!) * 2 ** -4, scale * 2 ** -10) * 1.00001,
          );
          expect(Math.abs(e4m3Value(quantized.codes[i]!))).toBeLessThanOrEqual(448);
        }
    }),
  );
});

test("scales follow the ragged 128 by 128 blocks", () => {
  const rows = 130;
  const cols = 257;
  const x = new Float32Array(rows * cols);
  x[0] = 448;
  x[129 * cols + 128] = 44.8;
  x[5 * cols + 256] = -896;
  const { scaleInv } = quantizeBlocks(x, rows, cols);
  expect([...scaleInv]).toEqual([1, 1, 2, 1, Math.fround(44.8 / 448), 1].map(Math.fround));
  const tiles = quantizeTiles(x, rows, cols);
  expect(tiles.scaleInv.length).toBe(130 * 3);
  expect(tiles.scaleInv[5 * 3 + 2]).toBe(2);
  expect(tiles.scaleInv[4 * 3 + 2]).toBe(1);
  expect([...dequantizeBlocks(tiles, [1, 128])]).toEqual([...x]);
});

test("NaN stays, infinities saturate, tiny blocks do not overflow", () => {
  const { codes, scaleInv } = quantizeBlocks(Float32Array.of(NaN, Infinity, -Infinity, 4.48), 1, 4);
  expect(e4m3Value(codes[0]!)).toBeNaN();
  expect([...codes.subarray(1)].map(e4m3Value)).toEqual([448, -448, 448]);
  expect(scaleInv[0]).toBe(Math.fround(0.01));
  const tiny = quantizeBlocks(Float32Array.of(1e-45, -1e-44), 1, 2);
  expect([...tiny.codes].every((code) => Number.isFinite(e4m3Value(code)))).toBe(true);
});

test("sizes that do not fit are refused", () => {
  expect(() => quantizeBlocks(new Float32Array(5), 2, 3)).toThrow(ShapeError);
  const wrong = { rows: 2, cols: 3, codes: new Uint8Array(6), scaleInv: new Float32Array(2) };
  expect(() => dequantizeBlocks(wrong)).toThrow(/expected 1 × 1 scales, got 2/);
});
