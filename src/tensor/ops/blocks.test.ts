/** Products with blocks as the runtime computes them: what rounding rows costs at most, and the bits of a row among others. */
import { describe, expect, test } from "vitest";
import { compile } from "../../runtime/index.ts";
import { f32, type HostTensor } from "../dtype.ts";
import { toOnnx } from "../onnx.ts";
import { input } from "../tensor.ts";
import { blockMatmul } from "./blocks.ts";

const BLOCK = 32;
const N = 136;
const numbers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(1 + i * 12.9898 + seed) * (1 + (i % 7)));

/** A product of rows [M, inner] with blocks, and what it should be with f32 rows, in double precision. */
async function product(bits: 4 | 8, inner: number, options: { rounded?: boolean; twoRows?: boolean }) {
  const blocks = Math.ceil(inner / BLOCK);
  const codes = Uint8Array.from({ length: N * blocks * 4 * bits }, (_, i) => (i * 2654435761) >>> 23);
  const scales = numbers(N * blocks, 5).map((x) => x / 100);
  const constants: Record<string, HostTensor> = {
    codes: { dtype: "u8", shape: [N, blocks, 4 * bits], data: codes },
    scales: f32([N, blocks], scales),
  };
  const x = input("x", "f32", ["M", inner]);
  const out = blockMatmul(
    x,
    input("codes", "u8", constants.codes!.shape),
    input("scales", "f32", constants.scales!.shape),
    { bits, block: BLOCK, inner, ...options },
  );
  const executable = await compile(toOnnx({ out }, { external: (name) => name in constants }).bytes, { constants });
  const weight = (n: number, k: number): number => {
    const at = n * blocks * BLOCK + k;
    const code = bits === 8 ? codes[at]! : (codes[at >> 1]! >> (4 * (at & 1))) & 15;
    return (code - 2 ** (bits - 1)) * scales[n * blocks + Math.floor(k / BLOCK)]!;
  };
  const run = (rows: Float32Array) =>
    executable.runSync({ x: f32([rows.length / inner, inner], rows) }).out!.data as Float32Array;
  return { run, weight, dispose: () => executable.dispose() };
}

describe.each([4, 8] as const)("%i bits", (bits) => {
  test.each([96, 80])("rows of %i rounded to 8 bits: no further off than half a step of each block", async (inner) => {
    const { run, weight, dispose } = await product(bits, inner, { rounded: true });
    for (const M of [1, 2, 19]) {
      const rows = numbers(M * inner, M);
      const out = run(rows);
      for (let m = 0; m < M; m++)
        for (let n = 0; n < N; n++) {
          let exact = 0;
          let bound = 0;
          for (let start = 0; start < inner; start += BLOCK) {
            const block = rows.subarray(m * inner + start, m * inner + Math.min(start + BLOCK, inner));
            const largest = block.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
            block.forEach((x, i) => {
              const w = weight(n, start + i);
              exact += x * w;
              bound += Math.abs(w) * (largest / 127 / 2) + Math.abs(x * w) * 1e-5;
            });
          }
          expect(Math.abs(out[m * N + n]! - exact)).toBeLessThanOrEqual(bound);
        }
    }
    dispose();
  });

  test("never alone, a row has the same bits among however many", async () => {
    const inner = 160;
    const { run, dispose } = await product(bits, inner, { rounded: true, twoRows: true });
    const rows = numbers(70 * inner, 3);
    const all = run(rows).slice();
    for (const [from, to] of [
      [0, 1],
      [41, 42],
      [40, 42],
      [0, 17],
      [3, 70],
    ] as const) {
      expect(run(rows.slice(from * inner, to * inner))).toEqual(all.slice(from * N, to * N));
    }
    expect(run(new Float32Array(0)).length).toBe(0);
    dispose();
  });
});
