import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";

it("computes a weight's gradient before the backward pass goes on to the layers below", async () => {
  const [depth, X, D] = [6, 4, 8];
  const weights = Array.from({ length: depth }, (_, i) => t.parameter(`w${i}`, [D, D]));
  let x = t.input("x", "f32", [X, D]);
  weights.forEach((w, i) => (x = t.scope(`layer${i}`, () => t.tanh(t.matmul(x, w)))));
  const gradients = t.grad(t.mean(x), weights);
  const onnx = t.toOnnx(Object.fromEntries(gradients.map((g, i) => [`d w${i}`, g!])));
  const folder = mkdtempSync(join(tmpdir(), "sumbi-order-"));
  try {
    const graph = await compile(onnx.bytes, { trace: join(folder, "trace") });
    const values = (shape: number[]) =>
      t.f32(
        shape,
        Float32Array.from({ length: t.sizeOf(shape) }, (_, i) => Math.sin(i)),
      );
    await graph.run(
      Object.fromEntries(Object.entries(onnx.inputs).map(([name, { shape }]) => [name, values(shape as number[])])),
    );
    graph.dispose();
    const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), "utf8")) as {
      name: string;
      ts: number;
      args?: { op_name?: string };
    }[];
    const products = events
      .filter((e) => e.name.endsWith("_kernel_time") && e.name.startsWith("grad/") && e.args?.op_name === "Gemm")
      .sort((a, b) => a.ts - b.ts);
    // Each layer but the lowest has two products, towards its weight and towards the layer below; a layer's are done before the next one's.
    expect(products.map((e) => Number(/layer(\d)/.exec(e.name)![1]))).toEqual([5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
