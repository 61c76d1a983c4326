/** Products whose right operand has its heads side by side in rows. */
import { expect, test } from "vitest";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";

const numbers = (shape: number[], seed: number) =>
  t.f32(
    shape,
    Array.from({ length: t.sizeOf(shape) }, (_, i) => ((i * 37 + seed) % 19) - 9),
  );

test.each(["cpu", "webgpu"] as const)(
  "rows of heads multiply as the same heads one after another (%s)",
  async (provider) => {
    const [J, Y, S, R] = [3, 2, 5, 4];
    const q = t.input("q", "f32", [J, Y, R]);
    const rows = t.input("rows", "f32", ["S", J, R]);
    const p = t.input("p", "f32", [J, Y, "S"]);
    const turned = t.transpose(rows, [1, 0, 2]);
    const out = {
      score: t.matmul(q, rows, { transB: true, alpha: 0.5, rowsB: true }),
      scoreTurned: t.matmul(q, turned, { transB: true, alpha: 0.5 }),
      sum: t.matmul(p, rows, { rowsB: true }),
      sumTurned: t.matmul(p, turned),
    };
    const graph = await compile(t.toOnnx(out, { provider }).bytes);
    const got = await graph.run({ q: numbers([J, Y, R], 1), rows: numbers([S, J, R], 2), p: numbers([J, Y, S], 3) });
    expect(got.score).toEqual(got.scoreTurned);
    expect(got.sum).toEqual(got.sumTurned);
    expect(got.sum!.shape).toEqual([J, Y, R]);
    graph.dispose();
  },
);

test("they have no gradient, and need a batch", () => {
  const q = t.input("q", "f32", [3, 2, 4]);
  const product = t.matmul(q, t.input("rows", "f32", [5, 3, 4]), { transB: true, rowsB: true });
  expect(() => t.grad(t.sum(product), [q])).toThrow("a product with heads side by side in rows has no gradient");
  expect(() => t.matmul(q, t.input("b", "f32", [4, 4]), { rowsB: true })).toThrow(
    "matmul: expected rows [n0, batch…, n1], got [4, 4]",
  );
});
