import { describe, expect, it } from "vitest";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";
import { reachable } from "../../src/tensor/onnx.ts";
import { rules } from "../../src/tensor/rules.ts";

/** Deterministic values in ±[0.3, 1.3], away from kinks at 0. */
function values(n: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const u = state / 2 ** 32;
    return (u < 0.5 ? -1 : 1) * (0.3 + ((u * 2) % 1));
  });
}

interface Case {
  /** Shapes of the inputs that are differentiated. */
  shapes: number[][];
  build: (inputs: t.Tensor[]) => t.Tensor;
  positive?: boolean;
  /** Checks only every n-th element. */
  sparse?: number;
}

const ids = (shape: number[], data: number[]) => t.constant(t.i64(shape, data));
const cos = t.constant(t.f32([4, 2], [1, 1, 0.54, 0.98, -0.4, 0.93, -0.98, 0.82]));
const sin = t.constant(t.f32([4, 2], [0, 0, 0.84, 0.17, 0.91, 0.34, 0.14, 0.56]));
const positions = ids([2, 3], [0, 1, 3, 2, 0, 1]);

/** Rows that three experts take. */
const experts = [
  [0, 2],
  [0, 1],
  [1, 2],
].map((rows) => ids([2, 1], rows));

const cases: Record<string, Case[]> = {
  neg: [{ shapes: [[3, 2]], build: ([x]) => t.neg(x!) }],
  exp: [{ shapes: [[3, 2]], build: ([x]) => t.exp(x!) }],
  log: [{ shapes: [[3, 2]], build: ([x]) => t.log(x!), positive: true }],
  sqrt: [{ shapes: [[3, 2]], build: ([x]) => t.sqrt(x!), positive: true }],
  reciprocal: [{ shapes: [[3, 2]], build: ([x]) => t.reciprocal(x!), positive: true }],
  abs: [{ shapes: [[3, 2]], build: ([x]) => t.abs(x!) }],
  sigmoid: [{ shapes: [[3, 2]], build: ([x]) => t.sigmoid(x!) }],
  tanh: [{ shapes: [[3, 2]], build: ([x]) => t.tanh(x!) }],
  silu: [{ shapes: [[3, 2]], build: ([x]) => t.silu(x!) }],
  add: [{ shapes: [[3, 2], [2]], build: ([x, y]) => t.add(x!, y!) }],
  sub: [
    {
      shapes: [
        [3, 1],
        [3, 2],
      ],
      build: ([x, y]) => t.sub(x!, y!),
    },
  ],
  mul: [
    {
      shapes: [
        [3, 2],
        [1, 2],
      ],
      build: ([x, y]) => t.mul(x!, y!),
    },
  ],
  div: [{ shapes: [[3, 2], [2]], build: ([x, y]) => t.div(x!, y!), positive: true }],
  maximum: [
    {
      shapes: [
        [3, 2],
        [3, 2],
      ],
      build: ([x, y]) => t.maximum(x!, y!),
    },
  ],
  minimum: [
    {
      shapes: [
        [3, 2],
        [3, 2],
      ],
      build: ([x, y]) => t.minimum(x!, y!),
    },
  ],
  cast: [{ shapes: [[3, 2]], build: ([x]) => t.cast(t.cast(x!, "f64"), "f32") }],
  where: [{ shapes: [[3, 2], [2]], build: ([x, y]) => t.where(t.less(t.iota(2), ids([1], [1])), x!, y!) }],
  expand: [{ shapes: [[3, 1]], build: ([x]) => t.expand(x!, [4, 3, 2]) }],
  expandLike: [
    {
      shapes: [[5, 1]],
      build: ([x]) => t.sum(t.mul(t.expandLike(t.sum(x!), t.nonZero(x!, "n")), t.scalar(0.25))),
    },
  ],
  sum: [
    { shapes: [[3, 2, 4]], build: ([x]) => t.sum(x!, [0, 2]) },
    { shapes: [[3, 4]], build: ([x]) => t.sum(x!, 0) },
  ],
  max: [{ shapes: [[3, 4]], build: ([x]) => t.max(x!, 1) }],
  reshape: [{ shapes: [[3, 4]], build: ([x]) => t.reshape(x!, [2, -1]) }],
  transpose: [{ shapes: [[3, 4, 2]], build: ([x]) => t.transpose(x!, [2, 0, 1]) }],
  concat: [
    {
      shapes: [
        [3, 4],
        [3, 2],
      ],
      build: ([x, y]) => t.concat([x!, y!], 1),
    },
    {
      shapes: [
        [3, 4],
        [1, 4],
      ],
      build: ([x, y]) => t.concat([x!, y!], 0, ids([2], [3, 1])),
    },
  ],
  split: [
    { shapes: [[3, 6]], build: ([x]) => t.split(x!, 1, [2, 4])[1]! },
    {
      shapes: [[5, 2]],
      build: ([x]) => {
        const [a, , c] = t.split(x!, 0, ids([3], [2, 0, 3]), ["a", "b", "c"]);
        return t.add(t.sum(t.mul(a!, a!)), t.sum(t.exp(c!)));
      },
    },
  ],
  assume: [{ shapes: [[3, 2]], build: ([x]) => t.assume(x!, [3, 2]) }],
  slice: [{ shapes: [[3, 6]], build: ([x]) => t.slice(x!, 1, 2, 5) }],
  pad: [{ shapes: [[3, 2]], build: ([x]) => t.pad(x!, 1, 1, 2) }],
  matmul: [false, true].flatMap((transA) =>
    [false, true].flatMap((transB) => [
      {
        shapes: [transA ? [4, 3] : [3, 4], transB ? [2, 4] : [4, 2]],
        build: ([x, y]: t.Tensor[]) => t.matmul(x!, y!, { transA, transB, alpha: 0.5 }),
      },
      {
        shapes: [
          [2, 2, ...(transA ? [4, 3] : [3, 4])],
          [2, ...(transB ? [2, 4] : [4, 2])],
        ],
        build: ([x, y]: t.Tensor[]) => t.matmul(x!, y!, { transA, transB, alpha: 0.5 }),
      },
    ]),
  ),
  gather: [{ shapes: [[5, 3]], build: ([x]) => t.gather(x!, ids([2, 2], [4, 1, 1, 0])) }],
  gatherElements: [
    { shapes: [[2, 4]], build: ([x]) => t.gatherElements(x!, ids([2, 2], [3, 1, 0, 2]), 1, true) },
    { shapes: [[2, 4]], build: ([x]) => t.gatherElements(x!, ids([2, 3], [3, 1, 3, 2, 2, 2]), 1) },
  ],
  topK: [{ shapes: [[3, 5]], build: ([x]) => t.topK(x!, 2).values }],
  softmax: [{ shapes: [[3, 5]], build: ([x]) => t.softmax(x!) }],
  logSoftmax: [{ shapes: [[3, 5]], build: ([x]) => t.logSoftmax(x!) }],
  rmsNorm: [{ shapes: [[3, 2, 4], [4]], build: ([x, w]) => t.rmsNorm(x!, w!, 1e-5) }],
  takeRows: [{ shapes: [[4, 3]], build: ([x]) => t.takeRows(x!, ids([2, 1], [3, 1])) }],
  addRows: [
    {
      shapes: [
        [4, 3],
        [2, 3],
      ],
      build: ([x, rows]) => t.mul(t.addRows(x!, ids([2, 1], [3, 1]), rows!), x!),
    },
  ],
  rope: [true, false].map((interleaved) => ({
    shapes: [[2, 2, 3, 4]],
    build: ([x]) => t.rope(x!, positions, cos, sin, interleaved),
  })),
  custom: [
    {
      shapes: [
        [2, 3, 4, 2],
        [2, 3, 5, 2],
        [2, 3, 5, 3],
      ],
      build: ([q, k, v]) => t.attention(q!, k!, v!, 0.7),
    },
    {
      shapes: [
        [4, 3],
        [6, 3],
      ],
      build: ([h, w]) => t.linearCrossEntropy(h!, w!, ids([4], [5, -1, 0, 2])).loss,
    },
    {
      shapes: [
        [4, 3],
        [6, 3],
      ],
      build: ([h, w]) => t.linearCrossEntropy(h!, w!, ids([4], [5, -1, 0, 2]), { temperature: 0.6 }).nll_X,
    },
    {
      // A function of both results and of h besides: their gradients meet in one scatter.
      shapes: [
        [4, 3],
        [6, 3],
      ],
      build: ([h, w]) => {
        const { loss, nll_X } = t.linearCrossEntropy(h!, w!, ids([4], [5, -1, 0, 2]), { temperature: 1.7 });
        return t.add(t.mul(loss, loss), t.mul(t.exp(t.neg(nll_X)), t.sum(h!, 1)));
      },
    },
    {
      shapes: [
        [2, 3],
        [2, 3],
        [2, 2],
      ].map((s) => [1, 2, 130, s[1]!]),
      build: ([q, k, v]) => t.slice(t.causalAttention(q!, k!, v!, 0.7), 2, 63, 67),
      sparse: 37,
    },
    {
      shapes: [[3, 2]],
      build: ([x]) => {
        const [a, b, c] = t.dispatch(x!, experts);
        return t.concat([t.mul(a!, a!), t.mul(b!, 3), t.exp(c!)], 0);
      },
    },
    {
      shapes: [
        [3, 2],
        [2, 2],
        [2, 2],
        [2, 2],
      ],
      build: ([onto, ...parts]) => {
        const all = t.collect(parts, experts, onto!);
        return t.mul(all, all);
      },
    },
  ],
};

