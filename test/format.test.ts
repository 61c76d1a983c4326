import { expect, it } from "vitest";
import { money } from "../src/cli/planView.ts";
import { dollars, plural } from "../src/format.ts";
import { usd } from "../src/plan/audit/figures.ts";

it("never prints as money what is no number", () => {
  for (const n of [NaN, Infinity, -Infinity, undefined as unknown as number]) {
    expect(dollars(n)).toBe("–");
    expect(money(n)).toBe("–");
    expect(usd(n)).toBe("–");
  }
  expect(dollars(0.00421)).toBe("$0.0042");
  expect([plural(1, "text"), plural(2500, "text"), plural(0, "corpus", "corpora")]).toEqual([
    "1 text",
    "2.5K texts",
    "0 corpora",
  ]);
});
