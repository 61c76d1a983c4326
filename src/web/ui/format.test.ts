import { describe, expect, it } from "vitest";
import { flatten } from "./flatten.ts";
import { ago, bytes, dollars, duration, energy, figure, percent, short } from "./format.ts";

describe("figures as people read them", () => {
  it("shortens counts", () => {
    expect([0, 999, 1_234, 9_437_184, 671e9, 1.5e12, NaN].map((n) => short(n))).toEqual([
      "0",
      "999",
      "1.23 k",
      "9.44 M",
      "671 G",
      "1.5 T",
      "–",
    ]);
    expect(short(999_999)).toBe("1 M");
  });

  it("writes durations in two units", () => {
    expect([0.31, 9.96, 42, 200, 7_500, 270_000, -1].map(duration)).toEqual([
      "0.3 s",
      "10.0 s",
      "42 s",
      "3 min 20 s",
      "2 h 05 min",
      "3 d 3 h",
      "–",
    ]);
  });

  it("writes bytes", () => {
    expect([0, 812, 3_449, 17_773_560, 688e9].map(bytes)).toEqual(["0 B", "812 B", "3.45 kB", "17.8 MB", "688 GB"]);
  });

  it("writes energy and money", () => {
    expect([500, 7_200, 3.6e6, 9e9].map(energy)).toEqual(["500 J", "2 Wh", "1 kWh", "2500 kWh"]);
    expect([0, 0.0042, 0.25, 1.2, 5_576_000].map(dollars)).toEqual([
      "$0.00",
      "$0.0042",
      "$0.25",
      "$1.20",
      "$5,576,000.00",
    ]);
  });

  it("writes curve values and shares", () => {
    expect([2.71828, 0.00012, 12_345.6, 123.45, 0.05, null].map(figure)).toEqual([
      "2.718",
      "1.20e-4",
      "12,346",
      "123.5",
      "0.0500",
      "–",
    ]);
    expect([0.58, 0.021, 0, NaN].map(percent)).toEqual(["58 %", "2.1 %", "0 %", "–"]);
  });

  it("tells how long ago", () => {
    const now = Date.parse("2026-11-23T20:00:00Z");
    expect([10, 300, 7_300].map((s) => ago(now - s * 1_000, now))).toEqual(["just now", "5 min ago", "2 h ago"]);
  });

  it("flattens nested objects to dotted names", () => {
    expect(flatten({ a: 1, b: { c: [1, 2], d: null }, e: [{ f: "x" }] })).toEqual([
      ["a", "1"],
      ["b.c", "1, 2"],
      ["b.d", "null"],
      ["e.0.f", "x"],
    ]);
  });
});
