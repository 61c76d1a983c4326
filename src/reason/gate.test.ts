import { expect, it } from "vitest";
import { type GateSample, judgeGate } from "./gate.ts";

/** So many long replies of 256, of which so many are right, and so many of the short ones. */
const samples = (long: number, longRight: number, shortRight: number): GateSample[] =>
  Array.from({ length: 256 }, (_, i) =>
    i < long ? { long: true, right: i < longRight } : { long: false, right: i - long < shortRight },
  );

it("opens where thinking is rare but right", () => {
  expect(judgeGate(samples(26, 19, 77))).toMatchObject({ open: true, shortRight: 77 / 230 });
  expect(judgeGate(samples(256, 256, 0)).open).toBe(true);
});

it("is shut where RL would shorten the thoughts, and says why", () => {
  const tooRare = judgeGate(samples(25, 25, 0));
  expect(tooRare.open).toBe(false);
  expect(tooRare.why.join("\n")).toMatch(/Only 9\.8 % of the replies think[\s\S]*cold start/);
  const wrong = judgeGate(samples(128, 89, 0));
  expect(wrong.open).toBe(false);
  expect(wrong.why.join("\n")).toMatch(/under 70 % RL learns to think less/);
  const easy = judgeGate(samples(128, 122, 90));
  expect(easy.open).toBe(false);
  expect(easy.why.join("\n")).toMatch(/right in 95 %, not thinking in 70 %/);
  expect(judgeGate([])).toMatchObject({ open: false, why: [expect.any(String), "There are no samples to judge by."] });
  expect(judgeGate(samples(0, 0, 100)).why.join(" ")).not.toMatch(/Of the replies that think/);
});
