import { expect, it } from "vitest";
import { languageOf } from "./index.ts";

it("serves readers in the first of their languages that there are words for", () => {
  expect([["ko-KR", "en"], ["fr", "ko"], ["en-GB", "ko"], ["de"], []].map(languageOf)).toEqual([
    "ko",
    "ko",
    "en",
    "en",
    "en",
  ]);
});
