import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { amount, BLANK, FIELDS, type Field, type Form, fromQuery, plainly, read, toQuery } from "./form.ts";

const form = (part: Partial<Form> = {}): Form => ({ ...BLANK, ...part });

describe("a question's form", () => {
  it("reads amounts as people write them", () => {
    expect(["14.8T", "5.6 M", "2,048", "1e12", "300b", ".5k", "0", "12 000"].map(amount)).toEqual([
      14.8e12, 5.6e6, 2048, 1e12, 300e9, 500, 0, 12_000,
    ]);
    expect(["", "many", "-3", "1.2.3", "5 parsecs", "1e999", "0x10"].map(amount)).toEqual(Array(7).fill(null));
  });

  it("comes back from its address, whatever was typed", () => {
    fc.assert(
      fc.property(
        fc.record(
          Object.fromEntries(
            FIELDS.map((field) => [
              field,
              fc.oneof(fc.constant(BLANK[field]), fc.string({ unit: "grapheme", maxLength: 12 })),
            ]),
          ) as Record<Field, fc.Arbitrary<string>>,
        ),
        (typed) => {
          expect(fromQuery(toQuery(typed))).toEqual(typed);
        },
      ),
    );
  });

  it("has an address of nothing where nothing was changed, and of the changes where some were", () => {
    expect(toQuery(form())).toBe("");
    expect(toQuery(form({ gpus: "4096", on: "2023-10-01" }))).toBe("?gpus=4096&on=2023-10-01");
    expect(fromQuery("?gpus=4096&nonsense=1")).toEqual(form({ gpus: "4096" }));
  });

  it("becomes numbers, with what is left empty left to the planner", () => {
    expect(read(form()).asked).toMatchObject({ tokens: 14.8e12, gpus: 2048, layout: undefined, batch: undefined });
    expect(read(form({ goal: "budget", gpus: "nonsense" })).asked).toMatchObject({ budget: 5.6e6 });
    expect(read(form({ pp: "16", zero: "0", recompute: "full", network: "50", goodput: "95" })).asked).toMatchObject({
      layout: { pp: 16, zero: 0, recompute: "full" },
      networkBytesPerSec: 50e9,
      goodput: 0.95,
    });
  });

  it("says for each wrong control what would be right", () => {
    const { asked, faults } = read(form({ tokens: "lots", gpus: "2048.5", zero: "4", on: "soon" }));
    expect(asked).toBeUndefined();
    expect(faults.map((f) => f.field)).toEqual(["zero", "tokens", "gpus", "on"]);
    expect(faults[1]!.message).toBe("Expected tokens as a number, such as 14.8T, 300B or 20000000.");
    expect(faults[0]!.message).toContain("0 to 3");
  });

  it("says a planner's complaint without the verb and flags of a command line", () => {
    expect(plainly("plan: A100 does not; nearest that works: --precision bf16")).toBe(
      "A100 does not; nearest that works: precision bf16",
    );
  });
});
