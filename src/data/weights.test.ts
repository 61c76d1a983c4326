import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { readDocuments } from "./documents.ts";
import { prepareData } from "./prepare.ts";
import { encodeDocument } from "./prepareUnit.ts";
import { ShardWriter, tokenTypeOf, unpackTokens } from "./shards.ts";
import { loadTokenizer } from "./tokenizerFolder.ts";

const tokenizerDir = join(dirname(fileURLToPath(import.meta.url)), "../tokenizer/fixtures/digits");
const tokenizer = loadTokenizer(tokenizerDir);
const dir = mkdtempSync(join(tmpdir(), "sumbi-weights-"));
afterAll(() => rmSync(dir, { recursive: true }));

const plain = (ids: readonly number[]): number[] => ids.map((id) => (id < 0 ? ~id : id));
const messages = [
  { role: "user", content: "What is 2 + 2?" },
  { role: "assistant", content: "2 + 2 = 4.", weight: 0 },
  { role: "user", content: "And 3 + 3?" },
  { role: "assistant", content: "<think>3+3</think>3 + 3 = 6.", weight: 1 },
];

describe("messages of weight 0", () => {
  it("are read and not trained: their ids, and no others, are marked", () => {
    const { ids } = encodeDocument({ messages }, tokenizer);
    expect(plain(ids)).toEqual(
      encodeDocument({ messages: messages.map(({ weight: _, ...message }) => message) }, tokenizer).ids,
    );
    const text = (of: readonly number[]) => tokenizer.decode(plain(of));
    const first = ids.findIndex((id) => id < 0);
    const last = ids.findLastIndex((id) => id < 0);
    expect(text(ids.slice(first, last + 1))).toBe("<｜Assistant｜></think>2 + 2 = 4.<｜end▁of▁sentence｜>");
    expect(ids.slice(first, last + 1).every((id) => id < 0)).toBe(true);
  });

  it("stay marked from a .jsonl file to the batch", async () => {
    const path = join(dir, "chat.jsonl");
    writeFileSync(path, Array.from({ length: 5 }, () => JSON.stringify({ messages })).join("\n"));
    const { dataset } = await prepareData({
      paths: [path],
      tokenizerDir,
      cacheDir: join(dir, "cache"),
      holdout: 0,
      workers: 1,
    });
    const one = encodeDocument({ messages }, tokenizer).ids;
    const ids = new Int32Array(one.length);
    dataset.read("train", one.length, ids);
    dataset.close();
    expect([...ids]).toEqual(one);
    expect(one.some((id) => id < 0)).toBe(true);
  });

  it("other weights are not taken", async () => {
    const path = join(dir, "wrong.jsonl");
    writeFileSync(path, JSON.stringify({ messages: [{ role: "user", content: "a", weight: 0.5 }] }));
    await expect(readDocuments([path], { onBroken: "fail" }).next()).rejects.toThrow(
      /messages\[0\]\.weight: expected 0 or 1/,
    );
  });

  it("a template that does not write messages in order cannot leave any out", () => {
    const reversed = Object.assign(Object.create(tokenizer) as typeof tokenizer, {
      encodeChat: (list: typeof messages) => {
        const text = list
          .map(({ content }) => content)
          .reverse()
          .join("\n");
        return { text, ids: tokenizer.encode(text), opensThought: false };
      },
    });
    expect(() => encodeDocument({ messages }, reversed)).toThrow(
      /messages\[1\]\.weight: expected a chat template that writes each message after/,
    );
  });
});

it("shards hold ids of any size, marked or not", () => {
  let n = 0;
  for (const [vocabSize, type] of [
    [0x8000, "u16"],
    [0x8001, "u32"],
  ] as const) {
    expect(tokenTypeOf(vocabSize)).toBe(type);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -vocabSize, max: vocabSize - 1 }), { minLength: 1, maxLength: 50 }),
        (ids) => {
          const writer = new ShardWriter(dir, `${n++}.bin`, true, type);
          for (const id of ids) writer.push(id);
          const { file, tokens } = writer.close();
          const bytes = Uint8Array.from(readFileSync(join(dir, file))).buffer;
          const out = new Int32Array(tokens);
          unpackTokens(type === "u16" ? new Uint16Array(bytes) : new Uint32Array(bytes), out);
          expect([...out]).toEqual(ids);
        },
      ),
      { numRuns: 30 },
    );
  }
});
