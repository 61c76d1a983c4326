/** Memory of the tokenizer: bounded by what it keeps, not by what it has read. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";

const HEAP_MB = 72;

/** Runs a module's text in a Node with a small heap and returns what it prints; a heap that is too small aborts it. */
function inSmallHeap(code: string): string {
  const path = new URL("./", import.meta.url).href;
  const source = code.replaceAll("$HERE/", path);
  return execFileSync(
    process.execPath,
    [`--max-old-space-size=${HEAP_MB}`, "--import", "tsx", "--input-type=module", "-e", source],
    { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
}

// 100 MB of text, each document with one word of its own that the tokenizer keeps: views into the documents would keep them all.
const DOCUMENTS = 1600;
const TEXT = `const text = (i) => "abcdefgh\\n".repeat(7000) + "onlyhere" + "abcdefghij"[i % 10].repeat(8) + i.toString(26).replace(/[0-9]/g, (d) => "qrstuvwxyz"[d]) + "\\n" + "abcdefgh\\n".repeat(200);`;

describe("with a heap smaller than the corpus", () => {
  it("counts words for a new tokenizer", () => {
    const printed = inSmallHeap(`
      import { trainTokenizer } from "$HERE/train.ts";
      ${TEXT}
      function* texts() { for (let i = 0; i < ${DOCUMENTS}; i++) yield text(i); }
      const { words } = await trainTokenizer(texts(), { vocabSize: 300 });
      console.log(words.distinct);
    `);
    expect(Number(printed)).toBeGreaterThan(DOCUMENTS);
  }, 120_000);

  it("encodes documents and remembers their pieces", () => {
    const printed = inSmallHeap(`
      import { trainTokenizer } from "$HERE/train.ts";
      import { Tokenizer } from "$HERE/tokenizer.ts";
      ${TEXT}
      const { tokenizerJson, tokenizerConfig } = await trainTokenizer([text(0), text(1)], { vocabSize: 300 });
      const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
      let tokens = 0;
      for (let i = 0; i < 1300; i++) tokens += tokenizer.encode(text(i)).length;
      console.log(tokens);
    `);
    expect(Number(printed)).toBeGreaterThan(1300);
  }, 120_000);
});
