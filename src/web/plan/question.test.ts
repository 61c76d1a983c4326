// The control at which a refusal of the planner is told.
import { describe, expect, it } from "vitest";
import { plan } from "../../plan/index.ts";
import { BLANK, type Form } from "./form.ts";
import { fieldOf, questionOf } from "./question.ts";

const form = (change: Partial<Form>): Form => ({ ...BLANK, ...change });

/** The control that a form's refusal is told at. */
function refusedAt(change: Partial<Form>): string {
  const asked = form(change);
  try {
    plan(questionOf(asked).question);
  } catch (error) {
    return fieldOf(error, asked);
  }
  return "answered";
}

describe("the control that a refusal is about", () => {
  it("is the part of the layout that the form fixes", () => {
    expect(refusedAt({ gpus: "2048", pp: "7" })).toBe("pp");
    expect(refusedAt({ gpus: "2048", ep: "7" })).toBe("ep");
    expect(refusedAt({ gpus: "2048", tp: "3", dp: "1" })).toBe("tp");
  });

  it("is the number that does not divide, the chip's precision, the goal", () => {
    expect(refusedAt({ gpus: "2048", dp: "64", pp: "16", batch: "100" })).toBe("dp");
    expect(refusedAt({ chip: "a100-40", precision: "fp8" })).toBe("precision");
    expect(refusedAt({ gpus: "8" })).toBe("gpus");
    expect(refusedAt({ goal: "budget", budget: "1000" })).toBe("budget");
  });

  it("is none where the error is another's", () => {
    expect(fieldOf(new Error("batch: expected something else"), form({}))).toBe("");
  });
});
