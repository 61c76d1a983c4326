/** Stages are split by a search that leaves out only what cannot win: the same as trying every split. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../model/config.ts";
import { PRESETS, presetConfig } from "../model/presets.ts";
import { architectureOf } from "./architecture.ts";
import { partition, stageLayers } from "./stages.ts";

/** Every split tried, as the answer must come out; cubic in the number of layers. */
function tried(flops: readonly number[], parts: number, tail: number): number[] {
  const n = flops.length;
  const until = [0];
  for (const f of flops) until.push((until.at(-1) ?? 0) + f);
  const cost = (from: number, to: number, part: number) =>
    (until[to] ?? 0) - (until[from] ?? 0) + (part === parts - 1 ? tail : 0);
  const table = () => Array.from({ length: parts }, () => new Float64Array(n + 1).fill(Infinity));
  const worst = table(),
    squares = table();
  const at = (rows: Float64Array[], p: number, i: number) => rows[p]?.[i] ?? Infinity;
  for (let p = 0; p < parts; p++)
    for (let i = p + 1; i <= n - (parts - 1 - p); i++)
      if (p === 0) worst[0]![i] = cost(0, i, 0);
      else
        for (let j = p; j < i; j++)
          worst[p]![i] = Math.min(at(worst, p, i), Math.max(at(worst, p - 1, j), cost(j, i, p)));
  const limit = at(worst, parts - 1, n) * (1 + 1e-9);
  const from = Array.from({ length: parts }, () => new Int32Array(n + 1));
  for (let p = 0; p < parts; p++)
    for (let i = p + 1; i <= n - (parts - 1 - p); i++)
      for (let j = p === 0 ? 0 : p; j < (p === 0 ? 1 : i); j++) {
        const own = cost(j, i, p);
        if (own > limit) continue;
        const total = own * own + (p === 0 ? 0 : at(squares, p - 1, j));
        if (total < at(squares, p, i)) {
          squares[p]![i] = total;
          from[p]![i] = j;
        }
      }
  const ends: number[] = [];
  for (let p = parts - 1, i = n; p >= 0; i = from[p]?.[i] ?? 0, p--) ends.unshift(i);
  return ends;
}

describe("partition", () => {
  const layer = fc.oneof(fc.constantFrom(1, 2, 3.5), fc.double({ min: 0, max: 10, noNaN: true }));
  it("is what trying every split gives, of ties the same one", () => {
    fc.assert(
      fc.property(
        fc.array(layer, { minLength: 1, maxLength: 24 }),
        fc.nat(30),
        fc.oneof(fc.constant(0), fc.double({ min: 0, max: 60, noNaN: true })),
        (flops, more, tail) => {
          const parts = 1 + (more % flops.length);
          expect(partition(flops, parts, tail)).toEqual(tried(flops, parts, tail));
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each(["deepseek-v3", "llama-3.1-405b", "qwen3-8b"])("cuts %s as before, at every number of stages", (name) => {
    const architecture = architectureOf(presetConfig(name));
    const layers = architecture.layers.flatMap(({ count, ffn }) =>
      Array.from({ length: count }, () => (ffn.kind === "dense" ? 1.7 : 2.9)),
    );
    for (let parts = 1; parts <= Math.min(64, layers.length); parts++)
      expect(partition(layers, parts, 1.3)).toEqual(tried(layers, parts, 1.3));
  });

  it("takes 4,096 layers, also under a head that outweighs them", () => {
    const config = parseConfig({ ...PRESETS["deepseek-v3"]!.config, num_hidden_layers: 4096, vocab_size: 1e9 });
    for (const stages of [1, 7, 256]) {
      const cut = stageLayers(architectureOf(config), stages);
      expect(cut).toHaveLength(stages);
      expect(cut.flatMap(({ runs }) => runs).reduce((a, b) => a + b, 0)).toBe(4096);
      for (const { runs } of cut) expect(runs.reduce((a, b) => a + b, 0)).toBeGreaterThan(0);
    }
  });
});
