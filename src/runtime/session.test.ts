import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RuntimeError, ShapeError } from "../errors.ts";
import { DTYPES, type DType, f32, type HostTensor, hostTensor, i64, sizeOf } from "../tensor/dtype.ts";
import { compile, measureGemmPeak, measureMemoryBandwidth, packedWeights, setThreads, threads } from "./index.ts";
import { probeModel } from "./probe.ts";

const port = (name: string, shape: (number | string)[], dtype: DType = "f32") => ({ name, dtype, shape });
const matmul = probeModel({
  nodes: [{ op: "MatMul", inputs: ["a", "b"], outputs: ["c"] }],
  inputs: [port("a", ["M", "K"]), port("b", ["K", "N"])],
  outputs: [port("c", ["M", "N"])],
});
const affine = probeModel({
  nodes: [
    { op: "MatMul", inputs: ["x", "w"], outputs: ["xw"] },
    { op: "Add", inputs: ["xw", "bias"], outputs: ["y"] },
  ],
  inputs: [port("x", ["M", 2])],
  outputs: [port("y", ["M", 200])],
  initializers: { w: { dtype: "f32", shape: [2, 200] }, bias: { dtype: "f32", shape: [200] } },
});
const nonZero = probeModel({
  nodes: [{ op: "NonZero", inputs: ["x"], outputs: ["at"] }],
  inputs: [port("x", ["N"])],
  outputs: [port("at", [1, "K"], "i64")],
});

const naive = (m: number, k: number, n: number, a: ArrayLike<number>, b: ArrayLike<number>): number[] =>
  Array.from({ length: m * n }, (_, at) => {
    let sum = 0;
    for (let i = 0; i < k; i++) sum += a[Math.floor(at / n) * k + i]! * b[i * n + (at % n)]!;
    return sum;
  });

