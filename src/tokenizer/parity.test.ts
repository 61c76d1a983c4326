import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "./index.ts";
import { type TrainTokenizerOptions, trainTokenizer } from "./train.ts";

// The fixtures are made by scripts/make-tokenizer-fixture.py; it says how.

const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), "fixtures");
const OPTIONS: Record<string, TrainTokenizerOptions> = {
  v3: { vocabSize: 1000, digits: 3 },
  digits: { vocabSize: 700, digits: 1 },
};

interface Expected {
  size: number;
  bos: number;
  eos: number;
  pad: number;
  strings: { text: string; ids: number[]; decoded: string; skipped: string }[];
  streams: { ids: number[]; decoded: string; skipped: string }[];
  chats: {
    messages: { role: string; content: string }[];
    options: { add_generation_prompt?: boolean; thinking?: boolean; keep_thoughts?: boolean };
    text: string;
  }[];
  trained: { vocab: Record<string, number>; merges: [string, string][] };
}

const read = (...path: string[]) => JSON.parse(readFileSync(join(FIXTURES, ...path), "utf8"));

/** Chapters 1 to 12 of Moby-Dick under their titles, and the strings. */
function trainingTexts(): string[] {
  const packed = readFileSync(new URL("../../data/moby-dick.json.br", import.meta.url));
  const [contents, , , ...texts] = JSON.parse(brotliDecompressSync(packed).toString()) as [string, ...string[]];
  const titles = contents.match(/^CHAPTER \d+\. .*$/gm)!;
  return [...texts.slice(0, 12).map((text, i) => `${titles[i]}\n\n${text}`), ...read("strings.json")];
}

if (process.env.SUMBI_FIXTURES === "write")
  for (const [name, options] of Object.entries(OPTIONS)) {
    const trained = await trainTokenizer(trainingTexts(), options);
    mkdirSync(join(FIXTURES, name), { recursive: true });
    writeFileSync(join(FIXTURES, name, "tokenizer.json"), JSON.stringify(trained.tokenizerJson));
    writeFileSync(join(FIXTURES, name, "tokenizer_config.json"), JSON.stringify(trained.tokenizerConfig, null, 1));
  }

describe.each(Object.keys(OPTIONS).filter((name) => existsSync(join(FIXTURES, name, "expected.json"))))(
  "%s against transformers",
  (name) => {
    const expected = read(name, "expected.json") as Expected;
    const tokenizer = new Tokenizer(read(name, "tokenizer.json"), read(name, "tokenizer_config.json"));

    it("learns the same vocabulary and merges as Hugging Face's trainer", async () => {
      const trained = await trainTokenizer(trainingTexts(), OPTIONS[name]!);
      expect(JSON.parse(JSON.stringify(trained.tokenizerJson))).toEqual(read(name, "tokenizer.json"));
      expect(trained.tokenizerConfig).toEqual(read(name, "tokenizer_config.json"));
      expect(trained.tokenizerJson.model.merges).toEqual(expected.trained.merges);
      expect({ ...trained.tokenizerJson.model.vocab }).toEqual(expected.trained.vocab);
    });

    it("has the same size and special ids", () => {
      expect(tokenizer.vocabSize).toBe(expected.size);
      expect(tokenizer.vocabSize).toBe(OPTIONS[name]!.vocabSize);
      expect([tokenizer.bosId, tokenizer.eosIds, tokenizer.padId]).toEqual([
        expected.bos,
        [expected.eos],
        expected.pad,
      ]);
    });

    it("encodes and decodes every string alike", () => {
      expect(expected.strings.length).toBeGreaterThan(250);
      for (const { text, ids, decoded, skipped } of expected.strings) {
        expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
        expect(tokenizer.decode(ids)).toBe(decoded);
        expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(skipped);
        expect(tokenizer.decode(ids)).toBe(text);
      }
    });

    it("decodes arbitrary ids alike, whole and as a stream", () => {
      for (const { ids, decoded, skipped } of expected.streams) {
        expect(tokenizer.decode(ids)).toBe(decoded);
        expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(skipped);
      }
    });

    it("renders every conversation alike", () => {
      for (const { messages, options, text } of expected.chats)
        expect(
          tokenizer.applyChatTemplate(messages, {
            addGenerationPrompt: options.add_generation_prompt,
            thinking: options.thinking,
            keepThoughts: options.keep_thoughts,
          }),
        ).toBe(text);
    });
  },
);
