import { describe, expect, test } from "vitest";
import { f32 } from "../tensor/dtype.ts";
import { compile } from "./index.ts";
import { probeModel } from "./probe.ts";

const matmul = probeModel({
  nodes: [{ op: "MatMul", inputs: ["a", "b"], outputs: ["c"] }],
  inputs: [{ name: "a", dtype: "f32", shape: ["M", 3] }, { name: "b", dtype: "f32", shape: [3, 2] }],
  outputs: [{ name: "c", dtype: "f32", shape: ["M", 2] }],
});

describe("runtime", () => {
  test("multiplies matrices", async () => {
    const graph = await compile(matmul, { name: "matmul" });
    expect(graph.inputs).toEqual([{ name: "a", dtype: "f32", shape: ["M", 3] }, { name: "b", dtype: "f32", shape: [3, 2] }]);
    const a = f32([2, 3], [1, 2, 3, 4, 5, 6]);
    const b = f32([3, 2], [1, 2, 3, 4, 5, 6]);
    const { c } = await graph.run({ a, b });
    expect(c).toEqual(f32([2, 2], [22, 28, 49, 64]));
    const out = f32([2, 2], [0, 0, 0, 0]);
    const binding = graph.bind({ a, b }, { c: out });
    expect((await binding.run()).c).toBe(out);
    expect([...out.data]).toEqual([22, 28, 49, 64]);
    a.data[0] = 2;
    binding.runSync();
    expect([...out.data]).toEqual([23, 30, 49, 64]);
    graph.dispose();
  });
});
