import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { DataError } from "../errors.ts";
import { type Broken, type Document, readDocuments, readPart } from "./documents.ts";
import { linesBefore, readLines } from "./lines.ts";
import { findSources } from "./sources.ts";
import { planUnits } from "./units.ts";

const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), "fixtures");
const dir = mkdtempSync(join(tmpdir(), "sumbi-documents-"));
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function all(documents: AsyncIterable<Document>): Promise<Document[]> {
  const out: Document[] = [];
  for await (const document of documents) out.push(document);
  return out;
}

const textOf = (documents: Document[]) =>
  documents.map((document) => ("text" in document ? document.text : "")).join("");

describe("text files", () => {
  it("come in pieces that make up the file, the ends marked", async () => {
    const text = Array.from({ length: 400 }, (_, i) => `Paragraph ${i} with some words.\nSecond line.\n\n`).join("");
    const pieces = await all(readDocuments([file("book.txt", text)]));
    expect(pieces.length).toBeGreaterThan(10);
    expect(textOf(pieces)).toBe(text);
    expect(pieces.map((piece) => "first" in piece && piece.first)).toEqual(pieces.map((_, i) => i === 0));
    expect(pieces.map((piece) => "last" in piece && piece.last)).toEqual(pieces.map((_, i) => i === pieces.length - 1));
  });

  it("hold several documents when a line says so", async () => {
    const path = file("stories.txt", "One.\n<|endoftext|>\nTwo.\nMore.\n<|endoftext|>\nThree.");
    expect(await all(readDocuments([path]))).toEqual([
      { text: "One.\n", first: true, last: true },
      { text: "Two.\nMore.\n", first: true, last: true },
      { text: "Three.", first: true, last: true },
    ]);
  });

  it("lose a byte order mark and give nothing when empty", async () => {
    expect(await all(readDocuments([file("bom.txt", "\ufeffhi")]))).toEqual([{ text: "hi", first: true, last: true }]);
    expect(await all(readDocuments([file("empty.txt", ""), file("blank.txt", "\n \n")]))).toEqual([]);
  });

  it("name the line that is no UTF-8, or leave it out", async () => {
    const path = file(
      "broken.txt",
      Buffer.concat([Buffer.from("good\n"), Buffer.from([0x62, 0xff, 10]), Buffer.from("also good\n")]),
    );
    await expect(all(readDocuments([path]))).rejects.toThrow(`${path}:2: expected UTF-8`);
    const broken: Broken[] = [];
    expect(textOf(await all(readDocuments([path], { onBroken: "skip", report: (b) => broken.push(b) })))).toBe(
      "good\nalso good\n",
    );
    expect(broken).toEqual([{ path, line: 2, bytes: 2, fault: "not UTF-8", reason: "expected UTF-8" }]);
  });
});

describe("UTF-16", () => {
  const utf16 = (text: string, order: "le" | "be"): Buffer => {
    const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
    return order === "le" ? bytes : bytes.swap16();
  };

  it.each(["le", "be"] as const)("is decoded by its byte order mark (%s), as the same text in UTF-8", async (order) => {
    const text = Array.from({ length: 300 }, (_, i) => `Zeile ${i}: größer, 숨비, 😀\r\n`).join("");
    expect(textOf(await all(readDocuments([file(`${order}.txt`, utf16(text, order))])))).toBe(text);
    const json = `{"text":"eins 숨"}\n{"text":"zwei"}`;
    expect(await all(readDocuments([file(`${order}.jsonl`, utf16(json, order))]))).toEqual([
      { text: "eins 숨", first: true, last: true },
      { text: "zwei", first: true, last: true },
    ]);
  });

  it("stays in one piece whatever the unit size, a block boundary in a character too", async () => {
    const text = `a${"😀".repeat(300_000)}\n`.repeat(2);
    const path = file("long.txt", utf16(text, "le"));
    const parts = (await planUnits(findSources([path]), 4096)).flatMap((unit) => unit.parts);
    expect(parts).toHaveLength(1);
    expect(textOf(await all(readPart(parts[0]!, {})))).toBe(text);
  });

  it("is left out and counted where it has no mark or is broken, never read as NULs", async () => {
    const broken: Broken[] = [];
    const skip = { onBroken: "skip", report: (b: Broken) => void broken.push(b) } as const;
    expect(await all(readDocuments([file("nomark.txt", Buffer.from("no mark\nhere\n", "utf16le"))], skip))).toEqual([]);
    expect(new Set(broken.map((b) => b.fault))).toEqual(new Set(["not text"]));
    broken.length = 0;
    const cut = Buffer.concat([
      utf16("good\nbad ", "le"),
      Buffer.from([0x00, 0xd8]),
      Buffer.from("\ngood\n", "utf16le"),
    ]);
    expect(textOf(await all(readDocuments([file("cut.txt", cut)], skip)))).toBe("good\ngood\n");
    expect(broken).toMatchObject([{ line: 2, fault: "not UTF-8" }]);
    await expect(
      all(readDocuments([file("utf32.txt", Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]))])),
    ).rejects.toThrow(/got UTF-32/);
  });
});

