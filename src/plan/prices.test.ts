import { describe, expect, it } from "vitest";
import { CHIPS, chipOf } from "./chips.ts";
import { exchangeRate, fromUsd, PURCHASE_PRICES, purchasePrice, RENTAL_PRICES, rentalRate, toUsd } from "./prices.ts";

describe("prices", () => {
  it("takes DeepSeek's $2 for the H800", () => {
    const rate = rentalRate(chipOf("h800"));
    expect(rate.usdPerGpuHour).toBe(2);
    expect(rate.high).toBeCloseTo(27.5 / 7.1726, 6);
    expect(rate.sources[0]!.title).toMatch(/DeepSeek-V3/);
  });

  it("keeps the default inside its band, for every chip, with sources", () => {
    for (const chip of Object.values(CHIPS)) {
      const { usdPerGpuHour, low, high, sources } = rentalRate(chip);
      expect(usdPerGpuHour, chip.id).toBeGreaterThanOrEqual(low * (1 - 1e-9));
      expect(usdPerGpuHour, chip.id).toBeLessThanOrEqual(high * (1 + 1e-9));
      expect(sources.length, chip.id).toBeGreaterThan(0);
    }
    for (const { chip, low, high } of [...RENTAL_PRICES, ...PURCHASE_PRICES]) {
      expect(CHIPS, chip).toHaveProperty(chip);
      expect(low).toBeLessThanOrEqual(high);
    }
  });

  it("chooses by provider and by date", () => {
    const h100 = chipOf("h100");
    expect(rentalRate(h100).usdPerGpuHour).toBeCloseTo(Math.sqrt(2.5 * 3.5), 9);
    expect(rentalRate(h100, { provider: "hyperscaler", date: "2025-03" }).high).toBe(12.29);
    expect(rentalRate(h100, { provider: "marketplace" }).low).toBe(1.99);
    expect(() => rentalRate(chipOf("gb200"), { provider: "own" })).toThrow("known: neocloud");
  });

  it("says when a price is a guess", () => {
    const rate = rentalRate(chipOf("l20"));
    expect(rate.says).toMatch(/guessed/);
    expect(rate.high / rate.low).toBeCloseTo(4, 9);
  });

  it("converts by the rate nearest in time", () => {
    expect(exchangeRate("RMB", "2023-06").perUsd).toBe(7.0809);
    expect(exchangeRate("KRW").perUsd).toBe(1422.16);
    expect(toUsd(fromUsd(5.576e6, "RMB", "2024-12-27"), "RMB", "2024-12-27")).toBeCloseTo(5.576e6, 3);
    expect(toUsd(7, "USD")).toBe(7);
    expect(() => exchangeRate("RMB", "soon")).toThrow("expected YYYY");
  });

  it("knows a few purchase prices, and not the others", () => {
    expect(purchasePrice(chipOf("h100"))).toMatchObject({ low: 31_000, high: 36_000 });
    expect(purchasePrice(chipOf("tpu-v5p"))).toBeUndefined();
  });
});
