import fc from "fast-check";
import { expect, it } from "vitest";
import { heldoutWindows } from "./heldout.ts";

const targetsOf = (total: number, budget: number, sequence: number): number[] =>
  heldoutWindows(total, budget, sequence).flatMap(({ start, targets }) =>
    Array.from({ length: targets }, (_, i) => start + i),
  );

it("takes every token but the first once when the budget suffices, and wraps nothing around", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 1, max: 700 }), (total, sequence) => {
      expect(targetsOf(total, 4000, sequence)).toEqual(Array.from({ length: Math.max(0, total - 1) }, (_, i) => i + 1));
    }),
  );
});

it("takes the same tokens whatever the sequence length, none twice, no more than the budget, as much as whole blocks allow", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 100_000 }),
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 1, max: 4096 }),
      fc.integer({ min: 1, max: 4096 }),
      (total, budget, a, b) => {
        const targets = targetsOf(total, budget, a);
        expect(targets).toEqual(targetsOf(total, budget, b));
        expect(new Set(targets).size).toBe(targets.length);
        expect(targets.length).toBeLessThanOrEqual(budget);
        expect(targets.length).toBeGreaterThan(Math.min(budget, total - 1) - 1024);
        expect(Math.min(...targets)).toBeGreaterThan(0);
        expect(Math.max(...targets)).toBeLessThan(total);
        for (const window of heldoutWindows(total, budget, a)) expect(window.targets).toBeLessThanOrEqual(a);
      },
    ),
    { numRuns: 60 },
  );
});