describe("jsonl files", () => {
  const lines = [
    '{"text":"one"}',
    "",
    '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo","reasoning_content":"hm"}]}',
    "{broken",
    '{"text":5}',
    '{"messages":[]}',
    '{"messages":[{"role":"robot","content":"x"}]}',
    '{"messages":[{"role":"user"}]}',
    "[1]",
    '{"text":""}',
    '{"text":"last"}',
  ];

  it("give texts and conversations, and every broken line by number", async () => {
    const path = file("mixed.jsonl", lines.join("\r\n"));
    const broken: Broken[] = [];
    const documents = await all(readDocuments([path], { onBroken: "skip", report: (b) => broken.push(b) }));
    expect(documents).toEqual([
      { text: "one", first: true, last: true },
      {
        messages: [
          { role: "user", content: "hi" },
          { role: "assistant", content: "yo", reasoning_content: "hm" },
        ],
      },
      { text: "last", first: true, last: true },
    ]);
    expect(broken.map(({ line }) => line)).toEqual([4, 5, 6, 7, 8, 9, 10]);
    expect(broken[0]!.reason).toMatch(/^expected JSON/);
    expect(broken[3]!.reason).toBe("messages[0].role: expected user, assistant or system");
    expect(broken[4]!.reason).toBe("messages[0].content: expected a string");
    await expect(all(readDocuments([path]))).rejects.toThrow(new RegExp(`${path}:4: expected JSON`));
    await expect(all(readDocuments([path]))).rejects.toThrow(DataError);
  });

  it("are the same when read in stretches, line numbers too", async () => {
    const many = Array.from({ length: 300 }, (_, i) =>
      i % 50 === 7 ? "{" : JSON.stringify({ text: `text ${i} ${"é".repeat(i % 13)}` }),
    );
    const path = file("many.jsonl", many.join("\n") + "\n");
    const read = async (unitBytes: number) => {
      const broken: number[] = [];
      const documents: Document[] = [];
      for (const unit of await planUnits(findSources([path]), unitBytes))
        for (const part of unit.parts)
          documents.push(...(await all(readPart(part, { onBroken: "skip", report: (b) => broken.push(b.line) }))));
      return { documents, broken };
    };
    const whole = await read(1e9);
    expect(whole.broken).toEqual([8, 58, 108, 158, 208, 258]);
    for (const unitBytes of [1, 17, 100, 997]) expect(await read(unitBytes)).toEqual(whole);
  });
});

describe("lines", () => {
  it("read in any stretches are the lines of the file", () => {
    const path = join(dir, "lines.bin");
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ maxLength: 6 }).map((s) => s.replaceAll("\n", "x")),
          { maxLength: 12 },
        ),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        (lines, ended, step) => {
          const text = lines.join("\n") + (ended ? "\n" : "");
          writeFileSync(path, text);
          const size = Buffer.byteLength(text);
          const found: string[] = [];
          for (let start = 0; start < size; start += step)
            for (const block of readLines(path, start, Math.min(size, start + step)))
              for (const line of block) found.push(Buffer.from(line.bytes).toString() + (line.ended ? "\n" : ""));
          expect(found.join("")).toBe(text);
          expect(linesBefore(path, size)).toBe(text.split("\n").length - 1);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("longer than a block are whole", () => {
    const long = "é".repeat(1_500_000);
    const path = file("long.txt", `a\n${long}\nb`);
    const found = [...readLines(path, 0, 1e9)].flat().map((line) => Buffer.from(line.bytes).toString());
    expect(found.map((line) => line.length)).toEqual([1, 1_500_000, 1]);
    expect(found[1]).toBe(long);
  });
});

