/** Mapped files: their bytes, before and after letting go; what cannot be mapped. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { mapFile } from "./mapped.ts";

const dir = mkdtempSync(join(tmpdir(), "sumbi-mapped-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test.skipIf(process.platform === "win32")(
  "a file's bytes stay, whatever memory was let go and whatever took its place",
  () => {
    const path = join(dir, "file");
    const bytes = Uint8Array.from({ length: 100_001 }, (_, i) => (i * 7) & 255);
    writeFileSync(path, bytes);
    const mapped = mapFile(path)!;
    expect(mapped.bytes).toEqual(bytes);
    mapped.drop();
    writeFileSync(join(dir, "other"), "another");
    renameSync(join(dir, "other"), path);
    expect(mapped.bytes).toEqual(bytes);
  },
);

test("an empty file is not mapped, a missing one is an error", () => {
  writeFileSync(join(dir, "empty"), "");
  expect(mapFile(join(dir, "empty"))).toBeUndefined();
  expect(() => mapFile(join(dir, "none"))).toThrow("ENOENT");
});
