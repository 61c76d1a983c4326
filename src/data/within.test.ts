import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Tokenizer } from "../tokenizer/index.ts";
import { prepareUnit } from "./prepareUnit.ts";
import { findSources } from "./sources.ts";
import { planUnits } from "./units.ts";
import { InterruptedError, within } from "./within.ts";

const dir = mkdtempSync(join(tmpdir(), "sumbi-within-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("work that ends gives what it gives, and throws what it throws", () => {
  expect(within(1000, "sum", () => 1 + within(1000, "inner", () => 1))).toBe(2);
  expect(() => within(1000, "fail", () => JSON.parse("{"))).toThrow(SyntaxError);
});

test("expressions and loops that do not end are ended, and what comes after runs", () => {
  for (const endless of [
    () => /(a+)+$/.test(`${"a".repeat(40)}!`),
    () => {
      for (;;);
    },
    () => {
      for (;;)
        try {
          for (;;);
        } catch {
          /* not to be caught */
        }
    },
  ])
    expect(() => within(100, "this", endless as () => unknown)).toThrow(
      new InterruptedError("this: ended, since it ran longer than 0.1 s"),
    );
  expect(within(100, "this", () => "b")).toBe("b");
});

test("a text that a tokenizer's expressions never end on ends the unit, naming the file", async () => {
  const path = join(dir, "endless.txt");
  writeFileSync(path, `${"a".repeat(40)}!`);
  const json = JSON.parse(
    readFileSync(new URL("../tokenizer/fixtures/digits/tokenizer.json", import.meta.url), "utf8"),
  );
  json.pre_tokenizer.pretokenizers[0].pattern = { Regex: "(a+)+$" };
  const [unit] = await planUnits(findSources([path]));
  if (unit === undefined) throw new Error("no unit");
  const job = { unit, dir, heldoutBelow: 0, holdout: 0, onBroken: "fail" as const };
  await expect(prepareUnit(job, new Tokenizer(json), () => undefined, 200)).rejects.toThrow(
    `${path}: tokenising: ended, since it ran longer than 0.2 s`,
  );
});
