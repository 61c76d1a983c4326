import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, DataError } from "../errors.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import { type PreparedData, type PrepareOptions, prepareData } from "./prepare.ts";
import { permute } from "./random.ts";
import type { Split } from "./shards.ts";
import { loadTokenizer } from "./tokenizerFolder.ts";

const tokenizerDir = join(dirname(fileURLToPath(import.meta.url)), "../tokenizer/fixtures/digits");
const tokenizer = loadTokenizer(tokenizerDir);
const dir = mkdtempSync(join(tmpdir(), "sumbi-data-"));
const input = join(dir, "input");
let dataset: Dataset;

async function prepare(cache: string, more: Partial<PrepareOptions> = {}): Promise<Dataset> {
  return (await prepared(cache, more)).dataset;
}
function prepared(cache: string, more: Partial<PrepareOptions> = {}): Promise<PreparedData> {
  return prepareData({
    paths: [input, "builtin:arithmetic:60"],
    tokenizerDir,
    cacheDir: join(dir, cache),
    holdout: 0.1,
    workers: 1,
    unitBytes: 4000,
    ...more,
  });
}

const stream = (data: Dataset, split: Split): number[] => {
  const ids = new Int32Array(data.tokens(split));
  data.read(split, 0, ids);
  return [...ids];
};

beforeAll(async () => {
  mkdirSync(input);
  for (let i = 0; i < 20; i++)
    writeFileSync(
      join(input, `${String(i).padStart(2, "0")}.txt`),
      `Text number ${i}. ${Array.from({ length: i }, (_, j) => `It goes on: ${i * j}. `).join("")}`,
    );
  writeFileSync(
    join(input, "long.txt"),
    Array.from({ length: 300 }, (_, i) => `Line ${i} of a long text.\n${i % 5 === 4 ? "\n" : ""}`).join(""),
  );
  writeFileSync(
    join(input, "chat.jsonl"),
    Array.from({ length: 30 }, (_, i) =>
      JSON.stringify({
        messages: [
          { role: "user", content: `Question ${i}` },
          { role: "assistant", content: `<think>hm</think>Answer ${i}` },
        ],
      }),
    ).join("\n"),
  );
  dataset = await prepare("main");
});
afterAll(() => {
  dataset.close();
  rmSync(dir, { recursive: true });
});

