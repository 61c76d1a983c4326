import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { physicsFaults } from "./chips/physics.ts";
import {
  CHIP_FACTS,
  CHIPS,
  chipOf,
  factsOf,
  parseChip,
  performanceDensity,
  totalProcessingPerformance,
} from "./chips.ts";
import { clusterOf, networkSource } from "./cluster.ts";

/** TPP and density as published tables compute them. */
const PERFORMANCE: [id: string, tpp: number, density: number | undefined][] = [
  ["a100-80", 4992, 6.04],
  ["a800", 4992, 6.04],
  ["h100", 15_832, 19.45],
  ["h100-pcie", 12_104, 14.87],
  ["h800", 15_832, 19.45],
  ["h20", 2368, 2.91],
  ["h200", 15_832, 19.45],
  ["b200", 36_000, 22.1],
  ["gb200", 40_000, 24.6],
  ["l40s", 5864, 9.63],
  ["l20", 1912, 3.14],
  ["rtx-4090", 5285, 8.68],
  ["rtx-4090d", 4707, 7.73],
  ["rtx-5090", 6704, 8.94],
  ["rtx-5090d", 4750, 6.33],
  ["mi300x", 20_919, 20.6],
  ["mi325x", 20_919, 20.6],
  ["ascend-910b", 5120, 7.7],
  ["ascend-950pr", 6800, undefined],
  ["ascend-950dt", 8000, undefined],
  ["mlu370-x8", 2048, undefined],
  ["tpu-v5p", 7344, undefined],
  ["gb300", 60_000, 36.86],
  ["gh200", 15_832, 19.45],
  ["h100-nvl", 13_368, 16.42],
  ["l40", 2896, 4.76],
  ["rtx-pro-6000d", 2368, 3.16],
  ["mi355x", 40_272, undefined],
  ["tpu-v6e", 14_688, undefined],
  ["tpu-v7", 36_912, undefined],
  ["trainium2", 10_672, undefined],
  ["gaudi-3", 29_360, undefined],
];

const OWN = {
  id: "mine",
  bf16FlopsPerSec: 200e12,
  eightBitOpsPerSec: 400e12,
  fp8: true,
  hbmBytes: 64e9,
  hbmBytesPerSec: 2e12,
  linkBytesPerSec: 400e9,
  watts: 400,
};

describe("the table of chips", () => {
  it.each(PERFORMANCE)("%s: TPP and density", (id, tpp, density) => {
    const chip = CHIP_FACTS[id]!;
    expect(Math.abs(totalProcessingPerformance(chip)! / tpp - 1)).toBeLessThan(0.0005);
    if (density === undefined) expect(performanceDensity(chip)).toBeUndefined();
    else expect(performanceDensity(chip)).toBeCloseTo(density, 1);
  });

  it("gives every chip a source, and contradicts no physics", () => {
    for (const chip of Object.values(CHIP_FACTS)) {
      expect(chip.sources.length, chip.id).toBeGreaterThan(0);
      expect(physicsFaults(chip), chip.id).toEqual([]);
      for (const field of Object.keys(chip.doubts ?? {})) expect(chip, chip.id).toHaveProperty(field);
    }
  });

  it("catches the faults that published tables had", () => {
    expect(physicsFaults({ ...CHIPS.mi300x!, bf16FlopsPerSec: 312e12 })[0]).toMatch(
      /8-bit over BF16: expected 1.8 to 2.2.*got 8.381/,
    );
    expect(physicsFaults({ ...CHIPS.b300!, linkBytesPerSec: 14_400e9 })[0]).toMatch(/linkBytesPerSec/);
    expect(physicsFaults({ ...CHIPS.h100!, hbmBytes: 80 })[0]).toMatch(/in bytes/);
    expect(physicsFaults({ ...CHIPS.h100!, tpp: 31_664 * 1.1 })[0]).toMatch(/tpp/);
  });

  it("finds chips by the names people use, and names the nearest", () => {
    expect(["H800", "rtx 4090", "4090d", "A100", "910B", "Mi300X"].map((name) => chipOf(name).id)).toEqual([
      "h800",
      "rtx-4090",
      "rtx-4090d",
      "a100-80",
      "ascend-910b",
      "mi300x",
    ]);
    expect(() => chipOf("h801")).toThrow(/got "h801"; nearest: h800/);
    expect(factsOf("mi308").name).toBe("Instinct MI308X");
    expect(() => chipOf("mi308x")).toThrow(/bf16FlopsPerSec being unpublished; nearest that can: mi300x/);
    expect(() => chipOf("constructor")).toThrow("expected a known chip");
  });
});

