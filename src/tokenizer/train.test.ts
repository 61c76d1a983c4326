import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, DataError } from "../errors.ts";
import { Tokenizer } from "./index.ts";
import { learnMerges, type Merge } from "./merges.ts";
import { preTokenize } from "./rules.ts";
import { trainTokenizer } from "./train.ts";
import { WordCounts } from "./wordCounts.ts";

/** The rule itself, without any bookkeeping: count all pairs anew before each merge. */
function slowMerges(
  words: number[][],
  counts: number[],
  firstId: number,
  mergeCount: number,
  minFrequency: number,
): Merge[] {
  const merges: Merge[] = [];
  while (merges.length < mergeCount) {
    const pairs = new Map<string, { pair: Merge; count: number }>();
    words.forEach((word, w) => {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair: Merge = [word[i]!, word[i + 1]!];
        const entry = pairs.get(pair.join()) ?? { pair, count: 0 };
        entry.count += counts[w]!;
        pairs.set(pair.join(), entry);
      }
    });
    const best = [...pairs.values()].sort(
      (a, b) => b.count - a.count || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1],
    )[0];
    if (best === undefined || best.count < minFrequency) break;
    const id = firstId + merges.length;
    merges.push(best.pair);
    words = words.map((word) => {
      const out: number[] = [];
      for (let i = 0; i < word.length; i++)
        if (word[i] === best.pair[0] && word[i + 1] === best.pair[1]) {
          out.push(id);
          i++;
        } else out.push(word[i]!);
      return out;
    });
  }
  return merges;
}

describe("learnMerges", () => {
  it("makes the merges that counting anew would make", () => {
    const word = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(word, fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 12 }),
        (entries) => {
          const words = entries.map(([word]) => word);
          const counts = entries.map(([, count]) => count);
          const options = { firstId: 4, mergeCount: 12, minFrequency: 2, maxTokenBytes: 1000 };
          const fast = learnMerges(
            words.map((word) => Int32Array.from(word)),
            counts,
            options,
          );
          // Runs such as aaa count overlapping pairs while a merge takes every second one: both ways agree on it.
          expect(fast).toEqual(slowMerges(words, counts, 4, 12, 2));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("makes no token longer than asked", () => {
    const merges = learnMerges([Int32Array.from({ length: 64 }, () => 0)], [10], {
      firstId: 1,
      mergeCount: 20,
      minFrequency: 2,
      maxTokenBytes: 8,
    });
    expect(merges).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
    ]);
  });
});

describe("WordCounts", () => {
  it("is exact while it fits", () => {
    const counts = new WordCounts(10);
    for (const word of "a b a c a b".split(" ")) counts.add(word);
    expect([...counts.counts]).toEqual([
      ["a", 3],
      ["b", 2],
      ["c", 1],
    ]);
    expect(counts.lost).toBe(0);
  });

  it("stays within its bound and errs by no more than it says", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 800 }), (numbers) => {
        const words = numbers.map((n) => `w${Math.floor((n * n) / 60)}`);
        const counts = new WordCounts(16);
        const exact = new Map<string, number>();
        for (const word of words) {
          counts.add(word);
          exact.set(word, (exact.get(word) ?? 0) + 1);
          expect(counts.counts.size).toBeLessThanOrEqual(16);
        }
        for (const [word, count] of exact) {
          const kept = counts.counts.get(word) ?? 0;
          expect(kept).toBeLessThanOrEqual(count);
          expect(kept).toBeGreaterThanOrEqual(count - counts.lost);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("preTokenize", () => {
  it("loses nothing", () => {
    const cut = preTokenize(3);
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 80 }), (text) => {
        expect(cut(text).join("")).toBe(text);
        expect(cut(text)).not.toContain("");
      }),
    );
  });

  it("cuts as DeepSeek-V3 does", () => {
    expect(preTokenize(3)("In 12345 days,  it's 中文OK!\n\nx(y)")).toEqual([
      "In",
      " ",
      "123",
      "45",
      " days",
      ",",
      " ",
      " it",
      "'s",
      " ",
      "中文",
      "OK",
      "!\n\n",
      "x",
      "(y",
      ")",
    ]);
    expect(preTokenize(1)("a 123")).toEqual(["a", " ", "1", "2", "3"]);
  });
});

describe("trainTokenizer", () => {
  const texts = ["low lower lowest low low", "newer newest wider new", "the cat sat on the mat, the end. 2024 2025"];

  it("does not depend on how the texts are cut into parts of an iterable", async () => {
    async function* slowly() {
      for (const text of texts) yield text;
    }
    const a = await trainTokenizer(texts, { vocabSize: 300 });
    const b = await trainTokenizer(slowly(), { vocabSize: 300 });
    expect(JSON.stringify(b.tokenizerJson)).toBe(JSON.stringify(a.tokenizerJson));
    expect(a.tokenizerJson.model.merges[0]).toEqual(["l", "o"]);
  });

  it("learns with a table that is too small, too", async () => {
    const many = Array.from({ length: 400 }, (_, i) => `word${"abcdefghij"[i % 10]} rare${i}x common`);
    const trained = await trainTokenizer(many, { vocabSize: 320, maxWords: 64 });
    expect(trained.words.distinct).toBeLessThanOrEqual(64);
    expect(trained.words.lost).toBeGreaterThan(0);
    const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
    expect(tokenizer.encode(" common").length).toBe(1);
  });

  it("ends with fewer tokens when the text has no more pairs, and says how many", async () => {
    const trained = await trainTokenizer(["ab ab"], { vocabSize: 5000 });
    const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
    expect(trained.vocabSize).toBe(tokenizer.vocabSize);
    expect(trained.vocabSize).toBe(3 + 256 + 1 + 8);
    expect(tokenizer.decode(tokenizer.encode("ab ☃"))).toBe("ab ☃");
  });

  it("takes more tokens that are never cut", async () => {
    const trained = await trainTokenizer(texts, {
      vocabSize: 400,
      addedTokens: [{ content: "<|tool|>", special: true }],
    });
    const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
    expect(tokenizer.encode("<|tool|>")).toEqual([trained.vocabSize - 1]);
  });

  it("reports progress and refuses what cannot work", async () => {
    const labels = new Set<string>();
    await trainTokenizer(texts, { vocabSize: 300, onProgress: (p) => labels.add(p.label) });
    expect([...labels]).toEqual(["counting words", "learning merges"]);
    await expect(trainTokenizer(texts, { vocabSize: 100 })).rejects.toThrow(/at least 267/);
    await expect(trainTokenizer(texts, { vocabSize: 1e9 })).rejects.toThrow(ConfigError);
    await expect(trainTokenizer(texts, { vocabSize: 300, digits: 2 as 1 })).rejects.toThrow(/digits 1 or 3/);
    await expect(
      trainTokenizer(texts, { vocabSize: 300, addedTokens: [{ content: "<think>", special: true }] }),
    ).rejects.toThrow(ConfigError);
    await expect(trainTokenizer([], { vocabSize: 300 })).rejects.toThrow(DataError);
  });
});