describe("prepareData", () => {
  it("keeps every text once, in one split or the other", () => {
    const train = tokenizer.decode(stream(dataset, "train"));
    const held = tokenizer.decode(stream(dataset, "heldout"));
    expect(dataset.tokens("heldout")).toBeGreaterThan(0);
    const both = train + held;
    for (let i = 0; i < 20; i++) expect(both.split(`<｜begin▁of▁sentence｜>Text number ${i}. `).length).toBe(2);
    for (let i = 0; i < 300; i++) expect(both.split(`Line ${i} of`).length).toBe(2);
    for (let i = 0; i < 30; i++)
      expect(
        both.split(`<｜User｜>Question ${i}<｜Assistant｜><think>hm</think>Answer ${i}<｜end▁of▁sentence｜>`).length,
      ).toBe(2);
  });

  it("gives the same bytes with any number of workers", async () => {
    const two = await prepare("two", { workers: 2 });
    expect(two.json).toEqual(dataset.json);
    expect(two.json.splits.train.length).toBeGreaterThan(3);
    for (const split of ["train", "heldout"] as const)
      for (const { file } of dataset.json.splits[split])
        expect(readFileSync(join(two.dir, file))).toEqual(readFileSync(join(dataset.dir, file)));
    two.close();
  });

  it("leaves nothing behind when it fails", async () => {
    const bad = join(dir, "bad.jsonl");
    writeFileSync(bad, '{"text":"good one"}\n{"text":"good two"}\n{bad\n');
    await expect(prepare("failed", { paths: [bad] })).rejects.toThrow(`${bad}:3: expected JSON`);
    await expect(prepare("failed", { paths: [bad], workers: 2, unitBytes: 8 })).rejects.toThrow(DataError);
    expect(readdirSync(join(dir, "failed"))).toEqual([]);
    const skipped = await prepared("skipped", { paths: [bad], onBroken: "skip" });
    expect(skipped.report).toMatchObject({ texts: 2, leftOut: { "not JSON": 1 }, examples: [{ line: 3 }] });
    skipped.dataset.close();
    await expect(prepare("x", { holdout: 1 })).rejects.toThrow(ConfigError);
    await expect(prepare("x", { workers: 0 })).rejects.toThrow(ConfigError);
    const empty = join(dir, "empty.txt");
    writeFileSync(empty, "");
    await expect(prepare("x", { paths: [empty] })).rejects.toThrow(/expected text to train on/);
  });

  it("refuses files of which most is no text, whatever their names", async () => {
    const folder = join(dir, "binary");
    mkdirSync(folder);
    const noise = Buffer.from(Array.from({ length: 30_000 }, (_, i) => (i * i * 7 + (i >> 3)) & 255));
    writeFileSync(join(folder, "photo.txt"), noise);
    writeFileSync(join(folder, "real.txt"), "A line of text.\n".repeat(500));
    await expect(prepare("x", { paths: [folder], onBroken: "skip" })).rejects.toThrow(
      /expected text, got .* of 38\.0 kB that is none: left out .*photo\.txt:\d+: expected UTF-8.*Give other files/,
    );
    writeFileSync(join(folder, "more.txt"), "Another line of text.\n".repeat(2000));
    (await prepare("x", { paths: [folder], onBroken: "skip" })).close();
  });

  it("trains on texts that would all be held out: the same one many times, or a single one", async () => {
    for (const texts of [["Once upon a time."], Array<string>(5).fill("A cat sat."), ["One.", "Two.", "Three."]]) {
      const file = join(dir, "held.jsonl");
      writeFileSync(file, texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
      const dataset = await prepare(`held-${texts.length}`, { paths: [file], holdout: 0.999_999 });
      expect(dataset.tokens("train")).toBeGreaterThan(0);
      expect(dataset.tokens("heldout") > 0).toBe(new Set(texts).size > 1);
      dataset.close();
    }
  });

  it("holds one text out even of few, none where asked", async () => {
    const few = join(dir, "few.jsonl");
    writeFileSync(few, '{"text":"one text"}\n{"text":"another text"}\n{"text":"a third"}');
    const some = await prepare("few", { paths: [few], holdout: 1e-6 });
    expect(tokenizer.decode(stream(some, "heldout"))).toMatch(
      /^<｜begin▁of▁sentence｜>(one text|another text|a third)<｜end▁of▁sentence｜>$/,
    );
    const none = await prepare("none", { paths: [few], holdout: 0 });
    expect(none.tokens("heldout")).toBe(0);
    expect(() => none.batch({ split: "heldout", batch: 1, sequence: 4 })).toThrow(/the split heldout has no tokens/);
  });
});

describe("batch", () => {
  const ask = { split: "train", batch: 3, sequence: 50, extra: 2, seed: 9, fimRate: 0.5 } as const;

  it("is a pure function of its arguments", () => {
    const later = dataset.batch({ ...ask, index: 7 });
    const other = openDataset(dataset.dir);
    for (let index = 0; index < 5; index++) other.batch({ ...ask, index });
    expect(other.batch({ ...ask, index: 7 })).toEqual(later);
    expect(other.batch({ ...ask, index: 7, seed: 10 })).not.toEqual(later);
    other.close();
    const wide = dataset.batch({ ...ask, batch: 9, index: 2 });
    for (let i = 0; i < 3; i++)
      expect(dataset.batch({ ...ask, first: 18 + 3 * i })).toEqual(wide.slice(3 * 52 * i, 3 * 52 * (i + 1)));
  });

  it("gives every token about once an epoch, in another order each", () => {
    const sequence = 64;
    const windows = dataset.sequences("train", sequence);
    const all = stream(dataset, "train");
    const joined = [...all, ...all];
    const starts = (epoch: number) => {
      const at = new Map<string, number>();
      for (let i = 0; i < all.length; i++) at.set(joined.slice(i, i + sequence + 1).join(), i);
      return Array.from(
        { length: windows },
        (_, i) =>
          at.get(
            [...dataset.batch({ split: "train", first: epoch * windows + i, batch: 1, sequence, seed: 4 })].join(),
          )!,
      );
    };
    const [one, two] = [starts(0), starts(1)];
    for (const epoch of [one, two]) {
      expect(epoch.every((start) => start !== undefined)).toBe(true);
      expect(new Set(epoch.map((start) => (((start - epoch[0]!) % all.length) + all.length) % all.length)).size).toBe(
        windows,
      );
      const covered = new Set(
        epoch.flatMap((start) => Array.from({ length: sequence }, (_, i) => (start + i) % all.length)),
      );
      expect(covered.size).toBe(windows * sequence);
    }
    expect(two).not.toEqual(one);
  });

  it("takes held-out windows in order", () => {
    const all = stream(dataset, "heldout");
    const ids = dataset.batch({ split: "heldout", index: 1, batch: 2, sequence: 20 });
    expect([...ids]).toEqual([...all.slice(40, 61), ...all.slice(60, 81)]);
  });

  it("is longer than the text if it must be", () => {
    const total = dataset.tokens("heldout");
    const ids = dataset.batch({ split: "heldout", batch: 1, sequence: 3 * total });
    expect([...ids.slice(total, 2 * total)]).toEqual(stream(dataset, "heldout"));
  });

  it("refuses sizes that are none", () => {
    for (const wrong of [{ batch: 0 }, { sequence: -1 }, { extra: 1.5 }, { first: -2 }, { fimRate: 2 }])
      expect(() => dataset.batch({ ...ask, ...wrong })).toThrow(ConfigError);
  });

  it("refuses damaged shards when opened or read", async () => {
    const copy = join(dir, "copy");
    cpSync(dataset.dir, copy, { recursive: true });
    const shard = join(copy, dataset.json.splits.train[0]!.file);
    const bytes = readFileSync(shard);
    writeFileSync(shard, Buffer.alloc(bytes.length, 0xff));
    const broken = openDataset(copy);
    expect(() => broken.read("train", 0, new Int32Array(10))).toThrow(/expected an id below 700, got 32767/);
    broken.close();
    truncateSync(shard, 10);
    expect(() => openDataset(copy)).toThrow(/expected \d+ bytes, got 10/);
    rmSync(shard);
    expect(() => openDataset(copy)).toThrow(/the file is missing/);
    const json = {
      ...dataset.json,
      splits: { train: [{ file: "../../etc/passwd", tokens: 1, chat: false, sha256: "0".repeat(64) }], heldout: [] },
    };
    writeFileSync(join(copy, "dataset.json"), JSON.stringify(json));
    expect(() => openDataset(copy)).toThrow(/expected a shard's file name/);
    for (const [text, message] of [
      ["{", /dataset\.json: expected JSON/],
      ["null", /dataset\.json: \(top\): expected object, got null/],
      ['{"format":3}', /dataset\.json: format: expected 4; hash: .*; vocabSize: .*; and 3 more/],
      [
        JSON.stringify({ ...dataset.json, splits: { train: [null], heldout: {} } }),
        /splits\.train\.0: expected object, got null; splits\.heldout: expected array, got object/,
      ],
      [JSON.stringify({ ...dataset.json, vocabSize: "x" }), /dataset\.json: vocabSize: expected number, got string/],
      [JSON.stringify({ ...dataset.json, vocabSize: 701 }), /dataset\.json: hash: is not that of the rest of the file/],
    ] as const) {
      writeFileSync(join(copy, "dataset.json"), text);
      expect(() => openDataset(copy)).toThrow(message);
      expect(() => openDataset(copy)).toThrow(DataError);
    }
  });
});

describe("permute", () => {
  it("is a permutation of any size, another for each seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (size, seed) => {
        const order = Array.from({ length: size }, (_, i) => permute(i, size, seed));
        expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
        if (size > 20) expect(order).not.toEqual(Array.from({ length: size }, (_, i) => permute(i, size, seed + 1)));
      }),
      { numRuns: 100 },
    );
  });
  it("spreads neighbours far apart, at large sizes too", () => {
    const size = 3e12;
    const gaps = Array.from({ length: 200 }, (_, i) => Math.abs(permute(i, size, 5) - permute(i + 1, size, 5)));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    expect(mean / size).toBeGreaterThan(0.25);
    expect(mean / size).toBeLessThan(0.42);
  });
});
