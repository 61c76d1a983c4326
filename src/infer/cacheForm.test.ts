/** Rows in 8 bits: as near as their scale allows, and the same to the bit whether they come from the cache or were just rounded. */
import { expect, test } from "vitest";
import { compile } from "../runtime/index.ts";
import { f32, input, toOnnx } from "../tensor/index.ts";
import { Rounding, storedRows, widened } from "./cacheForm.ts";

/** Scales below this count as it: such numbers become zeros. */
const TINY = 1e-30;

test("rounded by parts, and given back the same", async () => {
  const [rows, parts] = [40, [24, 8]];
  const row = input("row", "f32", ["N", 32]);
  const rounding = new Rounding();
  const rounded = rounding.round(row, parts);
  const [codes, scales] = rounding.of(rounded);
  const graph = toOnnx({ rounded, codes, scales, again: widened(codes, scales, parts) });
  const executable = await compile(graph.bytes);
  // parts of very different size, a row of zeros, one tiny
  const x = Float32Array.from({ length: rows * 32 }, (_, i) => {
    const [n, at] = [Math.floor(i / 32), i % 32];
    return Math.sin(12.9898 * i) * (at < 24 ? 1 : 50) * (n === 3 ? 0 : n === 4 ? 1e-38 : 1);
  });
  const out = executable.runSync({ row: f32([rows, 32], x) });
  executable.dispose();
  const data = (name: string) => out[name]!.data as Float32Array;
  expect(data("again")).toEqual(data("rounded"));
  for (let n = 0; n < rows; n++)
    for (const [part, [from, to]] of [
      [0, 24],
      [24, 32],
    ].entries() as ArrayIterator<[number, [number, number]]>) {
      const own = x.subarray(n * 32 + from, n * 32 + to);
      const scale = data("scales")[2 * n + part]!;
      expect(scale).toBeCloseTo(Math.max(...own.map(Math.abs)) / 127, 6);
      for (const [i, value] of own.entries())
        expect(Math.abs(data("rounded")[n * 32 + from + i]! - value)).toBeLessThanOrEqual(0.5001 * scale + TINY);
    }
});

test("int8 takes about a quarter", () => {
  const spec = [{ name: "cache.0", heads: 1, width: 576, parts: [512, 64] }];
  expect(storedRows(spec, "f32")).toEqual([{ name: "cache.0", heads: 1, width: 576, dtype: "f32" }]);
  expect(storedRows(spec, "int8")).toEqual([
    { name: "cache.0", heads: 1, width: 576, dtype: "u8" },
    { name: "cache.0.scale", heads: 1, width: 2, dtype: "f32" },
  ]);
});
