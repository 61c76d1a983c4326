import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";

async function evaluate(output: t.Tensor, feeds: Record<string, t.HostTensor>): Promise<t.HostTensor> {
  const graph = await compile(t.toOnnx({ out: output }).bytes);
  try {
    return (await graph.run(feeds))["out"]!;
  } finally {
    graph.dispose();
  }
}

/** Rounds halves to even. */
const even = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
const within = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));

describe("bytes", () => {
  it("rounds to the nearest, halves to even, and stays in range", async () => {
    const x = [0, 0.5, 1.5, -0.5, -1.5, 2.49, 127, 128, 400, -127, -128, -400];
    const input = t.f32([2, 6], x);
    const i8 = await evaluate(t.quantize(t.input("x", "f32", [2, 6]), t.scalar(1), "i8"), { x: input });
    expect([...(i8.data as Int8Array)]).toEqual(x.map((v) => within(even(v), -128, 127) + 0));
    const u8 = await evaluate(t.quantize(t.input("x", "f32", [2, 6]), t.scalar(1), "u8"), { x: input });
    expect([...(u8.data as Uint8Array)]).toEqual(x.map((v) => within(even(v) + 128, 0, 255)));
  });

  it("takes a scale for each row, also where rows are counted at run time", async () => {
    const x = t.f32([3, 2], [1, 2, 30, -40, -0.5, 0.25]);
    for (const rows of [3, "n"] as const) {
      const out = await evaluate(t.quantize(t.input("x", "f32", [rows, 2]), t.input("s", "f32", [rows]), "u8"), {
        x,
        s: t.f32([3], [1, 10, 0.25]),
      });
      expect([...(out.data as Uint8Array)]).toEqual([129, 130, 131, 124, 126, 129]);
    }
  });

  it("multiplies exactly, whatever the bytes and sizes", async () => {
    const size = fc.integer({ min: 1, max: 70 });
    await fc.assert(
      fc.asyncProperty(
        size,
        size,
        size,
        fc.integer({ min: 1, max: 2 ** 30 }),
        fc.boolean(),
        async (m, k, n, seed, perColumn) => {
          let state = seed;
          const byte = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
          const a = Uint8Array.from({ length: m * k }, byte);
          const b = Int8Array.from({ length: k * n }, () => Math.trunc((byte() - 128) / 2.02));
          const scale = Array.from({ length: perColumn ? n : 1 }, (_, i) => 2 ** -(i % 5));
          const product = t.byteMatmul(
            t.input("a", "u8", [m, k]),
            t.input("b", "i8", [k, n]),
            t.input("s", "f32", perColumn ? [n] : []),
          );
          const out = await evaluate(product, {
            a: { dtype: "u8", shape: [m, k], data: a },
            b: { dtype: "i8", shape: [k, n], data: b },
            s: t.f32(perColumn ? [n] : [], scale),
          });
          for (let i = 0; i < m; i++)
            for (let j = 0; j < n; j++) {
              let sum = 0;
              for (let l = 0; l < k; l++) sum += (a[i * k + l]! - 128) * b[l * n + j]!;
              expect(out.data[i * n + j]).toBe(sum * scale[perColumn ? j : 0]!);
            }
        },
      ),
      { numRuns: 30 },
    );
  });

  it("says what shapes and types it wants", () => {
    const [u8, i8] = [t.input("a", "u8", [2, 3]), t.input("b", "i8", [3, 4])];
    expect(() => t.byteMatmul(i8, u8, t.scalar(1))).toThrow("expected u8[m, k] × i8[k, n]");
    expect(() => t.byteMatmul(u8, i8, t.input("s", "f32", [3]))).toThrow("and one scale or n");
    expect(() => t.quantize(t.input("x", "f32", [2, 3]), t.input("s", "f32", [3]), "u8")).toThrow(
      "one for each row of [2, 3]",
    );
  });

  it("finds columns' maxima over any number of rows", async () => {
    for (const rows of [1, 2, 15, 16, 17, 33, 255, 256, 257, 700]) {
      const x = Float32Array.from({ length: rows * 5 }, (_, i) => Math.sin(i * 7.3) * (1 + (i % 11)));
      const out = await evaluate(t.max(t.input("x", "f32", [rows, 5]), 0), { x: t.f32([rows, 5], x) });
      expect(out.shape).toEqual([5]);
      expect([...out.data]).toEqual(
        [0, 1, 2, 3, 4].map((c) => Math.max(...Array.from({ length: rows }, (_, r) => x[r * 5 + c]!))),
      );
      const kept = await evaluate(t.max(t.input("x", "f32", [rows, 5]), 0, true), { x: t.f32([rows, 5], x) });
      expect(kept.shape).toEqual([1, 5]);
    }
  });
});
