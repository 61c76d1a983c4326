import fc from "fast-check";
import { expect, test } from "vitest";
import { SAMPLING_DEFAULTS, type Sampling } from "./engine.ts";
import { random } from "./random.ts";
import { argmax, logSumExp, Sampler, scoresOf, topLogprobs } from "./sampling.ts";

const sampling = (options: Partial<Sampling>): Sampling => ({ ...SAMPLING_DEFAULTS, seed: 1, ...options });
const draws = (logits: number[], n: number, options: Partial<Sampling>): number[] => {
  const sampler = new Sampler(sampling(options));
  const scores = scoresOf(Float32Array.from(logits), logits.length, [options.temperature ?? 1]);
  return Array.from({ length: n }, () => sampler.next(scores, 0, logits.length));
};
const shares = (ids: number[], size: number): number[] =>
  Array.from({ length: size }, (_, id) => ids.filter((x) => x === id).length / ids.length);
const LOGITS = [0.5, 0.25, 0.15, 0.1].map(Math.log);

test("temperature 0 takes the first of the likeliest", () => {
  expect(draws([1, 3, 3, 2], 3, { temperature: 0 })).toEqual([1, 1, 1]);
});

test("draws follow the softmax of logits over temperature", () => {
  const close = (got: number[], want: number[]): void =>
    got.forEach((p, i) => expect(Math.abs(p - want[i]!)).toBeLessThan(0.015));
  close(shares(draws(LOGITS, 20_000, {}), 4), [0.5, 0.25, 0.15, 0.1]);
  const squares = [0.25, 0.0625, 0.0225, 0.01].map((x) => x / 0.345);
  close(shares(draws(LOGITS, 20_000, { temperature: 0.5 }), 4), squares);
  close(shares(draws(LOGITS, 20_000, { topK: 2 }), 4), [2 / 3, 1 / 3, 0, 0]);
  close(shares(draws(LOGITS, 20_000, { topP: 0.8 }), 4), [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0]);
  close(shares(draws(LOGITS, 20_000, { minP: 0.4 }), 4), [2 / 3, 1 / 3, 0, 0]);
  // top-p counts within what top-k left: 0.5/0.75 < 0.7 needs both, 0.6 needs one
  close(shares(draws(LOGITS, 20_000, { topK: 2, topP: 0.7 }), 4), [2 / 3, 1 / 3, 0, 0]);
  close(shares(draws(LOGITS, 100, { topK: 2, topP: 0.6 }), 4), [1, 0, 0, 0]);
});

