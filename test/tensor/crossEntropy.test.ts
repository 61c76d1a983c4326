import { describe, expect, it } from "vitest";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";

const [X, D, V] = [5, 4, 7];
const wave = (n: number, seed: number, scale = 1) =>
  Float32Array.from({ length: n }, (_, i) => scale * (Math.sin(i * 1.7 + seed) + Math.cos(i * 0.31 - seed)));
const h = t.f32([X, D], wave(X * D, 1));
const w = t.f32([V, D], wave(V * D, 2));
const TARGETS = [3, 0, -1, 6, 2];
const inputs = () => [t.input("h", "f32", [X, D]), t.input("w", "f32", [V, D])] as const;
const targets = t.constant(t.i64([X], TARGETS));

async function run(outputs: Record<string, t.Tensor>): Promise<Record<string, number[]>> {
  const executable = await compile(t.toOnnx(outputs).bytes);
  const results = await executable.run({ h, w });
  executable.dispose();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data, Number)]));
}

/** log softmax(h·wᵀ / T) in double precision. */
function logProbabilities(temperature: number): number[][] {
  return Array.from({ length: X }, (_, x) => {
    const z = Array.from({ length: V }, (_, v) => {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += h.data[x * D + d]! * w.data[v * D + d]!;
      return sum / temperature;
    });
    const log = Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0));
    return z.map((value) => value - log);
  });
}

describe("linearCrossEntropy", () => {
  it.each([1, 0.6, 3])(
    "gives each target's −log p, their mean and every row's entropy at temperature %f",
    async (T) => {
      const { loss, nll_X, entropy_X } = t.linearCrossEntropy(...inputs(), targets, { temperature: T, entropy: true });
      const measured = await run({ loss, nll: nll_X, entropy: entropy_X! });
      const rows = logProbabilities(T);
      const nll = TARGETS.map((target, x) => (target < 0 ? 0 : -rows[x]![target]!));
      nll.forEach((value, x) => expect(measured["nll"]![x]).toBeCloseTo(value, 5));
      expect(measured["loss"]![0]).toBeCloseTo(nll.reduce((a, b) => a + b) / 4, 5);
      rows.forEach((row, x) =>
        expect(measured["entropy"]![x]).toBeCloseTo(
          row.reduce((sum, log) => sum - Math.exp(log) * log, 0),
          5,
        ),
      );
    },
  );

  it("through nll_X, loss and both gives the gradient of the same thing written with logSoftmax", async () => {
    const [hIn, wIn] = inputs();
    const each = t.constant(t.f32([X], wave(X, 3)));
    const combine = (loss: t.Tensor, nll_X: t.Tensor) =>
      t.add(t.mul(loss, t.sum(nll_X)), t.sum(t.mul(t.exp(t.neg(nll_X)), each)));
    const own = t.linearCrossEntropy(hIn, wIn, targets, { temperature: 0.7 });
    const counted = t.constant(
      t.f32(
        [X],
        TARGETS.map((target) => Number(target >= 0)),
      ),
    );
    const columns = t.constant(
      t.i64(
        [X, 1],
        TARGETS.map((target) => Math.max(0, target)),
      ),
    );
    const logits = t.mul(t.matmul(hIn, wIn, { transB: true }), 1 / 0.7);
    const picked = t.reshape(t.gatherElements(t.logSoftmax(logits), columns, 1, true), [X]);
    const plainNll = t.mul(t.neg(picked), counted);
    const plain = combine(t.div(t.sum(plainNll), 4), plainNll);
    const [dh, dw] = t.grad(combine(own.loss, own.nll_X), [hIn, wIn]);
    const [dhPlain, dwPlain] = t.grad(plain, [hIn, wIn]);
    const got = await run({ dh: dh!, dw: dw!, dhPlain: dhPlain!, dwPlain: dwPlain! });
    for (const name of ["dh", "dw"]) {
      const expected = got[`${name}Plain`]!;
      const largest = Math.max(...expected.map(Math.abs));
      got[name]!.forEach((value, i) =>
        expect(Math.abs(value - expected[i]!) / largest, `${name} ${i}`).toBeLessThan(1e-6),
      );
    }
  });

  it("writes the wide matrix three times, whatever flows back", () => {
    const [hIn, wIn] = inputs();
    const { loss, nll_X, entropy_X } = t.linearCrossEntropy(hIn, wIn, targets, { temperature: 0.7, entropy: true });
    const gradients = t.grad(t.add(t.mul(loss, 0.3), t.sum(t.exp(t.neg(nll_X)))), [hIn, wIn]);
    const wide = t
      .reachable([...gradients.map((gradient) => gradient!), entropy_X!])
      .filter(
        ({ primitive, outputs }) => primitive.name !== "reshape" && t.sizeOf(outputs[0]!.shape as number[]) === X * V,
      );
    expect(wide.map(({ primitive }) => primitive.name).sort()).toEqual(["matmul", "scatterElements", "softmax"]);
  });

  it("keeps the wide operand of the gradient's products within ±1, however much a row counts", async () => {
    const [hIn, wIn] = inputs();
    const seen: t.Tensor[] = [];
    const products: t.HeadProducts = {
      toInput: (d_XV, w_VD) => (seen.push(d_XV), t.matmul(d_XV, w_VD)),
      toWeight: (d_XV, h_XD) => (seen.push(d_XV), t.matmul(d_XV, h_XD, { transA: true })),
    };
    const { loss, nll_X } = t.linearCrossEntropy(hIn, wIn, targets, { products, temperature: 0.01 });
    const each = t.constant(t.f32([X], wave(X, 3, 1000)));
    const [dh, dw] = t.grad(t.add(t.mul(loss, 50), t.sum(t.mul(nll_X, each))), [hIn, wIn]);
    const got = await run({ dh: dh!, dw: dw!, toInput: seen[0]!, toWeight: seen[1]! });
    for (const name of ["toInput", "toWeight"]) expect(Math.max(...got[name]!.map(Math.abs))).toBeLessThanOrEqual(1);
    expect(Math.max(...got["dh"]!.map(Math.abs))).toBeGreaterThan(1000);
  });

  it("refuses by name what it cannot do", () => {
    const [hIn, wIn] = inputs();
    const { entropy_X } = t.linearCrossEntropy(hIn, wIn, targets, { entropy: true });
    expect(() => t.grad(t.sum(entropy_X!), [hIn])).toThrow(/linearCrossEntropy: the entropy .* has no gradient/);
    expect(() => t.linearCrossEntropy(hIn, wIn, targets, { temperature: 0 })).toThrow(/a temperature over 0, got 0/);
    expect(() => t.linearCrossEntropy(hIn, wIn, t.constant(t.i64([2], [0, 1])))).toThrow(/i64 target_X with X=5/);
  });
});
