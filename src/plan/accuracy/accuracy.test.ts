import { describe, expect, it } from "vitest";
import { CONSTANTS } from "../constants.ts";
import { fit } from "./fit.ts";
import { predictSeconds, settle } from "./predict.ts";
import { RESIDUALS } from "./residuals.ts";
import { ROWS } from "./rows.ts";
import { bandOf, median } from "./score.ts";

const fixed = ROWS.filter(
  ({ fixed }) => fixed.microBatch !== undefined && fixed.dp !== undefined && fixed.tp !== undefined,
);
const settled = settle(fixed, CONSTANTS);
const errors = (family: string) =>
  settled
    .filter(({ row }) => row.family === family && !row.apart)
    .map((s) => Math.abs(predictSeconds(s, CONSTANTS) / s.row.stepSeconds - 1));

describe("published rows", () => {
  it("all have a source, a positive time and an id of their own", () => {
    expect(new Set(ROWS.map(({ id }) => id)).size).toBe(ROWS.length);
    expect(ROWS.length).toBeGreaterThan(80);
    for (const { source, stepSeconds } of ROWS) {
      expect(source.title).not.toBe("");
      expect(stepSeconds).toBeGreaterThan(0.1);
    }
  });
  it("turn hours into seconds a step: DeepSeek-V3's hours are its step times its steps", () => {
    const v3 = ROWS.find(({ id }) => id === "DeepSeek-V3")!;
    expect(v3.stepSeconds).toBeCloseTo((2664000 * 3600) / 2048 / (14.8e12 / (15360 * 4096)), 6);
    expect(Math.abs(v3.stepSeconds / 19.926 - 1)).toBeLessThan(0.002);
  });
  // Quick figures with the constants that ship; the scoreboard itself leaves families out.
  it.each([
    ["Megatron-LM 2021", 0.04],
    ["Korthikanti 2022", 0.07],
    ["torchtitan", 0.09],
    ["Pythia", 0.09],
    ["DeepSeek-V3", 0.05],
  ])("%s: median error at most %d", (family, most) => {
    expect(errors(family).length).toBeGreaterThan(1);
    expect(median(errors(family))).toBeLessThan(most);
  });
});

describe("the fit", () => {
  it("finds the constants that made the rows", () => {
    const truth = { ...CONSTANTS, productShare: 0.8, linkShare: 0.6 };
    const made = settled
      .filter(({ row }) => row.family === "Korthikanti 2022" && (row.fixed.pp ?? 1) <= 8)
      .map((s) => ({ ...s, row: { ...s.row, whole: undefined, stepSeconds: predictSeconds(s, truth) } }));
    const found = fit(made, { start: CONSTANTS, vary: ["productShare", "linkShare"], iterations: 8 });
    expect(found.productShare).toBeCloseTo(0.8, 1);
    expect(Math.abs(found.linkShare - 0.6)).toBeLessThan(Math.abs(CONSTANTS.linkShare - 0.6));
    expect(median(made.map((s) => Math.abs(predictSeconds(s, found) / s.row.stepSeconds - 1)))).toBeLessThan(0.03);
  });
  it("bands weigh families alike and hold the middle", () => {
    const many = Array.from({ length: 90 }, (_, i) => ({ family: "a", ratio: 1 + i / 10000 })),
      few = Array.from({ length: 10 }, (_, i) => ({ family: "b", ratio: 0.5 + i / 10 }));
    const { p10, p90 } = bandOf([...many, ...few]);
    expect(p10).toBeLessThan(0.8);
    expect(p90).toBeGreaterThan(1.1);
    expect(RESIDUALS.p10).toBeLessThan(1);
    expect(RESIDUALS.p90).toBeGreaterThan(1);
  });
});
