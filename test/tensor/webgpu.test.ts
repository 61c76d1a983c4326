import { describe, expect, it } from "vitest";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";

/** Values of the graph written for each provider, both run on the CPU: the rewriting must not change them. */
async function both(outputs: Record<string, t.Tensor>, inputs: Record<string, t.HostTensor>) {
  const graphs = (["cpu", "webgpu"] as const).map((provider) => t.toOnnx(outputs, { provider }));
  const results = await Promise.all(graphs.map(async ({ bytes }) => (await compile(bytes)).run(inputs)));
  return { graphs, results };
}

const wave = (shape: number[]): t.HostTensor =>
  t.f32(
    shape,
    Float32Array.from({ length: t.sizeOf(shape) }, (_, i) => Math.sin(i * 1.7) + 0.1),
  );

describe("graphs written for WebGPU", () => {
  it.each([3, 7, 8, 16, 60])("cut and join %i parts with lengths known only at run time", async (count) => {
    const lengths = Array.from({ length: count }, (_, i) => (i * 5) % 4);
    const rows = lengths.reduce((a, b) => a + b, 0);
    const x = t.input("x", "f32", [rows, 3]);
    const sizes = t.input("sizes", "i64", [count]);
    const parts = t.split(
      x,
      0,
      sizes,
      lengths.map((_, i) => `part${i}`),
    );
    const joined = t.assume(
      t.concat(
        parts.map((part, i) => t.mul(part, i + 1)),
        0,
        sizes,
      ),
      [rows, 3],
    );
    const [gradient] = t.grad(t.sum(t.mul(joined, joined)), [x]);
    const values = wave([rows, 3]);
    const { graphs, results } = await both(
      { joined, gradient: gradient! },
      { x: values, sizes: t.i64([count], lengths) },
    );
    const expected = lengths
      .flatMap((length, part) => new Array<number>(length * 3).fill(part + 1))
      .map((factor, i) => Math.fround(factor * (values.data[i] as number)));
    expect([...(results[1]!["joined"]!.data as Float32Array)]).toEqual(expected);
    expect(results[1]).toEqual(results[0]);
    if (count > 7) expect(graphs[1]!.nodeCount).toBeGreaterThan(graphs[0]!.nodeCount);
  });

  it("computes 1/rms beside the norm, only where it is read", async () => {
    const x = t.input("x", "f32", [5, 8]);
    const w = t.input("w", "f32", [8]);
    const y = t.rmsNorm(x, w, 1e-6);
    const [dx, dw] = t.grad(t.sum(t.mul(y, y)), [x, w]);
    const inputs = { x: wave([5, 8]), w: wave([8]) };
    const { results } = await both({ y, dx: dx!, dw: dw! }, inputs);
    for (const name of ["y", "dx", "dw"]) {
      const [cpu, webgpu] = results.map((result) => result[name]!.data as Float32Array);
      cpu!.forEach((value, i) => expect(webgpu![i]).toBeCloseTo(value, 5));
    }
    expect(t.toOnnx({ y }, { provider: "webgpu" }).nodeCount).toBe(1);
  });
});
