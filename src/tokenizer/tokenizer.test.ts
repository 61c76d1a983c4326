import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, DataError } from "../errors.ts";
import { ASSISTANT, END_THINK, EOS, THINK, Tokenizer, USER } from "./index.ts";

const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), "fixtures");
const read = (...path: string[]) => JSON.parse(readFileSync(join(FIXTURES, ...path), "utf8"));
const json = () => read("v3", "tokenizer.json");
const config = read("v3", "tokenizer_config.json");
const tokenizer = new Tokenizer(json(), config);

const texts = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc
    .array(fc.constantFrom(USER, ASSISTANT, THINK, END_THINK, EOS, "<", "｜", " ", "\n", "12", "word", "中"), {
      maxLength: 20,
    })
    .map((parts) => parts.join("")),
);
/** A lone surrogate has no UTF-8; both ways it becomes U+FFFD. */
const wellFormed = (text: string) => Buffer.from(text).toString();

describe("encode and decode", () => {
  it("give every text back, with special tokens known or taken as text", () => {
    fc.assert(
      fc.property(texts, fc.boolean(), (text, special) => {
        const ids = tokenizer.encode(text, { special });
        expect(tokenizer.decode(ids)).toBe(wellFormed(text));
        if (!special) expect(ids.every((id) => id < 997 && !tokenizer.isSpecial(id))).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it("cut special tokens out only where asked", () => {
    const text = `${USER}hi${EOS}`;
    expect(tokenizer.encode(text)).toEqual([tokenizer.idOf(USER), ...tokenizer.encode("hi"), tokenizer.eosIds[0]]);
    expect(tokenizer.encode(text, { special: false })).not.toContain(tokenizer.idOf(USER));
    expect(tokenizer.decode(tokenizer.encode(text), { skipSpecial: true })).toBe("hi");
    expect(tokenizer.decode(tokenizer.encode(`${THINK}a${END_THINK}b`), { skipSpecial: true })).toBe(
      `${THINK}a${END_THINK}b`,
    );
  });

  it("group digits by three or one", () => {
    const one = new Tokenizer(read("digits", "tokenizer.json"), read("digits", "tokenizer_config.json"));
    expect(one.encode("12345").map((id) => one.tokenOf(id))).toEqual(["1", "2", "3", "4", "5"]);
    expect(
      tokenizer
        .encode("1234")
        .map((id) => tokenizer.decode([id]))
        .join("|"),
    ).toMatch(/^(123|1\|23|12\|3|1\|2\|3)\|4$/);
  });

  it("answer the same when words are met again and when many new ones come", () => {
    const fresh = new Tokenizer(json(), config);
    const text = "The whale, the whale! Ishmael's whale; a whale.";
    const first = fresh.encode(text);
    for (let i = 0; i < 3; i++) expect(fresh.encode(text)).toEqual(first);
    expect(first.length).toBeLessThan(text.length / 2);
  });

  it("refuse ids outside the vocabulary", () => {
    for (const id of [-1, tokenizer.vocabSize, 1.5, NaN]) expect(() => tokenizer.decode([id])).toThrow(DataError);
    expect(() => tokenizer.tokenOf(tokenizer.vocabSize)).toThrow(/expected an id from 0 to 999/);
  });
});

describe("stream", () => {
  it("gives out whole characters only, and in the end what decode gives", () => {
    const id = fc.integer({ min: 0, max: tokenizer.vocabSize - 1 });
    fc.assert(
      fc.property(fc.array(id, { maxLength: 40 }), fc.boolean(), (ids, skipSpecial) => {
        const stream = tokenizer.stream({ skipSpecial });
        const parts = ids.map((id) => stream.push(id));
        expect(parts.join("") + stream.flush()).toBe(tokenizer.decode(ids, { skipSpecial }));
        for (const part of parts) expect(wellFormed(part)).toBe(part);
      }),
      { numRuns: 300 },
    );
  });

  it("holds the bytes of a character back until the last has come", () => {
    const ids = new Tokenizer({ ...json(), model: { ...json().model, merges: [] } }, config).encode("é😀");
    expect(ids.length).toBe(6);
    const stream = tokenizer.stream();
    expect(ids.map((id) => stream.push(id))).toEqual(["", "é", "", "", "", "😀"]);
    expect(stream.flush()).toBe("");
  });

  it("shows a broken end as U+FFFD", () => {
    const stream = tokenizer.stream();
    expect(stream.push(tokenizer.idOf("ð")!)).toBe("");
    expect(stream.flush()).toBe("\ufffd");
  });
});

describe("chat template", () => {
  const chat = [
    { role: "user", content: "a" },
    { role: "assistant", content: "<think>one</think>b" },
    { role: "user", content: "c" },
  ];

  it("drops earlier thoughts, keeps them for training", () => {
    const bos = "<｜begin▁of▁sentence｜>";
    expect(tokenizer.applyChatTemplate(chat, { addGenerationPrompt: true })).toBe(
      `${bos}${USER}a${ASSISTANT}</think>b${EOS}${USER}c${ASSISTANT}`,
    );
    expect(tokenizer.applyChatTemplate(chat, { keepThoughts: true })).toBe(
      `${bos}${USER}a${ASSISTANT}<think>one</think>b${EOS}${USER}c`,
    );
    expect(tokenizer.applyChatTemplate(chat, { addGenerationPrompt: true, thinking: true })).toMatch(
      /<｜Assistant｜><think>$/,
    );
    expect(tokenizer.applyChatTemplate(chat, { addGenerationPrompt: true, thinking: false })).toMatch(
      /<｜Assistant｜><\/think>$/,
    );
  });

  it("reports what it cannot render", () => {
    expect(() => tokenizer.applyChatTemplate([{ role: "robot", content: "x" }])).toThrow(DataError);
    expect(() => new Tokenizer(json(), { ...config, chat_template: "{% if %}" }).applyChatTemplate(chat)).toThrow(
      ConfigError,
    );
    expect(() => new Tokenizer(json(), {}).applyChatTemplate(chat)).toThrow(/chat_template, found none/);
  });
});

describe("files as others write them", () => {
  it("with an empty normalizer and normalized added tokens, as DeepSeek-V3's, encode alike", () => {
    const file = json();
    file.normalizer = { type: "Sequence", normalizers: [] };
    for (const token of file.added_tokens) token.normalized = !token.special;
    const other = new Tokenizer(file, config);
    for (const text of read("strings.json") as string[]) expect(other.encode(text)).toEqual(tokenizer.encode(text));
  });

  it("with tokens that take the spaces around them lose these", () => {
    const file = json();
    file.added_tokens.at(-1).lstrip = file.added_tokens.at(-1).rstrip = true;
    const other = new Tokenizer(file, config);
    expect(other.decode(other.encode("a   <|EOT|>   b"))).toBe("a<|EOT|>b");
  });

  it("with merges as texts, tokens as objects and several templates are understood", () => {
    const file = json();
    file.model.merges = file.model.merges.map((pair: string[]) => pair.join(" "));
    const other = new Tokenizer(file, {
      eos_token: { content: EOS, lstrip: false },
      chat_template: [
        { name: "tools", template: "x" },
        { name: "default", template: "y" },
      ],
    });
    expect(other.encode("the whale")).toEqual(tokenizer.encode("the whale"));
    expect(other.eosIds).toEqual([1]);
    expect(other.applyChatTemplate([])).toBe("y");
  });
});

describe("broken and hostile files", () => {
  const vocab = () => json().model.vocab as Record<string, number>;
  const cases: [string, (file: Record<string, any>) => unknown, RegExp][] = [
    ["no object", () => [], /the file: expected an object, got a list/],
    ["no model", (f) => ({ ...f, model: undefined }), /model: expected an object, got nothing/],
    [
      "another model",
      (f) => ({ ...f, model: { ...f.model, type: "Unigram" } }),
      /model.type: expected "BPE", got "Unigram"/,
    ],
    ["no vocabulary", (f) => ({ ...f, model: { ...f.model, vocab: [] } }), /model.vocab: expected an object/],
    ["an empty one", (f) => ({ ...f, model: { ...f.model, vocab: {}, merges: [] } }), /at least one token/],
    [
      "a huge id",
      (f) => ({ ...f, model: { ...f.model, vocab: { ...vocab(), x9: 2 ** 52 } } }),
      /expected an id from 0 to/,
    ],
    [
      "ids with gaps",
      (f) => ({ ...f, model: { ...f.model, vocab: { ...vocab(), x9: 15_000_000 } } }),
      /without wide gaps/,
    ],
    ["a negative id", (f) => ({ ...f, model: { ...f.model, vocab: { ...vocab(), x9: -4 } } }), /got -4/],
    ["an id used twice", (f) => ({ ...f, model: { ...f.model, vocab: { ...vocab(), x9: 5 } } }), /an id of its own/],
    [
      "a merge of one",
      (f) => ({ ...f, model: { ...f.model, merges: [["a"]] } }),
      /model.merges\[0\]: expected two tokens/,
    ],
    [
      "a merge of unknown tokens",
      (f) => ({ ...f, model: { ...f.model, merges: [["q", "zzz"]] } }),
      /tokens of the vocabulary, got "q zzz"/,
    ],
    [
      "merges of another kind",
      (f) => ({ ...f, model: { ...f.model, merges: { length: 1e9 } } }),
      /model.merges: expected a list/,
    ],
    ["an added token without text", (f) => ({ ...f, added_tokens: [{ id: 3 }] }), /added_tokens\[0\].content/],
    ["an added token without id", (f) => ({ ...f, added_tokens: [{ content: "x" }] }), /added_tokens\[0\].id/],
    [
      "a decoder that is not of bytes",
      (f) => ({ ...f, decoder: { type: "Metaspace" } }),
      /decoder: expected ByteLevel .*, got "Metaspace"/,
    ],
    [
      "an unknown pre-tokenizer",
      (f) => ({ ...f, pre_tokenizer: { type: "Nonsense" } }),
      /pre_tokenizer: expected Sequence, Split, .*got "Nonsense"/,
    ],
    ["a pre-tokenizer that is a text", (f) => ({ ...f, pre_tokenizer: "x" }), /pre_tokenizer: expected an object/],
    [
      "an expression that does not parse",
      (f) => ({ ...f, pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" } }),
      /cannot be built/,
    ],
  ];
  it.each(cases)("%s", (_name, change, message) => {
    expect(() => new Tokenizer(change(json()), config)).toThrow(ConfigError);
    expect(() => new Tokenizer(change(json()), config)).toThrow(message);
  });

  it("refuse a config that is no object", () => {
    expect(() => new Tokenizer(json(), [])).toThrow(/tokenizer_config.json: expected an object, got a list/);
  });
});
