import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dalyInterval, goodput, impliedGoodput, MTBF_HOURS_PER_GPU } from "./goodput.ts";

describe("goodput", () => {
  it("gives Llama 3 the share of time that Meta reports, above 90 %", () => {
    const llama = goodput({ gpus: 16_384, stateBytes: 405e9 * 12 });
    expect(llama.mtbfHours).toBeCloseTo(3.09, 1);
    expect(llama.interruptionsPerDay * 54).toBeGreaterThan(390);
    expect(llama.interruptionsPerDay * 54).toBeLessThan(425);
    expect(llama.share).toBeGreaterThan(0.9);
    expect(llama.share).toBeLessThan(0.97);
  });

  it("loses little on V3's 2,048 GPUs, yet more than the claim, which leaves nothing", () => {
    const v3 = goodput({ gpus: 2048, stateBytes: 671e9 * 8 });
    expect(v3.mtbfHours).toBeCloseTo(MTBF_HOURS_PER_GPU / 2048, 6);
    expect(v3.share).toBeGreaterThan(0.95);
    expect(v3.share).toBeLessThan(0.99);
    expect(impliedGoodput(2.6666e6, 2.664e6)).toBeCloseTo(1.001, 3);
  });

  it("sums to one, falls with more GPUs and does best at Daly's interval", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: 50_000 }),
        fc.double({ min: 1e9, max: 1e13, noNaN: true }),
        (gpus, stateBytes) => {
          const best = goodput({ gpus, stateBytes });
          const { checkpoints, repeated, restarts } = best.lost;
          expect(best.share + checkpoints + repeated + restarts).toBeCloseTo(1, 9);
          const storage = 1e9;
          const at = (n: number) => goodput({ gpus: n, stateBytes, storageBytesPerSecPerGpu: storage / n }).share;
          expect(at(gpus)).toBeGreaterThanOrEqual(at(gpus * 2) - 1e-12);
          for (const factor of [0.3, 3]) {
            const other = goodput({ gpus, stateBytes, intervalSeconds: best.intervalSeconds * factor }).share;
            if (best.checkpointSeconds < best.mtbfHours * 36) expect(other).toBeLessThanOrEqual(best.share + 1e-9);
          }
        },
      ),
    );
  });

  it("never proposes an interval longer than the time between failures", () => {
    expect(dalyInterval(10, 10_000)).toBeCloseTo(Math.sqrt(2 * 10 * 10_000) - 10);
    expect(dalyInterval(6000, 10_000)).toBe(10_000);
    expect(() => goodput({ gpus: 8, stateBytes: 1, mtbfHoursPerGpu: -1 })).toThrow("expected positive times");
  });
});
