import { describe, expect, it } from "vitest";
import { bandOf } from "../band.ts";
import { CONSTANTS } from "../constants.ts";
import { TRAITS, type Trait, widthOf } from "../widths.ts";
import { fit } from "./fit.ts";
import { predictSeconds, settle } from "./predict.ts";
import { RESIDUALS } from "./residuals.ts";
import { ROWS } from "./rows.ts";
import { bandModel, type Miss, median } from "./score.ts";

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
    expect(ROWS.length).toBeGreaterThan(120);
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
});

describe("bands", () => {
  const rows = (family: string, size: number, traits: Trait[], count = 40): Miss[] =>
    Array.from({ length: count }, (_, i) => ({ family, miss: size * ((2 * i + 1) / count - 1), traits }));
  it("are as wide as the errors of what is alike", () => {
    const model = bandModel([...rows("a", 0.1, []), ...rows("b", 0.4, ["mixture"])]);
    const of = (traits: Trait[]) => model.high * widthOf(traits, model);
    expect(of([])).toBeGreaterThan(0.07);
    expect(of([])).toBeLessThan(0.1);
    expect(of(["mixture"]) / of([])).toBeGreaterThan(3);
    expect(model.low).toBeCloseTo(-model.high, 1);
  });
  it("follow no single family: a large one counts as the square root of its rows", () => {
    const small = bandModel([...rows("a", 0.5, [], 10), ...rows("b", 0.05, [], 10)]);
    const large = bandModel([...rows("a", 0.5, [], 10), ...rows("b", 0.05, [], 90)]);
    expect(widthOf([], large)).toBeGreaterThan(widthOf([], small) / 2.5);
  });
  it("widen for experts, newer chips, searched layouts and whole runs", () => {
    for (const trait of TRAITS) {
      expect(bandOf([trait]).p90, trait).toBeGreaterThan(bandOf([]).p90);
      expect(bandOf([trait]).p10, trait).toBeLessThan(bandOf([]).p10);
    }
    expect(bandOf(["mixture"]).restsOn).toMatch(/mixtures of experts \d+ of \d+/);
  });
  it("held what they say on families left out, overall and in each slice of ten rows", () => {
    const [all, ...slices] = RESIDUALS.slices;
    expect(all.inside / all.rows).toBeGreaterThan(0.75);
    expect(all.inside / all.rows).toBeLessThan(0.86);
    for (const { name, rows, inside } of slices) if (rows >= 10) expect(inside / rows, name).toBeGreaterThan(0.65);
  });
});
