import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CLAIMS, claimOf } from "../claims/index.ts";
import { claimConfig, parseClaim, phaseHours, phaseStretches } from "./claim.ts";

const small = {
  name: "mine",
  who: "us",
  date: "2025-03",
  model: "qwen3-8b",
  tokens: "36T",
  chip: "h100",
  gpus: 1024,
  phases: [{ name: "pre-training", days: 30 }],
  usdPerGpuHour: 2.5,
};

describe("a claim", () => {
  it("is read from ten lines, numbers with their suffix", () => {
    const claim = parseClaim(small);
    expect(claim.tokens).toBe(36e12);
    expect(claim.precision).toBe("bf16");
    expect(phaseHours(claim, claim.phases[0]!)).toBe(30 * 24 * 1024);
    expect(phaseStretches(claim, claim.phases[0]!)).toEqual([{ tokens: 36e12, sequence: 4096 }]);
    const money = parseClaim({ ...small, gpus: undefined, phases: [{ name: "all", usd: "$5.5M" }] });
    expect(phaseHours(money, money.phases[0]!)).toBe(2.2e6);
    expect(claimConfig(parseClaim(small)).model_type).toBe("qwen3");
  });

  it("keeps every number through its written forms", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 ** 12 }), (n) => {
        for (const text of [n, String(n), n.toLocaleString("en-US"), `$${n}`])
          expect(parseClaim({ ...small, tokens: text }).tokens).toBe(n);
        expect(parseClaim({ ...small, tokens: `${n}K` }).tokens).toBe(n * 1e3);
      }),
      { numRuns: 50 },
    );
  });

  it("lists all faults at once", () => {
    const bad = () =>
      parseClaim(
        {
          ...small,
          date: "soon",
          tokens: "many",
          chips: 3,
          phases: [{ name: "a" }, { name: "b", gpuHours: -1, colour: "red" }],
        },
        "mine.json",
      );
    expect(bad).toThrow("mine.json: 5 faults");
    expect(bad).toThrow('date: expected a date such as "2024-12-27", got "soon"');
    expect(bad).toThrow(/tokens: expected a positive number .*, got "many"/);
    expect(bad).toThrow("chips: expected no such field, got 3");
    expect(bad).toThrow('phases.1.colour: expected no such field, got "red"');
    expect(() => parseClaim({ ...small, phases: [{ name: "a" }] })).toThrow(
      "claim: phases.0: expected gpuHours, hours, days or usd, got none",
    );
    expect(() => parseClaim({ ...small, gpus: undefined })).toThrow(
      "phases.0: expected gpuHours, or gpus to multiply the time by, got neither",
    );
    expect(() => parseClaim([])).toThrow("claim: expected an object, got []");
  });

  it("ships four, all readable", () => {
    for (const name of Object.keys(CLAIMS)) expect(claimOf(name).sources.length, name).toBeGreaterThan(0);
    expect(() => claimOf("gpt-5")).toThrow("claim: expected one of deepseek-v3");
  });
});
