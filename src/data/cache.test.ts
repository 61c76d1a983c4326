import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { DataError } from "../errors.ts";
import { clearShards, openShards, shardsDir } from "./cache.ts";
import type { Dataset } from "./dataset.ts";
import { type PreparedData, type PrepareOptions, prepareData } from "./prepare.ts";
import { absolutePaths, findSources } from "./sources.ts";

const tokenizerDir = join(dirname(fileURLToPath(import.meta.url)), "../tokenizer/fixtures/digits");
const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let dir = "";
let cacheDir = "";
const TEXT = Array.from({ length: 40 }, (_, i) => `{"text":"This is line ${i} of a text."}\n`).join("");
beforeEach(() => {
  dir = join(temporary.dir, `d${count++}`);
  cacheDir = join(dir, "cache");
  mkdirSync(join(dir, "texts"), { recursive: true });
  writeFileSync(join(dir, "texts", "a.jsonl"), TEXT);
  writeFileSync(join(dir, "texts", "b.jsonl"), TEXT.replaceAll("a text", "a book"));
});

const prepare = (more: Partial<PrepareOptions> = {}): Promise<PreparedData> =>
  prepareData({ paths: [join(dir, "texts")], tokenizerDir, cacheDir, holdout: 0.2, workers: 1, ...more });
/** The hash of what came out, and whether texts were tokenised for it. */
async function made(more: Partial<PrepareOptions> = {}): Promise<{ hash: string; tokenised: boolean }> {
  let tokenised = false;
  const { dataset } = await prepare({ ...more, onProgress: ({ label }) => (tokenised ||= label === "tokenising") });
  dataset.close();
  return { hash: dataset.json.hash, tokenised };
}
const tokensOf = (dataset: Dataset): Int32Array => {
  const out = new Int32Array(dataset.tokens("train"));
  dataset.read("train", 0, out);
  return out;
};

