import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chipOf } from "./chips.ts";
import { energy, gridOf } from "./energy.ts";
import { lines, owned, PROGRAMME_MULTIPLE, parseCurrency } from "./money.ts";

const h800 = chipOf("h800");

describe("money", () => {
  it("adds an owned machine's parts up", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e3, max: 1e7, noNaN: true }),
        fc.double({ min: 5e3, max: 1e5, noNaN: true }),
        (gpuHours, purchaseUsd) => {
          const own = owned({ chip: h800, gpus: 2048, gpuHours, purchaseUsd });
          expect(Object.values(own.parts).reduce((a, b) => a + b, 0)).toBeCloseTo(own.usd, 3);
          expect(own.usdPerGpuHour).toBeCloseTo(own.usd / gpuHours, 9);
          expect(own.capitalUsd).toBeGreaterThan(2048 * purchaseUsd);
          expect(owned({ chip: h800, gpus: 2048, gpuHours, purchaseUsd, utilization: 0.5 }).usd).toBeGreaterThan(
            own.usd,
          );
        },
      ),
    );
    expect(() => owned({ chip: h800, gpus: 8, gpuHours: 1, purchaseUsd: 1, utilization: 1.2 })).toThrow(
      "utilization above 0 and up to 1, got 1.2",
    );
  });

  it("brings V3's hours on bought H800 near the $2 its authors assume", () => {
    const own = owned({ chip: h800, gpus: 2048, gpuHours: 2.788e6, purchaseUsd: 33_500, country: "CN" });
    expect(own.usdPerGpuHour).toBeGreaterThan(1.4);
    expect(own.usdPerGpuHour).toBeLessThan(2.4);
    expect(own.energy.kwh / 1e6).toBeGreaterThan(2.788 * 0.7);
    expect(own.energy.co2Tonnes).toBeCloseTo((own.energy.kwh * 582) / 1e6, 6);
  });

  it("never shows the run and the programme as one", () => {
    const both = lines({ usd: 5.576e6, p10: 5e6, p90: 6e6 });
    expect(both.finalRun.usd).toBe(5.576e6);
    expect(both.programme.low).toBeCloseTo(5e6 / 0.3);
    expect(both.programme.high).toBeCloseTo(6e7);
    expect(both.programme.usd).toBeCloseTo(5.576e6 * PROGRAMME_MULTIPLE.middle);
    expect(both.programme.sources.length).toBe(2);
    expect(lines({ usd: 1, p10: 1, p90: 1 }, 2).programme.usd).toBe(2);
    expect(() => lines({ usd: 1, p10: 1, p90: 1 }, 0.5)).toThrow("at least 1 final run");
  });

  it("knows grids and currencies, and says which", () => {
    expect(gridOf("cn").gramsCo2PerKwh).toBe(582);
    expect(() => gridOf("XX")).toThrow("expected one of CN, US");
    expect(parseCurrency("cny")).toBe("RMB");
    expect(() => parseCurrency("EUR")).toThrow("expected USD, RMB or KRW, got EUR");
    const clean = energy({ chip: h800, gpuHours: 1000, country: "NO" });
    expect(clean.co2Tonnes).toBeLessThan(energy({ chip: h800, gpuHours: 1000, country: "IN" }).co2Tonnes / 10);
    expect(energy({ chip: h800, gpuHours: 2000, pue: 1 }).kwh).toBeCloseTo(
      2 * energy({ chip: h800, gpuHours: 1000, pue: 1 }).kwh,
    );
  });
});
