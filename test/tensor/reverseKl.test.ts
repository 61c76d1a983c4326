import { expect, it } from "vitest";
import { compile } from "../../src/runtime/index.ts";
import * as t from "../../src/tensor/index.ts";

const [X, D, E, V] = [5, 4, 3, 7];
const wave = (n: number, seed: number, scale = 1) =>
  Float32Array.from({ length: n }, (_, i) => scale * (Math.sin(i * 1.7 + seed) + Math.cos(i * 0.31 - seed)));
const fed = {
  h: t.f32([X, D], wave(X * D, 1)),
  w: t.f32([V, D], wave(V * D, 2)),
  e: t.f32([X, E], wave(X * E, 3)),
  v: t.f32([V, E], wave(V * E, 4)),
};
const TARGETS = [3, 0, -1, 6, 2];
const targets = t.constant(t.i64([X], TARGETS));
const given = () => ({
  h: t.input("h", "f32", [X, D]),
  w: t.input("w", "f32", [V, D]),
  e: t.input("e", "f32", [X, E]),
  v: t.input("v", "f32", [V, E]),
});
const made = ({ h, w, e, v }: ReturnType<typeof given>) =>
  t.linearReverseKl(h, w, { hidden_XE: e, head_VE: v }, targets);

async function run(outputs: Record<string, t.Tensor>, inputs: Record<string, t.HostTensor> = fed) {
  const executable = await compile(t.toOnnx(outputs).bytes);
  const results = await executable.run(inputs);
  executable.dispose();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data, Number)]));
}

/** log softmax(a · bᵀ) of each row in double precision. */
function logProbabilities(a: ArrayLike<number>, b: ArrayLike<number>, width: number): number[][] {
  return Array.from({ length: X }, (_, x) => {
    const z = Array.from({ length: V }, (_, v) => {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += a[x * width + i]! * b[v * width + i]!;
      return sum;
    });
    const log = Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0));
    return z.map((value) => value - log);
  });
}

/** KL(p‖q) of each row in double precision. */
function kls(h: ArrayLike<number>, w: ArrayLike<number>): number[] {
  const q = logProbabilities(fed.e.data, fed.v.data, E);
  return logProbabilities(h, w, D).map((row, x) =>
    row.reduce((sum, log, v) => sum + Math.exp(log) * (log - q[x]![v]!), 0),
  );
}

it("gives each row's KL over the whole vocabulary, its target's log p and its entropy", async () => {
  const { kl_X, logProbability_X, entropy_X } = made(given());
  const measured = await run({ kl: kl_X, log: logProbability_X, entropy: entropy_X });
  const rows = logProbabilities(fed.h.data, fed.w.data, D);
  kls(fed.h.data, fed.w.data).forEach((kl, x) => expect(measured["kl"]![x]).toBeCloseTo(kl, 5));
  TARGETS.forEach((id, x) => expect(measured["log"]![x]).toBeCloseTo(id < 0 ? 0 : rows[x]![id]!, 5));
  rows.forEach((row, x) =>
    expect(measured["entropy"]![x]).toBeCloseTo(
      row.reduce((sum, log) => sum - Math.exp(log) * log, 0),
      5,
    ),
  );
});

it("is 0 where the teacher is the student, without a gradient", async () => {
  const { h, w } = given();
  const { kl_X } = t.linearReverseKl(h, w, { hidden_XE: h, head_VE: w }, targets);
  const [dh, dw] = t.grad(t.sum(kl_X), [h, w]);
  const { kl, ...gradients } = await run({ kl: kl_X, dh: dh!, dw: dw! }, { h: fed.h, w: fed.w });
  for (const value of kl!) expect(Math.abs(value)).toBeLessThan(1e-5);
  for (const values of Object.values(gradients)) for (const value of values) expect(Math.abs(value)).toBeLessThan(1e-6);
});

it("has the gradient of central differences, whatever each row counts", async () => {
  const each = wave(X, 5);
  const inputs = given();
  const loss = t.sum(t.mul(made(inputs).kl_X, t.constant(t.f32([X], each))));
  const [dh, dw, de] = t.grad(loss, [inputs.h, inputs.w, inputs.e]);
  expect(de).toBeUndefined();
  const got = await run({ dh: dh!, dw: dw! });
  const step = 1e-5;
  for (const [name, key] of [
    ["dh", "h"],
    ["dw", "w"],
  ] as const)
    for (const i of fed[key].data.keys()) {
      const at = (delta: number) => {
        const moved = Float64Array.from(fed[key].data);
        moved[i]! += delta;
        const rows = key === "h" ? kls(moved, fed.w.data) : kls(fed.h.data, moved);
        return rows.reduce((sum, kl, x) => sum + kl * each[x]!, 0);
      };
      expect(got[name]![i], `${name} ${i}`).toBeCloseTo((at(step) - at(-step)) / (2 * step), 4);
    }
});

it("refuses by name what it cannot do", () => {
  const { h, w, e, v } = given();
  const { logProbability_X, entropy_X } = made({ h, w, e, v });
  for (const reported of [logProbability_X, entropy_X])
    expect(() => t.grad(t.sum(reported), [h])).toThrow(/linearReverseKl: only the KL has a gradient/);
  const less = t.input("less", "f32", [V - 1, E]);
  expect(() => t.linearReverseKl(h, w, { hidden_XE: e, head_VE: less }, targets)).toThrow(
    /expected the teacher's hidden_XE with X=5 and head_VE with V=7, got \[5, 3\] and \[6, 3\]/,
  );
});