describe("the cache of shards", () => {
  it("asks for room before it writes, as much as it takes, and not for what is there", async () => {
    const asked: number[] = [];
    const full = new DataError("no room");
    const refuse = () => Promise.reject(full);
    await expect(prepare({ onRoom: refuse })).rejects.toBe(full);
    expect(existsSync(cacheDir)).toBe(false);
    const onRoom = async (bytes: number) => void asked.push(bytes);
    const { dataset } = await prepare({ onRoom });
    const written = Object.values(dataset.json.splits)
      .flat()
      .reduce((sum, { tokens }) => sum + 2 * tokens, 0);
    dataset.close();
    expect(asked).toHaveLength(1);
    expect(asked[0]).toBeGreaterThan(written / 2);
    (await prepare({ onRoom: refuse })).dataset.close();
  });

  it("goes by what the texts say: names, places and times do not count, a single letter does", async () => {
    const first = await made();
    expect(first.tokenised).toBe(true);
    expect(await made()).toEqual({ ...first, tokenised: false });
    utimesSync(join(dir, "texts", "a.jsonl"), new Date(), new Date(2e12));
    expect(await made()).toEqual({ ...first, tokenised: false });
    cpSync(join(dir, "texts"), join(dir, "moved"), { recursive: true });
    expect(await made({ paths: [join(dir, "moved")] })).toEqual({ ...first, tokenised: false });
    // The same size, and the times put back.
    const path = join(dir, "texts", "a.jsonl");
    const { atime, mtime } = statSync(path);
    writeFileSync(path, TEXT.replace("line 7", "line 8"));
    utimesSync(path, atime, mtime);
    const edited = await made();
    expect(edited.tokenised).toBe(true);
    expect(edited.hash).not.toBe(first.hash);
    writeFileSync(path, TEXT);
    expect(await made()).toEqual({ ...first, tokenised: false });
    for (const more of [{ holdout: 0.3 }, { unitBytes: 500 }]) expect((await made(more)).tokenised).toBe(true);
  });

  it("replaces nothing underneath who reads it", async () => {
    const { dataset } = await prepare();
    const before = tokensOf(dataset);
    const hash = dataset.json.hash;
    writeFileSync(join(dir, "texts", "a.jsonl"), TEXT.replaceAll("This is", "Something else than"));
    await made();
    expect(tokensOf(dataset)).toEqual(before);
    dataset.close();
    const again = await openShards(cacheDir, hash);
    expect(tokensOf(again)).toEqual(before);
    again.close();
  });

  it("is written by several at once, and left without a trace of that", async () => {
    const all = await Promise.all([
      made(),
      made({ workers: 2, unitBytes: 1000 }),
      made(),
      made({ workers: 2, unitBytes: 1000 }),
      made(),
    ]);
    expect(new Set(all.map(({ hash }) => hash)).size).toBe(2);
    expect(readdirSync(cacheDir).filter((name) => name.startsWith("."))).toEqual([]);
    expect(readdirSync(cacheDir).filter((name) => name.startsWith("shards-"))).toHaveLength(2);
    expect(await made()).toMatchObject({ tokenised: false });
  });

  it("finds a flipped bit, and makes the shards anew", async () => {
    const { hash } = await made();
    const folder = shardsDir(cacheDir, hash);
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const whole = readFileSync(path);
      const damaged = Buffer.from(whole);
      damaged[whole.length >> 1] = (whole[whole.length >> 1] ?? 0) ^ 4;
      writeFileSync(path, damaged);
      await expect(openShards(cacheDir, hash)).rejects.toThrow(DataError);
      expect(await made()).toEqual({ hash, tokenised: true });
      expect(readFileSync(path)).toEqual(whole);
    }
    // Also what is known of texts.
    for (const text of [
      "",
      "{",
      "null",
      '{"shards":"../x","report":{}}',
      `{"shards":"${hash}","report":{"texts":"many"}}`,
    ]) {
      for (const name of readdirSync(cacheDir).filter((each) => each.startsWith("prepared-")))
        writeFileSync(join(cacheDir, name), text);
      expect(await made()).toEqual({ hash, tokenised: true });
      expect(await made()).toEqual({ hash, tokenised: false });
    }
  });

  it("does not take for what texts say what was read while they were written", async () => {
    const path = join(dir, "texts", "b.jsonl");
    let written = false;
    const { disturbed, dataset } = await prepare({
      onProgress({ label }) {
        if (label === "tokenising" && !written) appendFileSync(path, '{"text":"One more line."}\n');
        written ||= label === "tokenising";
      },
    });
    expect([written, disturbed]).toEqual([true, true]);
    // What came out is there for who has it, and for nobody else.
    (await openShards(cacheDir, dataset.json.hash)).close();
    dataset.close();
    expect(readdirSync(cacheDir).filter((name) => name.startsWith("prepared-"))).toEqual([]);
    expect(await made()).toMatchObject({ tokenised: true });
  });

  it("says what is gone", async () => {
    const { hash } = await made();
    renameSync(cacheDir, join(dir, "elsewhere"));
    await expect(openShards(cacheDir, hash)).rejects.toThrow(`${shardsDir(cacheDir, hash)}: the shards are gone`);
    rmSync(join(shardsDir(join(dir, "elsewhere"), hash), "dataset.json"));
    await expect(openShards(join(dir, "elsewhere"), hash)).rejects.toThrow(
      /dataset\.json: expected a data set's dataset\.json, found none/,
    );
  });

  it("is cleared of all that nobody needs and nobody just opened", async () => {
    const kept = await made();
    const old = await made({ holdout: 0.3 });
    const recent = await made({ holdout: 0.4 });
    const past = new Date(Date.now() - 2 * 3_600_000);
    for (const { hash } of [kept, old]) utimesSync(shardsDir(cacheDir, hash), past, past);
    const cleared = await clearShards(cacheDir, new Set([kept.hash]));
    expect(cleared).toMatchObject({ removed: 1, needed: 1, recent: 1 });
    expect(cleared.bytes).toBeGreaterThan(100);
    expect([kept, old, recent].map(({ hash }) => existsSync(shardsDir(cacheDir, hash)))).toEqual([true, false, true]);
    expect(await made()).toEqual({ ...kept, tokenised: false });
    expect(await made({ holdout: 0.3 })).toEqual({ ...old, tokenised: true });
    expect(await clearShards(join(dir, "nothing"), new Set())).toEqual({ removed: 0, bytes: 0, needed: 0, recent: 0 });
  });
});

describe("absolutePaths", () => {
  it("mean the same from another working directory", () => {
    mkdirSync(join(dir, "odd [1] folder"));
    writeFileSync(join(dir, "odd [1] folder", "c.txt"), "c");
    const before = process.cwd();
    try {
      for (const [cwd, paths] of [
        [dir, ["texts", "texts/a.jsonl", "texts/*.jsonl", "builtin:english:3", join(dir, "texts")]],
        [join(dir, "odd [1] folder"), ["c.txt", "*.txt", "../texts"]],
      ] as const) {
        process.chdir(cwd);
        const given = paths.map((path) => findSources([path]).map((source) => source.path));
        const absolute = absolutePaths(paths);
        process.chdir(before);
        expect(absolute.map((path) => findSources([path]).map((source) => source.path))).toEqual(given);
      }
    } finally {
      process.chdir(before);
    }
  });
});