async function check({ shapes, build, positive, sparse = 1 }: Case, seed: number): Promise<void> {
  const inputs = shapes.map((shape, i) => t.input(`x${i}`, "f32", shape));
  const result = build(inputs);
  const size = t.sizeOf(result.shape as number[]);
  const weights = t.constant(t.f32(result.shape as number[], values(size, seed + 99)));
  const loss = t.sum(t.mul(result, weights));
  const gradients = t.grad(loss, inputs);
  const outputs = Object.fromEntries(gradients.map((g, i) => [`d${i}`, g!]));
  const graph = await compile(t.toOnnx({ loss, ...outputs }).bytes);
  const feed = Object.fromEntries(
    shapes.map((shape, i) => {
      const data = values(t.sizeOf(shape), seed + i);
      return [`x${i}`, t.f32(shape, positive ? data.map(Math.abs) : data)];
    }),
  );
  const lossAt = async () => (await graph.run(feed))["loss"]!.data[0] as number;
  const analytic = await graph.run(feed);
  const step = 2 ** -7;
  for (const [i, shape] of shapes.entries()) {
    const data = feed[`x${i}`]!.data as Float32Array;
    expect(analytic[`d${i}`]!.shape).toEqual(shape);
    for (let j = 0; j < data.length; j += sparse) {
      const at = data[j]!;
      data[j] = at + step;
      const up = await lossAt();
      data[j] = at - step;
      const down = await lossAt();
      data[j] = at;
      const numeric = (up - down) / (2 * step);
      const exact = analytic[`d${i}`]!.data[j] as number;
      expect(Math.abs(exact - numeric), `input ${i} element ${j}: ${exact} against ${numeric}`).toBeLessThan(
        3e-3 * Math.max(1, Math.abs(numeric)),
      );
    }
  }
}

describe("every rule agrees with central differences", () => {
  for (const [name, primitive] of rules) {
    if (primitive.grad === undefined) {
      it(`${name} stops gradients`, () => expect(cases[name]).toBeUndefined());
      continue;
    }
    it(name, async () => {
      expect(cases[name], `the rule of ${name} needs a case in this file`).toBeDefined();
      const used = new Set<string>();
      for (const [i, one] of cases[name]!.entries()) {
        const inputs = one.shapes.map((shape, j) => t.input(`x${j}`, "f32", shape));
        for (const node of reachable([one.build(inputs)])) used.add(node.primitive.name);
        await check(one, i + 1);
      }
      expect(used, `a case must use ${name}`).toContain(name);
    });
  }
});
