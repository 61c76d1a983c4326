import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Tokenizer } from "./tokenizer.ts";

interface Json {
  normalizer: object | null;
  pre_tokenizer: object | null;
  added_tokens: object[];
  model: { vocab: Record<string, number>; merges: unknown[] };
}
const fixture = (change: (json: Json) => void = () => undefined): Tokenizer => {
  const json = JSON.parse(readFileSync(new URL("./fixtures/digits/tokenizer.json", import.meta.url), "utf8")) as Json;
  change(json);
  return new Tokenizer(json);
};
const normalized = (normalizer: object): Tokenizer => fixture((json) => void (json.normalizer = normalizer));
const isolate = { type: "Split", pattern: { Regex: "\\s+" }, behavior: "Isolated", invert: false };
const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };

/** Texts that shrink when they are normalised, and others. */
const part = fc.constantFrom(
  "\u212a",
  "\u212a\u0327",
  "\u212b",
  "\u03b9\u0308\u0301",
  "𝐀",
  "\ufdfa",
  "\u1100\u1161\u11a8",
  "İ",
  " ",
  "\n",
  "the ",
  "<｜User｜>",
  "😀",
);
const text = fc
  .array(fc.oneof(part, fc.string({ unit: "binary", maxLength: 4 })), { maxLength: 60 })
  .map((parts) => parts.join(""));

describe("a text of n bytes has at least n / bytesPerToken tokens", () => {
  test.each<[string, Tokenizer]>([
    ["no normalizer", fixture()],
    ...["NFC", "NFD", "NFKC", "NFKD", "Lowercase"].map((type): [string, Tokenizer] => [type, normalized({ type })]),
    [
      "cuts of all kinds that keep the text",
      fixture((json) => {
        json.pre_tokenizer = {
          type: "Sequence",
          pretokenizers: [
            ...["Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext"].flatMap((behavior) => [
              { ...isolate, behavior },
              { ...isolate, behavior, invert: true },
            ]),
            { type: "Digits" },
            { type: "Punctuation" },
            bytes,
          ],
        };
      }),
    ],
    ["several", normalized({ type: "Sequence", normalizers: [{ type: "NFKC" }, { type: "Lowercase" }] })],
  ])("%s", (_, tokenizer) => {
    expect(tokenizer.bytesPerToken).toBeLessThan(2000);
    fc.assert(
      fc.property(text, (value) => {
        expect(tokenizer.encode(value).length).toBeGreaterThanOrEqual(
          Buffer.byteLength(value) / tokenizer.bytesPerToken,
        );
        expect(tokenizer.encode(value, { special: false }).length).toBeGreaterThanOrEqual(
          Buffer.byteLength(value) / tokenizer.bytesPerToken,
        );
      }),
      { numRuns: 300 },
    );
  });

  test("is the longest token where nothing shrinks", () => {
    expect(fixture().bytesPerToken).toBe(Buffer.byteLength("<｜begin▁of▁sentence｜>"));
  });
});

test.each<[string, Tokenizer, string]>([
  ["strips", normalized({ type: "Strip", strip_left: true, strip_right: true }), " ".repeat(10_000)],
  ["replaces", normalized({ type: "Replace", pattern: { String: "a" }, content: "" }), "a".repeat(10_000)],
  [
    "strips, among others",
    normalized({
      type: "Sequence",
      normalizers: [{ type: "NFC" }, { type: "Strip", strip_left: true, strip_right: true }],
    }),
    " ".repeat(10_000),
  ],
  [
    "drops what it cuts by",
    fixture(
      (json) =>
        void (json.pre_tokenizer = { type: "Sequence", pretokenizers: [{ ...isolate, behavior: "Removed" }, bytes] }),
    ),
    " ".repeat(10_000),
  ],
  [
    "keeps only what it cuts by",
    fixture(
      (json) =>
        void (json.pre_tokenizer = {
          type: "Sequence",
          pretokenizers: [{ ...isolate, behavior: "Removed", invert: true }, bytes],
        }),
    ),
    "a".repeat(10_000),
  ],
  [
    "drops spaces",
    fixture((json) => void (json.pre_tokenizer = { type: "Sequence", pretokenizers: [{ type: "Whitespace" }, bytes] })),
    " ".repeat(10_000),
  ],
  ["has no bytes", fixture((json) => void (json.pre_tokenizer = isolate)), "한".repeat(10_000)],
  [
    "lacks a byte",
    fixture((json) => {
      delete json.model.vocab["z"];
      json.model.merges = json.model.merges.filter((merge) => !(merge as string[]).join("").includes("z"));
    }),
    "z".repeat(10_000),
  ],
  [
    "has a token that swallows spaces",
    fixture((json) => {
      json.added_tokens = json.added_tokens.map((token) => ({ ...token, lstrip: true }));
    }),
    `${" ".repeat(10_000)}<｜User｜>`,
  ],
])("a tokenizer that %s has no bound", (_, tokenizer, few) => {
  expect(tokenizer.encode(few).length).toBeLessThan(10_000 / 29);
  expect(tokenizer.bytesPerToken).toBe(Infinity);
});