describe("binding", () => {
  test("reads and writes our own memory at every run", async () => {
    const graph = await compile(matmul, { name: "matmul" });
    expect(graph.inputs).toEqual([port("a", ["M", "K"]), port("b", ["K", "N"])]);
    expect(graph.outputs).toEqual([port("c", ["M", "N"])]);
    const a = f32([2, 3], [1, 2, 3, 4, 5, 6]);
    const b = f32([3, 2], [1, 2, 3, 4, 5, 6]);
    expect((await graph.run({ a, b })).c).toEqual(f32([2, 2], [22, 28, 49, 64]));
    const c = f32([2, 2], [0, 0, 0, 0]);
    const binding = graph.bind({ a, b }, { c });
    expect((await binding.run()).c).toBe(c);
    expect([...c.data]).toEqual([22, 28, 49, 64]);
    a.data[0] = 2;
    expect(binding.runSync().c).toBe(c);
    expect([...c.data]).toEqual([23, 30, 49, 64]);
  });

  test("multiplies views into one shared buffer like plain loops do", async () => {
    const graph = await compile(matmul);
    const size = fc.integer({ min: 0, max: 9 });
    await fc.assert(
      fc.asyncProperty(size, size, size, fc.integer({ min: 0, max: 5 }), fc.boolean(), async (m, k, n, gap, shared) => {
        const buffer = new (shared ? SharedArrayBuffer : ArrayBuffer)(4096);
        const all = new Float32Array(buffer).fill(-77);
        const view = (at: number, length: number) => all.subarray(at, at + length).fill(0);
        const a = f32(
          [m, k],
          view(gap, m * k).map((_, i) => (i % 7) - 3),
        );
        const b = f32(
          [k, n],
          view(300 + gap, k * n).map((_, i) => (i % 5) - 2),
        );
        const bInside = f32([k, n], view(300 + gap, k * n));
        bInside.data.set(b.data);
        const c = f32([m, n], view(600 + gap, m * n));
        await graph.run({ a, b: bInside }, { c });
        expect([...c.data].map((x) => x + 0)).toEqual(naive(m, k, n, a.data, b.data).map((x) => x + 0));
        expect(all[600 + gap - 1]).toBe(-77);
        expect(all[600 + gap + m * n]).toBe(-77);
      }),
      { numRuns: 60 },
    );
  });

  test("returns outputs whose shape is known only afterwards, empty ones too", async () => {
    const graph = await compile(nonZero);
    const x = f32([5], [0, 3, 0, 0, 1]);
    const binding = graph.bind({ x });
    const first = (await binding.run()).at!;
    expect(first).toEqual(i64([1, 2], [1, 4]));
    x.data.fill(0);
    expect((await binding.run()).at).toEqual(i64([1, 0], []));
    x.data.fill(1);
    expect(binding.runSync().at).toEqual(i64([1, 5], [0, 1, 2, 3, 4]));
    expect(first).toEqual(i64([1, 2], [1, 4]));
  });

  test.each(Object.keys(DTYPES) as DType[])("carries %s bit by bit", async (dtype) => {
    const shape = [2, 3];
    const model = probeModel({
      nodes: [{ op: "Reshape", inputs: ["x", "shape"], outputs: ["y"] }],
      inputs: [port("x", shape, dtype)],
      outputs: [port("y", [3, 2], dtype)],
      initializers: { shape: i64([2], [3, 2]) },
    });
    const x = hostTensor(dtype, shape);
    const bytes = new Uint8Array(x.data.buffer);
    bytes.forEach((_, i) => (bytes[i] = dtype === "bool" ? i % 2 : (i * 37 + 11) % 120));
    const y = hostTensor(dtype, [3, 2]);
    const graph = await compile(model);
    expect(graph.inputs[0]!.dtype).toBe(dtype);
    await graph.run({ x }, { y });
    expect(y.data).toEqual(x.data);
    expect((await graph.run({ x })).y).toEqual(y);
  });

  test("moves to other buffers and back to fresh outputs", async () => {
    const graph = await compile(matmul);
    const identity = f32([2, 2], [1, 0, 0, 1]);
    const b = f32([2, 2], [1, 2, 3, 4]);
    const c = f32([2, 2], [0, 0, 0, 0]);
    const binding = graph.bind({ a: identity, b }, { c });
    await binding.run();
    const other = f32([2, 2], [0, 0, 0, 0]);
    binding.rebind({ b: f32([2, 2], [5, 6, 7, 8]) }, { c: other });
    await binding.run();
    expect([...c.data, ...other.data]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    binding.rebind({ a: f32([1, 2], [1, 1]) }, { c: null });
    expect((await binding.run()).c).toEqual(f32([1, 2], [12, 14]));
  });

  test("leaves the event loop free, and several runs go on at once", async () => {
    const graph = await compile(matmul);
    const size = 512;
    const ones = f32([size, size], new Float32Array(size * size).fill(1));
    const bindings = [1, 2, 3].map(() => graph.bind({ a: ones, b: ones }, { c: hostTensor("f32", [size, size]) }));
    let ticks = 0;
    const runs = Promise.all(bindings.map((binding) => binding.run()));
    setImmediate(() => ticks++);
    for (const { c } of await runs) expect((c as HostTensor).data.every((x) => x === size)).toBe(true);
    expect(ticks).toBe(1);
  });

  test("refuses buffers that were transferred away", async () => {
    const graph = await compile(matmul, { name: "moved" });
    const a = f32([1, 1], [3]);
    const c = f32([1, 1], [0]);
    const binding = graph.bind({ a, b: f32([1, 1], [2]) }, { c });
    structuredClone(c.data, { transfer: [c.data.buffer as ArrayBuffer] });
    await expect(binding.run()).rejects.toThrow('moved: the buffer bound to "c" was transferred or resized away');
    binding.rebind({}, { c: null });
    expect([...binding.runSync().c!.data]).toEqual([6]);
    structuredClone(a.data, { transfer: [a.data.buffer as ArrayBuffer] });
    expect(() => binding.runSync()).toThrow('moved: the buffer bound to "a" was transferred or resized away');
  });

  test("runs once at a time", async () => {
    const graph = await compile(matmul, { name: "twice" });
    const a = f32([1, 1], [3]);
    const binding = graph.bind({ a, b: a });
    const first = binding.run();
    await expect(binding.run()).rejects.toThrow(
      new RuntimeError("twice: cannot run a binding while it runs; make one binding per concurrent run"),
    );
    expect(() => binding.rebind({ a })).toThrow(/cannot rebind a binding while it runs/);
    expect([...(await first).c!.data]).toEqual([9]);
    expect([...(await binding.run()).c!.data]).toEqual([9]);
  });
});

describe("constants", () => {
  test("are used in place", async () => {
    const w = f32(
      [2, 200],
      Float32Array.from({ length: 400 }, (_, i) => i),
    );
    const bias = f32([200], new Float32Array(200).fill(0.5));
    const graph = await compile(affine, { constants: { w, bias }, disablePrepacking: true, optimization: "none" });
    const x = f32([1, 2], [1, 2]);
    const expected = () => Array.from({ length: 200 }, (_, j) => w.data[j]! + 2 * w.data[200 + j]! + bias.data[j]!);
    expect([...(await graph.run({ x })).y!.data]).toEqual(expected());
    w.data.fill(3);
    bias.data[7] = -100;
    expect([...(await graph.run({ x })).y!.data]).toEqual(expected());
  });

  test("prepacked once serve several graphs, also after one of them is gone", async () => {
    const w = f32(
      [2, 200],
      Float32Array.from({ length: 400 }, (_, i) => i % 13),
    );
    const constants = { w, bias: f32([200], new Float32Array(200).fill(1)) };
    const packed = packedWeights();
    const [first, second] = await Promise.all([1, 2].map(() => compile(affine, { constants, packed })));
    const x = f32([3, 2], [1, 0, 0, 1, 2, -1]);
    const expected = naive(3, 2, 200, x.data, w.data).map((value) => value + 1);
    expect([...(await first!.run({ x })).y!.data]).toEqual(expected);
    first!.dispose();
    expect([...(await second!.run({ x })).y!.data]).toEqual(expected);
  });

  test.each([3, 200])("are shown to graph optimization when it wants to fold them (%i wide)", async (n) => {
    const model = probeModel({
      nodes: [
        { op: "Transpose", inputs: ["w"], outputs: ["wT"] },
        { op: "MatMul", inputs: ["x", "wT"], outputs: ["y"] },
      ],
      inputs: [port("x", [1, n])],
      outputs: [port("y", [1, n])],
      initializers: { w: { dtype: "f32", shape: [n, n] } },
    });
    const w = f32(
      [n, n],
      Float32Array.from({ length: n * n }, (_, i) => (i % 11) - 5),
    );
    const graph = await compile(model, { constants: { w } });
    const x = f32(
      [1, n],
      Float32Array.from({ length: n }, (_, i) => (i % 3) - 1),
    );
    const expected = Array.from({ length: n }, (_, row) =>
      x.data.reduce((sum, value, i) => sum + value * w.data[row * n + i]!, 0),
    );
    expect([...(await graph.run({ x })).y!.data]).toEqual(expected);
  });

  test("that are missing, unknown or of another shape are refused by name", async () => {
    const w = hostTensor("f32", [2, 200]);
    const bias = hostTensor("f32", [200]);
    const given = (constants: Record<string, HostTensor>) => compile(affine, { name: "affine", constants });
    await expect(given({ w })).rejects.toThrow(
      new RuntimeError('affine: expected a constant "bias", which the model declares as external data; got none'),
    );
    await expect(given({ w, bias, v: w })).rejects.toThrow(
      'affine: constant "v": the model has no external initializer of that name',
    );
    await expect(given({ w, bias: w })).rejects.toThrow(
      new ShapeError('affine: constant "bias": expected f32 [200], got f32 [2, 200]'),
    );
  });
});

describe("errors", () => {
  test("name the input or output and both types", async () => {
    const graph = await compile(affine, {
      name: "affine",
      constants: { w: hostTensor("f32", [2, 200]), bias: hostTensor("f32", [200]) },
    });
    expect(() => graph.bind({})).toThrow(new ShapeError('affine: expected input "x", got no inputs'));
    expect(() => graph.bind({ x: f32([1, 3], [1, 2, 3]) })).toThrow(
      new ShapeError('affine: input "x": expected f32 [M, 2], got f32 [1, 3]'),
    );
    expect(() => graph.bind({ x: i64([1, 2], [1, 2]) })).toThrow(
      'affine: input "x": expected f32 [M, 2], got i64 [1, 2]',
    );
    expect(() => graph.bind({ x: f32([2, 2], [1, 2]) })).toThrow(
      'affine: input "x": expected 4 elements for [2, 2], got 2',
    );
    expect(() => graph.bind({ x: { dtype: "f32", shape: [1, 2], data: new Uint8Array(2) } })).toThrow(
      "expected data for f32, got Uint8Array",
    );
    const x = f32([1, 2], [1, 2]);
    expect(() => graph.bind({ x, z: x })).toThrow('affine: input "z": expected one of x');
    expect(() => graph.bind({ x }, { z: x })).toThrow('affine: output "z": expected one of y');
    await expect(graph.run({ x }, { y: hostTensor("f32", [2, 200]) })).rejects.toThrow(
      /affine: node .*\{2,200\}.*\{1,200\}/,
    );
    expect((await graph.run({ x })).y!.shape).toEqual([1, 200]);
  });

  test("in a run name the node", async () => {
    const graph = await compile(matmul, { name: "product" });
    const a = f32([2, 3], [1, 2, 3, 4, 5, 6]);
    await expect(graph.run({ a, b: a })).rejects.toThrow(
      new RuntimeError('product: node "c" (MatMul): MatMul dimension mismatch'),
    );
    expect(() => graph.runSync({ a, b: a })).toThrow('product: node "c" (MatMul): MatMul dimension mismatch');
  });

  test.each([
    ["Frobnicate", "", "f32", /^g: node "layers\.3\.x" \(Frobnicate\): the runtime lacks operator Frobnicate/],
    [
      "Frobnicate",
      "com.microsoft",
      "f32",
      /^g: node "layers\.3\.x" \(Frobnicate\): the runtime lacks operator com\.microsoft\.Frobnicate/,
    ],
    [
      "Erf",
      "",
      "bf16",
      /^g: node "layers\.3\.x" \(Erf\): the runtime lacks operator Erf \(no kernel for these element types\)$/,
    ],
  ] as const)("at compile time name the operator %s (%s) for %s and its node", async (op, domain, dtype, expected) => {
    const inner = {
      nodes: [{ op, domain, inputs: ["a"], outputs: ["c"], name: "layers.3.x" }],
      outputs: [port("c", ["M"], dtype)],
    };
    await expect(compile(probeModel({ ...inner, inputs: [port("a", ["M"], dtype)] }), { name: "g" })).rejects.toThrow(
      expected,
    );
  });

  test("find a nameless message's node inside a subgraph too", async () => {
    const branch = (op: string) => ({
      nodes: [{ op, domain: "com.microsoft", inputs: ["a"], outputs: [`${op}_out`], name: `expert.${op}` }],
      inputs: [],
      outputs: [port(`${op}_out`, ["M"])],
    });
    const model = probeModel({
      nodes: [
        {
          op: "If",
          inputs: ["p"],
          outputs: ["c"],
          attributes: { then_branch: branch("QuickGelu"), else_branch: branch("Nonsense") },
        },
      ],
      inputs: [port("p", [], "bool"), port("a", ["M"])],
      outputs: [port("c", ["M"])],
    });
    await expect(compile(model, { name: "g" })).rejects.toThrow(
      'g: node "expert.Nonsense" (Nonsense): the runtime lacks operator com.microsoft.Nonsense',
    );
  });

  test("refuse what is no model", async () => {
    await expect(compile(Uint8Array.of(1, 2, 3), { name: "g" })).rejects.toThrow(
      new RuntimeError("g: expected an ONNX model, got 3 bytes of something else"),
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), async (bytes) => {
        await expect(compile(bytes)).rejects.toThrow(RuntimeError);
      }),
      { numRuns: 50 },
    );
  });
});

describe("threads", () => {
  test("are fixed once the pool runs", async () => {
    await compile(matmul);
    expect(threads()).toBeGreaterThanOrEqual(1);
    setThreads(threads());
    expect(() => setThreads(threads(), { spin: false })).toThrow(/the pool already runs with/);
    expect(() => setThreads(threads() + 1)).toThrow(/the pool already runs with/);
    expect(() => setThreads(0)).toThrow("threads: expected a whole number from 1 to 1024, got 0");
  });

  test("have a rate", async () => {
    const { flopsPerSec } = await measureGemmPeak({ m: 64, n: 64, k: 64, seconds: 0.01 });
    const { bytesPerSec } = await measureMemoryBandwidth({ elements: 4096, seconds: 0.01 });
    // How large it is, only the machine knows.
    for (const rate of [flopsPerSec, bytesPerSec]) expect(Number.isFinite(rate) && rate > 0).toBe(true);
    expect(sizeOf([64, 64])).toBe(4096);
  });
});
