import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { f32, type HostTensor, hostTensor } from "../tensor/dtype.ts";
import { compile } from "./index.ts";
import { type Ort, ort } from "./ort.ts";
import { probeModel } from "./probe.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const port = (name: string) => ({ name, dtype: "f32" as const, shape: ["M", "N"] });
const sum = probeModel({
  nodes: [{ op: "Add", inputs: ["a", "b"], outputs: ["c"] }],
  inputs: [port("a"), port("b")],
  outputs: [port("c")],
});

/** Counts the calls of some API functions while `during` runs. */
async function counting<K extends keyof Ort>(
  names: readonly K[],
  during: (count: Record<K, number>) => Promise<void>,
): Promise<Record<K, number>> {
  const api = ort();
  const original = { ...api };
  const count = Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
  for (const name of names)
    api[name] = Object.assign((...args: Parameters<Ort[K]>) => (count[name]++, original[name](...args)), {
      async: original[name].async,
    }) as Ort[K];
  try {
    await during(count);
  } finally {
    Object.assign(api, original);
  }
  return count;
}

async function collectUntil(done: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !done(); i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("thousands of runs with fresh outputs do not grow the process", async () => {
  const graph = await compile(sum);
  const a = hostTensor("f32", [256, 256]);
  const binding = graph.bind({ a, b: a });
  const spend = async (runs: number) => {
    for (let i = 0; i < runs; i++) {
      if (i % 2) binding.runSync();
      else await binding.run();
      if (i % 100 === 0) collect();
    }
    return process.memoryUsage().rss;
  };
  const before = await spend(1000);
  const after = await spend(4000); // one leaked output a run would be 1 GB
  expect(after - before).toBeLessThan(150e6);
});

test("every native value is released, after errors too", async () => {
  // What the test before left to the collector must not be counted here.
  await collectUntil(() => false);
  const graph = await compile(sum);
  const count = await counting(
    ["CreateTensorWithDataAsOrtValue", "ReleaseValue", "GetTensorTypeAndShape", "ReleaseTensorTypeAndShapeInfo"],
    async () => {
      const a = hostTensor("f32", [2, 2]);
      for (let i = 0; i < 50; i++) {
        await graph.run({ a, b: a }, { c: hostTensor("f32", [2, 2]) });
        const binding = graph.bind({ a, b: a });
        binding.rebind({ a: hostTensor("f32", [2, 2]) }, { c: hostTensor("f32", [2, 2]) });
        const running = binding.run();
        binding.dispose();
        await running;
        expect(() => graph.bind({ a, b: f32([1], [1]) })).toThrow();
        await expect(graph.run({ a, b: hostTensor("f32", [2, 3]) })).rejects.toThrow();
      }
      await graph.run({ a, b: a });
    },
  );
  // 3 + (2 + 2) + 1 + 2 values over our memory each time; the last run adds 2 of those and one that is not ours.
  expect(count).toEqual({
    CreateTensorWithDataAsOrtValue: 502,
    ReleaseValue: 503,
    GetTensorTypeAndShape: 1,
    ReleaseTensorTypeAndShapeInfo: 1,
  });
});

test("graphs and bindings that nobody holds are released by the garbage collector", async () => {
  const count = await counting(["ReleaseSession", "ReleaseValue"], async (count) => {
    const drop = async () => {
      for (let i = 0; i < 10; i++) {
        const a = hostTensor("f32", [1, 1]);
        await (await compile(sum)).bind({ a, b: a }).run();
      }
    };
    await drop();
    await collectUntil(() => count.ReleaseSession >= 9 && count.ReleaseValue >= 28);
  });
  expect(count.ReleaseSession).toBeGreaterThanOrEqual(9); // the last may still be on the stack
  expect(count.ReleaseValue).toBeGreaterThanOrEqual(28);
});

test("a binding holds its buffers and its graph", async () => {
  const make = async () => {
    const graph = await compile(sum);
    const fill = (value: number): HostTensor => f32([64, 64], new Float32Array(4096).fill(value));
    return graph.bind({ a: fill(1), b: fill(2) }, { c: fill(0) });
  };
  const bindings = await Promise.all(Array.from({ length: 20 }, make));
  for (let round = 0; round < 5; round++) {
    collect();
    const rubbish = Array.from({ length: 50 }, () => new Float32Array(4096).fill(9));
    const runs = bindings.map((binding) => binding.run());
    collect();
    for (const { c } of await Promise.all(runs)) expect(c!.data.every((x) => x === 3)).toBe(true);
    expect(rubbish.length).toBe(50);
  }
});

test("a disposed graph finishes its runs and takes no more", async () => {
  const graph = await compile(sum, { name: "gone" });
  const a = f32([1, 1], [4]);
  const binding = graph.bind({ a, b: a });
  const count = await counting(["ReleaseSession"], async (count) => {
    const running = binding.run();
    graph.dispose();
    graph.dispose();
    expect(count.ReleaseSession).toBe(0);
    expect([...(await running).c!.data]).toEqual([8]);
  });
  expect(count.ReleaseSession).toBe(1);
  await expect(binding.run()).rejects.toThrow("gone: expected a live graph, got one that was disposed");
  expect(() => graph.bind({ a, b: a })).toThrow("gone: expected a live graph, got one that was disposed");
});

test("a packed constant is let go of, and its memory read no more", async () => {
  const matrix = f32(
    [8, 8],
    Float32Array.from({ length: 64 }, (_, i) => (i % 7) - 3),
  );
  const bias = f32([8], new Float32Array(8).fill(2));
  const graph = await compile(
    probeModel({
      nodes: [{ op: "Gemm", inputs: ["x", "w", "b"], outputs: ["y"], attributes: { transB: 1 } }],
      inputs: [{ name: "x", dtype: "f32", shape: ["M", 8] }],
      outputs: [{ name: "y", dtype: "f32", shape: ["M", 8] }],
      initializers: { w: { dtype: "f32", shape: [8, 8] }, b: { dtype: "f32", shape: [8] } },
    }),
    { constants: { w: matrix, b: bias } },
  );
  const x = (rows: number) => ({ x: f32([rows, 8], new Float32Array(8 * rows).fill(0.5)) });
  const before = [1, 2, 40].map((rows) => graph.runSync(x(rows)).y!);
  const count = await counting(["ReleaseValue"], async () => {
    graph.release(["w", "none of its"]);
    graph.release(["w"]);
  });
  expect(count.ReleaseValue).toBe(1);
  matrix.data.fill(NaN);
  expect([1, 2, 40].map((rows) => graph.runSync(x(rows)).y!)).toEqual(before);
  const rest = await counting(["ReleaseValue"], async () => graph.dispose());
  expect(rest.ReleaseValue).toBe(1); // the bias
});