test("top-p keeps the smallest sufficient set, also of many tokens", () => {
  const weights = fc.array(fc.double({ min: 0.001, max: 1, noNaN: true }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(weights, fc.double({ min: 0, max: 0.99, noNaN: true }), fc.integer(), (w, topP, seed) => {
      const total = w.reduce((a, b) => a + b);
      const order = w
        .map((_, i) => i)
        .sort((a, b) => Math.fround(Math.log(w[b]!)) - Math.fround(Math.log(w[a]!)) || a - b);
      const kept = new Set<number>();
      let mass = 0;
      for (const id of order) {
        if (kept.size > 0 && mass >= topP * total + 1e-5) break;
        kept.add(id);
        mass += w[id]!;
      }
      for (const id of draws(w.map(Math.log), 20, { topP, seed })) expect(kept.has(id)).toBe(true);
    }),
  );
});

test("the same seed draws the same tokens, another seed others", () => {
  const flat = new Array(50).fill(0);
  expect(draws(flat, 30, { seed: 7 })).toEqual(draws(flat, 30, { seed: 7 }));
  expect(draws(flat, 30, { seed: 7 })).not.toEqual(draws(flat, 30, { seed: 8 }));
  expect(draws(flat, 30, { seed: 7 })).not.toEqual(draws(flat, 30, { seed: 7 + 2 ** 32 }));
});

test("penalties lower what was drawn, bias moves what it names", () => {
  expect(draws([2, 1.5, 0], 4, { temperature: 0, frequencyPenalty: 0.4 })).toEqual([0, 0, 1, 0]);
  expect(draws([2, 1.5, 0], 4, { temperature: 0, presencePenalty: 1 })).toEqual([0, 1, 0, 0]);
  expect(draws([2, 1.5, 0], 2, { temperature: 0, logitBias: new Map([[2, 5]]) })).toEqual([2, 2]);
  expect(draws([2, 1.5, 0], 50, { logitBias: new Map([[0, -100]]) })).not.toContain(0);
});

test("repeating is penalized in the prompt and the answer, by the sign of the logit", () => {
  const scores = scoresOf(Float32Array.from([2, 1.5, -1, -1.1]), 4, [1]);
  const sampler = new Sampler(sampling({ temperature: 0, repetitionPenalty: 1.5 }), [0]);
  // 2 / 1.5 = 1.33 < 1.5; then 1.5 / 1.5 = 1; a negative logit sinks: -1 · 1.5 < -1.1
  expect([1, 2, 3].map(() => sampler.next(scores, 0, 4))).toEqual([1, 0, 0]);
  const other = new Sampler(sampling({ temperature: 0, repetitionPenalty: 1.5 }), [0, 1, 2]);
  expect(other.next(scoresOf(Float32Array.from([-9, -9, -1, -1.1]), 4, [1]), 0, 4)).toBe(3);
});

test("only what is allowed is drawn, by any sampling, in its own proportions", () => {
  const bits = (...ids: number[]): Uint32Array => {
    const out = new Uint32Array(2);
    for (const id of ids) out[id >> 5]! |= 1 << (id % 32);
    return out;
  };
  const options = fc.record({
    temperature: fc.constantFrom(0, 0.7, 1, 2),
    topP: fc.constantFrom(1, 0.5, 0.01),
    topK: fc.constantFrom(0, 1, 5),
    minP: fc.constantFrom(0, 0.5),
    seed: fc.nat(),
  });
  const some = fc.uniqueArray(fc.integer({ min: 0, max: 39 }), { minLength: 1 });
  fc.assert(
    fc.property(
      some,
      options,
      fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 40, maxLength: 40 }),
      (ids, how, logits) => {
        const sampler = new Sampler(sampling(how));
        const scores = scoresOf(Float32Array.from(logits), 40, [how.temperature]);
        for (let i = 0; i < 5; i++) expect(ids).toContain(sampler.next(scores, 0, 40, bits(...ids)));
      },
    ),
  );
  const sampler = new Sampler(sampling({}));
  const scores = scoresOf(Float32Array.from(LOGITS), 4, [1]);
  const drawn = Array.from({ length: 20_000 }, () => sampler.next(scores, 0, 4, bits(1, 3)));
  expect(Math.abs(drawn.filter((id) => id === 1).length / 20_000 - 0.25 / 0.35)).toBeLessThan(0.015);
  expect(() => sampler.next(scores, 0, 4, bits(33))).toThrow(/finite/);
});

test("log probabilities are those of the model, best first", () => {
  const logits = Float32Array.from(LOGITS);
  expect(logSumExp(logits)).toBeCloseTo(0, 6);
  expect(topLogprobs(logits, 2)).toEqual([
    { id: 0, logprob: expect.closeTo(Math.log(0.5), 6) },
    { id: 1, logprob: expect.closeTo(Math.log(0.25), 6) },
  ]);
  expect(topLogprobs(logits, 0)).toEqual([]);
  expect(topLogprobs(Float32Array.from([1, 2, 2, 1]), 3).map((t) => t.id)).toEqual([1, 2, 0]);
  expect(topLogprobs(Float32Array.from([0, -Infinity]), 2)[1]!.logprob).toBe(-9999);
});

test("broken logits are refused", () => {
  expect(() => argmax(Float32Array.from([1, NaN]))).toThrow(/logit 1 of 2 is NaN/);
  expect(() => draws([NaN, 1], 1, { temperature: 1 })).toThrow(/NaN/);
  expect(() => argmax(Float32Array.from([-Infinity, -Infinity]))).toThrow(/finite/);
});

test("random numbers are uniform, in [0, 1), and fixed for all time", () => {
  const next = random(42);
  const numbers = Array.from({ length: 10_000 }, next);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  expect(numbers.reduce((a, b) => a + b) / numbers.length).toBeCloseTo(0.5, 1);
  expect(numbers.slice(0, 3)).toMatchInlineSnapshot(`
    [
      0.20077849872681597,
      0.35368908575939473,
      0.11077780844264995,
    ]
  `);
});