describe("parseChip", () => {
  it("reads a chip of one's own", () => {
    const chip = parseChip(OWN);
    expect(chip).toMatchObject({ name: "mine", linkedChips: 8, datacenter: true });
    expect(totalProcessingPerformance(chip)).toBe(3200);
    expect(chip.sources[0]!.mark).toBe("unconfirmed");
  });

  it("lists all faults", () => {
    expect(() => parseChip({ id: "Bad Id", hbmBytes: -1, wats: 3 }, "my.json")).toThrow(
      /^my\.json: not a chip:(?=[\s\S]*id: )(?=[\s\S]*bf16FlopsPerSec: )(?=[\s\S]*hbmBytes: )(?=[\s\S]*wats)/,
    );
    expect(() => parseChip({ ...OWN, eightBitOpsPerSec: 1600e12, hbmBytesPerSec: 2000 })).toThrow(
      /8-bit over BF16[\s\S]*seconds to read the memory/,
    );
    expect(() => parseChip(null)).toThrow("not a chip");
  });
});

describe("clusterOf", () => {
  it("builds the H800 cluster of DeepSeek-V3", () => {
    const { tiers } = clusterOf(CHIPS.h800!, 2048);
    expect(tiers.map(({ chips, bytesPerSec }) => [chips, bytesPerSec])).toEqual([
      [8, 200e9],
      [Infinity, 50e9],
    ]);
    expect(networkSource(CHIPS.h800!).title).toMatch(/ISCA/);
  });

  it("knows racks of 72, cards on PCIe, bridged pairs, and one's own network", () => {
    expect(clusterOf(CHIPS.gb200!, 144).tiers[0]).toMatchObject({ name: "NVLink", chips: 72, bytesPerSec: 900e9 });
    expect(clusterOf(CHIPS["rtx-4090"]!, 8).tiers[0]).toMatchObject({ name: "PCIe", chips: 8, bytesPerSec: 32e9 });
    expect(clusterOf(CHIPS["h100-pcie"]!, 16).tiers.map(({ chips }) => chips)).toEqual([2, 8, Infinity]);
    expect(
      clusterOf(CHIPS.h800!, 64, { networkBytesPerSec: 25e9, nodeChips: 4 }).tiers.map(({ chips, bytesPerSec }) => [
        chips,
        bytesPerSec,
      ]),
    ).toEqual([
      [4, 200e9],
      [Infinity, 25e9],
    ]);
  });

  it("refuses counts and rates that cannot be", () => {
    expect(() => clusterOf(CHIPS.h800!, 0)).toThrow("gpus: expected a positive whole number, got 0");
    expect(() => clusterOf(CHIPS.h800!, 8, { networkBytesPerSec: -1 })).toThrow("networkBytesPerSec");
    expect(() => clusterOf(CHIPS.h800!, 8, { nodeChips: 1.5 })).toThrow("nodeChips");
  });

  it("ends in a tier for all, and grows outwards", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(CHIPS)), fc.integer({ min: 1, max: 100_000 }), (chip, gpus) => {
        const { tiers } = clusterOf(chip, gpus);
        expect(tiers.at(-1)!.chips).toBe(Infinity);
        for (let i = 1; i < tiers.length; i++) {
          expect(tiers[i]!.chips).toBeGreaterThan(tiers[i - 1]!.chips);
          expect(tiers[i]!.bytesPerSec).toBeLessThanOrEqual(tiers[i - 1]!.bytesPerSec);
        }
      }),
    );
  });
});