describe("parquet files", () => {
  it.each(["snappy", "zstd", "gzip", "none"])("compressed by %s give their rows in order", async (codec) => {
    const documents = await all(readDocuments([join(FIXTURES, `text-${codec}.parquet`)]));
    expect(documents.length).toBe(50);
    expect(documents[7]).toEqual({ text: "Row 7: 숨비소리 숨비소리 숨비소리 end.", first: true, last: true });
    expect(documents.map((document) => "text" in document && document.text.match(/^Row (\d+)/)![1])).toEqual(
      Array.from({ length: 50 }, (_, i) => String(i)),
    );
  });

  it("hold conversations; broken rows are named", async () => {
    const path = join(FIXTURES, "chat.parquet");
    await expect(all(readDocuments([path]))).rejects.toThrow(`${path}:5: messages[0].role`);
    const documents = await all(readDocuments([path], { onBroken: "skip" }));
    expect(documents.length).toBe(5);
    expect(documents[4]).toEqual({
      messages: [
        { role: "user", content: "q5" },
        { role: "assistant", content: "<think>t</think>a5" },
      ],
    });
    const rows: number[] = [];
    expect(
      textOf(
        await all(
          readDocuments([join(FIXTURES, "holes.parquet")], { onBroken: "skip", report: (b) => rows.push(b.line) }),
        ),
      ),
    ).toBe("ab");
    expect(rows).toEqual([2, 3]);
  });

  it("without a usable column, or that are none, are refused", async () => {
    await expect(all(readDocuments([join(FIXTURES, "other-column.parquet")]))).rejects.toThrow(
      /expected a column `text` or `messages`, found body/,
    );
    await expect(all(readDocuments([file("fake.parquet", "PAR1 not really PAR1")]))).rejects.toThrow(DataError);
  });
});

describe("sources", () => {
  it("are files, folders to the bottom and globs, each file once, in order", () => {
    const base = dirname(file("tree/b.txt", "b"));
    file("tree/a.md", "a");
    file("tree/deep/er/c.jsonl", '{"text":"c"}');
    file("tree/picture.png", "x");
    file("tree/.hidden/d.txt", "d");
    const names = (paths: string[]) => findSources(paths).map((source) => source.path.slice(base.length + 1));
    expect(names([base])).toEqual(["a.md", "b.txt", "deep/er/c.jsonl"]);
    expect(names([join(base, "b.txt"), base])).toEqual(["b.txt", "a.md", "deep/er/c.jsonl"]);
    expect(names([`${base}/**/*.{jsonl,txt}`])).toEqual(["b.txt", "deep/er/c.jsonl"]);
  });

  it("that are missing or of another kind are refused by name", () => {
    expect(() => findSources([])).toThrow(DataError);
    expect(() => findSources([join(dir, "nothing")])).toThrow(/nothing: expected a file, folder/);
    expect(() => findSources([`${dir}/*.nope`])).toThrow(/no .txt, .* file matches/);
    expect(() => findSources([file("x.bin", "x")])).toThrow(/expected one of/);
    expect(() => findSources(["builtin:nothing"])).toThrow(/english, arithmetic, smalltalk/);
    expect(() => findSources(["builtin:arithmetic:-3"])).toThrow(DataError);
    mkdirSync(join(dir, "bare"));
    expect(() => findSources([join(dir, "bare")])).toThrow(/found none/);
  });

  it("that come with Sumbi have the documents they say", async () => {
    expect((await all(readDocuments(["builtin:arithmetic:25", "builtin:smalltalk:10"]))).length).toBe(35);
    const english = await all(readDocuments(["builtin:english"]));
    expect(english.length).toBe(372);
    expect(english.some((document) => "text" in document && document.text.startsWith("Call me Ishmael."))).toBe(true);
    expect(english.every((document) => "text" in document && document.text.length > 100)).toBe(true);
  });
});
