import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { presetConfig } from "./presets.ts";
import { positionsFrom, ropeFrequencies, ropeTable, softmaxScale } from "./rope.ts";

interface Case {
  inverse: number[];
  attentionFactor: number;
  softmaxScale: number;
}
const fixture = new URL("../../test/fixtures/rope.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, "utf8")) as { cases: Record<string, Case> };

describe("rope", () => {
  it.each(Object.entries(cases))("%s: frequencies, factor and softmax scale are transformers'", (name, expected) => {
    const config = presetConfig(name);
    const { inverse, attentionFactor } = ropeFrequencies(config);
    expect(inverse.length).toBe(expected.inverse.length);
    // to the last bit of f32, one pair in sixty-four aside: at position 30,000 a bit is a thousandth of a radian
    inverse.forEach((value, i) => expect(Math.abs(value / expected.inverse[i]! - 1)).toBeLessThan(2 ** -23));
    expect(inverse.filter((value, i) => value !== expected.inverse[i]).length).toBeLessThanOrEqual(1);
    expect(attentionFactor).toBeCloseTo(expected.attentionFactor, 10);
    expect(softmaxScale(config)).toBeCloseTo(expected.softmaxScale, 10);
  });

  it("turns pair i by position · theta^(-2i/R)", () => {
    const config = presetConfig("deepseek-llm-7b");
    const { cos, sin } = ropeTable(config, positionsFrom(2, 3));
    const half = 64;
    expect(cos.length).toBe(3 * half);
    expect(cos[half]).toBeCloseTo(Math.cos(3), 6);
    expect(sin[half + 32]).toBeCloseTo(Math.sin(3 / 100), 6);
  });
});
