import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../errors.ts";
import { BYTE_CHARS } from "./byteLevel.ts";
import { Tokenizer } from "./index.ts";
import { normalizerOf, stagesOf } from "./stages.ts";

// Made by scripts/make-rules-fixture.py with Hugging Face's tokenizers.

interface Fixture {
  texts: string[];
  pre_tokenizers: Record<string, { rule: object; pieces: number[][] }>;
  normalizers: Record<string, { rule: object; texts: string[] }>;
  post_processors: Record<string, { rule: object | null; ids: number[][] }>;
  added: { tokens: { content: string }[]; texts: string[]; cases: { normalizer: object | null; ids: number[][] }[] };
}

const fixture = JSON.parse(readFileSync(new URL("./fixtures/rules.json", import.meta.url), "utf8")) as Fixture;

/** The 256 bytes, each a token, in the order of their characters. */
const bytes = (change: object): Tokenizer => {
  const vocab = Object.fromEntries([...BYTE_CHARS].sort().map((char, id) => [char, id]));
  return new Tokenizer({
    added_tokens: [],
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab, merges: [] },
    ...change,
  });
};

describe("pre-tokenizers cut as Hugging Face's do", () => {
  it.each(Object.entries(fixture.pre_tokenizers))("%s", (_, { rule, pieces }) => {
    const stages = stagesOf(rule);
    fixture.texts.forEach((text, i) => {
      const cut = stages.reduce((parts, stage) => parts.flatMap((part) => stage(part)), text === "" ? [] : [text]);
      expect({ text, pieces: cut.map((piece) => piece.length) }).toEqual({ text, pieces: pieces[i] });
    });
  });
});

describe("normalizers do as Hugging Face's do", () => {
  it.each(Object.entries(fixture.normalizers))("%s", (_, { rule, texts }) => {
    const normalize = normalizerOf(rule);
    fixture.texts
      .slice(-texts.length)
      .forEach((text, i) => expect({ text, normal: normalize?.(text) }).toEqual({ text, normal: texts[i] }));
  });
});

describe("added tokens are found as Hugging Face finds them", () => {
  it.each(fixture.added.cases)("after $normalizer", ({ normalizer, ids }) => {
    const tokenizer = bytes({
      normalizer,
      added_tokens: fixture.added.tokens.map((token, i) => ({ normalized: false, id: 256 + i, ...token })),
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
    });
    fixture.added.texts.forEach((text, i) =>
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids: ids[i] }),
    );
  });
});

describe("what is put around a text is what Hugging Face puts there", () => {
  const added_tokens = ["<s>", "</s>"].map((content, i) => ({ id: 256 + i, content, special: true }));
  it.each(Object.entries(fixture.post_processors))("%s", (_, { rule, ids }) => {
    const tokenizer = bytes({ post_processor: rule, added_tokens });
    const { before, after } = tokenizer.surrounding;
    ["hi", "", "<s>hi"].forEach((text, i) => expect([...before, ...tokenizer.encode(text), ...after]).toEqual(ids[i]));
  });

  it("and the begin of text where tokenizer_config.json asks for it, once", () => {
    const vocab = Object.fromEntries([...BYTE_CHARS].sort().map((char, id) => [char, id]));
    const json = (post_processor: object | null) => ({
      added_tokens,
      decoder: { type: "ByteLevel" },
      model: { vocab, merges: [] },
      post_processor,
    });
    const config = { bos_token: "<s>", add_bos_token: true };
    for (const rule of [null, { type: "ByteLevel" }, fixture.post_processors["before"]?.rule ?? null])
      expect(new Tokenizer(json(rule), config).surrounding).toEqual({ before: [256], after: [] });
    expect(new Tokenizer(json(null), { ...config, add_bos_token: false }).surrounding).toEqual({
      before: [],
      after: [],
    });
  });

  it.each([
    [{ type: "TemplateProcessing", single: [] }, /single: expected the text once/],
    [
      {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "<s>" } }, { Sequence: { id: "A" } }],
        special_tokens: {},
      },
      /tokens that special_tokens lists/,
    ],
    [
      {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "a" } }, { Sequence: { id: "A" } }],
        special_tokens: { a: { ids: [9999] } },
      },
      /ids below 258/,
    ],
    [
      {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "a" } }, { Sequence: { id: "A" } }],
        special_tokens: { a: { ids: new Array(1e6).fill(1) } },
      },
      /at most 256 ids/,
    ],
    [{ type: "RobertaProcessing" }, /ids below 258/],
    [{ type: "Sequence", processors: [{ type: "Sequence", processors: [] }] }, /no Sequence in a Sequence/],
  ])("or refused: %#", (post_processor, message) => {
    expect(() => bytes({ post_processor, added_tokens })).toThrow(message);
  });
});

describe("rules that are not known are refused by name", () => {
  it.each([
    [{ pre_tokenizer: { type: "Metaspace" } }, /pre_tokenizer: expected Sequence, Split, .*; got "Metaspace"/],
    [{ pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "BertPreTokenizer" }] } }, /got "BertPreTokenizer"/],
    [{ pre_tokenizer: { type: "constructor" } }, /got "constructor"/],
    [{ pre_tokenizer: { type: "Sequence", pretokenizers: {} } }, /pre_tokenizer.pretokenizers: expected a list/],
    [
      { pre_tokenizer: { type: "Split", pattern: { Regex: "a" }, behavior: "Kept" } },
      /behavior: expected Removed, .*; got "Kept"/,
    ],
    [{ pre_tokenizer: { type: "Split", pattern: {}, behavior: "Isolated" } }, /expected {Regex} or {String}/],
    [
      { pre_tokenizer: { type: "Split", pattern: { Regex: "(?<" }, behavior: "Isolated" } },
      /the expression cannot be used/,
    ],
    [{ normalizer: { type: "Precompiled" } }, /normalizer: expected Sequence, NFC, .*; got "Precompiled"/],
    [{ normalizer: [] }, /normalizer: expected an object/],
    [{ post_processor: { type: "Other" } }, /post_processor: expected ByteLevel, .*, got "Other"/],
  ])("%j", (change, message) => {
    expect(() => bytes(change)).toThrow(ConfigError);
    expect(() => bytes(change)).toThrow(message);
  });
});
